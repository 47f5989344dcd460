"""`ednag predictor train`: a predictor from published tables and the meta-training data."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from rich.console import Console

from ednag_jax.config import PredictorTrainingConfig, check_choice
from ednag_jax.meta import read_table
from ednag_jax.predictor import History, make_predictor
from ednag_jax.predictor.recipe import META_SPACE, TRAINING


def predictor(
    action: Annotated[Literal["train"], tyro.conf.Positional],
    /,
    *,
    out: Path,
    space: str = META_SPACE,
    without: tuple[str, ...] = (),
    meta: Path | None = None,
    epochs: int | None = None,
    members: int = PredictorTrainingConfig.num_members,
    seed: int = 0,
    data_dir: Path | None = None,
) -> None:
    """Trains the predictor that `ednag generate` asks, from published tables and the meta-training data.

    Example: ednag predictor train --space darts --out darts.npz

    A training that was stopped goes on from the checkpoints in a folder beside the file. Features of images are
    computed once and kept in the cache folder; for all tasks of NAS-Bench-201 that takes 20 minutes.

    Args:
        action: train.
        out: file of the predictor, an .npz; its training curve is written beside it.
        space: nasbench201, transnas101_micro or darts. To the tables of the last two belong images of one data
            set or of none, so their predictors know architectures alone.
        without: groups of tasks that nothing is learnt from, such as nasbench201/cifar10 or digits/0.
        meta: a table that `ednag meta build` made; default is the one that comes with the package.
        epochs: of the training; default is the space's own.
        members: networks of the ensemble, whose spread is the uncertainty.
        seed: of all that is drawn.
        data_dir: folder of benchmark files and images; default is EDNAG_DATA_DIR.
    """
    check_choice("space", space, tuple(TRAINING))
    training = dataclasses.replace(TRAINING[space], num_members=members)
    training = training if epochs is None else dataclasses.replace(training, num_epochs=epochs)
    console, start = Console(stderr=True), time.monotonic()

    def seen(done: int, total: int) -> None:
        if done % 10 == 0 or done == total:
            console.print(f"images of {done} of {total} tasks read, {time.monotonic() - start:.0f} s")

    def report(epoch: int, history: History) -> None:
        loss = float(np.nanmean(np.asarray(history.loss)[:, -1]))
        console.print(
            f"epoch {epoch} of {training.num_epochs}: loss {loss:.4f}, {time.monotonic() - start:.0f} s"
        )

    made = make_predictor(
        space,
        without=without,
        meta=None if meta is None else read_table(meta),
        training=training,
        out=out,
        directory=data_dir,
        seed=seed,
        progress=seen,
        report=report,
    )
    kind = "blind: it knows architectures alone" if made.config.blind else f"features by {made.backbone}"
    print(f"predictor of {space} from {len(made.tasks)} tasks, {kind}; written to {out}")
