"""Tree-structured Parzen estimator (Bergstra et al. 2011): ask for what good ones have in common."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ednag_jax.arch_ids import is_known
from ednag_jax.config import TPEConfig
from ednag_jax.fd_step import step_info
from ednag_jax.fitness import best_of, better_of, evaluate
from ednag_jax.problem import Problem
from ednag_jax.spaces import SearchSpace
from ednag_jax.strategies.archive import begun, extended
from ednag_jax.strategies.choices import draw, log_probability_of, log_softmax, marks
from ednag_jax.types import Evaluation, KeyArray, Params, Scalar, StepInfo, Steps, Strategy


class TPEState(NamedTuple):
    """Everything queried so far, and how often each value of each choice was."""

    evaluation: Evaluation
    """[q ...], see `archive`."""
    counts: Float[Array, "k v"]
    best: Evaluation


def init(key: KeyArray, params: Params, *, problem: Problem, config: TPEConfig) -> TPEState:
    """Returns the state after the first queries, drawn uniformly."""
    key_draw, key_fitness = jax.random.split(key)
    phenotype = problem.space.random(key_draw, config.num_initial)
    drawn = evaluate(key_fitness, params, phenotype, problem=problem)
    counts = jnp.sum(marks(phenotype, problem.space), axis=0)
    return TPEState(begun(drawn, config.num_queries), counts, best_of(drawn))


def step(
    key: KeyArray, state: TPEState, row: Steps, params: Params, *, problem: Problem, config: TPEConfig
) -> tuple[TPEState, StepInfo]:
    """Returns the state after one more query, and the query: of the candidates that with the greatest l / g."""
    key_propose, key_fitness = jax.random.split(key)
    used = row.step + config.num_initial
    chosen = propose(key_propose, state, used, space=problem.space, config=config)
    asked = evaluate(key_fitness, params, chosen, problem=problem)
    counts = state.counts + marks(chosen, problem.space)[0]
    archive = extended(state.evaluation, used, asked)
    return TPEState(archive, counts, better_of(state.best, best_of(asked))), step_info(asked)


def propose(
    key: KeyArray, state: TPEState, used: Int[Array, ""], *, space: SearchSpace, config: TPEConfig
) -> Int[Array, "1 e"]:
    """Returns the architecture to ask for next.

    Candidates are drawn from l and the one with the greatest l / g wins, which is the one of greatest expected
    improvement. As in the paper a candidate is a whole architecture, where Hyperopt chooses each value by
    itself. Those that are not valid or were asked before are passed over, since an answer does not
    change; where all were, one is drawn uniformly instead.

    Args:
        key: consumed.
        state: its archive's first `used` rows are in use.
        used: at least 1.
        space: what is searched.
        config: settings.
    """
    key_draw, key_instead = jax.random.split(key)
    good = good_counts(state.evaluation, used, space=space, config=config)
    log_l = log_density(good, config.prior_weight, space=space)
    log_g = log_density(state.counts - good, config.prior_weight, space=space)
    drawn = draw(key_draw, log_l, config.num_candidates, space=space)
    score = log_probability_of(drawn, log_l - log_g, space=space)
    asked_before = is_known(space.arch_id(drawn), state.evaluation.arch_id, used)
    score = jnp.where(space.is_valid(drawn) & ~asked_before, score, -jnp.inf)
    best = jnp.argmax(score)
    return jnp.where(score[best] > -jnp.inf, drawn[best][None], space.random(key_instead, 1))


def good_counts(
    archive: Evaluation, used: Int[Array, ""], *, space: SearchSpace, config: TPEConfig
) -> Float[Array, "k v"]:
    """Returns how often each value of each choice is among the fittest ceil(gamma used); of equals the older.

    What failed is never good.
    """
    fitness, row = jax.lax.top_k(archive.fitness, math.ceil(config.gamma * config.num_queries))
    num_good = jnp.ceil(config.gamma * used - 1e-4)  # 0.15 * 20 is a little more than 3 in float32
    is_good = (jnp.arange(row.shape[0]) < num_good) & (fitness > -jnp.inf)
    return jnp.einsum("nkv,n->kv", marks(archive.phenotype[row], space), is_good.astype(jnp.float32))


def log_density(
    counts: Float[Array, "k v"], prior_weight: Scalar, *, space: SearchSpace
) -> Float[Array, "k v"]:
    """Returns the log of the Parzen estimate: each value's share of the counts, raised by the prior weight."""
    return log_softmax(jnp.log(counts + prior_weight), space)


TPE = Strategy("tpe", init, step)
