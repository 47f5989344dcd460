"""Trains one architecture on images for real; what was stopped goes on, and ends as if it had not been."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, UInt8

from ednag_jax.config import TrainingConfig
from ednag_jax.figures import save
from ednag_jax.images import ImageSet
from ednag_jax.networks import initialise
from ednag_jax.training.batches import Split, TrainingData, normalisation_of, stratified_split
from ednag_jax.training.checkpoints import checkpoints, files_digest
from ednag_jax.training.description import adopted, describe, write_description
from ednag_jax.training.metrics import CURVES, EpochMetrics, learning_curves, read_metrics, write_metrics
from ednag_jax.training.saved import CHECKPOINT, Trained, load_trained
from ednag_jax.training.sizes import network_settings, sized_network
from ednag_jax.training.steps import PERCENT, TrainState, first_state, learning_rate, probabilities, run_epoch
from ednag_jax.types import HostPhenotype

Report: TypeAlias = Callable[[EpochMetrics, int], None]
"""`report(how the epoch went, epochs of the training)`, called on the host after every epoch."""


class Material(NamedTuple):
    """What a network learns from, and what it is measured by."""

    data: TrainingData
    held_out: UInt8[np.ndarray, "m h w 3"]
    held_out_labels: Int[np.ndarray, " m"]


def train_network(
    space_name: str,
    phenotype: HostPhenotype,
    images: ImageSet,
    out: str | Path,
    *,
    held_out: ImageSet | None = None,
    network: Mapping[str, Any] | None = None,
    config: TrainingConfig | None = None,
    report: Report | None = None,
) -> Trained:
    """Trains an architecture on images, writes it to a folder, and returns it.

    The folder gets `architecture.json` (all that it takes to build the network and to use it), `checkpoint/`
    (orbax), `metrics.jsonl` (a line an epoch) and `curves.png`. A training that was stopped, in any way, goes
    on from its last checkpoint when it is started again, and ends bitwise as it would have without the stop;
    one that is finished is read.

    Args:
        space_name: a key of `networks.NETWORKS`.
        phenotype: a valid one of that space.
        images: to train on, but for the share of every class that the recipe holds out.
        out: the folder, made if need be.
        held_out: images to measure by in place of that share, such as a test set; all of `images` are then
            trained on.
        network: settings of the space's builder, such as `channels` and `num_cells`, in place of the small ones
            of `sizes.SMALL`.
        config: the recipe.
        report: called after every epoch.

    Raises:
        ValueError: images, phenotype or settings that do not fit together, or a folder of another training.
        FloatingPointError: the loss is no longer a number; the text says what to lower.
        DataError: files in the folder are damaged.
        OSError: the folder cannot be written, or its disk is full.
    """
    config, out = config or TrainingConfig(), Path(out)
    material = _material(images, held_out, config)
    settings = network_settings(space_name, network)
    module = sized_network(
        space_name,
        phenotype,
        num_classes=len(images.classes),
        image_shape=images.images.shape[1:],
        settings=settings,
    )
    described = describe(
        space_name,
        phenotype,
        images,
        held_out=held_out,
        settings=settings,
        normalisation=material.data.normalisation,
        config=config,
    )
    description = adopted(out, described)
    if description["result"] is None:
        with _disk_errors(out):
            _train(material, out, description, module=module, config=config, report=report)
    return load_trained(out)


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """Says of an error of the system, such as a full disk, where it was and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # says so already
            raise
        raise OSError(
            f"folder {str(out)!r} cannot be written ({error.strerror}): make room, then start the same "
            "training again; it goes on from its last checkpoint"
        ) from error


def _train(
    material: Material,
    out: Path,
    description: dict[str, Any],
    *,
    module: nn.Module,
    config: TrainingConfig,
    report: Report | None,
) -> None:
    """Runs the epochs that are left, and writes what came of all of them."""
    start = first_state(initialise(module, jax.random.key(config.seed), material.data.images.shape[1:]))
    with checkpoints(out / CHECKPOINT) as folder:
        state, done = folder.latest(start)
        rows = read_metrics(out, done)
        for epoch in range(done, config.num_epochs):
            state, row = _epoch(state, material, epoch, module=module, config=config)
            rows.append(row)
            write_metrics(out, rows)
            if row.epoch % config.checkpoint_every == 0 or row.epoch == config.num_epochs:
                folder.save(state, row.epoch)
            if report is not None:
                report(row, config.num_epochs)
    save(learning_curves(rows), out / CURVES)
    result = {**rows[-1]._asdict(), "seconds": sum(row.seconds for row in rows)}
    digest = files_digest(out / CHECKPOINT)
    write_description(out, {**description, "result": {**result, "digest": digest}})


def _epoch(
    state: TrainState, material: Material, epoch: int, *, module: nn.Module, config: TrainingConfig
) -> tuple[TrainState, EpochMetrics]:
    """Returns the state after an epoch, and how it went.

    Raises:
        FloatingPointError: the loss or a parameter is no number.
    """
    start, rate = time.perf_counter(), learning_rate(config, epoch)
    state, tally = run_epoch(state, material.data, epoch, module=module, config=config)
    loss = float(tally.loss)
    if not (math.isfinite(loss) and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.variables))):
        raise FloatingPointError(
            f"the training diverged in epoch {epoch + 1} of {config.num_epochs} (mean loss {loss:g}, learning "
            f"rate {rate:.3g}): lower learning_rate, now {config.learning_rate:g}, to a tenth of it, and train "
            "into another folder"
        )
    row = EpochMetrics(
        epoch=epoch + 1,
        learning_rate=rate,
        loss=loss,
        train_accuracy=PERCENT * float(tally.right),
        held_out_accuracy=_accuracy(state, material, module),
        seconds=0.0,
    )
    return state, row._replace(seconds=time.perf_counter() - start)


def _accuracy(state: TrainState, material: Material, module: nn.Module) -> float | None:
    """Returns how many of the images held out are right, in percent; None where there are none."""
    if not len(material.held_out):
        return None
    said = probabilities(state.variables, material.held_out, material.data.normalisation, module=module)
    return PERCENT * float(np.mean(said.argmax(axis=1) == material.held_out_labels))


def _material(images: ImageSet, held_out: ImageSet | None, config: TrainingConfig) -> Material:
    """Returns images divided and normalised.

    Raises:
        ValueError: too few of them, or two sets that do not fit together.
    """
    if held_out is None:
        split = stratified_split(images.labels, share=config.held_out, seed=config.seed)
        kept, kept_labels = images.images[split.held_out], images.labels[split.held_out]
    else:
        _check_pair(images, held_out)
        split = Split(np.arange(len(images)), np.arange(0))
        kept, kept_labels = held_out.images, held_out.labels
    if len(split.train) < 2:
        raise ValueError(
            f"{images.name!r} has {len(split.train)} images to train on, at least 2 are needed: batch "
            "normalisation compares the images of a batch"
        )
    if held_out is None and config.held_out > 0 and not len(kept):
        raise ValueError(
            f"{images.name!r} has one image a class, so none can be held out: add images, or set held_out=0"
        )
    train = images.images[split.train]
    data = TrainingData(jnp.asarray(train), jnp.asarray(images.labels[split.train]), normalisation_of(train))
    return Material(data, kept, kept_labels)


def _check_pair(images: ImageSet, held_out: ImageSet) -> None:
    """Raises ValueError where what is held out is of other classes or another size."""
    if held_out.classes != images.classes:
        raise ValueError(
            f"{held_out.name!r} has the classes {', '.join(held_out.classes)}, expected those of "
            f"{images.name!r}: {', '.join(images.classes)}"
        )
    ours, theirs = images.images.shape[1:3], held_out.images.shape[1:3]
    if ours != theirs:
        raise ValueError(
            f"{held_out.name!r} has images of {theirs} pixels, expected {ours} as in {images.name!r}; load "
            "both with the same size"
        )
