"""How well the predictors of DARTS and TransNAS-Bench-101 micro order architectures that they have not seen.

Command: `make prove-spaces`; about ten minutes on 2 cores, and it goes on where it was interrupted.

The package's recipe learns from all but what is left out: all accuracies on one task, or those of a fifth of
the architectures on every task. Told is Spearman's rank correlation there, mean over the tasks asked about.
Images of two data sets are not to be had of either space, so both predictors are blind. The number of epochs
for DARTS, and which of its tasks are learnt from, were chosen by figures like these, which flatters them.

Expected: above 0.7 on architectures left out; on tasks of TransNAS-Bench-101 micro from 0.6 to 0.9, but for the
autoencoder's, which resemble no other's. From CIFAR-10 to SVHN and back a predictor of DARTS knows less than
the number of parameters does: trust it near CIFAR-10, elsewhere take a proxy (docs/proxies.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ednag_jax.experiments._comparison import write_rows
from ednag_jax.experiments._predictors import SMOKE, SMOKE_BACKBONE
from jaxtyping import Bool

from ednag_jax.config import PredictorConfig
from ednag_jax.predictor import Predictor, load_predictor, save_predictor, task_quality, train_predictor
from ednag_jax.predictor.evaluation import rank_correlation
from ednag_jax.predictor.examples import TaskTable
from ednag_jax.predictor.recipe import BLIND, LEFT_OUT, TRAINING
from ednag_jax.predictor.tables import space_table
from ednag_jax.proxies.fitness import COUNTS
from ednag_jax.spaces import SPACES
from ednag_jax.storage import require_writable

HEADER = ("space", "left out", "tasks asked about", "predictor", *COUNTS)
SHARE, FIFTH = 0.2, "a fifth of the architectures"


class LeftOut(NamedTuple):
    """What is not learnt from."""

    name: str
    asked: Bool[np.ndarray, "t n"]
    """Which accuracies are asked about: of each task, of each of its architectures."""


def known(space: str, directory: Path | None) -> TaskTable:
    """Returns all tasks of the recipe, with images that are blank: a blind predictor does not look."""
    without = LEFT_OUT.get(space, ())
    table = space_table(space, SMOKE_BACKBONE, key=jax.random.key(0), without=without, directory=directory)
    return table._replace(features=np.zeros_like(table.features), mask=np.ones_like(table.mask))


def left_out(table: TaskTable) -> list[LeftOut]:
    """Returns each group of tasks, then a fifth of the architectures."""
    there = np.isfinite(table.accuracy)
    groups = np.array(table.groups)
    tasks = [LeftOut(str(name), there & (groups == name)[:, None]) for name in sorted(set(table.groups))]
    flat = table.phenotype.reshape(-1, table.phenotype.shape[-1])
    _, number = np.unique(flat, axis=0, return_inverse=True)
    hidden = np.random.default_rng(0).random(number.max() + 1) < SHARE
    return [*tasks, LeftOut(FIFTH, there & hidden[number.reshape(there.shape)])]


def trained(space: str, table: TaskTable, out: LeftOut, path: Path, smoke: bool) -> Predictor:
    """Returns the predictor that learnt from the rest, trained once and kept."""
    if path.is_file():
        return load_predictor(path)
    rest = table._replace(accuracy=np.where(out.asked, np.nan, table.accuracy))
    predictor, _ = train_predictor(
        rest.take(np.flatnonzero(np.isfinite(rest.accuracy).any(axis=1)).tolist()),
        space=SPACES[space],
        backbone=SMOKE_BACKBONE,
        config=PredictorConfig(blind=True),
        training=SMOKE if smoke else TRAINING[space],
        held_out=(),
        directory=path.with_suffix(""),
    )
    save_predictor(predictor, path)
    return predictor


def row(space: str, table: TaskTable, out: LeftOut, predictor: Predictor) -> list[str]:
    """Returns a line of the table."""
    asked = table._replace(accuracy=np.where(out.asked, table.accuracy, np.nan))
    asked = asked.take(np.flatnonzero(out.asked.any(axis=1)).tolist())
    found = [float(np.mean(task_quality(predictor, asked).spearman))]
    for count in COUNTS.values():
        said = [count[space](jnp.asarray(archs), num_classes=10) for archs in asked.phenotype]
        pairs = zip(np.asarray(said, np.float64), asked.accuracy, strict=True)
        found.append(float(np.mean([rank_correlation(one, measured) for one, measured in pairs])))
    name = out.name.removeprefix(f"{space}/")
    return [space, name, str(len(asked.tasks)), *(f"{value:.3f}" for value in found)]


def run(*, out: Path = Path("results/prove_spaces"), data_dir: Path | None = None, smoke: bool = False) -> None:
    """Trains a predictor without each part and tells how it orders that part's architectures."""
    require_writable(out / "parts")
    rows = []
    for space in BLIND:
        table = known(space, data_dir)
        for part in left_out(table)[-2 if smoke else 0 :]:
            name = f"{space} without {part.name.rpartition('/')[2]} {table.table_hash[:12]}"
            predictor = trained(space, table, part, out / "parts" / f"{name}.npz", smoke)
            rows.append(row(space, table, part, predictor))
            print(f"{' '.join(rows[-1][:2])}: {rows[-1][3]}", flush=True)
    title = "Spearman's rank correlation on what was left out"
    write_rows(out, title, HEADER, rows, command="make prove-spaces")


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
