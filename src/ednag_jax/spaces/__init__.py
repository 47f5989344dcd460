"""Search spaces by name."""

from ednag_jax.spaces.autoformer import SIZES, AutoFormer
from ednag_jax.spaces.base import SearchSpace
from ednag_jax.spaces.categorical import CategoricalSpace
from ednag_jax.spaces.darts import Darts
from ednag_jax.spaces.mobilenetv3 import MobileNetV3
from ednag_jax.spaces.nasbench101 import NasBench101
from ednag_jax.spaces.nasbench201 import NasBench201
from ednag_jax.spaces.transnas101 import TransNas101Macro, TransNas101Micro

SPACES: dict[str, SearchSpace] = {
    **{f"autoformer_{size}": AutoFormer.of_size(size) for size in SIZES},
    "darts": Darts(),
    "mobilenetv3": MobileNetV3(),
    "nasbench101": NasBench101(),
    "nasbench201": NasBench201(),
    "transnas101_micro": TransNas101Micro(),
    "transnas101_macro": TransNas101Macro(),
}

__all__ = [
    "SPACES",
    "AutoFormer",
    "CategoricalSpace",
    "Darts",
    "MobileNetV3",
    "NasBench101",
    "NasBench201",
    "SearchSpace",
    "TransNas101Macro",
    "TransNas101Micro",
]
