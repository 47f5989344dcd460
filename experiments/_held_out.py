"""Predictors that have not seen some of the tasks of the meta-training data, and how they do on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from ednag_jax.config import PredictorConfig, PredictorTrainingConfig
from ednag_jax.meta import MetaTable, task_images
from ednag_jax.predictor import (
    Predictor,
    Target,
    data_set_of,
    encode_dataset,
    load_predictor,
    save_predictor,
    score,
    task_quality,
    train_predictor,
)
from ednag_jax.predictor.evaluation import rank_correlation
from ednag_jax.predictor.examples import TaskTable
from ednag_jax.spaces import SPACES

FOLDS = (
    ("digits/0", "cifar10/0"),
    ("digits/1", "cifar10/1"),
    ("mnist/0", "cifar100/0"),
    ("mnist/1", "cifar100/1"),
)
"""Groups held out in each round; no two groups share an image."""
TRAINING = PredictorTrainingConfig(num_epochs=20)
"""Stopped by the tasks of a group that is neither learnt from nor told, drawn by the seed."""
SMOKE = PredictorTrainingConfig(num_epochs=2, num_members=1)


class Rounds(NamedTuple):
    """All that the rounds of one experiment share."""

    meta: MetaTable
    table: TaskTable
    out: Path
    backbone: str
    smoke: bool


def rounds(about: Rounds, *, blind: bool = False) -> Iterator[tuple[Predictor, list[int]]]:
    """Yields the predictor of each round and the rows of the tasks that it has not seen.

    Trained once and kept: from the tasks of the other groups, of which one is held out to stop by.
    """
    table = about.table
    for number, groups in enumerate(FOLDS):
        rows = [row for row, group in enumerate(table.groups) if group in groups]
        if rows:
            kind = "blind" if blind else "seeing"
            path = about.out / "parts" / f"{kind} {number} {table.table_hash[:12]}.npz"
            yield load_predictor(path) if path.is_file() else _trained(about, rows, path, blind), rows


def _trained(about: Rounds, rows: list[int], path: Path, blind: bool) -> Predictor:
    """Returns the predictor that learnt from all tasks but those in some rows, and keeps it."""
    predictor, history = train_predictor(
        about.table.take([row for row in range(len(about.table.tasks)) if row not in rows]),
        space=SPACES["nasbench201"],
        backbone=about.backbone,
        config=PredictorConfig(blind=blind),
        training=SMOKE if about.smoke else TRAINING,
        directory=path.with_suffix(""),
    )
    print(f"{path.stem}: trained, loss {float(history.loss[:, -1].mean()):.4f}", flush=True)
    save_predictor(predictor, path)
    return predictor


def held_out_correlations(about: Rounds, *, blind: bool = False) -> np.ndarray:
    """Returns Spearman's correlation of predicted and measured accuracy on every task, each held out once."""
    correlation = np.full(len(about.table.tasks), np.nan)
    for predictor, rows in rounds(about, blind=blind):
        correlation[rows] = task_quality(predictor, about.table.take(rows)).spearman
    return correlation


def of_selection(about: Rounds, selection: str, draws: int, directory: Path | None) -> tuple[float, float]:
    """Returns how far encodings move between draws of the images, and the rank correlation they give.

    The first is the variance over draws as a share of that among the tasks learnt from, mean over tasks.
    """
    moved, correlation = [], []
    for predictor, rows in rounds(about):
        among_tasks = np.asarray(predictor.task_vectors).var(axis=1).sum(axis=-1)
        for row in rows[:2] if about.smoke else rows:
            drawn = [_drawn(about, predictor, row, (selection, draw, directory)) for draw in range(draws)]
            vectors = [np.asarray(target.dataset) for target in drawn]
            moved.append(np.mean(np.var(vectors, axis=0, ddof=1).sum(axis=-1) / among_tasks))
            for target in drawn:
                said = score(predictor, target, about.table.phenotype[row]).mean
                correlation.append(rank_correlation(np.asarray(said), about.table.accuracy[row]))
    return float(np.mean(moved)), float(np.nanmean(correlation))


def _drawn(about: Rounds, predictor: Predictor, row: int, draw: tuple[str, int, Path | None]) -> Target:
    """Returns the predictor turned to a task, by images that one (selection, draw, data directory) chooses."""
    selection, number, directory = draw
    task = about.meta.tasks[row]
    key = jax.random.fold_in(jax.random.key(number), task.index)
    images = task_images(task, directory)
    return encode_dataset(predictor, *data_set_of(images, about.backbone, key=key, selection=selection))
