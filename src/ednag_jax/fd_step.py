"""One whole step of fitness-guided denoising: the order of its parts, and no formula of its own."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ednag_jax.config import EvolveConfig
from ednag_jax.denoise import denoise
from ednag_jax.fitness import best_of, better_of, evaluate, fitness_within, log_weights
from ednag_jax.problem import Problem
from ednag_jax.selection import select
from ednag_jax.types import Evaluation, KeyArray, Params, Schedule, State, StepInfo
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
    children = _denoised(key_noise, state, row, config) if config.denoising else state.genotype
    children = vary(key_vary, children, row.step, config=config)
    evaluation = evaluate(key_fitness, params, problem.space.decode(children), problem=problem, config=config)
    genotypes = _joined(state.genotype, children)
    both = Evaluation(*(_joined(a, b) for a, b in zip(state.evaluation, evaluation, strict=True)))
    index = select(key_select, genotypes, fitness_within(both), config=config)
    survivors = Evaluation(*(column[index] for column in both))
    best = better_of(state.best, best_of(evaluation))
    return State(genotypes[index], survivors, best), step_info(evaluation)


def _denoised(key: KeyArray, state: State, row: Schedule, config: EvolveConfig) -> jax.Array:
    """Returns the children of (8) and (9) under config."""
    return denoise(
        key,
        state.genotype,
        log_weights(fitness_within(state.evaluation), config),
        row.alpha_bar,
        row.alpha_bar_prev,
        noise_scale=config.noise_scale,
        floor=config.floor if config.floored else None,
    )


def step_info(evaluation: Evaluation) -> StepInfo:
    """Returns what there is to see of one step's evaluations."""
    failed = evaluation.queried & ~jnp.isfinite(evaluation.accuracy)
    return StepInfo(evaluation, jnp.sum(~evaluation.queried), jnp.sum(failed))


def _joined(parents: jax.Array, children: jax.Array) -> jax.Array:
    return jnp.concatenate([parents, children])
