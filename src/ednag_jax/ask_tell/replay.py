"""One step of any strategy, answered from outside: run as often as need be, until it lacks no answer.

A step is pure, so running it again changes nothing, and proposes the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from ednag_jax.arch_ids import is_repeat, same_ids
from ednag_jax.config import EvolveConfig
from ednag_jax.fitness import best_of, better_of, fitness_of, worst_if_failed
from ednag_jax.problem import Problem
from ednag_jax.spaces import SearchSpace
from ednag_jax.types import Evaluation, KeyArray, Strategy

UNKNOWN = float(np.finfo(np.float32).max)
"""Accuracy of what has no answer yet. It is the greatest, not the least, since local search asks for a place to
restart from only where all neighbours are poor: it must not ask before it knows."""


class Answers(NamedTuple):
    """What is known of some architectures."""

    arch_id: Num[Array, "m *h"]
    accuracy: Float[Array, " m"]
    """NaN where the evaluation failed, or is passed over for now."""
    is_given: Bool[Array, " m"]
    """False in rows that hold nothing."""


@dataclass(frozen=True)
class AnswerLookup:
    """The fitness function that reads `Answers`, and says `UNKNOWN` of all others."""

    space: SearchSpace

    def __call__(self, params: Answers, key: KeyArray, phenotype: Int[Array, "n e"]) -> Float[Array, " n"]:
        del key
        return looked_up(params, self.space.arch_id(phenotype))


def no_answers(space: SearchSpace, num: int) -> Answers:
    """Returns rows for so many answers, nothing in them."""
    like = jax.eval_shape(space.arch_id, jax.ShapeDtypeStruct((num, space.num_fields), jnp.int32))
    return Answers(jnp.zeros(like.shape, like.dtype), jnp.zeros(num), jnp.zeros(num, bool))


def looked_up(answers: Answers, arch_id: Num[Array, "n *h"]) -> Float[Array, " n"]:
    """Returns the accuracy of n architectures, `UNKNOWN` where there is no answer."""
    found = same_ids(arch_id, answers.arch_id) & answers.is_given
    return jnp.where(jnp.any(found, axis=1), answers.accuracy[jnp.argmax(found, axis=1)], UNKNOWN)


@partial(jax.jit, static_argnames=("problem", "strategy"))
def begin(
    key: KeyArray, answers: Answers, *, problem: Problem, config: Any, strategy: Strategy
) -> tuple[Any, Evaluation]:
    """Returns the first state of `evolve` with this key, and what it evaluated."""
    key_init, _, _ = jax.random.split(key, 3)
    state = strategy.init(key_init, answers, problem=problem, config=config)
    return state, state.evaluation


@partial(jax.jit, static_argnames=("problem", "strategy"))
def go_on(
    key: KeyArray, answers: Answers, state: Any, row: Any, *, problem: Problem, config: Any, strategy: Strategy
) -> tuple[Any, Evaluation]:
    """Returns the state after one step of `evolve` with this key, and what it evaluated."""
    _, key_steps, _ = jax.random.split(key, 3)
    key_step = jax.random.fold_in(key_steps, row.step)
    state, info = strategy.step(key_step, state, row, answers, problem=problem, config=config)
    return state, info.evaluation


@jax.jit
def amended(state: Any, late: Answers, *, config: Any) -> Any:
    """Returns a state with results that came late, where its population or archive has the architectures.

    What the strategy has learnt or chosen in the meantime stays. Only the first row of an architecture is
    amended: an archive's rows that are not in use yet repeat the last, and must stay without fitness.
    """
    old = state.evaluation
    said = looked_up(late, old.arch_id)
    is_late = (said < UNKNOWN) & old.queried & jnp.isnan(old.accuracy) & ~is_repeat(old.arch_id)
    accuracy = jnp.where(is_late, said, old.accuracy)
    is_mapped = isinstance(config, EvolveConfig)
    fitness = fitness_of(accuracy, config) if is_mapped else worst_if_failed(accuracy)
    evaluation = old._replace(accuracy=accuracy, fitness=jnp.where(is_late, fitness, old.fitness))
    return state._replace(evaluation=evaluation, best=better_of(state.best, best_of(evaluation)))
