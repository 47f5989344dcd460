"""BANANAS (White et al. 2021): an ensemble of networks predicts accuracy, and says where it is unsure.

Departures from the paper: a network takes 150 steps of Adam a round on minibatches of 32, not 150 epochs:
more of them (`num_updates`) help a little, and cost in proportion. Networks read the space's own numbers, the
adjacency encoding, which does better here than the paper's paths (`features="path"`).
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.config import BananasConfig
from ednag_jax.fd_step import step_info
from ednag_jax.feasibility import on_one_scale
from ednag_jax.fitness import best_of, better_of, evaluate
from ednag_jax.problem import Problem
from ednag_jax.spaces import SearchSpace
from ednag_jax.spaces.path_encoding import path_encoding
from ednag_jax.strategies.archive import begun
from ednag_jax.strategies.proposals import SPARE_DRAWS, first_queries, is_new, mutants
from ednag_jax.types import Evaluation, KeyArray, Params, Scalar, StepInfo, Steps, Strategy

Network: TypeAlias = list[tuple[Array, Array]]
"""Weights [i o] and biases [o] of each layer."""


class BananasState(NamedTuple):
    """Everything queried so far."""

    evaluation: Evaluation
    """[q ...], see `archive`."""
    best: Evaluation


def init(key: KeyArray, params: Params, *, problem: Problem, config: BananasConfig) -> BananasState:
    """Returns the state after the first queries, drawn uniformly."""
    key_draw, key_fitness = jax.random.split(key)
    phenotype = first_queries(key_draw, config.num_initial, space=problem.space)
    drawn = evaluate(key_fitness, params, phenotype, problem=problem)
    return BananasState(begun(drawn, config.num_queries), best_of(drawn))


def step(
    key: KeyArray, state: BananasState, row: Steps, params: Params, *, problem: Problem, config: BananasConfig
) -> tuple[BananasState, StepInfo]:
    """Returns the state after one round: an ensemble trained anew, and the queries that it chose.

    Candidates are mutants of the fittest, and uniform draws that fill up where too few mutants are new.
    """
    key_train, key_propose, key_choose, key_fitness = jax.random.split(key, 4)
    archive, used = state.evaluation, row.step * config.batch_size + config.num_initial
    is_used = jnp.arange(config.num_queries) < used
    inputs = encoded(archive.phenotype, problem.space, config)
    target = regrets(archive.fitness, is_used)
    fit = partial(trained, inputs=inputs, target=target, used=used, config=config)
    ensemble = jax.vmap(fit)(jax.random.split(key_train, config.num_networks))

    candidates = propose(key_propose, archive, space=problem.space, config=config)
    predicted = jax.vmap(predict, (0, None))(ensemble, encoded(candidates, problem.space, config))
    value = independent_draws(key_choose, -predicted)
    value = jnp.where(jnp.arange(len(value)) < config.num_mutants, value, -jnp.finfo(value.dtype).max)
    new = is_new(candidates, archive, used, space=problem.space)
    _, batch = jax.lax.top_k(jnp.where(new, value, -jnp.inf), config.batch_size)

    asked = evaluate(key_fitness, params, candidates[batch], problem=problem)
    rows = used + jnp.arange(config.batch_size)
    archive = Evaluation(*(a.at[rows].set(b) for a, b in zip(archive, asked, strict=True)))
    return BananasState(archive, better_of(state.best, best_of(asked))), step_info(asked)


def encoded(phenotype: Int[Array, "n e"], space: SearchSpace, config: BananasConfig) -> Float[Array, "n f"]:
    """Returns what the networks read of architectures."""
    return path_encoding(phenotype, space) if config.features == "path" else (space.encode(phenotype) + 1) / 2


def propose(
    key: KeyArray, archive: Evaluation, *, space: SearchSpace, config: BananasConfig
) -> Int[Array, "m e"]:
    """Returns mutants of the fittest, and then uniform draws: more than a round asks for, as some are known."""
    key_mutate, key_draw = jax.random.split(key)
    children = mutants(key_mutate, archive, config.num_mutants, num_parents=config.num_parents, space=space)
    return jnp.concatenate([children, space.random(key_draw, SPARE_DRAWS * config.batch_size)])


def independent_draws(key: KeyArray, predicted: Float[Array, "k m"]) -> Float[Array, " m"]:
    """Returns for each candidate a draw from the normal distribution of its k predictions (the paper's ITS)."""
    deviation = jnp.std(predicted, axis=0, ddof=1) if predicted.shape[0] > 1 else jnp.zeros(predicted.shape[1])
    return jnp.mean(predicted, axis=0) + deviation * jax.random.normal(key, deviation.shape)


def regrets(fitness: Float[Array, " q"], is_used: Bool[Array, " q"]) -> Float[Array, " q"]:
    """Returns by how much each fell short of the best, in medians; failures as much as the worst, unused 0."""
    fitness = on_one_scale(jnp.where(is_used, fitness, -jnp.inf))
    alive = fitness > -jnp.inf
    short = jnp.where(alive, jnp.max(fitness) - fitness, jnp.nan)
    median = jnp.nanmedian(short)
    short = jnp.where(alive, short, jnp.nanmax(short)) / jnp.where(median > 0, median, 1.0)
    return jnp.where(is_used & jnp.any(alive), short, 0.0)


def trained(
    key: KeyArray,
    *,
    inputs: Float[Array, "q f"],
    target: Float[Array, " q"],
    used: Int[Array, ""],
    config: BananasConfig,
) -> Network:
    """Returns a network fitted to the first `used` rows."""
    key_init, key_batches = jax.random.split(key)
    network = new_network(key_init, inputs.shape[-1], config=config)
    optimizer = optax.adam(config.learning_rate, b2=0.99)
    batches = jax.random.randint(key_batches, (config.num_updates, config.minibatch_size), 0, used)

    def update(
        carry: tuple[Network, optax.OptState], rows: Array
    ) -> tuple[tuple[Network, optax.OptState], None]:
        network, state = carry
        gradient = jax.grad(percentage_error)(network, inputs[rows], target[rows], config.margin)
        change, state = optimizer.update(gradient, state)
        return (optax.apply_updates(network, change), state), None

    (network, _), _ = jax.lax.scan(update, (network, optimizer.init(network)), batches)
    return network


def percentage_error(
    network: Network, inputs: Float[Array, "n f"], target: Float[Array, " n"], margin: Scalar
) -> Float[Array, ""]:
    """Returns the paper's loss: the mean absolute error as a share of the distance to a bound above the best.

    In regrets the bound is -margin, so errors near the best count most.
    """
    return jnp.mean(jnp.abs(predict(network, inputs) - target) / (target + margin))


def new_network(key: KeyArray, num_inputs: int, *, config: BananasConfig) -> Network:
    """Returns a feedforward network, weights by Glorot and Bengio (2010)."""
    sizes = [num_inputs] + [config.width] * config.num_layers + [1]
    keys = jax.random.split(key, len(sizes) - 1)
    draw = jax.nn.initializers.glorot_uniform()
    return [(draw(k, pair), jnp.zeros(pair[1])) for k, pair in zip(keys, pairwise(sizes), strict=True)]


def predict(network: Network, inputs: Float[Array, "n f"]) -> Float[Array, " n"]:
    """Returns the regret that a network expects of each architecture."""
    *hidden, (weights, bias) = network
    for inner, offset in hidden:
        inputs = jax.nn.relu(inputs @ inner + offset)
    return (inputs @ weights + bias)[..., 0]


BANANAS = Strategy("bananas", init, step)
