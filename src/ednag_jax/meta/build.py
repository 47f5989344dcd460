"""Makes the meta-training data: trains the cells of every task, one file a task, and goes on where it was."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ednag_jax.config import MetaConfig
from ednag_jax.meta.cells import cells_of
from ednag_jax.meta.table import MetaTable, joined_versions, write_table
from ednag_jax.meta.tasks import Task, meta_tasks
from ednag_jax.meta.training import task_arrays, train_cells
from ednag_jax.storage import DataError, require_writable, write_atomic

PACKAGES = ("ednag-jax", "jax", "jaxlib", "flax", "optax", "numpy")


def build_table(
    out: str | Path,
    *,
    config: MetaConfig | None = None,
    directory: str | Path | None = None,
    progress: bool = True,
) -> MetaTable:
    """Trains all cells on all tasks, writes `table.npz`, and returns it.

    Every finished task is a file in `parts`, written whole or not at all; what is there is not trained again,
    so a run that was killed, or one of more tasks, goes on.

    Args:
        out: folder, made if need be.
        config: the recipe; default is the one of the table that comes with the package.
        directory: the data directory; default is the setting `EDNAG_DATA_DIR`.
        progress: whether to say on stderr which tasks are done, and how long the others will take.

    Raises:
        DataError: images are missing, or the folder holds tasks of another recipe.
        OSError: the folder cannot be made or written.
    """
    config = config or MetaConfig()
    parts = require_writable(Path(out) / "parts")
    tasks = meta_tasks(config.num_tasks, seed=config.seed)
    missing = [task for task in tasks if _kept(part_path(parts, task), task, config) is None]
    with _reporting(len(missing), len(tasks), progress) as report:
        for task in missing:
            part = trained_part(task, config, directory)
            write_atomic(part_path(parts, task), json.dumps({**part, "digest": _digest(part)}))
            report(task, part)
    table = collect_table(out, config=config)
    write_table(table, Path(out) / "table.npz")
    return table


def collect_table(out: str | Path, *, config: MetaConfig | None = None) -> MetaTable:
    """Returns the table of the tasks that are finished in a folder, in the order of the tasks.

    Args:
        out: folder that `build_table` writes or wrote to.
        config: its recipe; tasks beyond `num_tasks` are left out.

    Raises:
        DataError: none is finished, or some are of another recipe.
    """
    config = config or MetaConfig()
    kept = []
    for task in meta_tasks(config.num_tasks, seed=config.seed):
        part = _kept(part_path(Path(out) / "parts", task), task, config)
        if part is not None:
            kept.append((task, part))
    if not kept:
        raise DataError(f"folder {str(out)!r} has no finished task; run `ednag meta build` with it first")
    parts = [part for _, part in kept]
    return MetaTable(
        phenotype=np.array([part["cells"] for part in parts], np.int8),
        accuracy=np.array([part["accuracy"] for part in parts], np.float32),  # None becomes NaN
        seconds=np.array([part["seconds"] for part in parts], np.float32),
        tasks=tuple(task for task, _ in kept),
        config=config,
        versions=joined_versions([part["versions"] for part in parts]),
    )


def trained_part(task: Task, config: MetaConfig, directory: str | Path | None = None) -> dict[str, Any]:
    """Returns what is kept of a task, ready for JSON: a training that failed has accuracy None."""
    cells, arrays = cells_of(task.index, config), task_arrays(task, directory)
    start = time.process_time()  # of all threads: what others do on the machine does not count
    accuracy = np.stack(
        [
            train_cells(cells, arrays, seed=training_seed(task, repeat, config), config=config)
            for repeat in range(config.num_repeats)
        ],
        axis=-1,
    )
    seconds = time.process_time() - start
    return {
        **_recipe(task, config),
        "accuracy": [[None if np.isnan(a) else float(a) for a in row] for row in accuracy],
        "seconds": seconds,
        "versions": _versions(),
    }


@contextmanager
def _reporting(num: int, total: int, shown: bool) -> Iterator[Callable[[Task, dict[str, Any]], None]]:
    """Gives a function to call after each of `num` tasks, which says so on stderr; on a terminal with a bar."""
    console = Console(stderr=True, quiet=not shown)
    columns = (TextColumn("tasks"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    start, done = time.monotonic(), 0
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as bar:
        row = bar.add_task("tasks", total=num)
        if num < total:
            console.print(f"{total - num} of {total} tasks kept from before")

        def report(task: Task, part: dict[str, Any]) -> None:
            nonlocal done
            done += 1
            bar.advance(row)
            left = (time.monotonic() - start) / done * (num - done) / 60
            console.print(f"{done} of {num}, {task.name}: {_told(part)}, {left:.0f} min left", soft_wrap=True)

        yield report


def _told(part: dict[str, Any]) -> str:
    """Returns in words how long a task took and how its cells did."""
    known = [value for row in part["accuracy"] for value in row if value is not None]
    failed = sum(len(row) for row in part["accuracy"]) - len(known)
    spread = f"accuracies {min(known):.0f} to {max(known):.0f} %" if known else "no accuracy"
    return f"{part['seconds']:.1f} s, {spread}" + (f", {failed} failed" if failed else "")


def training_seed(task: Task, repeat: int, config: MetaConfig) -> int:
    """Returns a seed that no other training of the recipe has."""
    sequence = np.random.SeedSequence([config.seed, task.index, repeat])
    return int(sequence.generate_state(1)[0] >> 1)


def part_path(parts: Path, task: Task) -> Path:
    """Returns where a task's accuracies are kept."""
    return parts / f"{task.name}.json"


def _kept(path: Path, task: Task, config: MetaConfig) -> dict[str, Any] | None:
    """Returns what a task's file holds, None where there is none.

    Raises:
        DataError: it is cut or altered, or of another recipe.
    """
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
    wanted = json.loads(json.dumps(_recipe(task, config)))
    differing = [name for name, value in wanted.items() if part.get(name) != value]
    if differing:
        raise DataError(f"file {str(path)!r} is of another recipe ({', '.join(differing)}); {advice}")
    return part


def _digest(part: dict[str, Any]) -> str:
    """Returns the SHA-256 of what a task's file holds."""
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()


def _recipe(task: Task, config: MetaConfig) -> dict[str, Any]:
    """Returns what fixes a task's accuracies; how many further tasks there are does not."""
    settings = dataclasses.asdict(config)
    del settings["num_tasks"]
    cells = cells_of(task.index, config).tolist()
    return {"config": settings, "task": dataclasses.asdict(task), "cells": cells}


def _versions() -> dict[str, str]:
    devices = jax.devices()
    device = f"{len(devices)} x {devices[0].device_kind} ({platform.machine()})"
    return {**{name: version(name) for name in PACKAGES}, "python": platform.python_version(), "device": device}
