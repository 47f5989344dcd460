"""EDNAG with an online predictor: each query is the best, by a Gaussian process, of what denoising proposes."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ednag_jax.arch_ids import is_known
from ednag_jax.config import OnlineConfig
from ednag_jax.denoise import ddim_step, estimate_x0_of
from ednag_jax.fd_step import step_info
from ednag_jax.fitness import best_of, better_of, evaluate, mean_ranks
from ednag_jax.pareto import scalarised
from ednag_jax.problem import Problem
from ednag_jax.schedules import make_schedule
from ednag_jax.spaces import SearchSpace
from ednag_jax.spaces.traits import Traits
from ednag_jax.strategies.archive import begun, extended
from ednag_jax.strategies.gaussian_process import (
    Kernel,
    grown_inverse,
    log_evidence,
    log_expected_improvement,
    normal_scores,
    posterior,
)
from ednag_jax.strategies.proposals import on_used_rows
from ednag_jax.types import Evaluation, KeyArray, Params, Schedule, StepInfo, Steps, Strategy


class Fit(NamedTuple):
    """The predictor's covariance matrix of what was observed, at each level of noise."""

    inverse: Float[Array, "k q q"]
    """0 in rows not yet used."""
    log_determinant: Float[Array, " k"]


class OnlineState(NamedTuple):
    """Everything queried so far, rows in the order of the queries, and the predictor fitted to it."""

    evaluation: Evaluation
    """[q ...]; rows not yet used repeat the last and rank last."""
    traits: Traits
    fit: Fit
    best: Evaluation


def init(key: KeyArray, params: Params, *, problem: Problem, config: OnlineConfig) -> OnlineState:
    """Returns the state after the first queries: those that the settings name, the others drawn uniformly."""
    key_draw, key_fitness = jax.random.split(key)
    phenotype = problem.space.random(key_draw, config.num_initial)
    if config.first is not None:
        phenotype = jnp.concatenate([config.first.astype(phenotype.dtype), phenotype])[: config.num_initial]
    drawn = evaluate(key_fitness, params, phenotype, problem=problem)
    archive = begun(drawn, config.num_queries)
    traits = problem.space.traits(archive.phenotype)

    def add(index: Int[Array, ""], fit: Fit) -> Fit:
        return _observe(fit, traits, index, config)

    fit = jax.lax.fori_loop(0, config.num_initial, add, _unfitted(config.num_queries, config))
    return OnlineState(archive, traits, fit, best_of(drawn))


def step(
    key: KeyArray, state: OnlineState, row: Steps, params: Params, *, problem: Problem, config: OnlineConfig
) -> tuple[OnlineState, StepInfo]:
    """Returns the state after one more query, and the query."""
    key_choose, key_fitness = jax.random.split(key)
    used = row.step + config.num_initial
    choose = partial(_choose, space=problem.space, config=config)
    chosen = on_used_rows(choose, state.evaluation, used, key_choose, state.traits, state.fit)
    asked = evaluate(key_fitness, params, chosen[None], problem=problem)
    archive = extended(state.evaluation, used, asked)
    new = problem.space.traits(chosen)
    traits = Traits(*(a.at[used].set(b) for a, b in zip(state.traits, new, strict=True)))
    fit = _observe(state.fit, traits, used, config)
    return OnlineState(archive, traits, fit, better_of(state.best, best_of(asked))), step_info(asked)


def recommend(
    phenotype: Int[Array, "q e"], fitness: Float[Array, " q"], *, space: SearchSpace, config: OnlineConfig
) -> Int[Array, " q"]:
    """Returns after each query the row that the predictor, having heard what is told of it, believes most of.

    Whoever ends with the best told, among many told with noise, ends with the luckiest. The mean of the process
    at what it observed is y - noise K^-1 y, of each level of noise as much as it explains the archive; of the
    rest `own_share` is believed.

    Args:
        phenotype: of the queries, in their order.
        fitness: what was told; -inf where it failed, which is never recommended.
        space: that was searched.
        config: settings of the search.
    """
    traits, row, levels = space.traits(phenotype), jnp.arange(len(fitness)), jnp.array(config.noise_levels)

    def body(fit: Fit, used: Int[Array, ""]) -> tuple[Fit, Int[Array, ""]]:
        fit = _observe(fit, traits, used, config)
        observed = row <= used
        target = normal_scores(jnp.where(observed, fitness, -jnp.inf), observed)
        weight = jax.nn.softmax(jax.vmap(log_evidence, (0, 0, None))(*fit, target))
        beyond = (weight * levels) @ (fit.inverse @ target)
        believed = target - (1 - config.own_share) * beyond
        return fit, jnp.argmax(jnp.where(observed & (fitness > -jnp.inf), believed, -jnp.inf))

    return jax.lax.scan(body, _unfitted(len(fitness), config), row)[1]


def _unfitted(rows: int, config: OnlineConfig) -> Fit:
    levels = len(config.noise_levels)
    return Fit(jnp.zeros((levels, rows, rows)), jnp.zeros(levels))


def _observe(fit: Fit, traits: Traits, row: Int[Array, ""], config: OnlineConfig) -> Fit:
    """Returns the fit grown by the architecture whose traits lie in `row`."""
    new = Traits(*(column[row][None] for column in traits))
    is_before = jnp.arange(fit.inverse.shape[-1]) < row
    covariance = jnp.where(is_before, _kernel(config)(traits, new)[:, 0], 0.0)
    variance = 1.0 + jnp.array(config.noise_levels)
    inverse, growth = jax.vmap(grown_inverse, (0, None, None, 0))(fit.inverse, covariance, row, variance)
    return Fit(inverse, fit.log_determinant + jnp.log(growth))


def _kernel(config: OnlineConfig) -> Kernel:
    return Kernel(config.rough_share, config.coarse_share, config.rate)


def _choose(
    archive: Evaluation,
    used: Int[Array, ""],
    key: KeyArray,
    traits: Traits,
    fit: Fit,
    *,
    space: SearchSpace,
    config: OnlineConfig,
) -> Int[Array, " e"]:
    """Returns the best proposal not queried yet, by `acquisition`.

    Of several objectives each query weighs anew what it improves.

    Args:
        archive: its first `used` rows are in use.
        used: at most the archive's rows.
        key: consumed.
        traits: of the archive, and of rows after it.
        fit: to as many rows.
        space: it proposes.
        config: settings.
    """
    rows = len(archive.fitness)
    observed = jnp.arange(rows) < used
    key_propose, key_weights, key_level, key_chance = jax.random.split(key, 4)
    fitness = scalarised(key_weights, archive) if archive.cost.shape[-1] else archive.fitness
    fitness = jnp.where(observed, fitness, -jnp.inf)
    candidates = propose(key_propose, archive.phenotype, fitness, space=space, config=config)
    target = normal_scores(fitness, observed)
    traits = Traits(*(column[:rows] for column in traits))
    fit = fit._replace(inverse=fit.inverse[:, :rows, :rows])
    level = jax.random.categorical(key_level, jax.vmap(log_evidence, (0, 0, None))(*fit, target))
    cross = _kernel(config)(traits, space.traits(candidates)) * observed[:, None]
    belief = posterior(fit.inverse[level], cross, target)
    best, noise = jnp.max(jnp.where(observed, target, -jnp.inf)), jnp.array(config.noise_levels)[level]
    value = acquisition(*belief, best, used, noise=noise, config=config)
    if not config.predictor:
        value = jax.random.uniform(key_chance, value.shape)
    known = is_known(space.arch_id(candidates), archive.arch_id, used)
    value = jnp.where(known | ~space.is_valid(candidates), -jnp.inf, value)
    return candidates[jnp.argmax(value)]


def acquisition(
    mean: Float[Array, " m"],
    deviation: Float[Array, " m"],
    best: Float[Array, ""],
    used: Int[Array, ""],
    *,
    noise: Float[Array, ""],
    config: OnlineConfig,
) -> Float[Array, " m"]:
    """Returns what a query is worth: expected improvement over the best, or every so often an upper bound.

    The improvement counts what an architecture has of its own, the noise; the bound leaves it out.

    Args:
        mean: of each candidate.
        deviation: of each, noise left out.
        best: what was observed of the best.
        used: how many queries there were.
        noise: variance of what similar architectures do not share.
        config: settings.
    """
    # With the noise counted it tries all that resemble the best: the predictor cannot tell them apart, and the
    # best of them may be far above the others. That alone dwells in the kind that it found first; the bound
    # asks what is known least of all that may be good, and so finds the kinds.
    improvement = log_expected_improvement(mean, jnp.sqrt(deviation**2 + noise), best)
    is_exploring = used % config.explore_every == 0
    return jnp.where(is_exploring, mean + config.explore_width * deviation, improvement)


def propose(
    key: KeyArray,
    phenotype: Int[Array, "q e"],
    fitness: Float[Array, " q"],
    *,
    space: SearchSpace,
    config: OnlineConfig,
) -> Int[Array, "m e"]:
    """Returns architectures that may be worth a query: denoised ones, mutants of the fittest, and random ones.

    Args:
        key: consumed.
        phenotype: what was queried.
        fitness: of each; -inf where the row is not in use.
        space: what is searched.
        config: settings.
    """
    key_denoise, key_mutate, key_draw = jax.random.split(key, 3)
    parts = []
    if config.denoising:
        parts.append(_denoised(key_denoise, phenotype, fitness, space=space, config=config))
    if config.num_mutants:
        _, fittest = jax.lax.top_k(fitness, min(config.num_parents, len(fitness)))
        parents = jnp.resize(phenotype[fittest], (config.num_mutants, phenotype.shape[1]))
        keys = jax.random.split(key_mutate, config.num_mutants)
        parts.append(jax.vmap(space.mutate)(keys, parents))
    if config.num_random:
        parts.append(space.random(key_draw, config.num_random))
    return jnp.concatenate(parts)


def _denoised(
    key: KeyArray,
    phenotype: Int[Array, "q e"],
    fitness: Float[Array, " q"],
    *,
    space: SearchSpace,
    config: OnlineConfig,
) -> Int[Array, "m e"]:
    """Returns what noise becomes, step by step, as it is denoised towards the archive.

    The sum in (8) runs over the whole archive, each weighted by its rank; (9) moves `population_size` samples
    that begin as pure noise through `num_denoising` steps, and what they decode to on the way counts too.
    """
    archive = space.encode(phenotype)
    alive = fitness > -jnp.inf
    log_weight = mean_ranks(fitness) / (config.temperature * jnp.sum(alive))
    log_weight = jnp.where(alive, log_weight, -jnp.inf)
    key_start, key_steps = jax.random.split(key)
    start = jax.random.normal(key_start, (config.population_size, archive.shape[1]))

    def body(x: Float[Array, "n d"], row: Schedule) -> tuple[Float[Array, "n d"], Int[Array, "n e"]]:
        noise = jax.random.normal(jax.random.fold_in(key_steps, row.step), x.shape)
        x0 = estimate_x0_of(x, archive, log_weight, row.alpha_bar)
        x = ddim_step(x, x0, noise, row.alpha_bar, row.alpha_bar_prev, noise_scale=config.noise_scale)
        return x, space.decode(x)

    _, proposals = jax.lax.scan(body, start, make_schedule(config.schedule, config.num_denoising + 1))
    return proposals.reshape(-1, phenotype.shape[1])


EDNAG_ONLINE = Strategy("ednag_online", init, step, several_objectives=True, recommend=recommend)
