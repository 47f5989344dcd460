"""Local search (White et al. 2021): ask for all neighbours, move to the best, restart when stuck."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ednag_jax.config import LocalSearchConfig
from ednag_jax.fd_step import step_info
from ednag_jax.fitness import best_of, better_of, evaluate
from ednag_jax.problem import Problem
from ednag_jax.types import Evaluation, KeyArray, Params, StepInfo, Steps, Strategy


class LocalSearchState(NamedTuple):
    """Where the search stands [1 ...], and the best so far."""

    evaluation: Evaluation
    best: Evaluation


def init(key: KeyArray, params: Params, *, problem: Problem, config: LocalSearchConfig) -> LocalSearchState:
    """Returns the state at one architecture drawn uniformly."""
    del config
    key_draw, key_fitness = jax.random.split(key)
    evaluation = evaluate(key_fitness, params, problem.space.random(key_draw, 1), problem=problem)
    return LocalSearchState(evaluation, best_of(evaluation))


def step(
    key: KeyArray,
    state: LocalSearchState,
    row: Steps,
    params: Params,
    *,
    problem: Problem,
    config: LocalSearchConfig,
) -> tuple[LocalSearchState, StepInfo]:
    """Returns the state after asking for all neighbours in random order, and what was asked.

    Where no neighbour is better, the search restarts at an architecture drawn uniformly; it is the
    last of the evaluation and counts as a query in that case alone.
    """
    del row, config
    key_order, key_restart, key_fitness = jax.random.split(key, 3)
    neighbours = jax.random.permutation(key_order, problem.space.neighbours(state.evaluation.phenotype[0]))
    restart = problem.space.random(key_restart, 1)
    asked = evaluate(key_fitness, params, jnp.concatenate([neighbours, restart]), problem=problem)
    best = jnp.argmax(asked.fitness[:-1])
    is_stuck = asked.fitness[best] <= state.evaluation.fitness[0]
    asked = asked._replace(queried=asked.queried.at[-1].set(asked.queried[-1] & is_stuck))
    move = jnp.where(is_stuck, asked.fitness.shape[0] - 1, best)
    position = Evaluation(*(column[move][None] for column in asked))
    counted = asked._replace(accuracy=jnp.where(asked.queried, asked.accuracy, jnp.nan))
    return LocalSearchState(position, better_of(state.best, best_of(counted))), step_info(asked)


LOCAL_SEARCH = Strategy("local_search", init, step)
