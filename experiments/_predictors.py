"""Predictors that experiments train: once, and kept beside their results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax

from ednag_jax.config import PredictorTrainingConfig
from ednag_jax.images import load_images
from ednag_jax.meta import MetaTable, read_table
from ednag_jax.predictor import (
    History,
    Predictor,
    Target,
    data_set_of,
    encode_dataset,
    load_predictor,
    make_predictor,
)
from ednag_jax.predictor.recipe import BACKBONE

SMOKE = PredictorTrainingConfig(num_epochs=1, num_members=1, epochs_per_call=1)
SMOKE_BACKBONE = "untrained"
TABLES_TRAINING = PredictorTrainingConfig(num_epochs=60)
"""On 8,000 accuracies of NAS-Bench-201: five times the epochs that are best with few of each task."""


def kept_predictor(
    path: Path,
    *,
    meta: MetaTable,
    without: Sequence[str],
    directory: Path | None,
    training: PredictorTrainingConfig | None = None,
    seed: int = 0,
    smoke: bool = False,
) -> Predictor:
    """Returns the predictor in a file, after training it where there is none.

    Args:
        path: of the file; a training that was stopped goes on.
        meta: the meta-training data, which may be of no task.
        without: groups of tasks that nothing is learnt from.
        directory: the data directory.
        training: default is the package's recipe.
        seed: of the training.
        smoke: an epoch on published tables alone, to see that everything runs.
    """
    if path.is_file():
        return load_predictor(path)

    def report(epoch: int, history: History) -> None:
        print(f"{path.stem}: epoch {epoch}, loss {float(history.loss[:, -1].mean()):.4f}", flush=True)

    return make_predictor(
        without=without,
        meta=meta.without(meta.groups) if smoke else meta,
        training=SMOKE if smoke else training,
        backbone=SMOKE_BACKBONE if smoke else BACKBONE,
        out=path,
        directory=directory,
        seed=seed,
        report=report,
    )


def predictor_without(
    dataset: str, folder: Path, directory: Path | None, *, seed: int = 0, smoke: bool = False
) -> Predictor:
    """Returns the predictor, kept in a folder, of NAS-Bench-201's tables but that of a data set."""
    meta = read_table()
    return kept_predictor(
        folder / f"without_{dataset}{f'_seed_{seed}' if seed else ''}.npz",
        meta=meta.without(meta.groups),
        without=[f"nasbench201/{dataset}"],
        directory=directory,
        training=TABLES_TRAINING,
        seed=seed,
        smoke=smoke,
    )


def turned(
    dataset: str, out: Path, directory: Path | None, *, seed: int = 0, smoke: bool = False
) -> tuple[Predictor, Target]:
    """Returns that predictor turned to the data set by the coreset of the same seed."""
    folder = out / "parts" if smoke else out.parent / "generate_nb201" / "parts"
    predictor = predictor_without(dataset, folder, directory, seed=seed, smoke=smoke)
    images = load_images(dataset, directory=directory)
    data = data_set_of(images, predictor.backbone, key=jax.random.key(seed))
    return predictor, encode_dataset(predictor, *data)
