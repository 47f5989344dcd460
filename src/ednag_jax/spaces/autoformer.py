"""The vision transformer spaces of AutoFormer (Chen et al. 2021): width, depth, each block's MLP and heads."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.spaces.staged import Choice, StagedSpace

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

    With `params_range`, architectures outside it are invalid: they are asked nothing and rank last. A random
    architecture is drawn without regard to it, so in a narrow range most come out invalid.

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
        if self.params_range == (0.0, math.inf):
            return super().size
        depths = range(self.depth_range[0], self.depth_range[1] + 1)
        return sum(self._count(width, depth) for width, depth in itertools.product(self._widths, depths))

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
        table = jnp.array(
            [[[_block(w, m, h) for h in self._heads] for m in self._ratios] for w in self._widths]
        )
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
