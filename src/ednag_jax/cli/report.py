"""`ednag report`: finished runs side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import tyro

from ednag_jax.reports import (
    build_report,
    print_report,
    read_runs,
    write_markdown,
    write_page,
    write_tensorboard,
)
from ednag_jax.storage import require_writable


def report(
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional],
    /,
    *,
    out: Path | None = None,
    queries: int | None = None,
    baseline: str | None = None,
    tensorboard: Path | None = None,
) -> None:
    """Compares finished runs: tables, paired tests, ranks, regret by queries, and how populations fared.

    Example: ednag report runs/ednag runs/random_search --out report/

    Runs on the same table are compared at equal queries, those on others are reported apart. The page that is
    written needs no network and no other file.

    Args:
        runs: result files, or folders of them, as `ednag search --out` and `ednag reproduce` write them.
        out: folder for report.html, report.md and its pictures; default prints alone.
        queries: compare after so many; default is the least of the budgets on each benchmark.
        baseline: name of the run that the others are tested against; default is the first.
        tensorboard: folder for TensorBoard, which needs the extra `tensorboard`.
    """
    if out is not None:
        require_writable(out)
    found = read_runs(runs)
    command = " ".join(["ednag", *sys.argv[1:]])
    document = build_report(found, queries=queries, baseline=baseline, command=command)
    print_report(document)
    if out is not None:
        write_markdown(document, out)
        print(f"written to {out}/: {write_page(document, out).name}, report.md and its pictures")
    if tensorboard is not None:
        folders = write_tensorboard(found, tensorboard, queries=queries)
        print(f"{len(folders)} runs written; look at them with: tensorboard --logdir {tensorboard}")
