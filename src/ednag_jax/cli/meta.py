"""`ednag meta`: the meta-training data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from ednag_jax.config import MetaConfig
from ednag_jax.meta import MetaTable, build_table, collect_table, write_table


def meta(
    action: Annotated[Literal["build", "collect"], tyro.conf.Positional],
    /,
    *,
    out: Path = Path("results/meta"),
    tasks: int = MetaConfig.num_tasks,
    repeats: int = MetaConfig.num_repeats,
    jobs: int | None = None,
    data_dir: Path | None = None,
) -> None:
    """Makes the meta-training data: cells of NAS-Bench-201 really trained on many small image tasks.

    Example: ednag meta build --out results/meta

    What comes out is OUT/table.npz, the table that the predictor of NAS-Bench-201 learns from; the one of the
    default recipe comes with the package. A build that was stopped goes on, one training at a time lost.

    Args:
        action: build trains what is missing, then writes the table; collect writes the table of the tasks that
            are finished.
        out: folder of the table, and of one file for each training in it.
        tasks: how many, of an endless list.
        repeats: trainings of each cell on each task.
        jobs: processes that train side by side; default is one a core.
        data_dir: folder with the images of CIFAR-10 and CIFAR-100; default is EDNAG_DATA_DIR.
    """
    config = MetaConfig(num_tasks=tasks, num_repeats=repeats)
    if action == "build":
        table = build_table(out, config=config, directory=data_dir, jobs=jobs)
    else:
        table = collect_table(out, config=config)
        write_table(table, out / "table.npz")
    print(summary(table))
    print(f"written to {out / 'table.npz'}")


def summary(table: MetaTable) -> str:
    """Returns in a line what a table holds and what it took."""
    num, cells = table.phenotype.shape[:2]
    failed = int(np.isnan(table.accuracy).sum())
    return (
        f"{num} tasks of {len(set(table.groups))} groups, {cells} cells each, trained "
        f"{table.config.num_repeats} times in {table.seconds.sum() / 3600:.1f} hours of one core; {failed} "
        f"trainings failed"
    )
