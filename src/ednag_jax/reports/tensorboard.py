"""Runs as TensorBoard shows them: one folder a run, steps are queries or denoising steps. An extra."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ednag_jax.reports.groups import Group, group_runs
from ednag_jax.reports.runs import Run
from ednag_jax.result import Result
from ednag_jax.storage import require_writable

MISSING = "writing for TensorBoard needs tensorboardX: pip install 'ednag-jax[tensorboard]'"
EVENTS = "events.out.tfevents.*"


def write_tensorboard(runs: Sequence[Run], folder: Path, *, queries: int | None = None) -> list[Path]:
    """Writes the curves and population numbers of every run and returns the folders, one a run.

    Events that an earlier call left in a run's folder are replaced: else they would be drawn twice.

    Args:
        runs: of `read_runs`.
        folder: what `tensorboard --logdir` is given.
        queries: write curves so far; default is the least of the runs' budgets on each benchmark.

    Raises:
        ValueError: the extra is not installed.
        OSError: the folder cannot be written.
    """
    writer = _writer()
    require_writable(folder)
    groups = group_runs(runs, queries=queries)
    return [
        _write_run(writer, result, group, folder / _file_name(group.title) / _file_name(label))
        for group in groups
        for label, result in group.runs.items()
    ]


def _writer() -> Any:
    """Returns tensorboardX's writer, imported here since it is an extra."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ValueError(MISSING) from error
    return SummaryWriter


def _write_run(writer: Any, result: Result, group: Group, folder: Path) -> Path:
    """Writes one run's folder and returns it."""
    for old in folder.glob(EVENTS):
        old.unlink()
    with writer(str(folder)) as log:
        for tag, values in scalars(result, group.measure).items():
            for step in np.flatnonzero(np.isfinite(values)):
                log.add_scalar(tag, float(values[step]), int(step) + 1)
    return folder


def scalars(result: Result, measure: str) -> dict[str, np.ndarray]:
    """Returns tag -> value at step 1, 2, ...: means over seeds, NaN where no seed has a value.

    `by_queries/...` counts distinct architectures queried, `by_steps/...` denoising steps.
    """
    known = ~np.isnan(result.curve)
    count = known.sum(axis=0)
    total = np.where(known, result.curve, 0).sum(axis=0)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    found = {f"by_queries/{measure}": mean}
    if result.benchmark["optimum"] is not None:
        found["by_queries/regret"] = result.benchmark["optimum"] - mean
        found["by_queries/share_at_optimum"] = result.is_optimal(result.curve).mean(axis=0)
    return {**found, **{f"by_steps/{name}": values for name, values in (result.diagnostics or {}).items()}}


def _file_name(text: str) -> str:
    """Returns a text as the name of a folder: letters, digits, and `-` for everything else."""
    return re.sub(r"[^A-Za-z0-9._=+]+", "-", text).strip("-.") or "run"
