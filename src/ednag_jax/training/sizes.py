"""The network that is trained: an architecture at a size of its space that a small machine can train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax

from ednag_jax.config import check_choice
from ednag_jax.networks import NETWORKS, build
from ednag_jax.networks.variables import image_batch, variable_shapes
from ednag_jax.types import HostPhenotype

SMALL: dict[str, dict[str, Any]] = {
    "darts": {"channels": 8, "num_cells": 3},
    "nasbench101": {"channels": 16, "num_stacks": 3, "num_modules": 1},
    "nasbench201": {"channels": 8, "num_cells": 1},
    "transnas101_macro": {"channels": 16, "num_cells": 1},
    "transnas101_micro": {"channels": 16, "num_cells": 1},
}
"""Space -> settings of its builder that a CPU trains in minutes; a space that is not here keeps the published
size, as its width is part of the architecture or the builder has no such setting."""


def network_settings(space_name: str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the settings of a space's builder: the small ones, and what is given in their place.

    >>> network_settings("nasbench201", {"channels": 16})
    {'channels': 16, 'num_cells': 1}
    """
    check_choice("space", space_name, tuple(NETWORKS))
    return {**SMALL.get(space_name, {}), **(given or {})}


def sized_network(
    space_name: str,
    phenotype: HostPhenotype,
    *,
    num_classes: int,
    image_shape: tuple[int, int, int],
    settings: Mapping[str, Any],
) -> nn.Module:
    """Returns the network of an architecture, after trying it on the shape of an image; nothing is computed.

    Args:
        space_name: a key of `networks.NETWORKS`.
        phenotype: a valid one of that space.
        num_classes: what is to be told apart.
        image_shape: (height, width, 3).
        settings: all that its builder is given beside the classes.

    Raises:
        ValueError: a setting that the builder does not have, a phenotype that is not valid, images that the
            network cannot take, or a network that says something else than one number a class.
    """
    try:
        module = build(space_name, phenotype, num_classes=num_classes, **settings)
    except TypeError as error:
        raise ValueError(
            f"networks of space {space_name!r} cannot be built with {dict(settings)}: {error}"
        ) from error
    shapes = variable_shapes(module, image_shape)
    said = jax.eval_shape(module.apply, shapes, image_batch(image_shape))
    if said.shape != (1, num_classes):
        raise ValueError(
            f"a network of space {space_name!r} with {dict(settings)} gives {said.shape[1:]} numbers an image, "
            f"expected one for each of {num_classes} classes; leave out the setting that changes its task"
        )
    return module
