"""NAS-Bench-201 (Dong and Yang 2020): cells of 4 nodes and 6 edges, each edge one of 5 operations."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Int

from ednag_jax.spaces.categorical import CategoricalSpace
from ednag_jax.types import HostPhenotype

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""Op id -> official op name."""
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""Edge -> (source, target), in the order of the official string."""


@dataclass(frozen=True, init=False)
class NasBench201(CategoricalSpace):
    """The 15,625 cells of NAS-Bench-201; `arch_index` is the base-5 number of the six op ids.

    >>> space = NasBench201()
    >>> space.to_str([3, 3, 4, 1, 3, 1])
    '|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|'
    """

    def __init__(
        self,
        name: str = "nasbench201",
        choices: tuple[int, ...] = (len(OPS),) * len(EDGES),
        encoding: str = "compact",
    ) -> None:
        super().__init__(name, choices, encoding)

    def to_str(self, phenotype: HostPhenotype) -> str:
        """Returns the official string: per node the ops of its incoming edges as `op~source`."""
        nodes: dict[int, str] = {}
        for op, (source, target) in zip(phenotype, EDGES, strict=True):
            nodes[target] = nodes.get(target, "|") + f"{OPS[int(op)]}~{source}|"
        return "+".join(nodes.values())

    def from_str(self, text: str) -> Int[Array, " e"]:
        """Returns the op ids of an official string."""
        parts = [part for node in text.split("+") for part in node.strip("|").split("|")]
        ops, sources = zip(*(part.rpartition("~")[::2] for part in parts), strict=True)
        if sources != tuple(str(source) for source, _ in EDGES):
            raise ValueError(f"{text!r} does not list the edges {EDGES} in order, as 'op~source' between bars")
        unknown = sorted(set(ops) - set(OPS))
        if unknown:
            raise ValueError(f"{text!r} has unknown operations {unknown}; allowed are {', '.join(OPS)}")
        return jnp.array([OPS.index(op) for op in ops], jnp.int32)
