"""The vision transformer spaces of AutoFormer (Chen et al. 2021): width, depth, each block's MLP and heads."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.spaces.autoformer_range import Costs, Groups, draw, groups, within_budget
from ednag_jax.spaces.base import drawn_at_once
from ednag_jax.spaces.staged import Choice, StagedSpace
from ednag_jax.types import KeyArray

HEAD_SIZE = 64
"""Of queries, keys and values: a block of h heads projects to 64 h, whatever the width."""
NUM_PATCHES, PATCH_NUMBERS = 14 * 14, 16 * 16 * 3
"""An image of 224 pixels in patches of 16."""
RELATIVE_POSITIONS = 2 * 14 + 2
"""Rows of a table: distances of -14 to 14 patches, and the class token."""
NUM_CLASSES = 1000
MILLION = 10**6


class Size(NamedTuple):
    """The choices of one of the three spaces."""

    widths: tuple[int, ...]
    ratios: tuple[float, ...]
    heads: tuple[int, ...]
    depth_range: tuple[int, int]


SIZES = {
    "tiny": Size((192, 216, 240), (3.5, 4.0), (3, 4), (12, 14)),
    "small": Size((320, 384, 448), (3.0, 3.5, 4.0), (5, 6, 7), (12, 14)),
    "base": Size((528, 576, 624), (3.0, 3.5, 4.0), (8, 9, 10), (14, 16)),
}
"""As published. (One of the released settings of `base` leaves out 8 heads.)"""


@dataclass(frozen=True)
class AutoFormer(StagedSpace):
    """One stage of blocks of one width; a block chooses its MLP ratio and its number of heads.

    With `params_range`, architectures outside it are invalid: they are asked nothing and rank last. Few of all
    are within a narrow range, 1 in 500 within 5.75 million of `tiny`, so here every draw and, unless the range
    is narrower than one choice changes, every genotype is within it: see `random` and `decode`.

    >>> space = AutoFormer.of_size("tiny")
    >>> space.size == 3 * (4**12 + 4**13 + 4**14)
    True
    >>> text = "d192 | " + " ".join(["m3.5h3"] * 12)
    >>> round(float(space.million_params(space.from_str(text))), 3)
    5.366
    """

    params_range: tuple[float, float] = (0.0, math.inf)
    """Least and greatest number of parameters, in millions."""

    @classmethod
    def of_size(cls, size: str, *, params_range: tuple[float, float] = (0.0, math.inf)) -> AutoFormer:
        """Returns the space `tiny`, `small` or `base`, or the part of it within a range of parameters.

        Raises:
            ValueError: no such size, or a range without room.
        """
        if size not in SIZES:
            raise ValueError(f"size must be one of {', '.join(SIZES)}, got {size!r}")
        if not params_range[0] <= params_range[1]:
            raise ValueError(f"params_range must be (least, greatest) in millions, got {params_range}")
        widths, ratios, heads, depth_range = SIZES[size]
        return cls(
            name=f"autoformer_{size}",
            whole=(Choice("d", widths),),
            block=(Choice("m", ratios), Choice("h", heads)),
            depth_range=depth_range,
            params_range=params_range,
        )

    @property
    def size(self) -> int:
        """How many architectures there are, within the range of parameters where one is given."""
        if self.is_unbounded:
            return super().size
        depths = range(self.depth_range[0], self.depth_range[1] + 1)
        return sum(self._count(width, depth) for width, depth in itertools.product(self._widths, depths))

    @property
    def is_unbounded(self) -> bool:
        """Whether there is no range of parameters."""
        return self.params_range == (0.0, math.inf)

    def decode(self, genotype: Float[Array, "*b d"]) -> Int[Array, "*b e"]:
        """Returns each field's arg-max, canonical; within a range of parameters, the choices nearest to it.

        First width and depth: of the pairs that the range has room for, that of the greatest sum of numbers.
        Then ratios and heads: the arg-max where it is in the range, else at the least price of a parameter, or
        reward for one, with which it is. So an architecture in the range decodes from its own encoding, and
        the numbers of a genotype keep their meaning.
        """
        if self.is_unbounded:
            return super().decode(genotype)
        costs, depths, blocks = self._costs(), self._num_depths, self.num_blocks
        ends = np.cumsum([len(self._widths), depths, blocks * len(self._ratios)])
        wide, deep, *numbers = jnp.split(genotype, ends, axis=-1)
        number = [part.reshape(*part.shape[:-1], blocks, -1) for part in numbers]
        pairs = jnp.where(self._has_room(), wide[..., :, None] + deep[..., None, :], -jnp.inf)
        width, depth = jnp.divmod(jnp.argmax(pairs.reshape(*wide.shape[:-1], -1), axis=-1), depths)
        num = depth + self.depth_range[0]
        exists = jnp.arange(blocks) < num[..., None]
        spent = jnp.asarray(costs.fixed)[width] + num * jnp.asarray(costs.block)[width]
        extra = jnp.asarray(costs.ratio)[width], jnp.asarray(costs.heads)[width]
        least, greatest = self._bounds()
        found = within_budget((number[0], number[1]), extra, exists, (least - spent, greatest - spent))
        whole = jnp.stack([width, depth], axis=-1)
        return self.canonical(jnp.concatenate([whole, *found], axis=-1).astype(jnp.int32))

    @drawn_at_once
    def random(self, key: KeyArray, num: int) -> Int[Array, "n e"]:
        """Returns num architectures drawn uniformly, with replacement; all within the range of parameters."""
        if self.is_unbounded:
            return super().random(key, num)
        width, depth, *blocks = draw(key, _groups(self), num, self.num_blocks, self.depth_range[0])
        return self.canonical(jnp.concatenate([width[:, None], depth[:, None], *blocks], axis=1))

    def is_valid(self, phenotype: Int[Array, "*b e"]) -> Bool[Array, "*b"]:
        least, greatest = self._bounds()
        params = self.num_params(phenotype)
        return super().is_valid(phenotype) & (params >= least) & (params <= greatest)

    def million_params(self, phenotype: Int[Array, "*b e"]) -> Float[Array, "*b"]:
        """Returns the number of parameters, in millions."""
        return self.num_params(phenotype) / MILLION

    def num_params(self, phenotype: Int[Array, "*b e"]) -> Int[Array, "*b"]:
        """Returns the number of parameters of an ImageNet classifier for 224 pixels, as AutoFormer counts them.

        Counted are the patch embedding, class token, absolute positions, and per block two layer norms, the
        projections to queries, keys and values of 64 a head, the output projection, two layers of the MLP, all
        with biases, and four tables of relative positions (30 x 64; 7,680 numbers a block); then the last
        layer norm and the classifier of 1,000 classes. The official program prints the same numbers.
        """
        width = self.whole_field(phenotype, 0)
        ratio, heads = (self.block_field(phenotype, choice) for choice in range(2))
        table = jnp.asarray(_block_table(self._widths, self._ratios, self._heads))
        blocks = table[width[..., None], ratio, heads] * self.block_exists(phenotype)
        return jnp.array([_fixed(w) for w in self._widths])[width] + jnp.sum(blocks, axis=-1)

    @property
    def _widths(self) -> tuple[int, ...]:
        return tuple(int(width) for width in self.whole[0].values)

    @property
    def _ratios(self) -> tuple[float, ...]:
        return self.block[0].values

    @property
    def _heads(self) -> tuple[int, ...]:
        return tuple(int(heads) for heads in self.block[1].values)

    def _bounds(self) -> tuple[int, int]:
        """Returns the range of parameters as whole numbers of 32 bits."""
        least, greatest = (min(value * MILLION, np.iinfo(np.int32).max) for value in self.params_range)
        return math.ceil(least), math.floor(greatest)

    def _costs(self) -> Costs:
        """Returns the parameters of every choice."""
        first = _block_table(self._widths, self._ratios[:1], self._heads[:1])[:, 0, 0]
        by_ratio = _block_table(self._widths, self._ratios, self._heads[:1])[:, :, 0]
        by_heads = _block_table(self._widths, self._ratios[:1], self._heads)[:, 0]
        fixed = np.array([_fixed(width) for width in self._widths], np.int32)
        return Costs(fixed, first, by_ratio - first[:, None], by_heads - first[:, None])

    def _has_room(self) -> Bool[np.ndarray, "w depths"]:
        """Returns for which widths and depths some architecture can be within the range, by its extremes."""
        costs, (least, greatest) = self._costs(), self._bounds()
        depth = np.arange(self.depth_range[0], self.depth_range[1] + 1)
        smallest = costs.fixed[:, None] + depth * costs.block[:, None]
        largest = smallest + depth * (costs.ratio[:, -1:] + costs.heads[:, -1:])
        return (smallest <= greatest) & (largest >= least)

    def _count(self, width: int, depth: int) -> int:
        """Returns how many architectures of a width and depth are within the range.

        A block's parameters are a sum of one part by its ratio and one by its heads, so it is enough to count
        the ways to each total of either part.
        """
        first_heads, first_ratio = self._heads[0], self._ratios[0]
        by_ratio = _ways([_block(width, ratio, first_heads) for ratio in self._ratios], depth)
        extra = [_block(width, first_ratio, h) - _block(width, first_ratio, first_heads) for h in self._heads]
        by_heads = _ways(extra, depth)
        least, greatest = self._bounds()
        return sum(
            by_ratio[a] * by_heads[b]
            for a, b in itertools.product(by_ratio, by_heads)
            if least <= _fixed(width) + a + b <= greatest
        )


@lru_cache(maxsize=16)
def _groups(space: AutoFormer) -> Groups:
    """Returns the groups of a range's architectures.

    Raises:
        ValueError: there are none.
    """
    found = groups(space._costs(), space.depth_range, space._bounds())
    if not len(found.width):
        raise ValueError(f"no architecture of {space.name!r} has parameters in {space.params_range} million")
    return found


def _block_table(
    widths: Sequence[int], ratios: Sequence[float], heads: Sequence[int]
) -> Int[np.ndarray, "w r h"]:
    return np.array([[[_block(w, m, h) for h in heads] for m in ratios] for w in widths], np.int32)


def _ways(costs: Sequence[int], depth: int) -> Counter[int]:
    """Returns total -> in how many ways `depth` choices of a cost add up to it."""
    ways = Counter({0: 1})
    for _ in range(depth):
        longer: Counter[int] = Counter()
        for total, cost in itertools.product(ways, costs):
            longer[total + cost] += ways[total]
        ways = longer
    return ways


def _fixed(width: int) -> int:
    """Returns the parameters of everything but the blocks: embedding, positions, last norm, classifier."""
    return _dense(PATCH_NUMBERS, width) + (NUM_PATCHES + 2) * width + 2 * width + _dense(width, NUM_CLASSES)


def _block(width: int, ratio: float, heads: int) -> int:
    """Returns the parameters of one block."""
    inner, hidden = HEAD_SIZE * heads, int(width * ratio)
    attention = _dense(width, 3 * inner) + _dense(inner, width) + 4 * RELATIVE_POSITIONS * HEAD_SIZE
    return attention + _dense(width, hidden) + _dense(hidden, width) + 4 * width


def _dense(inputs: int, outputs: int) -> int:
    return (inputs + 1) * outputs
