"""Puts the table of a finished `make reproduce-nb201` into the README. Command: `make readme`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ednag_jax import report
from ednag_jax.storage import write_atomic

BEGIN, END = "<!-- results: written by `make readme` -->\n", "<!-- end of results -->\n"
README = Path(__file__).parents[1] / "README.md"
BUDGETS = (200, 300, 500)
TOLERANCE = 1e-3


def cell(result: dict) -> str:
    """Returns shares at the optimum by budget, and the mean test accuracy of what was found."""
    optimum = result["benchmark"]["optimum"] - TOLERANCE
    shares = [sum(curve[q - 1] >= optimum for curve in result["curve"]) for q in BUDGETS]
    percent = " / ".join(f"{100 * share / len(result['seeds']):.0f}" for share in shares)
    test = result["test_accuracy"]
    return f"{percent} %" + (f", test {sum(test) / len(test):.2f}" if test else "")


def table(stored: dict) -> str:
    """Returns the README's table of every method, and the paper's claim beside ours."""
    results = stored["results"]
    honest = [key.split(" / ") for key in results if key.startswith("honest")]
    datasets = list(dict.fromkeys(dataset for _, dataset, _ in honest))
    methods = list(dict.fromkeys(method for _, _, method in honest))
    rows = [[m, *(cell(results[f"honest / {d} / {m}"]) for d in datasets)] for m in methods]
    lines = [report.markdown_table(("NAS-Bench-201, 100 seeds", *datasets), rows)]
    note = (
        "Share of seeds at the validation optimum after {} queries (validation accuracy as oracle, all seeds)"
    )
    lines.append(
        note.format(" / ".join(map(str, BUDGETS))) + ", and mean test accuracy of what they ended with.\n"
    )
    claims = [results[f"paper / {d}"] for d in datasets if f"paper / {d}" in results]
    if claims:
        said = "; ".join(
            f"{r['benchmark']['dataset']} {report.summarise(r['best_accuracy']).mean:.2f} with "
            f"{sum(r['queries']) / len(r['queries']):.0f} queries"
            for r in claims
        )
        lines.append(
            f"With test accuracy as oracle, as in the paper, preset `paper` reaches {said} (mean of 100"
        )
        lines.append("seeds; the paper claims 94.37, 73.51 and 47.31 with 1).\n")
    return "\n".join(lines) + "\n" + report.provenance_line(stored)


if __name__ == "__main__":
    stored = json.loads(Path(sys.argv[1]).read_text())
    before, rest = README.read_text().split(BEGIN)
    after = rest.split(END)[1]
    write_atomic(README, before + BEGIN + "\n" + table(stored) + "\n" + END + after)
