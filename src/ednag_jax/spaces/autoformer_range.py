"""AutoFormer within a range of parameters: drawing uniformly, and the choices that fit when the best do not.

Given width and depth, parameters are a sum over blocks of one part by the MLP ratio and one by the heads, so
they depend only on how many blocks have each ratio and how many each number of heads.
"""

from __future__ import annotations

import itertools
from math import lgamma
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.types import KeyArray

NUM_HALVINGS = 30
"""Of the interval of prices; float32 has 24 bits."""


class Costs(NamedTuple):
    """Parameters by choice: `block` with the first ratio and heads, other choices that much more."""

    fixed: Int[np.ndarray, " w"]
    block: Int[np.ndarray, " w"]
    ratio: Int[np.ndarray, "w r"]
    heads: Int[np.ndarray, "w h"]


class Groups(NamedTuple):
    """All architectures in a range, grouped by width, depth and how many blocks have each ratio and heads."""

    width: Int[np.ndarray, " g"]
    depth: Int[np.ndarray, " g"]
    """Index: 0 for the least."""
    ratio_counts: Int[np.ndarray, "g r"]
    heads_counts: Int[np.ndarray, "g h"]
    cumulative: Float[np.ndarray, " g"]
    """Share of the architectures that are in this group or one before it."""


def groups(costs: Costs, depth_range: tuple[int, int], bounds: tuple[int, int]) -> Groups:
    """Returns the groups with parameters within bounds, ends included; none is an empty range (host)."""
    parts, log_sizes = [], []
    for width, depth in itertools.product(range(len(costs.fixed)), range(depth_range[0], depth_range[1] + 1)):
        ratio, heads = (_counts(depth, cost.shape[1]) for cost in (costs.ratio, costs.heads))
        extra = (ratio @ costs.ratio[width])[:, None] + heads @ costs.heads[width]
        total = costs.fixed[width] + depth * costs.block[width] + extra
        i, j = np.nonzero((total >= bounds[0]) & (total <= bounds[1]))
        index = np.full(len(i), width), np.full(len(i), depth - depth_range[0])
        parts.append((*index, ratio[i], heads[j]))
        log_sizes.append(_log_ways(ratio)[i] + _log_ways(heads)[j])
    log_size = np.concatenate(log_sizes)
    share = np.exp(log_size - log_size.max(initial=-np.inf))
    columns = [np.concatenate(column).astype(np.int32) for column in zip(*parts, strict=True)]
    cumulative = (np.cumsum(share) / share.sum()).astype(np.float32)
    return Groups(columns[0], columns[1], columns[2], columns[3], cumulative)


def _counts(total: int, kinds: int) -> Int[np.ndarray, "k kinds"]:
    """Returns every way to write a total as that many counts."""
    rows = itertools.product(range(total + 1), repeat=kinds - 1)
    return np.array([(*row, total - sum(row)) for row in rows if sum(row) <= total])


def _log_ways(counts: Int[np.ndarray, "k kinds"]) -> Float[np.ndarray, " k"]:
    """Returns the log of in how many orders the blocks can have the kinds so often."""
    return np.array([lgamma(sum(row) + 1) - sum(lgamma(n + 1) for n in row) for row in counts.tolist()])


def draw(
    key: KeyArray, table: Groups, num: int, num_blocks: int, least_depth: int
) -> tuple[Int[Array, " n"], Int[Array, " n"], Int[Array, "n b"], Int[Array, "n b"]]:
    """Returns width, depth, ratios and heads of num architectures, uniform over the range, to float32.

    A group is drawn by its share, then which blocks have what, by two random orders.
    """
    key_group, key_ratio, key_heads = jax.random.split(key, 3)
    uniform = jax.random.uniform(key_group, (num,))
    group = jnp.searchsorted(jnp.asarray(table.cumulative), uniform, side="right")
    group = jnp.minimum(group, len(table.width) - 1)  # the last share may round to just below 1
    width, depth, ratio, heads = (jnp.asarray(column)[group] for column in table[:4])
    exists = jnp.arange(num_blocks) < depth[:, None] + least_depth
    return width, depth, _ordered(key_ratio, ratio, exists), _ordered(key_heads, heads, exists)


def _ordered(key: KeyArray, counts: Int[Array, "n k"], exists: Bool[Array, "n b"]) -> Int[Array, "n b"]:
    """Returns kinds of the existing blocks in random order, each as often as its count says."""
    entry = jnp.where(exists, jax.random.uniform(key, exists.shape), 2.0)
    place = jnp.argsort(jnp.argsort(entry, axis=1), axis=1)
    return jnp.sum(place[..., None] >= jnp.cumsum(counts, axis=1)[:, None, :-1], axis=-1, dtype=jnp.int32)


def within_budget(
    numbers: tuple[Float[Array, "*b k r"], Float[Array, "*b k h"]],
    costs: tuple[Int[Array, "*b r"], Int[Array, "*b h"]],
    exists: Bool[Array, "*b k"],
    bounds: tuple[Int[Array, "*b"], Int[Array, "*b"]],
) -> tuple[Int[Array, "*b k"], Int[Array, "*b k"]]:
    """Returns the ratio and heads of every block: the arg-max, at the least price that keeps within bounds.

    With a price p a choice counts by its number less p times its cost, so that a higher price never costs
    more in total. Where the arg-max is within bounds the price is 0; else it is found by halving, above 0 or
    below. The result is within bounds unless they are closer together than one choice changes.

    Args:
        numbers: of the genotype, for ratios and heads.
        costs: parameters of each choice, more than the first.
        exists: which blocks count.
        bounds: least and greatest total.
    """
    scaled = tuple(cost.astype(jnp.float32) / costs[0][..., -1:].astype(jnp.float32) for cost in costs)

    def choices(price: Float[Array, "*b"]) -> list[Int[Array, "*b k"]]:
        paid = (cost[..., None, :] * price[..., None, None] for cost in scaled)
        return [jnp.argmax(number - pay, axis=-1) for number, pay in zip(numbers, paid, strict=True)]

    def total(chosen: list[Int[Array, "*b k"]]) -> Int[Array, "*b"]:
        each = (jnp.take_along_axis(cost, kind, axis=-1) for cost, kind in zip(costs, chosen, strict=True))
        return jnp.sum(sum(each) * exists, axis=-1)

    least, greatest = bounds
    no_price = jnp.zeros_like(least, jnp.float32)
    free = total(choices(no_price))
    sign = jnp.where(free > greatest, 1.0, -1.0)

    def halve(_: Int[Array, ""], state: tuple[Array, Array, list[Array]]) -> tuple[Array, Array, list[Array]]:
        low, high, kept = state
        middle = (low + high) / 2
        chosen = choices(sign * middle)
        found = total(chosen)
        enough = jnp.where(sign > 0, found <= greatest, found >= least)
        # Kept, not computed anew at the end: at a threshold another rounding could choose otherwise.
        kept = [jnp.where(enough[..., None], new, old) for new, old in zip(chosen, kept, strict=True)]
        return jnp.where(enough, low, middle), jnp.where(enough, middle, high), kept

    spread = sum(jnp.ptp(number, axis=(-2, -1)) for number in numbers) + 1
    steps = [jnp.min(jnp.diff(cost, axis=-1), axis=-1) for cost in scaled]
    highest = 2 * spread / jnp.minimum(*steps)
    start = jnp.zeros_like(spread), highest, choices(sign * highest)
    *_, kept = jax.lax.fori_loop(0, NUM_HALVINGS, halve, start)
    is_free = ((free >= least) & (free <= greatest))[..., None]
    ratio, heads = (jnp.where(is_free, *pair) for pair in zip(choices(no_price), kept, strict=True))
    return ratio.astype(jnp.int32), heads.astype(jnp.int32)
