"""Random search: architectures drawn uniformly, without memory."""

from __future__ import annotations

from typing import NamedTuple

import jax

from ednag_jax.config import RandomSearchConfig
from ednag_jax.fd_step import step_info
from ednag_jax.fitness import best_of, better_of, evaluate
from ednag_jax.problem import Problem
from ednag_jax.types import Evaluation, KeyArray, Params, StepInfo, Steps, Strategy


class RandomSearchState(NamedTuple):
    """The last draw, and the best so far."""

    evaluation: Evaluation
    best: Evaluation


def _draw(key: KeyArray, params: Params, problem: Problem, config: RandomSearchConfig) -> Evaluation:
    key_draw, key_fitness = jax.random.split(key)
    phenotype = problem.space.random(key_draw, config.batch_size)
    return evaluate(key_fitness, params, phenotype, problem=problem)


def init(key: KeyArray, params: Params, *, problem: Problem, config: RandomSearchConfig) -> RandomSearchState:
    """Returns the state after the first draw."""
    drawn = _draw(key, params, problem, config)
    return RandomSearchState(drawn, best_of(drawn))


def step(
    key: KeyArray,
    state: RandomSearchState,
    row: Steps,
    params: Params,
    *,
    problem: Problem,
    config: RandomSearchConfig,
) -> tuple[RandomSearchState, StepInfo]:
    """Returns the state after one more draw, and the draw."""
    del row
    drawn = _draw(key, params, problem, config)
    return RandomSearchState(drawn, better_of(state.best, best_of(drawn))), step_info(drawn)


RANDOM_SEARCH = Strategy("random_search", init, step, several_objectives=True)
