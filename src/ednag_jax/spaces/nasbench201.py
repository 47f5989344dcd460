"""NAS-Bench-201 (Dong and Yang 2020): cells of 4 nodes and 6 edges, each edge one of 5 operations."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Int

from ednag_jax.spaces.categorical import CategoricalSpace
from ednag_jax.spaces.traits import Traits, cell_traits
from ednag_jax.types import HostPhenotype

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""Op id -> official op name."""
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""Edge -> (source, target), in the order of the official string."""
NUM_STRUCTURES = 6466
"""Different unique strings of the 15,625 cells."""

NONE, SKIP = OPS.index("none"), OPS.index("skip_connect")
TEXT_RANK = tuple(sorted(OPS[SKIP + 1 :]).index(op) if op in OPS[SKIP + 1 :] else 0 for op in OPS)
"""Op id -> its place among the names of the three ops that compute something."""
ZERO, ONCE, INPUT, NUM_TERMS = 0, 10, 13, 14
"""What an edge from node 0 or 1 adds to a sum, in the order of its text: nothing ('#'), 9 terms of two ops
('((0)@a)@b'), 3 of one ('(0)@b') from `ONCE` on, and the cell's input ('0')."""


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

    def traits(self, phenotype: Int[Array, "*b e"]) -> Traits:
        """Returns its ops, and what the paths of the cell compute; see `cell_traits`."""
        return cell_traits(phenotype, len(OPS))

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

    def canonical_id(self, phenotype: Int[Array, "*b e"]) -> Int[Array, "*b"]:
        """Returns a number in [0, 2^18) that is equal for cells of the same structure, and for no others.

        Structure as NAS-Bench-201 counts it, by the cell's unique string: skip_connect passes a node's text on,
        none and whatever reads from a node that is nothing is '#', any other op writes '(text)@op', and a
        node is the sorted texts of its edges joined by '+'. Of the 15,625 cells 6,466 differ. Sums inside
        sums and '#' as a term are kept, so that some different strings compute the same function.
        """
        op = jnp.moveaxis(phenotype, -1, 0)
        node_1 = _term(INPUT, op[0])
        first, second = _sorted(_term(INPUT, op[1]), _term(node_1, op[2]))
        low, high = _sorted(_term(INPUT, op[3]), _term(node_1, op[4]))
        node_2 = NUM_TERMS * first + second
        last = jnp.where(op[5] == NONE, ZERO, NUM_TERMS + 3 * node_2 + jnp.array(TEXT_RANK)[op[5]])
        return jnp.where(op[5] == SKIP, _four_terms(low, high, first, second), _three_terms(low, high, last))


def _term(node: Int[Array, "*b"] | int, op: Int[Array, "*b"]) -> Int[Array, "*b"]:
    """Returns what an edge from node 0 or 1, itself one term, adds to a sum."""
    computed = 1 + 3 * (node - ONCE) + jnp.array(TEXT_RANK)[op]
    return jnp.where((op == NONE) | (node == ZERO), ZERO, jnp.where(op == SKIP, node, computed))


def _sorted(a: Int[Array, "*b"], b: Int[Array, "*b"]) -> tuple[Int[Array, "*b"], Int[Array, "*b"]]:
    return jnp.minimum(a, b), jnp.maximum(a, b)


def _three_terms(low: Int[Array, "*b"], high: Int[Array, "*b"], last: Int[Array, "*b"]) -> Int[Array, "*b"]:
    """Returns the id of low <= high with a term that is nothing or greater than both."""
    is_zero = last == ZERO
    top, middle = jnp.where(is_zero, high, last), jnp.where(is_zero, low, high)
    return NUM_TERMS**4 + (top * NUM_TERMS + middle) * NUM_TERMS + jnp.where(is_zero, ZERO, low)


def _four_terms(
    low: Int[Array, "*b"], high: Int[Array, "*b"], first: Int[Array, "*b"], second: Int[Array, "*b"]
) -> Int[Array, "*b"]:
    """Returns the id of low <= high and the text 'first+second', which is sorted in as a whole.

    Where it starts like one of the others, that one is the shorter text and comes before it.
    """
    pair_last = jnp.stack([low, high, first, second])
    pair_inside = jnp.stack([low, first, second, high])
    pair_first = jnp.stack([first, second, low, high])
    terms = jnp.where(first < low, pair_first, jnp.where(first < high, pair_inside, pair_last))
    return ((terms[0] * NUM_TERMS + terms[1]) * NUM_TERMS + terms[2]) * NUM_TERMS + terms[3]
