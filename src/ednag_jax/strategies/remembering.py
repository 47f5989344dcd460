"""Any strategy with a memory: what a run was told once about an architecture is not computed again.

For fitness functions that take long and draw nothing, such as a predictor: late in a run of EDNAG nearly all
children were met before. What a strategy sees, and what counts as a query, is the same.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.arch_ids import is_repeat
from ednag_jax.problem import Problem
from ednag_jax.spaces import SearchSpace
from ednag_jax.types import CostFn, Costs, Evaluation, FitnessFn, KeyArray, Params, StepInfo, Strategy

CHUNK = 2
"""Architectures computed at once; few steps meet many new ones."""


class Remembering(NamedTuple):
    """The state of a strategy, and what it was told in this run."""

    state: Any
    told: Float[Array, " size"]
    """Of every architecture of the space; NaN where it was not met, or failed."""

    @property
    def evaluation(self) -> Evaluation:
        """The strategy's own."""
        return self.state.evaluation

    @property
    def best(self) -> Evaluation:
        """The strategy's own."""
        return self.state.best


class RememberedParams(NamedTuple):
    """The params of a problem, and what was told so far."""

    params: Params
    told: Float[Array, " size"]


@dataclass(frozen=True)
class Remembered:
    """The fitness function that computes only what was not told before, `CHUNK` architectures at a time."""

    space: SearchSpace
    fitness_fn: FitnessFn

    def __call__(
        self, params: RememberedParams, key: KeyArray, phenotype: Int[Array, "n e"]
    ) -> Float[Array, " n"]:
        ids, num = self.space.arch_id(phenotype), len(phenotype)
        is_new = jnp.isnan(params.told[ids]) & ~is_repeat(ids)
        # Stable: the new ones first. Rows past the last repeat it, so that every chunk is whole.
        order = jnp.resize(jnp.argsort(~is_new), (-(-num // CHUNK) * CHUNK,))

        def is_on(carry: tuple[Int[Array, ""], Float[Array, " n"]]) -> Bool[Array, ""]:
            return carry[0] < jnp.sum(is_new)

        def body(carry: tuple[Int[Array, ""], Float[Array, " n"]]) -> tuple[Array, Array]:
            rows = jax.lax.dynamic_slice_in_dim(order, carry[0], CHUNK)
            said = self.fitness_fn(params.params, key, phenotype[rows])
            return carry[0] + CHUNK, carry[1].at[rows].set(said)

        start = (jnp.int32(0), params.told[ids])
        said = jax.lax.while_loop(is_on, body, start)[1]
        return said[jnp.argmax(ids[:, None] == ids, axis=1)]  # of equals what the first was told


@dataclass(frozen=True)
class _Costs:
    """The cost function of a problem whose params have a memory beside them."""

    cost_fn: CostFn

    def __call__(self, params: RememberedParams, phenotype: Int[Array, "n e"]) -> Costs:
        return self.cost_fn(params.params, phenotype)


@lru_cache(maxsize=16)
def remembering(strategy: Strategy) -> Strategy:
    """Returns the strategy with a memory; in a space too large for a table, as it is.

    Its fitness function must say the same of an architecture whenever it is asked in a run.
    """

    def init(key: KeyArray, params: Params, *, problem: Problem, config: Any) -> Any:
        if not problem.space.is_indexable:
            return strategy.init(key, params, problem=problem, config=config)
        told = jnp.full(problem.space.size, jnp.nan)
        state = strategy.init(key, RememberedParams(params, told), problem=_with_memory(problem), config=config)
        return Remembering(state, _told(told, state.evaluation))

    def step(
        key: KeyArray, state: Any, row: Any, params: Params, *, problem: Problem, config: Any
    ) -> tuple[Any, StepInfo]:
        if not problem.space.is_indexable:
            return strategy.step(key, state, row, params, problem=problem, config=config)
        known = RememberedParams(params, state.told)
        inner, info = strategy.step(key, state.state, row, known, problem=_with_memory(problem), config=config)
        return Remembering(inner, _told(state.told, info.evaluation)), info

    return strategy._replace(init=init, step=step)


def _with_memory(problem: Problem) -> Problem:
    """Returns the problem whose functions read params with a memory beside them."""
    costs = None if problem.cost_fn is None else _Costs(problem.cost_fn)
    fitness = Remembered(problem.space, problem.fitness_fn)
    return dataclasses.replace(problem, fitness_fn=fitness, cost_fn=costs)


def _told(told: Float[Array, " size"], evaluation: Evaluation) -> Float[Array, " size"]:
    """Returns the memory with what an evaluation says; of what is no architecture it keeps nothing."""
    ids = jnp.where(evaluation.queried, evaluation.arch_id, len(told))
    return told.at[ids].set(evaluation.accuracy, mode="drop")
