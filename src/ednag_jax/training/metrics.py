"""`metrics.jsonl` and `curves.png`: how every epoch of a training went."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from ednag_jax.figures import COLOURS, new_figure
from ednag_jax.storage import DataError, write_atomic

FILE, CURVES = "metrics.jsonl", "curves.png"


class EpochMetrics(NamedTuple):
    """How an epoch went; accuracies in percent."""

    epoch: int
    """From 1."""
    learning_rate: float
    loss: float
    """Mean cross entropy of the batches, each before the step on it."""
    train_accuracy: float
    """Of the same batches, moved at random as they were."""
    held_out_accuracy: float | None
    """After the epoch, of the images held out; None where there are none."""
    seconds: float


def read_metrics(folder: Path, num_epochs: int) -> list[EpochMetrics]:
    """Returns the first so many epochs; those after the last checkpoint are run again.

    Raises:
        DataError: the file is damaged, or has fewer.
    """
    path = folder / FILE
    lines = path.read_text().splitlines()[:num_epochs] if path.is_file() else []
    try:
        rows = [EpochMetrics(**json.loads(line)) for line in lines]
    except (ValueError, TypeError) as error:
        raise DataError(f"{str(path)!r} is damaged ({error}); empty the folder and train anew") from error
    if [row.epoch for row in rows] != list(range(1, num_epochs + 1)):
        raise DataError(
            f"{str(path)!r} has {len(rows)} of the {num_epochs} epochs of the checkpoint beside it; empty the "
            "folder and train anew"
        )
    return rows


def write_metrics(folder: Path, rows: Sequence[EpochMetrics]) -> None:
    """Writes one line of JSON an epoch, all or nothing."""
    write_atomic(folder / FILE, "".join(json.dumps(row._asdict(), allow_nan=False) + "\n" for row in rows))


def learning_curves(rows: Sequence[EpochMetrics]) -> Figure:
    """Returns two panels over the epochs: the loss, and the accuracies."""
    figure, (loss, accuracy) = new_figure(2)
    epochs = [row.epoch for row in rows]
    marker = "o" if len(rows) == 1 else ""  # one point makes no line
    loss.plot(epochs, [row.loss for row in rows], color=COLOURS[0], marker=marker)
    loss.set(xlabel="epoch", ylabel="cross entropy of the batches", yscale="log")
    accuracy.plot(
        epochs, [row.train_accuracy for row in rows], color=COLOURS[0], marker=marker, label="trained on"
    )
    held_out = [row.held_out_accuracy for row in rows if row.held_out_accuracy is not None]
    if held_out:
        accuracy.plot(
            epochs, held_out, color=COLOURS[1], marker=marker, label=f"held out, last {held_out[-1]:.1f} %"
        )
    accuracy.set(xlabel="epoch", ylabel="accuracy (%)")
    accuracy.legend(frameon=False, loc="lower right")
    return figure
