"""TransNAS-Bench-101 (Duan et al. 2021): `micro`, cells of 6 edges, and `macro`, stacks of 4 to 6 blocks."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from functools import cache
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.spaces.base import SearchSpace, drawn_at_once
from ednag_jax.spaces.categorical import CategoricalSpace
from ednag_jax.spaces.traits import Traits, categories, cell_traits, counts, joined
from ednag_jax.types import HostPhenotype, KeyArray

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3")
"""Op id -> its name as in NAS-Bench-201; the official string has the id."""
NODES = ((0,), (1, 2), (3, 4, 5))
"""Node 1, 2, 3 of a cell -> the edges that enter it, from node 0 on."""
MICRO_STEM = "64-41414-"
"""Of every micro network's string: 64 base channels and the blocks that hold the cells."""

LENGTHS = (4, 5, 6)
BLOCKS = ("plain", "doubles", "halves", "doubles and halves")
"""Block id -> what it does to the channels and the resolution; the official string has id + 1."""
MOST_DOUBLINGS, MOST_HALVINGS = 3, 4
"""A macro network doubles its channels 1 to 3 times and halves its resolution 1 to 4 times."""
WIDTH = LENGTHS[-1]
BASE = len(BLOCKS) + 1
"""A macro phenotype read as a number in this base, with 0 for no block, is its code."""


@dataclass(frozen=True, init=False)
class TransNas101Micro(CategoricalSpace):
    """The 4,096 cells of TransNAS-Bench-101 micro; `arch_index` is the base-4 number of the six op ids.

    >>> space = TransNas101Micro()
    >>> space.to_str([1, 0, 2, 3, 3, 3])
    '64-41414-1_02_333'
    """

    def __init__(
        self,
        name: str = "transnas101_micro",
        choices: tuple[int, ...] = (len(OPS),) * len(sum(NODES, ())),
        encoding: str = "compact",
    ) -> None:
        super().__init__(name, choices, encoding)

    def traits(self, phenotype: Int[Array, "*b e"]) -> Traits:
        """Returns its ops, and what the paths of the cell compute; see `cell_traits`."""
        return cell_traits(phenotype, len(OPS))

    def to_str(self, phenotype: HostPhenotype) -> str:
        """Returns the official string: per node the op ids of its incoming edges."""
        return MICRO_STEM + "_".join("".join(str(int(phenotype[edge])) for edge in node) for node in NODES)

    def from_str(self, text: str) -> Int[Array, " e"]:
        """Returns the op ids of an official string."""
        cell = "_".join(f"[0-{len(OPS) - 1}]" * len(node) for node in NODES)
        if not re.fullmatch(MICRO_STEM + cell, text):
            raise ValueError(
                f"{text!r} is not of the form {MICRO_STEM}a_bc_def with op ids 0 to {len(OPS) - 1}"
            )
        return jnp.array([int(op) for op in text.removeprefix(MICRO_STEM).replace("_", "")], jnp.int32)


@dataclass(frozen=True)
class TransNas101Macro(SearchSpace):
    """The 3,256 block stacks of TransNAS-Bench-101 macro; `arch_index` is by length, then by digits.

    A phenotype is the block ids in order, -1 where there is no block. The genotype is 15 numbers, and each
    decodes to a valid stack: 3 of which the arg-max is the length, then one a position for doubling the
    channels and one a position for halving the resolution. A number above 0 says yes; where more do than
    the space allows the greatest win, and where none does the greatest does all the same.

    >>> space = TransNas101Macro()
    >>> space.to_str([0, 1, 2, 3, -1, -1])
    '64-1234-basic'
    """

    name: str = "transnas101_macro"

    @property
    def genotype_size(self) -> int:
        return len(LENGTHS) + 2 * WIDTH

    @property
    def num_fields(self) -> int:
        return WIDTH

    @property
    def choices(self) -> tuple[int, ...]:
        """A block kind a position; beyond the least length also none, the value after the kinds."""
        return tuple(len(BLOCKS) + (position >= LENGTHS[0]) for position in range(WIDTH))

    @property
    def size(self) -> int:
        return sum(_subsets(length, MOST_DOUBLINGS) * _subsets(length, MOST_HALVINGS) for length in LENGTHS)

    def decode(self, genotype: Float[Array, "*b d"]) -> Int[Array, "*b e"]:
        """Returns the blocks; of equal numbers the first counts more."""
        lengths, doubles, halves = jnp.split(genotype, (len(LENGTHS), len(LENGTHS) + WIDTH), axis=-1)
        length = LENGTHS[0] + jnp.argmax(lengths, axis=-1)
        present = jnp.arange(WIDTH) < length[..., None]
        block = _chosen(doubles, present, MOST_DOUBLINGS) + 2 * _chosen(halves, present, MOST_HALVINGS)
        return jnp.where(present, block, -1)

    def encode(self, phenotype: Int[Array, "*b e"]) -> Float[Array, "*b d"]:
        """Returns 1 at the length, at each doubling and at each halving, -1 elsewhere."""
        length = jax.nn.one_hot(_length(phenotype) - LENGTHS[0], len(LENGTHS), dtype=jnp.int32)
        block = jnp.maximum(phenotype, 0)
        return 2.0 * jnp.concatenate([length, block % 2, block // 2], axis=-1) - 1.0

    def from_choices(self, values: Int[Array, "*b e"]) -> Int[Array, "*b e"]:
        return jnp.where(values == len(BLOCKS), -1, values)

    def to_choices(self, phenotype: Int[Array, "*b e"]) -> Int[Array, "*b e"]:
        return jnp.where(phenotype == -1, len(BLOCKS), phenotype)

    def is_valid(self, phenotype: Int[Array, "*b e"]) -> Bool[Array, "*b"]:
        known = jnp.all((phenotype >= -1) & (phenotype < len(BLOCKS)), axis=-1)
        return known & (_row(phenotype) >= 0)

    def arch_index(self, phenotype: Int[Array, "*b e"]) -> Int[Array, "*b"]:
        return jnp.maximum(_row(phenotype), 0)

    def from_index(self, index: Int[Array, "*b"]) -> Int[Array, "*b e"]:
        """Returns the phenotype of a table row."""
        return jnp.asarray(_stacks())[index]

    @drawn_at_once
    def random(self, key: KeyArray, num: int) -> Int[Array, "n e"]:
        return self.from_index(jax.random.randint(key, (num,), 0, self.size))

    def mutate(self, key: KeyArray, phenotype: Int[Array, " e"]) -> Int[Array, " e"]:
        edited = self.neighbours(phenotype)
        score = jax.random.uniform(key, edited.shape[:1])
        return edited[jnp.argmax(jnp.where(self.is_valid(edited), score, -1.0))]

    def neighbours(self, phenotype: Int[Array, " e"]) -> Int[Array, "23 e"]:
        """Returns all stacks one edit away; where the edit does not lead to one, a row that is not valid.

        An edit changes one block to another kind (18), appends a block (4) or drops the last (1).
        """
        position, end = jnp.arange(WIDTH), _length(phenotype)
        site, shift = np.divmod(np.arange(WIDTH * (len(BLOCKS) - 1)), len(BLOCKS) - 1)
        is_site = (position == site[:, None]) & (position < end)
        changed = jnp.where(is_site, (phenotype + shift[:, None] + 1) % len(BLOCKS), phenotype)
        appended = jnp.where(position == end, np.arange(len(BLOCKS))[:, None], phenotype)
        dropped = jnp.where(position == end - 1, -1, phenotype)
        edited = jnp.concatenate([changed, appended, dropped[None]])
        moved = jnp.any(edited != phenotype, axis=-1, keepdims=True)
        return jnp.where(moved, edited, -1).astype(jnp.int32)

    def traits(self, phenotype: Int[Array, "*b e"]) -> Traits:
        """Returns what the network is in all, how many of its blocks have which size, and each block.

        Rough: numbers of blocks, doublings and halvings. Coarse: how many blocks come after each number of
        doublings, and of halvings. Fine: each block, and both numbers at each.
        """
        present, block = phenotype >= 0, jnp.maximum(phenotype, 0)
        doubled, halved = (jnp.cumsum(part, axis=-1) for part in (block % 2, block // 2))
        totals = jnp.stack([_length(phenotype), doubled[..., -1], halved[..., -1]], axis=-1)
        sizes = [(doubled, MOST_DOUBLINGS + 1), (halved, MOST_HALVINGS + 1)]
        coarse = [counts(size, number, present) for size, number in sizes]
        fine = [categories(jnp.where(present, size + 1, 0), number + 1) for size, number in sizes]
        fine.append(categories(phenotype + 1, len(BLOCKS) + 1))
        return Traits(totals / jnp.sqrt(6.0), joined(coarse), joined(fine) / jnp.sqrt(2.0))

    def to_str(self, phenotype: HostPhenotype) -> str:
        """Returns the official string: base channels, the kinds of the blocks, and what a block is made of."""
        return f"64-{''.join(str(int(block) + 1) for block in phenotype if block >= 0)}-basic"

    def from_str(self, text: str) -> Int[Array, " e"]:
        """Returns the phenotype of an official string."""
        match = re.fullmatch(rf"64-([1-4]{{{LENGTHS[0]},{LENGTHS[-1]}}})-basic", text)
        if not match:
            raise ValueError(f"{text!r} is not of the form 64-1234-basic with 4 to 6 block kinds 1 to 4")
        blocks = [int(kind) - 1 for kind in match[1]]
        phenotype = jnp.array(blocks + [-1] * (WIDTH - len(blocks)), jnp.int32)
        if not self.is_valid(phenotype):
            doubled, halved = sum(block % 2 for block in blocks), sum(block // 2 for block in blocks)
            raise ValueError(
                f"{text!r} doubles its channels {doubled} times, allowed are 1 to {MOST_DOUBLINGS}, and halves "
                f"its resolution {halved} times, allowed are 1 to {MOST_HALVINGS}"
            )
        return phenotype


def _subsets(length: int, most: int) -> int:
    """Returns how many ways there are to choose 1 to `most` of `length` positions."""
    return sum(comb(length, chosen) for chosen in range(1, most + 1))


@cache
def _stacks() -> Int[np.ndarray, "size e"]:
    """Returns every valid phenotype, in the order of the table; found by trying all stacks, in milliseconds."""
    stacks = []
    for length in LENGTHS:
        for blocks in itertools.product(range(len(BLOCKS)), repeat=length):
            doubled, halved = sum(block % 2 for block in blocks), sum(block // 2 for block in blocks)
            if 1 <= doubled <= MOST_DOUBLINGS and 1 <= halved <= MOST_HALVINGS:
                stacks.append(blocks + (-1,) * (WIDTH - length))
    return np.array(stacks, np.int32)


@cache
def _rows() -> Int[np.ndarray, " codes"]:
    """Returns the table row of every code, -1 where the code is no valid stack."""
    rows = np.full(BASE**WIDTH, -1, np.int32)
    rows[(_stacks() + 1) @ BASE ** np.arange(WIDTH)[::-1]] = np.arange(len(_stacks()))
    return rows


def _row(phenotype: Int[Array, "*b e"]) -> Int[Array, "*b"]:
    """Returns the table row, -1 where there is none; fields out of their range are taken as the nearest."""
    digit = jnp.clip(phenotype + 1, 0, BASE - 1)
    code = jnp.sum(digit * BASE ** np.arange(WIDTH, dtype=np.int32)[::-1], axis=-1)
    return jnp.asarray(_rows())[code]


def _length(phenotype: Int[Array, "*b e"]) -> Int[Array, "*b"]:
    """Returns how many blocks there are."""
    return jnp.sum(phenotype >= 0, axis=-1)


def _chosen(numbers: Float[Array, "*b e"], present: Bool[Array, "*b e"], most: int) -> Int[Array, "*b e"]:
    """Returns 1 at 1 to `most` of the positions present, 0 elsewhere: those above 0, the greatest first."""
    number = jnp.where(present, numbers, -jnp.inf)
    other, earlier = number[..., None, :], np.tri(WIDTH, k=-1, dtype=bool)
    number = number[..., None]
    # all pairs compared: with sorts instead a whole search takes 1.6 times as long on a CPU
    rank = jnp.sum((other > number) | ((other == number) & earlier), axis=-1)
    return (present & ((rank == 0) | ((numbers > 0) & (rank < most)))).astype(jnp.int32)
