"""A proxy as what a search maximises: no training, no table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ednag_jax.config import check_choice
from ednag_jax.networks import NasBench201Any, darts, mobilenetv3, nasbench101, nasbench201, transnas101
from ednag_jax.networks.autoformer import parameter_count as autoformer_count
from ednag_jax.proxies.naswot import naswot
from ednag_jax.proxies.size import nasbench201_flops_table
from ednag_jax.proxies.synflow import synflow
from ednag_jax.spaces import SPACES, AutoFormer
from ednag_jax.spaces.autoformer import SIZES
from ednag_jax.types import KeyArray, Params

COUNTS: dict[str, Callable[..., Int[Array, "*b"]]] = {
    **{f"autoformer_{size}": partial(autoformer_count, space=AutoFormer.of_size(size)) for size in SIZES},
    "darts": darts.parameter_count,
    "mobilenetv3": mobilenetv3.parameter_count,
    "nasbench101": nasbench101.parameter_count,
    "nasbench201": nasbench201.parameter_count,
    "transnas101_micro": transnas101.micro_parameter_count,
    "transnas101_macro": transnas101.macro_parameter_count,
}
"""Space name -> trained numbers of many architectures at once, at the published size."""
NETWORK_PROXIES = {"naswot": naswot, "synflow": synflow}
FITNESS_PROXIES = ("flops", "naswot", "parameters", "synflow")


@dataclass(frozen=True)
class ProxyFitness:
    """The fitness function of a proxy; equal ones share a compiled program.

    `parameters` is for every space, the other proxies for `nasbench201`, whose cells share one set of weights.
    `channels` and `num_cells` are of the NAS-Bench-201 network and not used by `parameters`.

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
        if self.proxy != "parameters" and self.space_name != "nasbench201":
            raise ValueError(
                f"proxy {self.proxy!r} is a fitness for space 'nasbench201' only, got {self.space_name!r}: "
                "take proxy='parameters', or score single networks with PROXIES"
            )

    def params(self, key: KeyArray, images: Float[Array, "b h w c"] | None = None) -> Params:
        """Returns the arrays that the fitness reads: none, multiply-adds, or weights drawn and images (host).

        Args:
            key: of the weights.
            images: normalised; without them 32 of Gaussian noise, 32 x 32 pixels.
        """
        if self.proxy == "parameters":
            return ()
        if self.proxy == "flops":
            return nasbench201_flops_table(
                num_classes=self.num_classes, channels=self.channels, num_cells=self.num_cells
            )
        key_weights, key_images = jax.random.split(key)
        images = jax.random.normal(key_images, (32, 32, 32, 3)) if images is None else images
        phenotype = jnp.zeros(SPACES[self.space_name].num_fields, jnp.int32)
        return jax.jit(self._network().init)(key_weights, images[:1], phenotype), images

    def __call__(self, params: Params, key: KeyArray, phenotype: Int[Array, "n e"]) -> Float[Array, " n"]:
        """Returns the proxy of each architecture, one network after the other."""
        del key  # all are scored with the same weights
        if self.proxy == "parameters":
            return COUNTS[self.space_name](phenotype, num_classes=self.num_classes).astype(jnp.float32)
        if self.proxy == "flops":
            return params[0] + jnp.sum(params[1:][phenotype], axis=-1)
        return jax.lax.map(partial(NETWORK_PROXIES[self.proxy], self._network(), *params), phenotype)

    def _network(self) -> NasBench201Any:
        return NasBench201Any(self.num_classes, self.channels, self.num_cells)
