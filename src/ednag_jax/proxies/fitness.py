"""A proxy as what a search maximises: no training, no table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from ednag_jax.config import check_choice
from ednag_jax.networks import (
    NasBench201Any,
    autoformer,
    darts,
    mobilenetv3,
    nasbench101,
    nasbench201,
    transnas101,
)
from ednag_jax.networks.variables import variable_shapes
from ednag_jax.proxies.naswot import naswot
from ednag_jax.proxies.synflow import synflow
from ednag_jax.proxies.zen_score import gaussian_pair, gaussian_weights, zen_of_pair
from ednag_jax.spaces import SPACES, AutoFormer
from ednag_jax.spaces.autoformer import SIZES
from ednag_jax.types import KeyArray, Params

Count = Callable[..., Num[Array, "*b"]]
AUTOFORMERS = {f"autoformer_{size}": AutoFormer.of_size(size) for size in SIZES}
COUNTS: dict[str, dict[str, Count]] = {
    "parameters": {
        **{name: partial(autoformer.parameter_count, space=space) for name, space in AUTOFORMERS.items()},
        "darts": darts.parameter_count,
        "mobilenetv3": mobilenetv3.parameter_count,
        "nasbench101": nasbench101.parameter_count,
        "nasbench201": nasbench201.parameter_count,
        "transnas101_micro": transnas101.micro_parameter_count,
        "transnas101_macro": transnas101.macro_parameter_count,
    },
    "flops": {
        **{name: partial(autoformer.multiply_add_count, space=space) for name, space in AUTOFORMERS.items()},
        "darts": darts.multiply_add_count,
        "mobilenetv3": mobilenetv3.multiply_add_count,
        "nasbench101": nasbench101.multiply_add_count,
        "nasbench201": nasbench201.multiply_add_count,
        "transnas101_micro": transnas101.micro_multiply_add_count,
        "transnas101_macro": transnas101.macro_multiply_add_count,
    },
}
"""Proxy, space name -> trained numbers, or multiply-adds for one image, of many architectures at once by
formula; at the published size and resolution, but for MobileNetV3 at the resolution that it chooses."""
NETWORK_PROXIES = {"naswot": naswot, "synflow": synflow, "zen_score": zen_of_pair}
SHARED_SPACE = "nasbench201"
"""The space whose cells share one set of weights."""
FITNESS_PROXIES = (*COUNTS, *NETWORK_PROXIES)


@dataclass(frozen=True)
class ProxyFitness:
    """The fitness function of a proxy; equal ones share a compiled program.

    `parameters` and `flops` are for every space, the other proxies for `nasbench201`, whose cells share one set
    of weights. `channels` and `num_cells` are of the NAS-Bench-201 network; others have their published size.

    >>> fitness = ProxyFitness("nasbench201")
    >>> float(fitness(fitness.params(jax.random.key(0)), jax.random.key(1), jnp.full((1, 6), 3))[0])
    1531546.0
    """

    space_name: str
    proxy: str = "parameters"
    num_classes: int = 10
    channels: int = 16
    num_cells: int = 5

    def __post_init__(self) -> None:
        check_choice("space", self.space_name, tuple(SPACES))
        check_choice("proxy", self.proxy, FITNESS_PROXIES)
        if self.proxy not in COUNTS and self.space_name != SHARED_SPACE:
            raise ValueError(
                f"proxy {self.proxy!r} is a fitness for space {SHARED_SPACE!r} only, got {self.space_name!r}: "
                "take proxy='parameters' or 'flops', or score single networks with PROXIES"
            )

    def params(self, key: KeyArray, images: Float[Array, "b h w c"] | None = None) -> Params:
        """Returns the arrays that the fitness reads: none for counts, else weights drawn, and images (host).

        Args:
            key: of the weights.
            images: normalised; without them 32 of Gaussian noise, 32 x 32 pixels. Of them `zen_score` takes
                only number and size.
        """
        if self.proxy in COUNTS:
            return ()
        key_weights, key_images = jax.random.split(key)
        images = jax.random.normal(key_images, (32, 32, 32, 3)) if images is None else images
        phenotype = jnp.zeros(SPACES[self.space_name].num_fields, jnp.int32)
        if self.proxy == "zen_score":
            _, height, width, channels = images.shape
            shapes = variable_shapes(self._network(), (height, width, channels), phenotype)
            return gaussian_weights(key_weights, shapes), gaussian_pair(key_images, images.shape)
        return jax.jit(self._network().init)(key_weights, images[:1], phenotype), images

    def __call__(self, params: Params, key: KeyArray, phenotype: Int[Array, "n e"]) -> Float[Array, " n"]:
        """Returns the proxy of each architecture: counts by formula, others one network after the other."""
        del key  # all are scored with the same weights
        if self.proxy in COUNTS:
            size = {"channels": self.channels, "num_cells": self.num_cells}
            settings = size if self.space_name == SHARED_SPACE else {}
            count = COUNTS[self.proxy][self.space_name](phenotype, num_classes=self.num_classes, **settings)
            return count.astype(jnp.float32)
        return jax.lax.map(partial(NETWORK_PROXIES[self.proxy], self._network(), *params), phenotype)

    def _network(self) -> NasBench201Any:
        return NasBench201Any(self.num_classes, self.channels, self.num_cells)
