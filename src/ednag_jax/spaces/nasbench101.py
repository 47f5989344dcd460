"""NAS-Bench-101 (Ying et al. 2019): modules of up to 7 vertices and 9 edges, each vertex one of 3 ops."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from ednag_jax.spaces.base import SearchSpace, drawn_at_once
from ednag_jax.spaces.categorical import CategoricalSpace
from ednag_jax.spaces.nasbench101_graph import (
    EDGES,
    MAX_EDGES,
    NUM_INTERIOR,
    NUM_VERTICES,
    module_hash,
    num_edges,
    official_hash,
    pack_edges,
    prune,
    pruned_module,
    unpack_edges,
)
from ednag_jax.spaces.nasbench101_text import OPS, read_module, write_module
from ednag_jax.spaces.traits import Traits, counts
from ednag_jax.types import HostPhenotype, KeyArray

NUM_EDGES = len(EDGES)
SOURCE, TARGET = np.array(EDGES).T
"""Edge -> the vertices that it joins."""
FIELDS = CategoricalSpace("nasbench101 fields", choices=(2,) * NUM_EDGES + (len(OPS),) * NUM_INTERIOR)
"""What a phenotype's fields can be, whatever module they make: an edge or none 21 times, then 5 ops."""
NUM_CANDIDATES = 32
"""Tries to draw a valid module: 73 % of random graphs are one, and 22 % of mutants of a module."""
RULE = f"there must be a path from input to output, and at most {MAX_EDGES} edges on such paths"
SHORTCUT = 1 << EDGES.index((0, NUM_VERTICES - 1))
"""The least module, one edge from input to output: stands in where no try is valid, once in 10^18 draws."""


@dataclass(frozen=True)
class NasBench101(SearchSpace):
    """The 423,624 modules of NAS-Bench-101, searched as 21 edges and 5 operations.

    A phenotype is 21 zeros and ones, edge x -> y in field x + y (y - 1) / 2, then the op ids of vertices 1
    to 5; vertex 0 is the input, 6 the output. As in the official release it may have vertices that are on no
    path from input to output: they do not count, nor do their edges. It is valid where a path exists and at
    most 9 edges are on one. Many phenotypes are the same module, with the vertices named in another order or
    other unused parts: `arch_id` and `to_str` see the module alone.

    The genotype is 21 numbers, one an edge, then 3 an interior vertex, of which the arg-max is the op.
    """

    name: str = "nasbench101"

    @property
    def genotype_size(self) -> int:
        return NUM_EDGES + len(OPS) * NUM_INTERIOR

    @property
    def num_fields(self) -> int:
        return FIELDS.num_fields

    @property
    def choices(self) -> tuple[int, ...]:
        return FIELDS.choices

    @property
    def size(self) -> int:
        return 423_624

    @property
    def is_indexable(self) -> bool:
        """False: no formula numbers modules up to isomorphism."""
        return False

    def decode(self, genotype: Float[Array, "*b d"]) -> Int[Array, "*b e"]:
        """Returns the edges whose number is above 0, as many as the limit allows, and the ops.

        Edges count from the greatest number down; the rest is dropped from the first on with which more
        than 9 would be left after pruning. So a decoded module is invalid only without a path from input
        to output, and an edge that leads nowhere takes no room. Of equal numbers the first counts more.
        """
        edge_numbers, op_numbers = genotype[..., :NUM_EDGES], genotype[..., NUM_EDGES:]
        edges = _within_limit(edge_numbers > 0, _descending_rank(edge_numbers))
        ops = jnp.argmax(op_numbers.reshape(*genotype.shape[:-1], NUM_INTERIOR, len(OPS)), axis=-1)
        return jnp.concatenate([edges, ops], axis=-1).astype(jnp.int32)

    def encode(self, phenotype: Int[Array, "*b e"]) -> Float[Array, "*b d"]:
        """Returns 1 for an edge and for a vertex's op, -1 elsewhere; decodes to the same phenotype."""
        ops = jax.nn.one_hot(phenotype[..., NUM_EDGES:], len(OPS)).reshape(*phenotype.shape[:-1], -1)
        return 2.0 * jnp.concatenate([phenotype[..., :NUM_EDGES], ops], axis=-1) - 1.0

    def is_valid(self, phenotype: Int[Array, "*b e"]) -> Bool[Array, "*b"]:
        return FIELDS.is_valid(phenotype) & _is_module(pack_edges(phenotype[..., :NUM_EDGES]))

    def arch_id(self, phenotype: Int[Array, "*b e"]) -> UInt32[Array, "*b 2"]:
        """Returns a hash that is equal for isomorphic modules, and for no two others of the 423,624."""
        return module_hash(prune(pack_edges(phenotype[..., :NUM_EDGES])), phenotype[..., NUM_EDGES:])

    @drawn_at_once
    def random(self, key: KeyArray, num: int) -> Int[Array, "n e"]:
        """Returns num modules, each edge a fair coin and each op uniform, drawn again until valid.

        Uniform over valid phenotypes, as the benchmark's own random search draws, and so not over modules:
        one with more names is drawn more often. Uniform over modules would take the table.
        """
        key_edges, key_ops = jax.random.split(key)
        drawn = jax.random.bits(key_edges, (num, NUM_CANDIDATES)) >> (32 - NUM_EDGES)
        bits = _first_module(drawn.astype(jnp.int32))
        ops = jax.random.randint(key_ops, (num, NUM_INTERIOR), 0, len(OPS))
        return jnp.concatenate([unpack_edges(bits), ops], axis=-1)

    def mutate(self, key: KeyArray, phenotype: Int[Array, " e"]) -> Int[Array, " e"]:
        """Returns a valid module some edits away, as the benchmark's own regularized evolution mutates.

        Each edge is flipped with probability 1/7 and each op changed with probability 1/5, 3 edges and 1 op in
        the mean, and again until valid (Ying et al. 2019); after `NUM_CANDIDATES` tries the phenotype stays as
        it was. Single edits would not do: to a module with 9 edges they can only take edges away, and
        evolution then ends after some 90 different modules.
        """
        u = jax.random.uniform(key, (NUM_CANDIDATES, self.num_fields))
        is_op = jnp.arange(self.num_fields) >= NUM_EDGES
        rate = jnp.where(is_op, 1 / NUM_INTERIOR, 1 / NUM_VERTICES)
        shift = (u < rate).astype(jnp.int32) + (is_op & (u < rate / 2))  # an op moves by 1 or by 2
        mutants = (phenotype + shift) % jnp.array(FIELDS.choices)
        valid = self.is_valid(mutants)
        return jnp.where(jnp.any(valid), mutants[jnp.argmax(valid)], phenotype)

    def neighbours(self, phenotype: Int[Array, " e"]) -> Int[Array, "31 e"]:
        """Returns all phenotypes one edit away: 21 flipped edges, 10 changed ops; not all need be valid."""
        return FIELDS.neighbours(phenotype)

    def traits(self, phenotype: Int[Array, "*b e"]) -> Traits:
        """Returns how many edges of the pruned module lead from each op to each other, for all descriptions.

        So isomorphic modules agree, and what is on no path does not count.
        """
        present = unpack_edges(prune(pack_edges(phenotype[..., :NUM_EDGES]))) == 1
        outer = jnp.full((*phenotype.shape[:-1], 1), len(OPS))
        label = jnp.concatenate([outer, phenotype[..., NUM_EDGES:], outer], axis=-1)
        ends = label[..., SOURCE] * (len(OPS) + 1) + label[..., TARGET]
        # Of the 21 places of edges a module fills 9 at most.
        pairs = counts(ends, (len(OPS) + 1) ** 2, present) * jnp.sqrt(NUM_EDGES / MAX_EDGES)
        return Traits(pairs, pairs, pairs)

    def to_str(self, phenotype: HostPhenotype) -> str:
        """Returns the pruned module as JSON of the official ModelSpec's arguments; equal modules print equal.

        Raises:
            ValueError: the phenotype is not valid, so there is no module.
        """
        return write_module(*self._module(phenotype))

    def from_str(self, text: str) -> Int[Array, " e"]:
        """Returns the phenotype of a module in the form of `to_str`, its vertices in any order, pruned or not.

        The output becomes vertex 6; vertices that the text does not have get op 0 and no edge.
        """
        matrix, labels = read_module(text)
        vertex = [*range(len(labels) - 1), NUM_VERTICES - 1]
        edges = {(vertex[source], vertex[target]) for source, target in np.argwhere(matrix)}
        ops = [*labels[1:-1], *[0] * (NUM_VERTICES - len(labels))]
        phenotype = jnp.array([*(int(pair in edges) for pair in EDGES), *ops], jnp.int32)
        if not self.is_valid(phenotype):
            found = pruned_module(phenotype)[0].sum()
            raise ValueError(f"{text!r} has {found} edges on paths from input to output, but {RULE}")
        return phenotype

    def official_hash(self, phenotype: HostPhenotype) -> str:
        """Returns the MD5 name that the official release gives the module (host).

        Raises:
            ValueError: the phenotype is not valid, so there is no module.
        """
        return official_hash(*self._module(phenotype))

    def _module(self, phenotype: HostPhenotype) -> tuple[np.ndarray, list[int]]:
        """Returns matrix and labels of the pruned module."""
        fields = jnp.asarray(phenotype)
        if not self.is_valid(fields):
            raise ValueError(
                f"phenotype {fields.tolist()} is no module: fields must be {NUM_EDGES} zeros and ones, then "
                f"{NUM_INTERIOR} ops below {len(OPS)}, and {RULE}"
            )
        return pruned_module(fields)


def _is_module(bits: Int[Array, "*b"]) -> Bool[Array, "*b"]:
    """Returns whether a path leads from input to output, and at most 9 edges are on one."""
    count = num_edges(prune(bits))
    return (count >= 1) & (count <= MAX_EDGES)


def _first_module(bits: Int[Array, "n c"]) -> Int[Array, " n"]:
    """Returns the first of each row's graphs that is a module; `SHORTCUT` where none is."""
    valid = _is_module(bits)
    first = jnp.take_along_axis(bits, jnp.argmax(valid, axis=1)[:, None], axis=1)[:, 0]
    return jnp.where(jnp.any(valid, axis=1), first, SHORTCUT)


def _descending_rank(numbers: Float[Array, "*b k"]) -> Int[Array, "*b k"]:
    """Returns how many numbers come before each one: the greater, and of equals those with a lower index."""
    index = jnp.arange(numbers.shape[-1])
    own, other = numbers[..., :, None], numbers[..., None, :]
    before = (other > own) | ((other == own) & (index < index[:, None]))
    return jnp.sum(before, axis=-1, dtype=jnp.int32)


def _within_limit(present: Bool[Array, "*b 21"], rank: Int[Array, "*b 21"]) -> Int[Array, "*b 21"]:
    """Returns the present edges of rank below the greatest bound that leaves at most 9 after pruning.

    More edges never leave fewer on a path, so halving finds the bound; 9 is always low enough.
    """
    bound = jnp.full(rank.shape[:-1], MAX_EDGES)
    for step in (8, 4, 2, 1):
        edges = present & (rank < (bound + step)[..., None])
        fits = num_edges(prune(pack_edges(edges.astype(jnp.int32)))) <= MAX_EDGES
        bound = jnp.where(fits, bound + step, bound)
    return (present & (rank < bound[..., None])).astype(jnp.int32)
