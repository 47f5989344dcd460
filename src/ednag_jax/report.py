"""Results as numbers and tables: every seed counted, intervals and paired tests with their corrections."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy import stats

from ednag_jax.result import Result
from ednag_jax.search import environment
from ednag_jax.storage import write_atomic

TEST_MISSING = "test: not available, see ednag data --help"
NOISY_ORACLE = (
    "noisy oracle: every method ends with the architecture of which it was told the best (ednag_online: of "
    "which its predictor expects most), and is judged by its true accuracy, the mean of all trainings"
)


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


def cliffs_delta(a: Float[np.ndarray, " s"], b: Float[np.ndarray, " r"]) -> float:
    """Returns how often a value of a is above one of b, less how often below, over all pairs (Cliff 1993).

    In [-1, 1], 0 for no difference; free of scale and outliers, and pairs that are equal count for neither,
    which matters where many seeds end at the optimum. (1 + delta) / 2 is Vargha and Delaney's A12. Sizes by
    custom (Romano et al. 2006): below 0.147 negligible, 0.33 small, 0.474 medium, from there on large.

    >>> cliffs_delta(np.array([1.0, 2.0]), np.array([1.0, 0.0, 3.0]))
    0.16666666666666666
    """
    difference = np.asarray(a, np.float64)[:, None] - np.asarray(b, np.float64)
    return float(np.mean(np.sign(difference)))


def paired_t(a: Float[np.ndarray, " s"], b: Float[np.ndarray, " s"]) -> float:
    """Returns the two-sided p-value of the paired t-test; 1 where all pairs are equal."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return 1.0 if not np.any(difference) else float(stats.ttest_1samp(difference, 0.0).pvalue)


def cohens_d(a: Float[np.ndarray, " s"], b: Float[np.ndarray, " r"]) -> float:
    """Returns the difference of means, a less b, over the pooled standard deviation (Cohen 1988).

    By custom 0.2 is small, 0.5 medium, 0.8 large. Infinite where neither varies but means differ.

    >>> cohens_d(np.array([2.0, 4.0]), np.array([1.0, 3.0]))
    0.7071067811865475
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    difference = float(first.mean() - second.mean())
    squares = sum(float(np.sum((x - x.mean()) ** 2)) for x in (first, second))
    pooled = np.sqrt(squares / max(len(first) + len(second) - 2, 1))
    if not pooled:
        return 0.0 if not difference else float(np.copysign(np.inf, difference))
    return difference / float(pooled)


def effects_at(results: Sequence[Result], queries: int) -> list[float]:
    """Returns, for every result after the first, Cliff's delta of its regret against the first's.

    Above 0 the first is better. Compared is the best so far after `queries` queries, as in `compare_at`.
    """
    at = [result.best_after(queries) for result in results]
    return [cliffs_delta(at[0], other) for other in at[1:]]


def plus_minus(summary: Summary, decimals: int = 2) -> tuple[str, str]:
    """Returns `mean ± std` and the half width of the 95 % confidence interval."""
    mean, std, half = (f"{value:.{decimals}f}" for value in summary[:3])
    return f"{mean} ± {std}", f"± {half}"


RESULT_HEADER = (
    "data set",
    "method",
    "accuracy",
    "95 % CI",
    "test accuracy",
    "95 % CI of test",
    "optimal",
    "best / worst",
    "queries",
)
"""Accuracies: mean ± standard deviation over all seeds; optimal: share of seeds at the table's best."""
TERMINAL_COLUMNS = ("data set", "method", "accuracy", "test accuracy", "optimal", "queries")


def result_row(label: str, result: Result) -> list[str]:
    """Returns one row under `RESULT_HEADER`."""
    oracle = summarise(result.best_accuracy)
    test = ("not available", "")
    if result.test_accuracy is not None:
        test = plus_minus(summarise(result.test_accuracy))
    share = "not known"
    if result.benchmark["optimum"] is not None:
        share = f"{100 * result.share_at_optimum():.0f} %"
    best_and_worst = f"{oracle.best:.2f} / {oracle.worst:.2f}"
    queries = f"{result.queries.mean():.0f}"
    return [result.benchmark["dataset"], label, *plus_minus(oracle), *test, share, best_and_worst, queries]


def footnotes(results: Iterable[Result]) -> str:
    """Returns what a table of results must say beneath: how many seeds, and where test accuracy is missing."""
    results = list(results)
    lines = [
        f"{len(results[0].seeds)} seeds, all of them counted; accuracy: mean ± std of what the oracle says."
    ]
    if any(result.benchmark["metric"] == "test" for result in results):
        lines.append("oracle: test accuracy")
    if any(result.observed_accuracy is not None for result in results):
        lines.append(NOISY_ORACLE)
    lines += dict.fromkeys(constraints_line(result) for result in results if result.constraints)
    if any(result.test_accuracy is None for result in results):
        lines.append(TEST_MISSING)
    return "\n".join(lines)


def constraints_line(result: Result) -> str:
    """Returns what bounds a search kept to, and in how many seeds it met nothing within them."""
    bounds = ", ".join(f"{name} <= {bound:g}" for name, bound in result.constraints.items())
    without = int(np.isnan(result.best_accuracy).sum())
    missed = f"; {without} of {len(result.seeds)} seeds met no architecture within them" if without else ""
    return f"constraints: {bounds}{missed}"


def front_table(result: Result) -> tuple[str, Sequence[str], list[list[str]]]:
    """Returns title, header and rows of the front that dominates most of all seeds'; the first where unknown.

    Raises:
        ValueError: the search had one objective.
    """
    if result.fronts is None:
        raise ValueError("a search for accuracy alone has no front; give ed.search several objectives")
    seed, share = 0, ""
    if result.hypervolume is not None and result.reference is not None:
        last = result.hypervolume[:, -1]
        seed, start = int(last.argmax()), ", ".join(f"{name} {v:.4g}" for name, v in result.reference.items())
        share = f"; hypervolume from {start}: {last.mean():.4f} ± {last.std():.4f} over all seeds"
    front, names = result.fronts[seed], (*result.objectives, "arch")
    columns = [[v if name == "arch" else f"{v:.4g}" for v in front[name]] for name in names]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return f"Front of seed {result.seeds[seed]}{share}", names, rows


def at_budget(result: Result, queries: int) -> str:
    """Returns the share of seeds at the optimum after a budget, or the mean accuracy if that is unknown."""
    if result.benchmark["optimum"] is None:
        return f"{result.best_after(queries).mean():.2f}"
    return f"{100 * result.share_at_optimum(queries):.0f} %"


def budget_table(
    found: Mapping[str, Mapping[str, Result]], budgets: Sequence[int]
) -> tuple[Sequence[str], list[list[str]]]:
    """Returns header and rows: what each budget reached, mean regret at the last, p against the first."""
    rows = []
    for dataset, results in found.items():
        p_values = ["", *(f"{p:.1e}" for p in compare_at(list(results.values()), budgets[-1]))]
        for (label, result), p in zip(results.items(), p_values, strict=True):
            rows.append(
                [dataset, label, *(at_budget(result, q) for q in budgets), regret(result, budgets[-1]), p]
            )
    return ("data set", "method", *map(str, budgets), "regret", "p"), rows


def regret(result: Result, queries: int) -> str:
    """Returns the mean distance to the optimum after so many queries, or a dash where that is not known."""
    optimum = result.benchmark["optimum"]
    return "-" if optimum is None else f"{optimum - result.best_after(queries).mean():.3f}"


def comparison(
    found: Mapping[str, Mapping[str, Result]],
    budgets: Sequence[int],
    more: Mapping[str, tuple[Sequence[str], Sequence[Sequence[str]]]],
) -> str:
    """Prints the comparison of methods on data sets, and returns it as Markdown.

    Args:
        found: data set -> method -> result; the first method is the one that the others are tested against.
        budgets: queries at which the share of seeds at the optimum is said; the last is the tests'.
        more: further tables, title -> (header, rows).
    """
    results = [result for methods in found.values() for result in methods.values()]
    rows = [result_row(label, r) for methods in found.values() for label, r in methods.items()]
    first = next(iter(next(iter(found.values()))))
    tables = {
        f"{results[0].benchmark['oracle']} as oracle, at most {budgets[-1]} queries a seed".capitalize(): (
            RESULT_HEADER,
            rows,
        ),
        f"Seeds at the optimum (mean accuracy where it is not known) by queries; p: Wilcoxon against {first}, "
        "Holm": budget_table(found, budgets),
        **more,
    }
    for title, (header, body) in tables.items():
        print_table(title, header, body, only=TERMINAL_COLUMNS if header is RESULT_HEADER else None)
    print(footnotes(results))
    text = "\n".join(f"## {title}\n\n{markdown_table(*table)}" for title, table in tables.items())
    return f"{text}\n{footnotes(results)}\n"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table; bars inside a cell are those of its text."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def print_table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, only: Sequence[str] | None = None
) -> None:
    """Prints a table to the terminal; `only` names the columns that a terminal has room for."""
    kept = [i for i, name in enumerate(header) if only is None or name in only]
    table = Table(
        *(header[i] for i in kept), title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for row in rows:
        table.add_row(*(row[i] for i in kept))
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
