"""Results as numbers and tables: every seed counted, intervals and paired tests with their corrections."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from ednag_jax.search import Result, environment
from ednag_jax.storage import write_atomic

TEST_MISSING = "test: not available, see ednag data --help"


class Summary(NamedTuple):
    """Of one number per seed."""

    mean: float
    std: float
    ci95: float
    """Half width of the 95 % confidence interval of the mean (Student's t); NaN for one seed."""
    best: float
    worst: float


def summarise(values: Float[np.ndarray, " s"]) -> Summary:
    """Returns the summary over all seeds; std with n - 1.

    >>> summarise(np.array([1.0, 2.0, 3.0])).mean
    2.0
    """
    values = np.asarray(values, np.float64)
    count = len(values)
    std = float(np.std(values, ddof=1)) if count > 1 else 0.0
    half = float(stats.t.ppf(0.975, count - 1) * std / np.sqrt(count)) if count > 1 else float("nan")
    return Summary(float(values.mean()), std, half, float(values.max()), float(values.min()))


def wilcoxon(a: Float[np.ndarray, " s"], b: Float[np.ndarray, " s"]) -> float:
    """Returns the two-sided p-value of the paired Wilcoxon signed-rank test; 1 where all pairs are equal."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return 1.0 if not np.any(difference) else float(stats.wilcoxon(difference).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns the p-values corrected for their number by Holm's step-down method.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    scaled = [min(1.0, p_values[i] * (len(order) - rank)) for rank, i in enumerate(order)]
    stepped = np.maximum.accumulate(scaled) if scaled else np.array([])
    corrected = np.empty(len(order))
    corrected[order] = stepped
    return [float(value) for value in corrected]


def compare_at(results: Sequence[Result], queries: int) -> list[float]:
    """Returns, for every result after the first, the Holm-corrected p-value of its difference to the first.

    Compared is the best so far after `queries` queries; results must have the same seeds.
    """
    at = [result.best_after(queries) for result in results]
    return holm([wilcoxon(at[0], other) for other in at[1:]])


def plus_minus(summary: Summary) -> str:
    """Returns `mean ± std (95 % CI half width)`."""
    return f"{summary.mean:.2f} ± {summary.std:.2f} (± {summary.ci95:.2f})"


RESULT_HEADER = (
    "data set",
    "method",
    "oracle",
    "oracle accuracy: mean ± std (95 % CI)",
    "test accuracy: mean ± std (95 % CI)",
    "seeds at optimum",
    "best",
    "worst",
    "queries",
)


def result_row(label: str, result: Result) -> list[str]:
    """Returns one row under `RESULT_HEADER`."""
    oracle = summarise(result.best_accuracy)
    test = TEST_MISSING if result.test_accuracy is None else plus_minus(summarise(result.test_accuracy))
    share = "optimum not known"
    if result.benchmark["optimum"] is not None:
        share = f"{100 * result.share_at_optimum():.0f} % of {len(result.seeds)}"
    return [
        result.benchmark["dataset"],
        label,
        result.benchmark["oracle"],
        plus_minus(oracle),
        test,
        share,
        f"{oracle.best:.2f}",
        f"{oracle.worst:.2f}",
        f"{result.queries.mean():.0f}",
    ]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table to the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def provenance(command: str) -> dict[str, Any]:
    """Returns when, where and by which command a report was made."""
    return {"date": datetime.now(UTC).date().isoformat(), "command": command, "environment": environment()}


def provenance_line(made: dict[str, Any]) -> str:
    """Returns the same as one line under a table."""
    env = made["environment"]
    return f"Made {made['date']} by `{made['command']}` on {env['device']}, jax {env['jax']}.\n"


def write_results(path: Path, made: dict[str, Any], results: dict[str, Result]) -> Path:
    """Writes provenance and results, keyed by label, as one JSON file."""
    content = {**made, "results": {label: result.to_dict() for label, result in results.items()}}
    return write_atomic(path, json.dumps(content, allow_nan=False) + "\n")
