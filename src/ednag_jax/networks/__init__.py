"""Architectures as flax modules: what a phenotype computes on images, at the published size or smaller."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from ednag_jax.config import check_choice
from ednag_jax.networks import autoformer, darts, mobilenetv3, nasbench101, nasbench201, transnas101
from ednag_jax.networks.counting import multiply_adds, num_parameters
from ednag_jax.networks.nasbench201 import NasBench201Any
from ednag_jax.networks.nasbench201_switch import NasBench201Switch
from ednag_jax.networks.variables import initialise
from ednag_jax.spaces import SPACES, AutoFormer
from ednag_jax.spaces.autoformer import SIZES
from ednag_jax.types import HostPhenotype

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    **{f"autoformer_{size}": partial(autoformer.build, space=AutoFormer.of_size(size)) for size in SIZES},
    "darts": darts.build,
    "mobilenetv3": mobilenetv3.build,
    "nasbench101": nasbench101.build,
    "nasbench201": nasbench201.build,
    "transnas101_micro": transnas101.build_micro,
    "transnas101_macro": transnas101.build_macro,
}
"""Space name -> `build(phenotype, *, num_classes, **settings)`; settings default to the published size."""


def build(space_name: str, phenotype: HostPhenotype, *, num_classes: int, **settings: Any) -> nn.Module:
    """Returns the network of one architecture.

    It is called with images [b h w c] and `train`, which says whether to normalise by the batch (then the
    collection `batch_stats` changes) or by the averages kept, and returns logits [b num_classes]. It is
    frozen and hashable, so it can be a static argument.

    Args:
        space_name: a key of `NETWORKS`.
        phenotype: a valid one of that space.
        num_classes: at least 1.
        **settings: of the space's builder, such as `channels` and `num_cells`.

    Raises:
        ValueError: unknown space, or a phenotype that is not valid.

    >>> network = build("nasbench201", [3, 3, 3, 3, 3, 3], num_classes=10)
    >>> num_parameters(network), multiply_adds(network)
    (1531546, 220119680)
    """
    check_choice("space", space_name, tuple(NETWORKS))
    fields = jnp.asarray(phenotype, jnp.int32)
    space = SPACES[space_name]
    if fields.shape != (space.num_fields,) or not space.is_valid(fields):
        raise ValueError(
            f"phenotype {fields.tolist()} is no architecture of space {space_name!r}, which has "
            f"{space.num_fields} fields; take one of `decode`, `random` or `from_str`"
        )
    return NETWORKS[space_name](phenotype, num_classes=num_classes, **settings)


__all__ = [
    "NETWORKS",
    "NasBench201Any",
    "NasBench201Switch",
    "build",
    "initialise",
    "multiply_adds",
    "num_parameters",
]
