"""Rank correlation of the predictors of DARTS and TransNAS-Bench-101 micro on tasks that they have not seen.

Command: `make prove-spaces`; about a quarter of an hour on 2 cores, and it goes on where it was interrupted.

One task is left out at a time: the predictor learns from the accuracies of the others by the package's recipe,
and sees no accuracy of the one left out before it is asked to order its architectures. It is blind: of DARTS'
tasks only CIFAR-10 has images at hand, of TransNAS-Bench-101's none. SVHN, spherical CIFAR-100 and NinaPro
share their 199 cells of DARTS, none of which are CIFAR-10's 725.
"""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ednag_jax.experiments._predictors import SMOKE_BACKBONE, kept_predictor

from ednag_jax import report
from ednag_jax.config import PredictorConfig
from ednag_jax.meta import read_table
from ednag_jax.predictor import task_quality
from ednag_jax.predictor.evaluation import rank_correlation
from ednag_jax.predictor.examples import TaskTable
from ednag_jax.predictor.recipe import BACKBONE
from ednag_jax.predictor.tables import space_table, table_columns
from ednag_jax.proxies.fitness import COUNTS
from ednag_jax.storage import require_writable, write_atomic

SPACES = ("darts", "transnas101_micro")
HEADER = ("space", "left out", "architectures", "predictor", *COUNTS)
SEED = 1
"""Of the tasks asked about; those learnt from are drawn by another."""


def asked_about(space: str, group: str, groups: list[str], directory: Path | None, backbone: str) -> TaskTable:
    """Returns the tasks of one group alone, with images that are blank: a blind predictor does not look."""
    rest = [other for other in groups if other != group]
    table = space_table(space, backbone, key=jax.random.key(SEED), without=rest, directory=directory)
    return table._replace(features=np.zeros_like(table.features), mask=np.ones_like(table.mask))


def counted(space: str, table: TaskTable) -> list[float]:
    """Returns the mean rank correlation of each count of a network with the accuracies."""
    found = []
    for count in COUNTS.values():
        said = [np.asarray(count[space](jnp.asarray(archs), num_classes=10)) for archs in table.phenotype]
        each = [rank_correlation(s, measured) for s, measured in zip(said, table.accuracy, strict=True)]
        found.append(float(np.mean(each)))
    return found


def rows_of(space: str, out: Path, directory: Path | None, smoke: bool) -> list[list[str]]:
    """Returns a line a task left out, then their mean."""
    groups = [f"{space}/{column.dataset}" for column in table_columns(space, directory)]
    backbone, lines, numbers = SMOKE_BACKBONE if smoke else BACKBONE, [], []
    for group in groups[:1] if smoke else groups:
        predictor = kept_predictor(
            out / "parts" / f"without_{group.replace('/', '_')}.npz",
            space=space,
            meta=read_table(),
            without=[group],
            config=PredictorConfig(blind=True),
            directory=directory,
            smoke=smoke,
        )
        table = asked_about(space, group, groups, directory, backbone)
        numbers.append([float(np.mean(task_quality(predictor, table).spearman)), *counted(space, table)])
        size = str(int(np.isfinite(table.accuracy).sum()))
        lines.append([space, group.partition("/")[2], size, *(f"{value:.3f}" for value in numbers[-1])])
        print(f"{group}: {numbers[-1][0]:.3f}", flush=True)
    return [*lines, [space, "mean", "", *(f"{value:.3f}" for value in np.mean(numbers, axis=0))]]


def run(*, out: Path = Path("results/prove_spaces"), data_dir: Path | None = None, smoke: bool = False) -> None:
    """Trains a predictor without each task and tells how it orders that task's architectures."""
    require_writable(out / "parts")
    rows = [line for space in SPACES for line in rows_of(space, out, data_dir, smoke)]
    title = "Spearman's rank correlation on a task left out"
    report.print_table(title, HEADER, rows)
    made = report.provenance("make prove-spaces")
    text = f"## {title}\n\n{report.markdown_table(HEADER, rows)}\n\n{report.provenance_line(made)}"
    write_atomic(out / "table.md", text)
    write_atomic(out / "results.json", json.dumps({"made": made, "header": HEADER, "rows": rows}, indent=1))
    print(f"written to {out}/: results.json, table.md")


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
