"""NAS-Bench-101: EDNAG and baselines on all 423,624 modules, adjacency and operations searched together.

Command: `make reproduce-nb101` or `ednag reproduce nb101`; about a minute on 2 cores.

Expected (100 seeds, 300 queries): EDNAG's mean regret below random search's. Where the table
has test accuracy only (108 epochs, mean of three runs), this is the protocol `paper` and says so. The
paper's own NAS-Bench-101 numbers stand in an appendix that is not at hand, so nothing is set beside ours.
"""

from __future__ import annotations

from pathlib import Path

from ednag_jax.experiments._comparison import compare_and_write

import ednag_jax as ed

BUDGETS = (50, 100, 200, 300)


def run(*, out: Path = Path("results/nb101"), data_dir: Path | None = None, smoke: bool = False) -> None:
    """Searches with 100 seeds and writes table and plot; goes on where it was interrupted."""
    benchmark = ed.load_benchmark("nasbench101", dataset="cifar10", data_dir=data_dir)
    compare_and_write(
        {"nasbench101": benchmark}, out=out, command="ednag reproduce nb101", budgets=BUDGETS, smoke=smoke
    )


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
