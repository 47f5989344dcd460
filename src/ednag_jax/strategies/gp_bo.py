"""Bayesian optimisation with a Gaussian process over architectures, in the manner of NAS-BOWL (Ru et al. 2021).

As there: a pool of candidates for each query, half drawn uniformly and half one edit from one of the ten
fittest; expected improvement; kernel and noise chosen by the marginal likelihood; targets of mean 0 and
variance 1, as the process has. What departs:

* Similarity falls exponentially with the share of fields that differ (Hamming), which every space has. The
  paper's kernel counts the Weisfeiler-Lehman labels that two graphs share.
* Targets are normal scores, the quantiles at the ranks, which need no unit, not standardised log errors.
* One query a step, not five, so that each is chosen knowing all answers.
* The fit is renewed whenever the archive has grown by a tenth: as often as every five queries at 50, more often
  before and less often after.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.config import GPBOConfig
from ednag_jax.fd_step import step_info
from ednag_jax.fitness import best_of, better_of, evaluate
from ednag_jax.problem import Problem
from ednag_jax.spaces import SearchSpace
from ednag_jax.strategies.archive import begun, extended
from ednag_jax.strategies.gaussian_process import (
    grown_inverse,
    half_squared_distance,
    log_expected_improvement,
    normal_scores,
    posterior,
)
from ednag_jax.strategies.proposals import first_queries, is_new, mutants, on_used_rows
from ednag_jax.types import Evaluation, KeyArray, Params, Scalar, StepInfo, Steps, Strategy


class Hyperparameters(NamedTuple):
    """Of the covariance exp(-rate D) of two architectures, D their dissimilarity."""

    rate: Scalar
    noise: Scalar
    """Variance of an observation's noise."""


class Process(NamedTuple):
    """The Gaussian process given what was observed."""

    chosen: Hyperparameters
    inverse: Float[Array, "q q"]
    """Of the covariance matrix, noise included; 0 in rows not in use."""


class GPBOState(NamedTuple):
    """Everything queried so far, and the process fitted to it."""

    evaluation: Evaluation
    """[q ...], see `archive`."""
    process: Process
    best: Evaluation


def init(key: KeyArray, params: Params, *, problem: Problem, config: GPBOConfig) -> GPBOState:
    """Returns the state after the first queries, drawn uniformly; the first step fits the process."""
    key_draw, key_fitness = jax.random.split(key)
    phenotype = first_queries(key_draw, config.num_initial, space=problem.space)
    drawn = evaluate(key_fitness, params, phenotype, problem=problem)
    unfitted = Hyperparameters(jnp.float32(config.rates[0]), jnp.float32(config.noises[0]))
    process = Process(unfitted, jnp.zeros((config.num_queries, config.num_queries)))
    return GPBOState(begun(drawn, config.num_queries), process, best_of(drawn))


def step(
    key: KeyArray, state: GPBOState, row: Steps, params: Params, *, problem: Problem, config: GPBOConfig
) -> tuple[GPBOState, StepInfo]:
    """Returns the state after one more query, and the query: the candidate of greatest expected improvement.

    Where no candidate is new, as at the end of a tiny space, one drawn uniformly is asked again.
    """
    key_propose, key_fitness = jax.random.split(key)
    space, archive, used = problem.space, state.evaluation, row.step + config.num_initial
    candidates = propose(key_propose, archive, space=space, config=config)
    fit_here = partial(on_used_rows, partial(fitted, space=space, config=config), archive, used)
    # `row` is not batched over seeds, so this stays a branch: most steps do not fit.
    process = jax.lax.cond(is_due(used, config), fit_here, lambda: state.process)
    value = on_used_rows(partial(improvement, space=space), archive, used, candidates, process)
    value = jnp.where(is_new(candidates, archive, used, space=space), value, -jnp.inf)
    asked = evaluate(key_fitness, params, candidates[jnp.argmax(value)][None], problem=problem)
    archive = extended(archive, used, asked)
    process = observe(process, archive, used, space=space)
    return GPBOState(archive, process, better_of(state.best, best_of(asked))), step_info(asked)


def is_due(used: Int[Array, ""], config: GPBOConfig) -> Bool[Array, ""]:
    """Returns whether to fit: at the first step, and when the archive's size passes a power of `fit_growth`."""
    powers = jnp.floor(jnp.log(jnp.stack([used, used - 1])) / jnp.log(config.fit_growth))
    return (used == config.num_initial) | (powers[0] > powers[1])


def propose(key: KeyArray, archive: Evaluation, *, space: SearchSpace, config: GPBOConfig) -> Int[Array, "m e"]:
    """Returns the pool of candidates, those drawn uniformly first."""
    key_draw, key_mutate = jax.random.split(key)
    drawn = space.random(key_draw, config.num_random)
    children = mutants(key_mutate, archive, config.num_mutants, num_parents=config.num_parents, space=space)
    return jnp.concatenate([drawn, children])


def fitted(archive: Evaluation, used: Int[Array, ""], *, space: SearchSpace, config: GPBOConfig) -> Process:
    """Returns the process under the hyperparameters that suit the archive best; `inverse` of all q rows."""
    rows = len(archive.fitness)
    is_used = jnp.arange(rows) < used
    numbers = space.encode(archive.phenotype)
    distance = dissimilarity(numbers, numbers, space)
    chosen = fit(distance, is_used, normal_scores(archive.fitness, is_used), config=config)
    whitened = solve_triangular(cholesky(distance, is_used, chosen), jnp.eye(rows), lower=True) * is_used
    inverse = jnp.zeros((config.num_queries, config.num_queries)).at[:rows, :rows].set(whitened.T @ whitened)
    return Process(chosen, inverse)


def observe(process: Process, archive: Evaluation, row: Int[Array, ""], *, space: SearchSpace) -> Process:
    """Returns the process that has also seen the row after those that it has seen."""
    numbers = space.encode(archive.phenotype)
    known = covariance(dissimilarity(numbers, numbers[row][None], space)[:, 0], process.chosen)
    known = jnp.where(jnp.arange(len(known)) < row, known, 0.0)
    inverse, _ = grown_inverse(process.inverse, known, row, 1.0 + process.chosen.noise)
    return process._replace(inverse=inverse)


def improvement(
    archive: Evaluation,
    used: Int[Array, ""],
    candidates: Int[Array, "m e"],
    process: Process,
    *,
    space: SearchSpace,
) -> Float[Array, " m"]:
    """Returns the log expected improvement of each candidate over the best of the archive."""
    rows = len(archive.fitness)
    is_used = jnp.arange(rows) < used
    target = normal_scores(archive.fitness, is_used)
    distance = dissimilarity(space.encode(archive.phenotype), space.encode(candidates), space)
    cross = covariance(distance, process.chosen) * is_used[:, None]
    mean, deviation = posterior(process.inverse[:rows, :rows], cross, target)
    return log_expected_improvement(mean, deviation, jnp.max(jnp.where(is_used, target, -jnp.inf)))


def dissimilarity(a: Float[Array, "n d"], b: Float[Array, "m d"], space: SearchSpace) -> Float[Array, "n m"]:
    """Returns the share of fields in which architectures differ, from their encodings in 1 and -1.

    Two one-hot codes that differ have a squared distance of 8, a flag of one number has 4 and counts half.
    """
    return half_squared_distance(a, b) / (4.0 * space.num_fields)


def covariance(distance: Float[Array, "*n"], chosen: Hyperparameters) -> Float[Array, "*n"]:
    """Returns exp(-rate D), the covariance of architectures without noise; of one with itself 1."""
    return jnp.exp(-chosen.rate * distance)


def cholesky(
    distance: Float[Array, "q q"], is_used: Bool[Array, " q"], chosen: Hyperparameters
) -> Float[Array, "q q"]:
    """Returns L, L L^T the covariance of the observations, noise included; the identity in rows not in use.

    So a row not in use, whose target is 0, adds nothing to a likelihood.
    """
    off_diagonal = jnp.outer(is_used, is_used) & ~jnp.eye(len(is_used), dtype=bool)
    diagonal = jnp.diag(jnp.where(is_used, 1.0 + chosen.noise, 1.0))
    return jnp.linalg.cholesky(jnp.where(off_diagonal, covariance(distance, chosen), diagonal))


def log_marginal_likelihood(factor: Float[Array, "q q"], target: Float[Array, " q"]) -> Float[Array, ""]:
    """Returns log N(target; 0, L L^T) without its constant: -|L^-1 y|^2 / 2 - sum log L_ii."""
    whitened = solve_triangular(factor, target, lower=True)
    return -0.5 * jnp.sum(whitened**2) - jnp.sum(jnp.log(jnp.diagonal(factor)))


def fit(
    distance: Float[Array, "q q"],
    is_used: Bool[Array, " q"],
    target: Float[Array, " q"],
    *,
    config: GPBOConfig,
) -> Hyperparameters:
    """Returns the rate and noise of the grid with the greatest marginal likelihood; the first of equals."""
    grid = Hyperparameters(*jnp.array(list(product(config.rates, config.noises))).T)

    def likelihood(chosen: Hyperparameters) -> Float[Array, ""]:
        return log_marginal_likelihood(cholesky(distance, is_used, chosen), target)

    # One after the other: all at once would hold as many matrices, for every seed.
    likelihoods = jax.lax.map(likelihood, grid)
    # NaN where rounding left the matrix not positive definite.
    best = jnp.argmax(jnp.where(jnp.isnan(likelihoods), -jnp.inf, likelihoods))
    return jax.tree.map(lambda column: column[best], grid)


GP_BO = Strategy("gp_bo", init, step)
