"""One whole step of fitness-guided denoising: the order of its parts, and no formula of its own."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ednag_jax.config import EvolveConfig
from ednag_jax.denoise import denoise, effective_size
from ednag_jax.fitness import best_of, better_of, evaluate, fitness_within, log_weights
from ednag_jax.problem import Problem
from ednag_jax.selection import select
from ednag_jax.types import Evaluation, KeyArray, Params, Scalar, Schedule, State, StepInfo
from ednag_jax.variation import vary


def fd_step(
    key: KeyArray, state: State, row: Schedule, params: Params, *, problem: Problem, config: EvolveConfig
) -> tuple[State, StepInfo]:
    """Returns the population at t-1 and what the step evaluated: (8), (9), variation, evaluation, (10).

    Args:
        key: consumed.
        state: the population at t, with its fitness.
        row: one row of a schedule: step, alpha_bar, alpha_bar_prev.
        params: handed to the fitness function untouched.
        problem: space and fitness function (static under jit).
        config: settings.
    """
    key_noise, key_vary, key_fitness, key_select = jax.random.split(key, 4)
    children, effective = _denoised(key_noise, state, row, config)
    children = vary(key_vary, children, row.step, config=config)
    evaluation = evaluate(key_fitness, params, problem.space.decode(children), problem=problem, config=config)
    best = better_of(state.best, best_of(evaluation))
    info = step_info(evaluation, effective_size=effective, spread=spread(state.genotype))
    if not config.selection:
        return State(children, evaluation, best), info
    genotypes = _joined(state.genotype, children)
    both = Evaluation(*(_joined(a, b) for a, b in zip(state.evaluation, evaluation, strict=True)))
    index = select(key_select, genotypes, fitness_within(both), config=config)
    survivors = Evaluation(*(column[index] for column in both))
    return State(genotypes[index], survivors, best), info


def _denoised(key: KeyArray, state: State, row: Schedule, config: EvolveConfig) -> tuple[jax.Array, jax.Array]:
    """Returns the children of (8) and (9) under config, and the effective size of the weights in (8)."""
    if not config.denoising:
        return state.genotype, jnp.float32(jnp.nan)
    log_weight = log_weights(fitness_within(state.evaluation), config)
    given, floor = (state.genotype, log_weight, row.alpha_bar), config.floor if config.floored else None
    children = denoise(key, *given, row.alpha_bar_prev, noise_scale=config.noise_scale, floor=floor)
    return children, effective_size(*given, floor=floor)


def spread(genotype: Float[Array, "n d"]) -> Float[Array, ""]:
    """Returns the root mean square of the numbers of n genotypes about their mean genotype."""
    return jnp.sqrt(jnp.mean((genotype - jnp.mean(genotype, axis=0)) ** 2))


def step_info(
    evaluation: Evaluation, *, effective_size: Scalar = jnp.nan, spread: Scalar = jnp.nan
) -> StepInfo:
    """Returns what there is to see of one step; a method that does not denoise has neither size nor spread."""
    failed = evaluation.queried & ~jnp.isfinite(evaluation.accuracy)
    seen = jnp.float32(effective_size), jnp.float32(spread)
    return StepInfo(evaluation, jnp.sum(~evaluation.queried), jnp.sum(failed), *seen)


def _joined(parents: jax.Array, children: jax.Array) -> jax.Array:
    return jnp.concatenate([parents, children])
