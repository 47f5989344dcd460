"""One step of stochastic gradient descent, one epoch of them, and what a network says of images.

A step is a program of its own that the host calls: on a CPU, gradients of convolutions take 3 to 8 times as
long inside a loop of XLA's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, UInt8

from ednag_jax.config import TrainingConfig
from ednag_jax.training.batches import Normalisation, TrainingData, augmented, epoch_order, normalised
from ednag_jax.types import KeyArray, Scalar

EVALUATION_BATCH = 256
PERCENT = 100.0


class TrainState(NamedTuple):
    """What a step changes."""

    variables: dict[str, Any]
    """`params`, and of a network that normalises batches their averages, `batch_stats`."""
    optimiser: Any
    """The momentum of every parameter, as optax keeps it."""


class Rates(NamedTuple):
    """The recipe's numbers; traced, so that another recipe compiles nothing anew."""

    learning_rate: Scalar
    momentum: Scalar
    weight_decay: Scalar
    flip_rate: Scalar


class Tally(NamedTuple):
    """How a step went, before it changed anything."""

    loss: Float[Array, ""]
    """Mean cross entropy of the batch."""
    right: Float[Array, ""]
    """Share of the batch."""


def optimiser(rates: Rates) -> optax.GradientTransformation:
    """Returns stochastic gradient descent: weight decay on every parameter, Nesterov's momentum."""
    descent = optax.sgd(rates.learning_rate, rates.momentum, nesterov=True)
    return optax.chain(optax.add_decayed_weights(rates.weight_decay), descent)


def training_key(config: TrainingConfig) -> KeyArray:
    """Returns the key of a training's random moves."""
    return jax.random.key(config.seed)


def first_state(variables: dict[str, Any]) -> TrainState:
    """Returns the state that training starts from, with the network's variables as drawn."""
    return TrainState(variables, optimiser(Rates(0.0, 0.0, 0.0, 0.0)).init(variables["params"]))


def learning_rate(config: TrainingConfig, epoch: int) -> float:
    """Returns the learning rate of an epoch, counted from 0: a cosine that would be 0 after the last.

    It stays as it is through an epoch, as in the release.

    >>> learning_rate(TrainingConfig(), 0), learning_rate(TrainingConfig(budget=1.0), 100)
    (0.1, 0.05)
    """
    return config.learning_rate * (1 + float(np.cos(np.pi * epoch / config.num_epochs))) / 2


@partial(jax.jit, static_argnames=("module", "padding"))
def train_step(
    state: TrainState,
    data: TrainingData,
    rows: Int[Array, " b"],
    key: KeyArray,
    rates: Rates,
    *,
    module: nn.Module,
    padding: int,
) -> tuple[TrainState, Tally]:
    """Returns the state after one step, and how the step went.

        v <- momentum v + g,    w <- w - learning_rate (g + momentum v),    g = gradient + weight_decay w,

    as torch has Nesterov's momentum; the decay is on every parameter.

    Args:
        state: before the step.
        data: all images that are trained on.
        rows: of the batch.
        key: consumed, by random moves and by what the network draws.
        rates: of the recipe.
        module: the network.
        padding: of the random moves, pixels.
    """
    key_moves, key_network = jax.random.split(key)
    moved = augmented(key_moves, data.images[rows], rates.flip_rate, padding)
    images, labels = normalised(moved, data.normalisation), data.labels[rows]

    def loss(params: Any) -> tuple[Float[Array, ""], tuple[dict[str, Any], Float[Array, "b k"]]]:
        variables, rngs = {**state.variables, "params": params}, {"dropout": key_network}
        logits: Any
        logits, changed = module.apply(variables, images, train=True, mutable=["batch_stats"], rngs=rngs)
        entropy = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return jnp.mean(entropy), (dict(changed), logits)

    params = state.variables["params"]
    (value, (changed, logits)), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    updates, momentum = optimiser(rates).update(gradient, state.optimiser, params)
    variables = {**state.variables, **changed, "params": optax.apply_updates(params, updates)}
    return TrainState(variables, momentum), Tally(value, jnp.mean(jnp.argmax(logits, axis=-1) == labels))


def run_epoch(
    state: TrainState,
    data: TrainingData,
    epoch: int,
    *,
    module: nn.Module,
    config: TrainingConfig,
) -> tuple[TrainState, Tally]:
    """Returns the state after an epoch, and the means over its steps (host).

    What is drawn depends on the seed and the number of the epoch alone, so it is the same after any resume.
    """
    batch = config.batch_for(len(data.images))
    order = epoch_order(len(data.images), batch, seed=config.seed, epoch=epoch)
    keys = jax.random.split(jax.random.fold_in(training_key(config), epoch), len(order))
    rates = Rates(learning_rate(config, epoch), config.momentum, config.weight_decay, config.flip_rate)
    padding = config.padding_for(min(data.images.shape[1:3]))
    tallies = []
    for rows, key in zip(order, keys, strict=True):
        state, tally = train_step(state, data, rows, key, rates, module=module, padding=padding)
        tallies.append(tally)
    return state, Tally(*(jnp.mean(jnp.stack(values)) for values in zip(*tallies, strict=True)))


def probabilities(
    variables: dict[str, Any],
    images: UInt8[np.ndarray, "n h w 3"],
    normalisation: Normalisation,
    *,
    module: nn.Module,
    report: Callable[[int, int], None] | None = None,
) -> Float[np.ndarray, "n k"]:
    """Returns what a network gives every class of every image, as it is and without random moves (host).

    The last batch is filled up, so that no further program is compiled; `report(done, total)` is called after
    each.
    """
    size = min(EVALUATION_BATCH, max(len(images), 1))
    results = []
    for start in range(0, max(len(images), 1), size):
        batch = images[start : start + size]
        filled = np.zeros((size, *images.shape[1:]), np.uint8)
        filled[: len(batch)] = batch
        results.append(np.asarray(_softmax(variables, filled, normalisation, module=module))[: len(batch)])
        if report is not None:
            report(start + len(batch), len(images))
    return np.concatenate(results)


@partial(jax.jit, static_argnames="module")
def _softmax(
    variables: dict[str, Any],
    images: UInt8[Array, "b h w 3"],
    normalisation: Normalisation,
    *,
    module: nn.Module,
) -> Float[Array, "b k"]:
    logits: Any = module.apply(variables, normalised(images, normalisation))
    return nn.softmax(logits)
