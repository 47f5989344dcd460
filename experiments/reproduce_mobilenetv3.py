"""MobileNetV3 (Once-for-all), 10^20 networks: EDNAG and baselines on the official accuracy predictor.

Command: `make reproduce-mobilenetv3` or `ednag reproduce mobilenetv3`; about two minutes on 2 cores.

Expected (100 seeds, 300 queries): EDNAG's mean best predicted top-1 above random search's. The paper's Figure
5 (up to +0.49 % over DiffusionNAG on four small data sets) rests on networks trained there, for which no
accuracies are at hand; this is ImageNet top-1 as the official predictor says it, which is no measured
accuracy.
"""

from __future__ import annotations

from pathlib import Path

from ednag_jax.experiments._comparison import compare_and_write

import ednag_jax as ed

BUDGETS = (50, 100, 200, 300)


def run(*, out: Path = Path("results/mobilenetv3"), data_dir: Path | None = None, smoke: bool = False) -> None:
    """Searches with 100 seeds and writes table and plot; goes on where it was interrupted."""
    benchmark = ed.load_benchmark("mobilenetv3", dataset="imagenet", data_dir=data_dir)
    compare_and_write(
        {"mobilenetv3": benchmark}, out=out, command="ednag reproduce mobilenetv3", budgets=BUDGETS, smoke=smoke
    )


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
