"""Makes the meta-training data: one file for each training of a task's cells; it goes on where it was."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ednag_jax.config import MetaConfig, check_range
from ednag_jax.meta.cells import cells_of
from ednag_jax.meta.table import MetaTable, joined_versions, write_table
from ednag_jax.meta.tasks import Task, meta_tasks
from ednag_jax.meta.training import task_arrays, train_cells
from ednag_jax.processes import side_by_side
from ednag_jax.storage import DataError, require_writable, write_atomic

PACKAGES = ("ednag-jax", "jax", "jaxlib", "flax", "optax", "numpy")


@dataclass(frozen=True)
class Training:
    """One training of all cells of a task: what a part of the table holds."""

    task: Task
    repeat: int

    @property
    def name(self) -> str:
        """What it is called: a file name."""
        return f"{self.task.name}-repeat{self.repeat}"

    def path(self, parts: Path) -> Path:
        """Returns where its accuracies are kept."""
        return parts / f"{self.name}.json"

    def seed(self, config: MetaConfig) -> int:
        """Returns a seed that no other training of the recipe has."""
        sequence = np.random.SeedSequence([config.seed, self.task.index, self.repeat])
        return int(sequence.generate_state(1)[0] >> 1)


def build_table(
    out: str | Path,
    *,
    config: MetaConfig | None = None,
    directory: str | Path | None = None,
    jobs: int | None = None,
    progress: bool = True,
) -> MetaTable:
    """Trains all cells on all tasks, writes `table.npz`, and returns it.

    Every finished training of a task's cells is a file in `parts`, written whole or not at all; what is there
    is not trained again, so a run that was killed, or one of more tasks or repeats, goes on. All tasks are
    trained once before any is trained again: `collect_table` with fewer repeats makes a whole table of those.

    Args:
        out: folder, made if need be.
        config: the recipe; default is the one of the table that comes with the package.
        directory: the data directory; default is the setting `EDNAG_DATA_DIR`.
        jobs: processes that train at the same time; default is one a core, and one where there is an
            accelerator. What comes out does not depend on it.
        progress: whether to say on stderr which tasks are done, and how long the others will take.

    Raises:
        ValueError: jobs below 1.
        DataError: images are missing, or the folder holds tasks of another recipe.
        OSError: the folder cannot be made or written.
    """
    config = config or MetaConfig()
    if jobs is not None:
        check_range("jobs", jobs, 1)
    parts = require_writable(Path(out) / "parts")
    tasks = meta_tasks(config.num_tasks, seed=config.seed)
    trainings = [Training(task, repeat) for repeat in range(config.num_repeats) for task in tasks]
    missing = [training for training in trainings if _kept(parts, training, config) is None]
    with _reporting(len(missing), len(trainings), progress) as report:
        for training, part in _trained_parts(missing, config, directory, jobs):
            write_atomic(training.path(parts), json.dumps({**part, "digest": _digest(part)}))
            report(training, part)
    table = collect_table(out, config=config)
    write_table(table, Path(out) / "table.npz")
    return table


def collect_table(out: str | Path, *, config: MetaConfig | None = None) -> MetaTable:
    """Returns the table of the tasks that are finished, all repeats of them, in the order of the tasks.

    Args:
        out: folder that `build_table` writes or wrote to.
        config: its recipe; tasks beyond `num_tasks`, and repeats beyond `num_repeats`, are left out.

    Raises:
        DataError: none is finished, or some are of another recipe.
    """
    config = config or MetaConfig()
    parts, repeats, finished = Path(out) / "parts", range(config.num_repeats), {}
    for task in meta_tasks(config.num_tasks, seed=config.seed):
        kept = [_kept(parts, Training(task, repeat), config) for repeat in repeats]
        if None not in kept:
            finished[task] = [part for part in kept if part is not None]
    if not finished:
        raise DataError(f"folder {str(out)!r} has no finished task; run `ednag meta build` with it first")
    rows = list(finished.values())
    return MetaTable(
        phenotype=np.array([row[0]["cells"] for row in rows], np.int8),
        # None becomes NaN.
        accuracy=np.moveaxis(np.array([[part["accuracy"] for part in row] for row in rows], np.float32), 1, 2),
        seconds=np.array([sum(part["seconds"] for part in row) for row in rows], np.float32),
        tasks=tuple(finished),
        config=config,
        versions=joined_versions([part["versions"] for row in rows for part in row]),
    )


def trained_part(training: Training, config: MetaConfig, directory: str | Path | None = None) -> dict[str, Any]:
    """Returns what is kept of a training, ready for JSON: a cell whose training failed has accuracy None."""
    cells, arrays = cells_of(training.task.index, config), task_arrays(training.task, directory)
    start = time.process_time()  # of all threads: what others do on the machine does not count
    accuracy = train_cells(cells, arrays, seed=training.seed(config), config=config)
    return {
        **_recipe(training, config),
        "accuracy": [None if np.isnan(value) else float(value) for value in accuracy],
        "seconds": time.process_time() - start,
        "versions": _versions(),
    }


def _trained_parts(
    trainings: Sequence[Training], config: MetaConfig, directory: str | Path | None, jobs: int | None
) -> Iterator[tuple[Training, dict[str, Any]]]:
    """Yields what is kept of each training as soon as it is done, by so many processes."""
    jobs = jobs or (os.cpu_count() or 1 if jax.default_backend() == "cpu" else 1)
    calls = [(training, config, directory) for training in trainings]
    for position, part in side_by_side(trained_part, calls, num_processes=jobs):
        yield trainings[position], part


@contextmanager
def _reporting(num: int, total: int, shown: bool) -> Iterator[Callable[[Training, dict[str, Any]], None]]:
    """Gives a function to call after each of `num` trainings, which says so on stderr; a terminal has a bar."""
    console = Console(stderr=True, quiet=not shown)
    columns = (TextColumn("trainings"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    start, done = time.monotonic(), 0
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as bar:
        row = bar.add_task("trainings", total=num)
        if num < total:
            console.print(f"{total - num} of {total} trainings kept from before")

        def report(training: Training, part: dict[str, Any]) -> None:
            nonlocal done
            done += 1
            bar.advance(row)
            left = (time.monotonic() - start) / done * (num - done) / 60
            console.print(
                f"{done} of {num}, {training.name}: {_told(part)}, {left:.0f} min left", soft_wrap=True
            )

        yield report


def _told(part: dict[str, Any]) -> str:
    """Returns in words how long a training took and how the cells did."""
    known = [value for value in part["accuracy"] if value is not None]
    failed = len(part["accuracy"]) - len(known)
    spread = f"accuracies {min(known):.0f} to {max(known):.0f} %" if known else "no accuracy"
    return f"{part['seconds']:.1f} CPU s, {spread}" + (f", {failed} failed" if failed else "")


def _kept(parts: Path, training: Training, config: MetaConfig) -> dict[str, Any] | None:
    """Returns what a training's file holds, None where there is none.

    Raises:
        DataError: it is cut or altered, or of another recipe.
    """
    path = training.path(parts)
    if not path.is_file():
        return None
    advice = "delete it, or choose another folder"
    try:
        part = json.loads(path.read_text())
        is_whole = part.pop("digest") == _digest(part)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise DataError(f"file {str(path)!r} is no whole part of a table ({error!r}); {advice}") from error
    if not is_whole:
        raise DataError(f"file {str(path)!r} does not match its digest; it was altered; {advice}")
    wanted = json.loads(json.dumps(_recipe(training, config)))
    differing = [name for name, value in wanted.items() if part.get(name) != value]
    if differing:
        raise DataError(f"file {str(path)!r} is of another recipe ({', '.join(differing)}); {advice}")
    return part


def _digest(part: dict[str, Any]) -> str:
    """Returns the SHA-256 of what a training's file holds."""
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()


def _recipe(training: Training, config: MetaConfig) -> dict[str, Any]:
    """Returns what fixes a training's accuracies; how many further tasks and repeats there are does not."""
    settings = dataclasses.asdict(config)
    del settings["num_tasks"], settings["num_repeats"]
    cells = cells_of(training.task.index, config).tolist()
    return {"config": settings, **dataclasses.asdict(training), "cells": cells}


def _versions() -> dict[str, str]:
    devices = jax.devices()
    device = f"{len(devices)} x {devices[0].device_kind} ({platform.machine()})"
    return {**{name: version(name) for name in PACKAGES}, "python": platform.python_version(), "device": device}
