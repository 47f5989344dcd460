"""Training-free proxies: what an untrained network says about how well it would train."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Array, Float

from ednag_jax.proxies.dss import dss
from ednag_jax.proxies.fitness import ProxyFitness
from ednag_jax.proxies.naswot import naswot
from ednag_jax.proxies.size import flops, parameters
from ednag_jax.proxies.synflow import synflow
from ednag_jax.proxies.zen_score import zen_score

PROXIES: dict[str, Callable[..., Float[Array, ""]]] = {
    "dss": dss,
    "flops": flops,
    "naswot": naswot,
    "parameters": parameters,
    "synflow": synflow,
    "zen_score": zen_score,
}
"""Proxy name -> `proxy(network, variables, images, *inputs)`, a scalar, higher for networks thought better;
pure, so that `jax.vmap` or `jax.lax.map` over variables or inputs scores many in one program;
`dss` is for AutoFormer networks. Call them under `jax.jit`: op by op they take many times as long."""

__all__ = ["PROXIES", "ProxyFitness", "dss", "flops", "naswot", "parameters", "synflow", "zen_score"]
