"""`ednag reproduce`: published experiments on the real tables."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ednag_jax.cli.progress import progress
from ednag_jax.storage import require_writable


def reproduce(
    name: Annotated[
        Literal[
            "nb201",
            "nb101",
            "nb301",
            "transnas",
            "mobilenetv3",
            "darts",
            "autoformer",
            "ablation",
            "efficiency",
        ],
        tyro.conf.Positional,
    ],
    /,
    *,
    out: Path | None = None,
    data_dir: Path | None = None,
    smoke: bool = False,
) -> None:
    """Repeats a published experiment on the real table and prints it beside the paper's claims.

    Args:
        name: nb201 (Table 1), transnas (Table 2), autoformer (Table 3), nb101, nb301 (DARTS cells, a surrogate
            of NAS-Bench-301), darts (tasks that cells were trained on), mobilenetv3, ablation (Figure 7); one
            to three minutes each. efficiency (Figure 8, beside DiffusionNAG) takes longer.
        out: output folder; default is results/NAME.
        data_dir: folder of benchmark files; default is EDNAG_DATA_DIR.
        smoke: a few seeds and a small budget, to see that everything runs.
    """
    module = importlib.import_module(f"ednag_jax.experiments.reproduce_{name}")
    folder = require_writable(out or Path("results") / name)
    with progress(f"reproducing {name}"):
        module.run(out=folder, data_dir=data_dir, smoke=smoke)
