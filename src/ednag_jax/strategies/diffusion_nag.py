"""DiffusionNAG (An et al. 2024) as a strategy: cells generated without a query, then queried in order.

All are generated before the first query, by the score network that the guide steers, and asked about in the
predictor's order; no query changes what comes later. So after q queries it has the best of the q different
cells of which the predictor expects most.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ednag_jax.arch_ids import is_repeat
from ednag_jax.config import DiffusionNAGConfig
from ednag_jax.problem import Problem
from ednag_jax.score.cells import check_space
from ednag_jax.score.generator import generate_cells, generator_in
from ednag_jax.strategies.in_order import InOrder, first_query, next_query
from ednag_jax.types import KeyArray, Params, Strategy


def init(key: KeyArray, params: Params, *, problem: Problem, config: DiffusionNAGConfig) -> InOrder:
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
    return first_query(key_fitness, cells, params, problem=problem)


DIFFUSION_NAG = Strategy("diffusion_nag", init, next_query)
