"""One compiled program that trains any cell on one task, or several side by side, and says how well each does.

All cells of a task see the same images in the same order from the same start, so that what differs between
them is the cells: differences are less noisy than accuracies. Tasks of one image size share the program.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, UInt8

from ednag_jax.config import MetaConfig
from ednag_jax.meta.tasks import HELD_OUT_IMAGES, MAX_CLASSES, MAX_TRAIN, Task, held_out_images, task_images
from ednag_jax.networks import NasBench201Switch, initialise
from ednag_jax.spaces.nasbench201 import EDGES
from ednag_jax.types import KeyArray

EVAL_BATCH = 60
PERCENT = 100.0


class TaskArrays(NamedTuple):
    """What the program reads of a task, padded so that all tasks of an image size have the same shapes."""

    images: UInt8[Array, "n s s 3"]
    labels: Int[Array, " n"]
    held_out: UInt8[Array, "m s s 3"]
    held_out_labels: Int[Array, " m"]
    """-1 where there is no image."""
    mean: Float[Array, "3"]
    """Of each channel of the images to train on; pixels are in 0..255."""
    scale: Float[Array, "3"]
    num_train: Int[Array, ""]
    num_classes: Int[Array, ""]
    flip_rate: Float[Array, ""]
    max_shift: Int[Array, ""]


class Progress(NamedTuple):
    """What changes in training."""

    params: Any
    stats: Any
    optimiser: Any


def task_arrays(task: Task, directory: str | Path | None = None) -> TaskArrays:
    """Returns a task's images as the program takes them."""
    train, held_out = task_images(task, directory), held_out_images(task, directory)
    pixels = train.images.astype(np.float32)
    return TaskArrays(
        images=jnp.asarray(_padded(train.images, MAX_TRAIN, 0)),
        labels=jnp.asarray(_padded(train.labels, MAX_TRAIN, 0)),
        held_out=jnp.asarray(_padded(held_out.images, HELD_OUT_IMAGES, 0)),
        held_out_labels=jnp.asarray(_padded(held_out.labels, HELD_OUT_IMAGES, -1)),
        mean=jnp.asarray(pixels.mean((0, 1, 2))),
        scale=jnp.asarray(1 / (pixels.std((0, 1, 2)) + 1)),  # + 1: a channel may be one grey everywhere
        num_train=jnp.int32(len(train)),
        num_classes=jnp.int32(len(task.classes)),
        flip_rate=jnp.float32(0.5 if task.flips else 0),
        max_shift=jnp.int32(task.max_shift),
    )


def train_cells(
    phenotype: Int[np.ndarray, "a e"],
    arrays: TaskArrays,
    *,
    seed: int,
    config: MetaConfig,
    at_once: int | None = None,
) -> Float[np.ndarray, " a"]:
    """Returns the held-out accuracy of every cell after training, in percent; NaN where training diverged.

    Args:
        phenotype: cells of NAS-Bench-201.
        arrays: of the task.
        seed: of start, order of images and their random flips and shifts.
        config: the recipe.
        at_once: cells trained side by side; another number compiles anew. By default all, but on a CPU one:
            there a cell alone runs no operation that it does not have (`perf/meta.py` times both).
    """
    key_start, key_steps = jax.random.split(jax.random.key(seed))
    start = _start(key_start, arrays.images.shape[1], network(config))
    order = jnp.asarray(image_order(int(arrays.num_train), seed, config))
    at_once = at_once or (1 if jax.default_backend() == "cpu" else len(phenotype))
    cells = jnp.asarray(phenotype, jnp.int32)
    if at_once == 1:
        found = [_trained(start, cell, arrays, order, key_steps, config=config) for cell in cells]
        return np.array(found, np.float32)
    shares = [cells[first : first + at_once] for first in range(0, len(cells), at_once)]
    side_by_side = [_all_trained(start, share, arrays, order, key_steps, config=config) for share in shares]
    return np.concatenate(side_by_side)


def image_order(num: int, seed: int, config: MetaConfig) -> Int[np.ndarray, "t b"]:
    """Returns which images every step sees: one random order of all `num` after another."""
    total, rng = config.num_steps * config.batch_size, np.random.default_rng(seed)
    rounds = [rng.permutation(num) for _ in range(-(-total // num))]
    return np.concatenate(rounds)[:total].reshape(config.num_steps, config.batch_size).astype(np.int32)


def network(config: MetaConfig) -> NasBench201Switch:
    """Returns the network that computes whichever cell it is called with."""
    return NasBench201Switch(MAX_CLASSES, config.channels, config.num_cells)


def _start(key: KeyArray, size: int, module: NasBench201Switch) -> dict[str, Any]:
    """Returns the variables that every cell starts from."""
    return initialise(module, key, (size, size, 3), jnp.zeros(len(EDGES), jnp.int32))


@partial(jax.jit, static_argnames="config")
def _trained(
    start: dict[str, Any],
    cell: Int[Array, " e"],
    arrays: TaskArrays,
    order: Int[Array, "t b"],
    key: KeyArray,
    *,
    config: MetaConfig,
) -> Float[Array, ""]:
    """Returns the held-out accuracy of one cell after training."""
    module, optimiser = network(config), _optimiser(config)
    gradient = jax.grad(_loss, has_aux=True)

    def step(at: Progress, row: tuple[Array, Array]) -> tuple[Progress, None]:
        images, labels = _batch(row[0], arrays, row[1])
        change, stats = gradient(at.params, at.stats, cell, (images, labels, arrays.num_classes), module)
        updates, state = optimiser.update(change, at.optimiser, at.params)
        return Progress(optax.apply_updates(at.params, updates), stats, state), None

    at = Progress(start["params"], start["batch_stats"], optimiser.init(start["params"]))
    at, _ = jax.lax.scan(step, at, (jax.random.split(key, len(order)), order))
    return _accuracy(at, cell, arrays, module)


@partial(jax.jit, static_argnames="config")
def _all_trained(
    start: dict[str, Any],
    cells: Int[Array, "a e"],
    arrays: TaskArrays,
    order: Int[Array, "t b"],
    key: KeyArray,
    *,
    config: MetaConfig,
) -> Float[Array, " a"]:
    """Returns the held-out accuracies of cells that are trained side by side."""
    return jax.vmap(lambda cell: _trained(start, cell, arrays, order, key, config=config))(cells)


def _optimiser(config: MetaConfig) -> optax.GradientTransformation:
    """Returns SGD with Nesterov's momentum, a warm-up, then a cosine."""
    warmup = round(config.warmup * config.num_steps)
    rate = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warmup, config.num_steps)
    decay = optax.add_decayed_weights(config.weight_decay)
    return optax.chain(decay, optax.sgd(rate, config.momentum, nesterov=True))


def _loss(
    params: Any, stats: Any, cell: Int[Array, " e"], batch: Any, module: NasBench201Switch
) -> tuple[Float[Array, ""], Any]:
    """Returns a cell's cross entropy on a batch, and the averages of its normalisations."""
    images, labels, num_classes = batch
    variables = {"params": params, "batch_stats": stats}
    logits, changed = module.apply(variables, images, cell, train=True, mutable=["batch_stats"])
    entropy = optax.softmax_cross_entropy_with_integer_labels(_masked(logits, num_classes), labels)
    return jnp.mean(entropy), changed["batch_stats"]


def _masked(logits: Float[Array, "b k"], num_classes: Int[Array, ""]) -> Float[Array, "b k"]:
    """Returns logits that rule out the classes that a task does not have."""
    return jnp.where(jnp.arange(logits.shape[-1]) < num_classes, logits, -1e9)


def _batch(
    key: KeyArray, arrays: TaskArrays, rows: Int[Array, " b"]
) -> tuple[Float[Array, "b s s 3"], Int[Array, " b"]]:
    """Returns the images of a step, flipped and shifted at random, and their labels."""
    key_flips, key_shifts = jax.random.split(key)
    flips = jax.random.bernoulli(key_flips, arrays.flip_rate, rows.shape)
    shifts = jax.random.randint(key_shifts, (2, *rows.shape), -arrays.max_shift, arrays.max_shift + 1)
    moved = moved_images(arrays.images[rows], flips, shifts)
    return _normalised(moved, arrays), arrays.labels[rows]


def moved_images(
    images: UInt8[Array, "b s s 3"], flips: Bool[Array, " b"], shifts: Int[Array, "2 b"]
) -> UInt8[Array, "b s s 3"]:
    """Returns images mirrored left to right where `flips` says so, then moved down and right by `shifts`.

    The pixels at the border are repeated into what becomes free.
    """
    size = images.shape[1]
    at = jnp.clip(jnp.arange(size) - shifts[..., None], 0, size - 1)
    columns = jnp.where(flips[:, None], size - 1 - at[1], at[1])
    which = jnp.arange(len(images))[:, None, None]
    return images[which, at[0][:, :, None], columns[:, None, :]]


def _normalised(images: UInt8[Array, "b s s 3"], arrays: TaskArrays) -> Float[Array, "b s s 3"]:
    return (images.astype(jnp.float32) - arrays.mean) * arrays.scale


def _accuracy(
    at: Progress, cell: Int[Array, " e"], arrays: TaskArrays, module: NasBench201Switch
) -> Float[Array, ""]:
    """Returns a cell's share of held-out images that are right, in percent; NaN after it diverged.

    All variables are looked at: XLA's maximum on a CPU turns NaN into 0, so logits stay finite behind a relu.
    """
    variables = {"params": at.params, "batch_stats": at.stats}

    def right(batch: tuple[Array, Array]) -> Int[Array, ""]:
        logits: Any = module.apply(variables, _normalised(batch[0], arrays), cell)
        return jnp.sum(jnp.argmax(_masked(logits, arrays.num_classes), axis=-1) == batch[1])

    in_batches = jax.tree.map(
        lambda leaf: leaf.reshape(-1, EVAL_BATCH, *leaf.shape[1:]), (arrays.held_out, arrays.held_out_labels)
    )
    share = jnp.sum(jax.lax.map(right, in_batches)) / jnp.sum(arrays.held_out_labels >= 0)
    return jnp.where(_is_finite(variables), PERCENT * share, jnp.nan)


def _is_finite(variables: Any) -> Bool[Array, ""]:
    """Returns whether every number is finite."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(variables)]))


def _padded(values: np.ndarray, length: int, fill: int) -> np.ndarray:
    """Returns the first `length` rows, with rows of `fill` after them where there are fewer."""
    rest = np.full((max(length - len(values), 0), *values.shape[1:]), fill, values.dtype)
    return np.concatenate([values[:length], rest])
