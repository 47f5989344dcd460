"""The DARTS space (Liu et al. 2019) as NAS-Bench-301 uses it: a normal and a reduction cell of 4 nodes each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import comb, prod

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from ednag_jax.spaces.base import SearchSpace, drawn_at_once, hash_fields
from ednag_jax.spaces.traits import Traits, counts
from ednag_jax.types import HostPhenotype, KeyArray

OPS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""Op id -> its name in the literature."""
CELLS = ("normal", "reduce")
NUM_NODES, NUM_INPUTS = 4, 2
"""Of a cell: nodes that compute, each the sum of two edges; and the outputs of the two cells before it."""
NUM_EDGES = NUM_NODES * 2
"""Of a cell; edges 2 j and 2 j + 1 enter the node that is number j + 2 in the text form."""
NODE_OF_EDGE = np.repeat(np.arange(NUM_NODES), 2)
NUM_SOURCES = NODE_OF_EDGE + NUM_INPUTS
"""Edge -> how many nodes it can come from: the two inputs and the nodes before its own."""
PAIRS = tuple((node, source) for node in range(NUM_NODES) for source in range(node + NUM_INPUTS))
"""All edges that a cell can have, as (node, source): 14, of which an architecture has 2 a node."""
FIRST_PAIR = np.array([PAIRS.index((node, 0)) for node in NODE_OF_EDGE])
"""Edge -> where the pairs of its node begin in `PAIRS`."""
FIRST_OF_HIGH = np.array([comb(high, 2) for high in range(1, NUM_NODES + NUM_INPUTS - 1)])
"""Number of the first pair of sources whose greater one is 1, 2, 3, 4."""

SOURCE_EDITS = np.array(
    [
        (cell * NUM_EDGES + edge, step)
        for cell in range(len(CELLS))
        for edge, node in enumerate(NODE_OF_EDGE)
        for step in range(node)
    ]
).T
"""Every change of a source, as (edge of both cells, which of the sources that its node does not use)."""

GENE = r"\('(\w+)',(\d)\)"
TEXT = re.compile(
    "Genotype\\("
    + ",".join(rf"{cell}=\[([^]]*)\],{cell}_concat=(?:range\(2,6\)|\[2,3,4,5\])" for cell in CELLS)
    + "\\)"
)
"""An edge, and the whole text form, without white space."""


@dataclass(frozen=True)
class Darts(SearchSpace):
    """The 1.08 * 10^18 pairs of a normal and a reduction cell.

    A phenotype is 2 cells x 8 edges x (source, op id), flattened: sources 0 and 1 are the outputs of the cells
    before, 2 to 4 the nodes of the cell itself. The two edges of a node come from different sources; they
    may be in any order, and the canonical one, which `decode` and `from_str` give and `arch_id` hashes, is
    by source. Cells that differ by a renaming of their nodes alone count as different, as in the literature.

    The genotype is, as in DARTS itself, one number per cell, possible edge and op: 2 x 14 x 7. An edge's op is
    the arg-max of its 7 numbers, and a node takes the two edges whose greatest numbers are greatest. Every
    genotype is valid, one drawn from N(0, I) decodes uniformly, and a number means the same op on the same
    edge whatever the others are.
    """

    name: str = "darts"

    @property
    def genotype_size(self) -> int:
        return len(CELLS) * len(PAIRS) * len(OPS)

    @property
    def num_fields(self) -> int:
        return len(CELLS) * NUM_EDGES * 2

    @property
    def choices(self) -> tuple[int, ...]:
        """Per node, cell by cell, which two sources and the op on the edge from either: all are valid."""
        nodes = [(comb(int(sources), 2), len(OPS), len(OPS)) for sources in NUM_SOURCES[::2]]
        return tuple(number for node in nodes * len(CELLS) for number in node)

    @property
    def size(self) -> int:
        """Per node a pair of sources and an op on each edge: (1 * 3 * 6 * 10 * 7^8)^2."""
        return prod(self.choices)

    def decode(self, genotype: Float[Array, "*b d"]) -> Int[Array, "*b e"]:
        """Returns the canonical phenotype; of equal numbers the first counts more."""
        number = genotype.reshape(*genotype.shape[:-1], len(CELLS), len(PAIRS), len(OPS))
        op, strength = jnp.argmax(number, axis=-1), jnp.max(number, axis=-1)
        parts = jnp.split(strength, FIRST_PAIR[2::2], axis=-1)
        source = jnp.concatenate([_strongest_two(part) for part in parts], axis=-1)
        chosen_op = jnp.take_along_axis(op, FIRST_PAIR + source, axis=-1)
        return jnp.stack([source, chosen_op], axis=-1).reshape(*genotype.shape[:-1], -1).astype(jnp.int32)

    def encode(self, phenotype: Int[Array, "*b e"]) -> Float[Array, "*b d"]:
        """Returns 1 for the op on each edge that the cells have, -1 elsewhere."""
        source, op = edges(phenotype)
        slot = (FIRST_PAIR + source) * len(OPS) + op
        chosen = jnp.sum(jax.nn.one_hot(slot, len(PAIRS) * len(OPS)), axis=-2)
        return 2.0 * chosen.reshape(*phenotype.shape[:-1], -1) - 1.0

    def from_choices(self, values: Int[Array, "*b k"]) -> Int[Array, "*b e"]:
        """Returns the canonical phenotype; sources low < high are pair low + high (high - 1) / 2."""
        pair, *ops = jnp.moveaxis(values.reshape(*values.shape[:-1], -1, 3), -1, 0)
        high = 1 + jnp.sum(pair[..., None] >= FIRST_OF_HIGH[1:], axis=-1)
        low = pair - jnp.asarray(FIRST_OF_HIGH)[high - 1]
        fields = jnp.stack([low, ops[0], high, ops[1]], axis=-1)
        return fields.reshape(*values.shape[:-1], -1).astype(jnp.int32)

    def to_choices(self, phenotype: Int[Array, "*b e"]) -> Int[Array, "*b k"]:
        fields = self.canonical(phenotype).reshape(*phenotype.shape[:-1], -1, 4)
        low, first, high, second = jnp.moveaxis(fields, -1, 0)
        values = jnp.stack([low + high * (high - 1) // 2, first, second], axis=-1)
        return values.reshape(*phenotype.shape[:-1], -1)

    def is_valid(self, phenotype: Int[Array, "*b e"]) -> Bool[Array, "*b"]:
        source, op = edges(phenotype)
        known = (source >= 0) & (source < NUM_SOURCES) & (op >= 0) & (op < len(OPS))
        return jnp.all(known & (source != _partner(source)), axis=(-2, -1))

    def canonical(self, phenotype: Int[Array, "*b e"]) -> Int[Array, "*b e"]:
        """Returns the phenotype with the two edges of every node in the order of their sources."""
        edges = phenotype.reshape(*phenotype.shape[:-1], -1, 2, 2)
        falls = edges[..., :1, :1] > edges[..., 1:, :1]
        return jnp.where(falls, edges[..., ::-1, :], edges).reshape(phenotype.shape)

    def arch_id(self, phenotype: Int[Array, "*b e"]) -> UInt32[Array, "*b 2"]:
        """Returns a 64-bit hash of the canonical form as two uint32."""
        return hash_fields(self.canonical(phenotype))

    @drawn_at_once
    def random(self, key: KeyArray, num: int) -> Int[Array, "n e"]:
        key_first, key_second, key_op = jax.random.split(key, 3)
        shape = (num, len(CELLS), NUM_NODES)
        first = jax.random.randint(key_first, shape, 0, NUM_SOURCES[::2])
        second = jax.random.randint(key_second, shape, 0, NUM_SOURCES[::2] - 1)
        source = jnp.stack([first, second + (second >= first)], axis=-1)
        op = jax.random.randint(key_op, source.shape, 0, len(OPS))
        return self.canonical(jnp.stack([source, op], axis=-1).reshape(num, -1))

    def mutate(self, key: KeyArray, phenotype: Int[Array, " e"]) -> Int[Array, " e"]:
        edited = self.neighbours(phenotype)
        return edited[jax.random.randint(key, (), 0, edited.shape[0])]

    def neighbours(self, phenotype: Int[Array, " e"]) -> Int[Array, "120 e"]:
        """Returns all architectures one edit away, canonical: 96 changes of an op, 24 of a source.

        A source changes to any other that the node can have and does not have already.
        """
        source, op = (field.reshape(-1) for field in edges(phenotype))
        edge, shift = np.divmod(np.arange(len(op) * (len(OPS) - 1)), len(OPS) - 1)
        new_op = jnp.where(_at(edge), (op + shift[:, None] + 1) % len(OPS), op)
        edge, step = SOURCE_EDITS
        partner = _partner(source)
        free = step + (step >= jnp.minimum(source, partner)[edge])
        free = free + (free >= jnp.maximum(source, partner)[edge])
        new_source = jnp.where(_at(edge), free[:, None], source)
        changed = [
            jnp.stack(jnp.broadcast_arrays(source, new_op), axis=-1),
            jnp.stack(jnp.broadcast_arrays(new_source, op), axis=-1),
        ]
        return self.canonical(jnp.concatenate(changed).reshape(-1, self.num_fields).astype(jnp.int32))

    def traits(self, phenotype: Int[Array, "*b e"]) -> Traits:
        """Returns each cell's ops counted; the same, those on edges from its inputs apart; and every edge."""
        source, op = edges(phenotype)
        present, is_inner = jnp.ones(op.shape, bool), source >= NUM_INPUTS
        rough = counts(op, len(OPS), present)
        coarse = counts(op + len(OPS) * is_inner, 2 * len(OPS), present)
        rough, coarse = (
            part.reshape(*phenotype.shape[:-1], -1) / jnp.sqrt(len(CELLS)) for part in (rough, coarse)
        )
        return Traits(rough, coarse, super().traits(phenotype).fine)

    def to_str(self, phenotype: HostPhenotype) -> str:
        """Returns the literature's text, `Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=..., ...)`.

        The two edges of a node are in the order of their sources.
        """
        edges = np.asarray(self.canonical(jnp.asarray(phenotype))).reshape(len(CELLS), NUM_EDGES, 2)
        genes = [[(OPS[op], source) for source, op in cell] for cell in edges.tolist()]
        parts = [f"{cell}={gene}, {cell}_concat=range(2, 6)" for cell, gene in zip(CELLS, genes, strict=True)]
        return f"Genotype({', '.join(parts)})"

    def from_str(self, text: str) -> Int[Array, " e"]:
        """Returns the canonical phenotype of a text as `to_str` gives it, with edges of a node in any order."""
        return jnp.array(parsed(text), jnp.int32)


def edges(phenotype: Int[Array, "*b e"]) -> tuple[Int[Array, "*b 2 8"], Int[Array, "*b 2 8"]]:
    """Returns source and op of every edge, cell by cell."""
    edges = phenotype.reshape(*phenotype.shape[:-1], len(CELLS), NUM_EDGES, 2)
    return edges[..., 0], edges[..., 1]


def _partner(source: Int[Array, "*b k"]) -> Int[Array, "*b k"]:
    """Returns for every edge the source of the other edge of its node."""
    return source.reshape(*source.shape[:-1], -1, 2)[..., ::-1].reshape(source.shape)


def _at(edge: Int[np.ndarray, " k"]) -> Bool[np.ndarray, "k 16"]:
    """Returns True at one edge a row."""
    return edge[:, None] == np.arange(len(CELLS) * NUM_EDGES)


def _strongest_two(strength: Float[Array, "*b m"]) -> Int[Array, "*b 2"]:
    """Returns where the greatest two numbers are, in rising order; the first of equals."""
    first = jnp.argmax(strength, axis=-1, keepdims=True)
    others = jnp.where(jnp.arange(strength.shape[-1]) == first, -jnp.inf, strength)
    second = jnp.argmax(others, axis=-1, keepdims=True)
    return jnp.concatenate([jnp.minimum(first, second), jnp.maximum(first, second)], axis=-1)


def parsed(text: str) -> list[int]:
    """Returns the fields of the canonical phenotype of a text (host).

    Raises:
        ValueError: the text is no architecture of the space.
    """
    match = TEXT.fullmatch("".join(text.split()))
    cells = [_genes(part) for part in match.groups()] if match else []
    if [len(cell) for cell in cells] != [NUM_EDGES] * len(CELLS):
        raise ValueError(
            f"{text!r} must be of the form Genotype(normal=[('sep_conv_3x3', 0), ...], "
            f"normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6)), {NUM_EDGES} edges a cell"
        )
    unknown = sorted({op for cell in cells for op, _ in cell} - set(OPS))
    if unknown:
        raise ValueError(f"{text!r} has unknown operations {unknown}; allowed are {', '.join(OPS)}")
    genes = [(int(source), OPS.index(op)) for cell in cells for op, source in cell]
    nodes = [sorted(genes[edge : edge + 2]) for edge in range(0, len(genes), 2)]
    for position, ((first, _), (second, _)) in enumerate(nodes):
        node = position % NUM_NODES + NUM_INPUTS
        if first == second or second >= node:
            raise ValueError(
                f"{text!r} has a node {node} with sources {first} and {second}; they must differ and be less"
            )
    return [value for node in nodes for edge in node for value in edge]


def _genes(text: str) -> list[tuple[str, str]]:
    """Returns (op, source) of every edge of a cell's text; none where anything else is in it."""
    return re.findall(GENE, text) if re.fullmatch(f"{GENE}(,{GENE})*", text) else []
