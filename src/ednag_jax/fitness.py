"""Accuracy -> fitness -> log weight: what selection ranks, and the mapping g of equation (7)."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ednag_jax.config import EvolveConfig
from ednag_jax.feasibility import feasible_first, is_feasible, on_one_scale
from ednag_jax.pareto import pareto_fitness
from ednag_jax.problem import Problem
from ednag_jax.types import Evaluation, KeyArray, Params

RESCALE_KNOTS = (0.0, 30.0, 50.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0)
RESCALE_SLOPES = (0.1, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 40.0, 50.0)
"""Of the published experiments' fitness: the slope from each knot up to the next."""


def rescale(accuracy: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Returns the published experiments' fitness: piecewise linear, continuous, steep near 100 percent.

    >>> [round(float(rescale(jnp.float32(a))), 3) for a in (30, 50, 96)]
    [3.0, 23.0, 553.0]
    """
    knots = jnp.array(RESCALE_KNOTS)
    steps = jnp.diff(jnp.array(RESCALE_SLOPES), prepend=0.0)
    return jnp.sum(steps * jnp.maximum(accuracy[..., None] - knots, 0.0), axis=-1)


def worst_if_failed(accuracy: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Returns accuracy as fitness, -inf where it is NaN."""
    return jnp.where(jnp.isnan(accuracy), -jnp.inf, accuracy)


def fitness_of(accuracy: Float[Array, "*n"], config: EvolveConfig) -> Float[Array, "*n"]:
    """Returns the fitness of accuracies, higher is better; NaN (invalid or failed) ranks last.

    Under `accuracy` the worst is -inf; under `rescaled` it is 0, the fitness of 0 percent.
    """
    if config.objective == "rescaled":
        return rescale(config.accuracy_factor * jnp.nan_to_num(accuracy, nan=0.0))
    return worst_if_failed(accuracy)


def evaluate(
    key: KeyArray,
    params: Params,
    phenotype: Int[Array, "n e"],
    *,
    problem: Problem,
    config: EvolveConfig | None = None,
) -> Evaluation:
    """Returns what the fitness function says of n architectures; `config` names the objective.

    Invalid architectures are asked about nothing; what is not finite counts as failed. What breaks a
    constraint ranks below all that break none, whatever the objective.
    """
    queried = problem.space.is_valid(phenotype)
    said = problem.fitness_fn(params, key, phenotype)
    cost, violation = problem.costs(params, phenotype)
    is_known = jnp.all(jnp.isfinite(cost), axis=-1) & jnp.isfinite(violation)
    accuracy = jnp.where(queried & jnp.isfinite(said) & is_known, said, jnp.nan)
    fitness = worst_if_failed(accuracy) if config is None else fitness_of(accuracy, config)
    if problem.cost_fn is not None:  # what failed then ranks last under every objective
        fitness = jnp.where(jnp.isnan(accuracy), -jnp.inf, feasible_first(fitness, violation))
    return Evaluation(phenotype, problem.space.arch_id(phenotype), queried, accuracy, fitness, cost)


def fitness_within(evaluation: Evaluation) -> Float[Array, " n"]:
    """Returns what ranks a population: its fitness, or with several objectives its order by fronts."""
    return pareto_fitness(evaluation) if evaluation.cost.shape[-1] else evaluation.fitness


def standing(evaluation: Evaluation) -> Float[Array, "*n"]:
    """Returns what decides which architecture is the best: accuracy, then how little breaks constraints.

    Not fitness, since an objective may give an invalid architecture the fitness of a poor valid one.
    """
    decides = jnp.where(is_feasible(evaluation.fitness), evaluation.accuracy, evaluation.fitness)
    return jnp.where(jnp.isnan(evaluation.accuracy), -jnp.inf, decides)


def best_of(evaluation: Evaluation) -> Evaluation:
    """Returns the best of an evaluation [n ...] by `standing`, without the axis n; the first of equals."""
    index = jnp.argmax(standing(evaluation))
    return Evaluation(*(column[index] for column in evaluation))


def better_of(a: Evaluation, b: Evaluation) -> Evaluation:
    """Returns the better of two single evaluations by `standing`; the first of equals."""
    first = standing(a) >= standing(b)
    return Evaluation(*(jnp.where(first, x, y) for x, y in zip(a, b, strict=True)))


def mean_ranks(fitness: Float[Array, " n"]) -> Float[Array, " n"]:
    """Returns each individual's rank in [0, n-1], the worst 0; equals share their mean rank."""
    below = jnp.sum(fitness[None, :] < fitness[:, None], axis=1)
    equal = jnp.sum(fitness[None, :] == fitness[:, None], axis=1)
    return below + 0.5 * (equal - 1)


def log_weights(fitness: Float[Array, " n"], config: EvolveConfig) -> Float[Array, " n"]:
    """Returns log g[f(x)], equation (7), under the mapping that config names.

    * `identity`: log f; `power`: p log(f / temperature); both take f <= 0 as no weight.
    * `energy`: f / temperature, from the population's maximum down.
    * `rank`: mean rank scaled to [0, 1], over temperature; free of the scale of f.
    * `standardised`: (f - mean) / standard deviation, over temperature; free of the scale of f.
    * `constant`: 0 whatever the fitness, a failure's too.

    Elsewhere -inf fitness gives -inf. A population without any weight is `estimate_x0`'s case.
    """
    if config.mapping == "constant":
        return jnp.zeros_like(fitness)
    fitness = on_one_scale(fitness)
    alive = fitness > -jnp.inf
    if config.mapping in ("identity", "power"):
        power, temperature = (1.0, 1.0) if config.mapping == "identity" else (config.power, config.temperature)
        return power * (jnp.log(jnp.maximum(fitness, 0.0)) - jnp.log(temperature))
    if config.mapping == "energy":
        # The maximum of an all-failed population is -inf, and -inf - -inf is NaN.
        score = fitness - jnp.max(jnp.where(alive, fitness, -jnp.finfo(jnp.float32).max))
    elif config.mapping == "rank":
        score = mean_ranks(fitness) / max(fitness.shape[0] - 1, 1)
    else:
        mean = jnp.mean(fitness, where=alive)
        spread = jnp.std(fitness, where=alive)
        score = (fitness - mean) / jnp.where(spread > 0, spread, 1.0)
    return jnp.where(alive, score / config.temperature, -jnp.inf)
