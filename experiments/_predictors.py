"""Predictors that experiments train: once, and kept beside their results."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ednag_jax.meta import read_table
from ednag_jax.predictor import History, Predictor, load_predictor, make_predictor
from ednag_jax.predictor.recipe import BACKBONE, TRAINING

SMOKE = dataclasses.replace(TRAINING, num_epochs=1, num_members=1, epochs_per_call=1)
SMOKE_BACKBONE = "untrained"


def kept_predictor(
    path: Path, *, without: Sequence[str], directory: Path | None, smoke: bool = False
) -> Predictor:
    """Returns the predictor in a file, after training it by the package's recipe where there is none.

    Args:
        path: of the file; a training that was stopped goes on.
        without: groups of tasks that nothing is learnt from.
        directory: the data directory.
        smoke: an epoch on published tables alone, to see that everything runs.
    """
    if path.is_file():
        return load_predictor(path)

    def report(epoch: int, history: History) -> None:
        print(f"{path.stem}: epoch {epoch}, loss {float(history.loss[:, -1].mean()):.4f}", flush=True)

    meta = read_table().without(read_table().groups) if smoke else None
    return make_predictor(
        without=without,
        meta=meta,
        training=SMOKE if smoke else TRAINING,
        backbone=SMOKE_BACKBONE if smoke else BACKBONE,
        out=path,
        directory=directory,
        report=report,
    )
