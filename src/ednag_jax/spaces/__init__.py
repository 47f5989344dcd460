"""Search spaces by name."""

from ednag_jax.spaces.base import SearchSpace
from ednag_jax.spaces.categorical import CategoricalSpace
from ednag_jax.spaces.nasbench201 import NasBench201

SPACES: dict[str, SearchSpace] = {"nasbench201": NasBench201()}

__all__ = ["SPACES", "CategoricalSpace", "NasBench201", "SearchSpace"]
