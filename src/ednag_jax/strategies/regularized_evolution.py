"""Regularized evolution (Real et al. 2019): the fittest of a sample has a child, the oldest dies."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ednag_jax.config import RegularizedEvolutionConfig
from ednag_jax.fd_step import step_info
from ednag_jax.fitness import best_of, better_of, evaluate
from ednag_jax.problem import Problem
from ednag_jax.types import Evaluation, KeyArray, Params, StepInfo, Steps, Strategy


class RegularizedEvolutionState(NamedTuple):
    """The living population; slot `step mod population_size` holds the oldest."""

    evaluation: Evaluation
    best: Evaluation


def init(
    key: KeyArray, params: Params, *, problem: Problem, config: RegularizedEvolutionConfig
) -> RegularizedEvolutionState:
    """Returns a population drawn uniformly and evaluated."""
    key_draw, key_fitness = jax.random.split(key)
    phenotype = problem.space.random(key_draw, config.population_size)
    evaluation = evaluate(key_fitness, params, phenotype, problem=problem)
    return RegularizedEvolutionState(evaluation, best_of(evaluation))


def step(
    key: KeyArray,
    state: RegularizedEvolutionState,
    row: Steps,
    params: Params,
    *,
    problem: Problem,
    config: RegularizedEvolutionConfig,
) -> tuple[RegularizedEvolutionState, StepInfo]:
    """Returns the population after one birth and one death, and the child.

    The parent is the fittest of `sample_size` individuals drawn without replacement; the child is a
    neighbour of it drawn uniformly and takes the slot of the oldest.
    """
    key_sample, key_mutate, key_fitness = jax.random.split(key, 3)
    entry = jax.random.uniform(key_sample, (config.population_size,))
    _, sample = jax.lax.top_k(entry, config.sample_size)
    parent = sample[jnp.argmax(state.evaluation.fitness[sample])]
    phenotype = problem.space.mutate(key_mutate, state.evaluation.phenotype[parent])
    child = evaluate(key_fitness, params, phenotype[None], problem=problem)
    oldest = row.step % config.population_size
    population = Evaluation(
        *(column.at[oldest].set(new[0]) for column, new in zip(state.evaluation, child, strict=True))
    )
    return RegularizedEvolutionState(population, better_of(state.best, best_of(child))), step_info(child)


REGULARIZED_EVOLUTION = Strategy("regularized_evolution", init, step)
