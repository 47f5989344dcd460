"""One call of the predictor's training: a scan over epochs of a scan over steps, vmapped over the ensemble.

Weights are one flat vector a member: an update is a few long operations, not a few for each of many arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, Key

from ednag_jax.config import PredictorTrainingConfig
from ednag_jax.predictor.examples import Examples, TaskTable
from ednag_jax.predictor.losses import learning_loss, spearman, standardised_error
from ednag_jax.predictor.model import PredictorNetwork, applied, smallest_inputs
from ednag_jax.types import KeyArray, Params


class History(NamedTuple):
    """Of every epoch and member; NaN where there was no epoch, or nothing held out."""

    loss: Float[Array, "*s e"]
    """What is minimised, mean over the epoch's steps."""
    held_out_error: Float[Array, "*s e"]
    """Squared error of standardised accuracies on the held-out tasks: what stops the training."""
    held_out_spearman: Float[Array, "*s e"]
    """Rank correlation on them, mean over tasks."""


class TrainState(NamedTuple):
    """One member between two epochs; of the ensemble with a leading axis."""

    weights: Float[Array, "*s n"]
    optimizer: optax.OptState
    best: Float[Array, "*s n"]
    """Weights of the epoch with the least error on the held-out tasks; the last where none are held out."""
    best_error: Float[Array, "*s"]
    best_epoch: Int[Array, "*s"]
    stopped: Bool[Array, "*s"]
    """Whether patience ran out; from then on the best stays what it is."""
    history: History


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how much of a table a step draws."""

    network: PredictorNetwork
    steps_per_epoch: int
    tasks_per_step: int
    archs_per_task: int


def recipe_for(table: TaskTable, network: PredictorNetwork, training: PredictorTrainingConfig) -> Recipe:
    """Returns the recipe for a table: an epoch draws a task once for every so many architectures run on it."""
    tasks = min(training.tasks_per_step, len(table.tasks))
    archs = min(training.archs_per_task, table.accuracy.shape[1])
    runs = np.isfinite(table.accuracy).sum()
    steps = max(round(runs / (tasks * archs)), -(-len(table.tasks) // tasks))
    return Recipe(network, int(steps), tasks, archs)


def optimizer_for(training: PredictorTrainingConfig, steps_per_epoch: int) -> optax.GradientTransformation:
    """Returns AdamW with a warm-up and a cosine, gradients clipped."""
    steps = max(training.num_epochs * steps_per_epoch, 2)
    warmup = min(max(round(training.warmup_share * steps), 1), steps - 1)
    share = optax.warmup_cosine_decay_schedule(0.0, 1.0, warmup, steps)  # a traced peak it does not take
    return optax.chain(
        optax.clip_by_global_norm(training.clip_norm),
        optax.adamw(lambda step: training.learning_rate * share(step), weight_decay=training.weight_decay),
    )


@lru_cache(maxsize=16)
def unraveller(network: PredictorNetwork) -> Callable[[Float[Array, " n"]], Params]:
    """Returns the function from a flat vector to the weights of a network."""
    shapes = jax.eval_shape(network.init, jax.random.key(0), *smallest_inputs(network))
    # NumPy's zeros: nothing of whichever program is being traced may outlive it in the cache.
    return ravel_pytree(jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes))[1]


def first_states(
    keys: Key[Array, " s"], training: PredictorTrainingConfig, network: PredictorNetwork
) -> TrainState:
    """Returns the ensemble before the first epoch."""
    weights = _first_weights(keys, network=network)
    members = len(keys)
    unknown = jnp.full((members, training.num_epochs), jnp.nan)
    return TrainState(
        weights=weights,
        optimizer=jax.vmap(optimizer_for(training, 1).init)(weights),
        best=weights,
        best_error=jnp.full(members, jnp.inf),
        best_epoch=jnp.zeros(members, jnp.int32),
        stopped=jnp.zeros(members, bool),
        history=History(unknown, unknown, unknown),
    )


@partial(jax.jit, static_argnames=("network",))
def _first_weights(keys: Key[Array, " s"], *, network: PredictorNetwork) -> Float[Array, "s n"]:
    """Returns the weights that each key draws."""
    inputs = smallest_inputs(network)
    return jax.vmap(lambda key: ravel_pytree(network.init(key, *inputs))[0])(keys)


@partial(jax.jit, static_argnames=("recipe", "count"))
def run_epochs(
    state: TrainState,
    keys: Key[Array, " s"],
    start: Int[Array, ""],
    data: tuple[Examples, Examples],
    training: PredictorTrainingConfig,
    *,
    recipe: Recipe,
    count: int,
) -> TrainState:
    """Returns the ensemble after `count` more epochs, of which the first has the number `start`.

    Args:
        state: of all members.
        keys: one a member; epoch i draws from `fold_in(key, i)`.
        start: epochs that there were before.
        data: tasks to learn from, and those held out.
        training: rates and weights may change without compiling anew.
        recipe: what is trained.
        count: of epochs.
    """

    def member(state: TrainState, key: KeyArray) -> TrainState:
        def epoch(state: TrainState, number: Array) -> tuple[TrainState, None]:
            key_epoch = jax.random.fold_in(key, number)
            state, loss = _learnt(key_epoch, state, data[0], training, recipe=recipe)
            return _judged(state, (number, loss), data[1], training.patience, recipe=recipe), None

        return jax.lax.scan(epoch, state, start + jnp.arange(count))[0]

    return jax.vmap(member)(state, keys)


def _learnt(
    key: KeyArray, state: TrainState, examples: Examples, training: PredictorTrainingConfig, *, recipe: Recipe
) -> tuple[TrainState, Float[Array, ""]]:
    """Returns a member after the steps of one epoch, and the mean of their losses."""
    key_tasks, key_steps = jax.random.split(key)
    rows = task_batches(key_tasks, len(examples.mask), recipe.steps_per_epoch, recipe.tasks_per_step)
    optimizer = optimizer_for(training, recipe.steps_per_epoch)
    network, unravel = recipe.network, unraveller(recipe.network)

    def loss_of(weights: Array, key: KeyArray, batch: Examples) -> Array:
        return learning_loss(unravel(weights), key, batch, training, network=network)

    def step(carry: tuple[Array, optax.OptState], drawn: tuple[KeyArray, Array]) -> tuple[Any, Array]:
        weights, progress = carry
        key_draw, key_loss = jax.random.split(drawn[0])
        batch = draw_batch(key_draw, examples, drawn[1], recipe.archs_per_task, training.image_rate)
        loss, gradient = jax.value_and_grad(loss_of)(weights, key_loss, batch)
        change, progress = optimizer.update(gradient, progress, weights)
        return (weights + change, progress), loss

    keys = jax.random.split(key_steps, recipe.steps_per_epoch)
    (weights, progress), losses = jax.lax.scan(step, (state.weights, state.optimizer), (keys, rows))
    return state._replace(weights=weights, optimizer=progress), jnp.mean(losses)


def _judged(
    state: TrainState,
    epoch: tuple[Int[Array, ""], Float[Array, ""]],
    kept: Examples,
    patience: Any,
    *,
    recipe: Recipe,
) -> TrainState:
    """Returns a member with best weights and history brought up to date by an epoch, (number, loss)."""
    number, loss = epoch
    if len(kept.mask):
        z, _ = applied(recipe.network, unraveller(recipe.network)(state.weights), *kept[:3])
        error = standardised_error(z, kept)
        correlation = jnp.mean(jax.vmap(spearman)(z, kept.target, kept.was_run))
        better = (error < state.best_error) & ~state.stopped
    else:
        error = correlation = jnp.float32(jnp.nan)
        better = jnp.bool_(True)
    best_epoch = jnp.where(better, number, state.best_epoch)
    values = (loss, error, correlation)
    return state._replace(
        best=jnp.where(better, state.weights, state.best),
        best_error=jnp.where(better, error, state.best_error),
        best_epoch=best_epoch,
        stopped=state.stopped | (number - best_epoch >= patience),
        history=History(*(h.at[number].set(v) for h, v in zip(state.history, values, strict=True))),
    )


def task_batches(key: KeyArray, num_tasks: int, steps: int, size: int) -> Int[Array, "{steps} {size}"]:
    """Returns the tasks of each step: one random order of all after the other."""
    rounds = -(-steps * size // num_tasks)
    orders = jax.vmap(partial(jax.random.permutation, x=num_tasks))(jax.random.split(key, rounds))
    return orders.reshape(-1)[: steps * size].reshape(steps, size)


def draw_batch(
    key: KeyArray, examples: Examples, rows: Int[Array, " b"], num_archs: int, image_rate: Any
) -> Examples:
    """Returns tasks with a share of their images, and with architectures drawn among those run on them."""
    key_images, key_archs = jax.random.split(key)
    tasks = Examples(*(part[rows] for part in examples))
    shown = jax.random.bernoulli(key_images, image_rate, tasks.mask.shape)
    score = jnp.where(tasks.was_run, jax.random.uniform(key_archs, tasks.was_run.shape), -1.0)
    archs = jax.lax.top_k(score, num_archs)[1]
    return tasks._replace(
        mask=tasks.mask & shown,
        phenotype=jnp.take_along_axis(tasks.phenotype, archs[..., None], axis=1),
        target=jnp.take_along_axis(tasks.target, archs, axis=1),
        was_run=jnp.take_along_axis(tasks.was_run, archs, axis=1),
    )
