"""DARTS cells (NAS-Bench-301's space), 10^18 architectures: EDNAG and baselines on a surrogate.

Command: `make reproduce-nb301` or `ednag reproduce nb301`; about two minutes on 2 cores.

Expected (100 seeds, 300 queries): EDNAG's mean best surrogate accuracy above random search's. The surrogate
is trained by the project on 725 cells (docs/data.md says how well it predicts held-out cells), so an accuracy
here is what a small-data model says, never a trained network's. The paper's Figure 6 (up to +0.24 % on
CIFAR-10 and ImageNet) rests on networks trained there and cannot be set beside it.
"""

from __future__ import annotations

from pathlib import Path

from ednag_jax.experiments._comparison import compare_and_write

import ednag_jax as ed

BUDGETS = (50, 100, 200, 300)


def run(*, out: Path = Path("results/nb301"), data_dir: Path | None = None, smoke: bool = False) -> None:
    """Searches with 100 seeds and writes table and plot; goes on where it was interrupted."""
    benchmark = ed.load_benchmark("darts", dataset="cifar10", data_dir=data_dir)
    compare_and_write(
        {"darts": benchmark}, out=out, command="ednag reproduce nb301", budgets=BUDGETS, smoke=smoke
    )


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
