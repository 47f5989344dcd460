"""EDNAG on what a predictor expects, as a strategy: cells generated without a query, then queried in order.

One run of the denoising maximises the predicted accuracy; of all cells that it met those expected to be best
are asked about, the best first. It has the predictor of the generator that the benchmark carries, so it and
`diffusion_nag` differ in nothing but how cells are generated.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from ednag_jax.config import PredictedConfig
from ednag_jax.evolve import EDNAG, evolve
from ednag_jax.predictor import PredictedAccuracy
from ednag_jax.problem import Problem
from ednag_jax.score.cells import check_space
from ednag_jax.score.generator import Generator, generator_in
from ednag_jax.spaces import NasBench201
from ednag_jax.strategies.in_order import InOrder, first_query, next_query
from ednag_jax.strategies.remembering import remembering
from ednag_jax.types import KeyArray, Params, Strategy


def best_expected(key: KeyArray, generator: Generator, config: PredictedConfig) -> Int[Array, "m e"]:
    """Returns the cells expected to be best of all that one run met, the best first; where fewer than
    `num_samples` were met, the best fills their places."""
    space = NasBench201()
    predicted = Problem(space, PredictedAccuracy(space, generator.predictor_config))
    strategy = remembering(EDNAG)
    state, _ = evolve(key, generator.target, problem=predicted, config=config.denoising, strategy=strategy)
    told = jnp.where(jnp.isnan(state.told), -jnp.inf, state.told)
    expected, index = jax.lax.top_k(told, min(config.num_samples, space.size))
    return space.from_index(jnp.where(jnp.isfinite(expected), index, index[0]))


def init(key: KeyArray, params: Params, *, problem: Problem, config: PredictedConfig) -> InOrder:
    """Returns the state after the denoising is done and the first cell is queried.

    Raises:
        ValueError: another space than NAS-Bench-201, or params that carry no generator.
    """
    check_space(problem.space)
    generator = generator_in(params)
    key_generate, key_fitness = jax.random.split(key)
    return first_query(key_fitness, best_expected(key_generate, generator, config), params, problem=problem)


EDNAG_PREDICTED = Strategy("ednag_predicted", init, next_query)
