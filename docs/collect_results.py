"""Joins tables of finished experiments into docs/results.md. Command: each of their make targets."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from ednag_jax.storage import write_atomic

EXPERIMENTS = {
    "compare": "compare_strategies",
    "compare_noisy": "compare_noisy",
    "objectives": "compare_objectives",
    "ablate": "ablate_online",
    **{
        name: f"reproduce_{name}"
        for name in ("nb201", "transnas", "autoformer", "nb101", "nb301", "darts", "mobilenetv3")
    },
}
"""Folder of results -> experiment."""
PAGE = Path(__file__).parent / "results.md"
INTRODUCTION = """# Results

Written by `make reproduce`, `make compare`, `make compare-noisy`, `make compare-objectives` and `make ablate`
from the tables of the experiments; every seed is counted, budgets are distinct architectures queried, and each
part says what its numbers can and cannot be compared with.
"""


def section(name: str, folder: Path) -> str:
    """Returns an experiment's header text and its table, headings one level down."""
    header = importlib.import_module(f"ednag_jax.experiments.{EXPERIMENTS[name]}").__doc__ or ""
    title, _, rest = header.strip().partition("\n")
    table = (folder / name / "table.md").read_text().replace("## ", "### ")
    return f"\n## {title}\n{rest}\n\n{table}"


if __name__ == "__main__":
    results = Path(sys.argv[1])
    done = [name for name in EXPERIMENTS if (results / name / "table.md").is_file()]
    write_atomic(PAGE, INTRODUCTION + "".join(section(name, results) for name in done))
    print(f"written to {PAGE}: {', '.join(done)}")
