"""What strategies share that generate everything before the first query, and then ask in a fixed order."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int

from ednag_jax.fd_step import step_info
from ednag_jax.fitness import best_of, better_of, evaluate
from ednag_jax.problem import Problem
from ednag_jax.types import Evaluation, KeyArray, Params, StepInfo, Steps


class InOrder(NamedTuple):
    """What was generated, in the order of the queries, and the last query [1 ...]."""

    evaluation: Evaluation
    generated: Int[Array, "m e"]
    best: Evaluation


def first_query(key: KeyArray, generated: Int[Array, "m e"], params: Params, *, problem: Problem) -> InOrder:
    """Returns the state after the first that was generated is queried."""
    asked = evaluate(key, params, generated[:1], problem=problem)
    return InOrder(asked, generated, best_of(asked))


def next_query(
    key: KeyArray, state: InOrder, row: Steps, params: Params, *, problem: Problem, config: Any
) -> tuple[InOrder, StepInfo]:
    """Returns the state after the next query, and the query; past the last generated it is asked again."""
    del config
    place = jnp.minimum(row.step + 1, len(state.generated) - 1)
    asked = evaluate(key, params, state.generated[place][None], problem=problem)
    return InOrder(asked, state.generated, better_of(state.best, best_of(asked))), step_info(asked)
