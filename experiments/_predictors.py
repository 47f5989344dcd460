"""Predictors that experiments train: once, and kept beside their results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ednag_jax.config import PredictorTrainingConfig
from ednag_jax.meta import MetaTable
from ednag_jax.predictor import History, Predictor, load_predictor, make_predictor
from ednag_jax.predictor.recipe import BACKBONE

SMOKE = PredictorTrainingConfig(num_epochs=1, num_members=1, epochs_per_call=1)
SMOKE_BACKBONE = "untrained"


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
