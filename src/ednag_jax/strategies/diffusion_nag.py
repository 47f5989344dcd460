"""DiffusionNAG (An et al. 2024) as a strategy: cells generated without a query, then queried in order.

All are generated before the first query, by the score network that the guide steers, and asked about in the
predictor's order; no query changes what comes later. So after q queries it has the best of the q different
cells of which the predictor expects most.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from ednag_jax.arch_ids import is_repeat
from ednag_jax.config import DiffusionNAGConfig
from ednag_jax.fd_step import step_info
from ednag_jax.fitness import best_of, better_of, evaluate
from ednag_jax.problem import Problem
from ednag_jax.score.cells import check_space
from ednag_jax.score.generator import generate_cells, generator_in
from ednag_jax.types import Evaluation, KeyArray, Params, StepInfo, Steps, Strategy


class DiffusionNAGState(NamedTuple):
    """What was generated, in the order of the queries, and the last query [1 ...]."""

    evaluation: Evaluation
    generated: Int[Array, "m e"]
    best: Evaluation


def init(key: KeyArray, params: Params, *, problem: Problem, config: DiffusionNAGConfig) -> DiffusionNAGState:
    """Returns the state after everything is generated and the first is queried.

    Raises:
        ValueError: another space than NAS-Bench-201, or params that carry no generator.
    """
    check_space(problem.space)
    generator = generator_in(params)
    key_generate, key_fitness = jax.random.split(key)
    cells, _ = generate_cells(key_generate, generator, config.num_samples, config.sampling)
    # Stable: different ones first, in the predictor's order, then repeats, which cost no query.
    cells = cells[jnp.argsort(is_repeat(problem.space.arch_id(cells)))]
    asked = evaluate(key_fitness, params, cells[:1], problem=problem)
    return DiffusionNAGState(asked, cells, best_of(asked))


def step(
    key: KeyArray,
    state: DiffusionNAGState,
    row: Steps,
    params: Params,
    *,
    problem: Problem,
    config: DiffusionNAGConfig,
) -> tuple[DiffusionNAGState, StepInfo]:
    """Returns the state after the next query, and the query; past the last generated it is asked again."""
    del config
    place = jnp.minimum(row.step + 1, len(state.generated) - 1)
    asked = evaluate(key, params, state.generated[place][None], problem=problem)
    return DiffusionNAGState(asked, state.generated, better_of(state.best, best_of(asked))), step_info(asked)


DIFFUSION_NAG = Strategy("diffusion_nag", init, step)
