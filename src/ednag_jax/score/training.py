"""Training of networks that read noisy cells: Adam, a moving average of the weights, checkpoints between calls.

Weights are one flat vector: an update is a few long operations, not a few for each of many arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from ednag_jax.config import check_range
from ednag_jax.config.score import ScoreConfig, ScoreTrainingConfig
from ednag_jax.predictor.checkpoint import run_folder
from ednag_jax.score.cells import NUM_NODES, NUM_TYPES, as_matrix
from ednag_jax.score.network import ScoreNetwork, applied
from ednag_jax.score.sde import sigma_at
from ednag_jax.spaces import NasBench201
from ednag_jax.types import KeyArray, Params

LEAST_TIME = 1e-5
"""Of the times that are learnt from, as published."""
LossFn: TypeAlias = Callable[..., Float[Array, ""]]
"""`loss(weights, key, data, batch_size, network=network)`: it draws its own batch of the data."""
Report: TypeAlias = Callable[[int, float], None]
"""`report(steps done, mean loss of the last call)`."""


class TrainState(NamedTuple):
    """A training between two calls."""

    weights: Float[Array, " n"]
    average: Float[Array, " n"]
    """Moving average of the weights."""
    optimiser: optax.OptState
    loss: Float[Array, ""]
    """Mean of the last call."""


class Trained(NamedTuple):
    """What a training gives."""

    weights: Params
    """The moving average."""
    loss: tuple[float, ...]
    """Of every call in this process; none where all was done before."""


def optimiser_for(training: ScoreTrainingConfig) -> optax.GradientTransformation:
    """Returns Adam with a warm-up and clipped gradients; its rate may fall along a cosine."""

    def rate(step: Array) -> Array:
        fallen = 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(step / training.num_steps, 1.0)))
        share = training.final_rate + (1 - training.final_rate) * fallen
        return training.learning_rate * share * jnp.minimum((step + 1) / training.warmup_steps, 1.0)

    return optax.chain(optax.clip_by_global_norm(training.clip_norm), optax.adam(rate))


@lru_cache(maxsize=16)
def unraveller(network: nn.Module) -> Callable[[Float[Array, " n"]], Params]:
    """Returns the function from a flat vector to the weights of a network."""
    shapes = jax.eval_shape(network.init, jax.random.key(0), *smallest_inputs(network))
    # NumPy's zeros: nothing of whichever program is being traced may outlive it in the cache.
    return ravel_pytree(jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes))[1]


def smallest_inputs(network: nn.Module) -> tuple[Array, ...]:
    """Returns inputs of a network, of one cell, as its weights' shapes are found with."""
    inputs = (jnp.zeros((1, NUM_NODES, NUM_TYPES)), jnp.ones(1))
    return inputs if isinstance(network, ScoreNetwork) else (*inputs, jnp.zeros((1, network.num_encoding)))


@partial(jax.jit, static_argnames=("network",))
def first_weights(key: KeyArray, *, network: nn.Module) -> Float[Array, " n"]:
    """Returns the weights that a key draws."""
    return ravel_pytree(network.init(key, *smallest_inputs(network)))[0]


@partial(jax.jit, static_argnames=("loss", "network", "count"))
def run_steps(
    state: TrainState,
    key: KeyArray,
    start: Int[Array, ""],
    data: Any,
    training: ScoreTrainingConfig,
    *,
    loss: LossFn,
    network: nn.Module,
    count: int,
) -> TrainState:
    """Returns the state after `count` more steps, of which the first has the number `start`.

    Step i draws from `fold_in(key, i)`, so a training cut into calls draws the same numbers.

    Args:
        state: before.
        key: of the whole training.
        start: steps that there were before.
        data: what the loss draws its batches of.
        training: rates may change without compiling anew.
        loss: see `LossFn`.
        network: what is trained.
        count: of steps.
    """
    optimiser, unravel = optimiser_for(training), unraveller(network)

    def step(state: TrainState, number: Array) -> tuple[TrainState, Array]:
        def of_weights(weights: Array) -> Array:
            key_step = jax.random.fold_in(key, number)
            return loss(unravel(weights), key_step, data, training.batch_size, network=network)

        value, gradient = jax.value_and_grad(of_weights)(state.weights)
        change, progress = optimiser.update(gradient, state.optimiser)
        weights = state.weights + change
        # Shorter at first, or the average would long hold the first weights.
        decay = jnp.minimum(training.ema_rate, (1.0 + number) / (10.0 + number))
        average = decay * state.average + (1 - decay) * weights
        return TrainState(weights, average, progress, value), value

    state, losses = jax.lax.scan(step, state, start + jnp.arange(count))
    return state._replace(loss=jnp.mean(losses))


def train(
    key: KeyArray,
    data: Any,
    training: ScoreTrainingConfig,
    *,
    loss: LossFn,
    network: nn.Module,
    about: dict[str, Any],
    directory: str | Path | None = None,
    report: Report | None = None,
) -> Trained:
    """Returns what a network learns; a training that stopped goes on, and ends as it would have.

    Args:
        key: of the first weights and of all draws.
        data: what the loss draws its batches of.
        training: how long, and at what rates.
        loss: see `LossFn`.
        network: what is trained.
        about: what tells this training from others, beside its settings.
        directory: where the latest checkpoint is kept; None keeps none.
        report: called after every `steps_per_call` steps.

    Raises:
        ValueError: a directory of another training.
        DataError: a checkpoint that is cut or altered.
    """
    key_first, key_steps = jax.random.split(key)
    weights = first_weights(key_first, network=network)
    state = TrainState(weights, weights, optimiser_for(training).init(weights), jnp.zeros(()))
    history = []
    with run_folder(directory, {**about, "training": asdict(training)}) as folder:
        state, done = folder.latest(state)
        while done < training.num_steps:
            count = min(training.steps_per_call, training.num_steps - done)
            state = run_steps(
                state, key_steps, jnp.int32(done), data, training, loss=loss, network=network, count=count
            )
            done += count
            folder.save(state, done)
            history.append(float(state.loss))
            if report is not None:
                report(done, history[-1])
    return Trained(unraveller(network)(state.average), tuple(history))


def matching_loss(
    weights: Params,
    key: KeyArray,
    matrices: Float[Array, "m v o"],
    batch_size: int,
    *,
    network: ScoreNetwork,
) -> Float[Array, ""]:
    """Returns (sigma score(x_0 + sigma z, sigma) + z)^2, mean over numbers and a batch.

    This is denoising score matching. Times are drawn uniformly, so that every order of noise counts alike.
    """
    key_rows, key_noise, key_drop = jax.random.split(key, 3)
    clean = matrices[jax.random.randint(key_rows, (batch_size,), 0, len(matrices))]
    noisy, sigma, noise = noised(key_noise, clean, network.config)
    said = applied(network, weights, noisy, sigma, train=True, rngs={"dropout": key_drop})
    return jnp.mean(jnp.square(sigma[:, None, None] * said + noise))


def noised(
    key: KeyArray, clean: Float[Array, "n v o"], config: ScoreConfig
) -> tuple[Float[Array, "n v o"], Float[Array, " n"], Float[Array, "n v o"]]:
    """Returns cells with noise, the deviation of each one's, and the noise in units of it."""
    key_time, key_noise = jax.random.split(key)
    time = jax.random.uniform(key_time, (len(clean),), minval=LEAST_TIME)
    sigma, noise = sigma_at(time, config), jax.random.normal(key_noise, clean.shape)
    return clean + sigma[:, None, None] * noise, sigma, noise


def learnt_cells(key: KeyArray, share: float) -> Int[Array, "m e"]:
    """Returns a share of the cells of NAS-Bench-201, drawn without replacement; 1 is all of them.

    Raises:
        ValueError: a share out of (0, 1].
    """
    check_range("share", share, 1e-4, 1)
    space = NasBench201()
    rows = jax.random.permutation(key, space.size)[: max(round(share * space.size), 1)]
    return space.from_index(rows)


def train_score(
    config: ScoreConfig | None = None,
    training: ScoreTrainingConfig | None = None,
    *,
    share: float = 0.5,
    seed: int = 0,
    directory: str | Path | None = None,
    report: Report | None = None,
) -> tuple[Trained, Int[Array, "m e"]]:
    """Returns a score network trained on cells, without an accuracy, and the cells that it learnt from.

    Args:
        config: shape of the network; default is the published one.
        training: how it is trained; default is as published, which takes a CPU days.
        share: of the 15,625 cells; half of them leaves cells that show what is new among those generated.
        seed: of the cells and of the training.
        directory: where the latest checkpoint is kept; a training that stopped there goes on.
        report: called after every `steps_per_call` steps.

    Raises:
        ValueError: a share out of (0, 1], or a directory of another training.
        DataError: a checkpoint that is cut or altered.
    """
    config, training = config or ScoreConfig(), training or ScoreTrainingConfig()
    key_cells, key_train = jax.random.split(jax.random.key(seed))
    cells = learnt_cells(key_cells, share)
    about = {"kind": "score", "config": asdict(config), "share": share, "seed": seed}
    trained = train(
        key_train,
        as_matrix(cells),
        training,
        loss=matching_loss,
        network=ScoreNetwork(config),
        about=about,
        directory=directory,
        report=report,
    )
    return trained, cells
