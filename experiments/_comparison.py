"""What the experiments that compare EDNAG with baselines on one benchmark have in common."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ednag_jax as ed
from ednag_jax import plots, report
from ednag_jax.compare import BASELINES, EDNAG_DEFAULT, Method, Part, compare_all
from ednag_jax.storage import require_writable, write_atomic

SEEDS, SMOKE_SEEDS, SMOKE_QUERIES = 100, 3, 40


def compare_and_write(
    benchmarks: Mapping[str, ed.Benchmark], *, out: Path, command: str, budgets: tuple[int, ...], smoke: bool
) -> None:
    """Compares EDNAG with the baselines on every benchmark; writes table, results and regret plot.

    Args:
        benchmarks: panel title -> benchmark.
        out: output directory; finished parts in it are not computed again.
        command: what to say that made it.
        budgets: queries at which results are told; the last is the budget.
        smoke: three seeds and a small budget, to see that everything runs.
    """
    require_writable(out)
    seeds, queries = (SMOKE_SEEDS, SMOKE_QUERIES) if smoke else (SEEDS, budgets[-1])
    methods = (EDNAG_DEFAULT, *BASELINES)
    found = compare_all(benchmarks, methods, seeds=seeds, queries=queries, folder=out / "parts")
    told = tuple(q for q in budgets if q <= queries) or (queries,)
    made = report.provenance(command)
    text = report.comparison(found, told, {})
    write_atomic(out / "table.md", f"{text}\n{report.provenance_line(made)}")
    flat = {f"{title} / {label}": r for title, results in found.items() for label, r in results.items()}
    report.write_results(out / "results.json", made, flat)
    plots.save(plots.progress_by_queries(found), out / "progress.png")
    print(f"written to {out}/: results.json, table.md, progress.png")


def changed_parts(
    strategy: str, benchmark: ed.Benchmark, changes: Mapping[str, dict[str, Any]], queries: int
) -> dict[str, Part]:
    """Returns what a change is called -> search with a strategy's settings for the budget, so changed."""
    whole = ed.STRATEGIES[strategy].config.for_budget(queries, benchmark.space.size)
    return {
        name: Part(
            benchmark, Method(f"{strategy}, {name}", strategy, dataclasses.replace(whole, **changed)), queries
        )
        for name, changed in changes.items()
    }


def write_rows(
    out: Path, title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, command: str
) -> None:
    """Prints one table, and writes table.md and results.json of it.

    Args:
        out: output directory.
        title: of the table.
        header: of its columns.
        rows: as they are shown.
        command: what to say that made it.
    """
    report.print_table(title, header, rows)
    made = report.provenance(command)
    text = f"## {title}\n\n{report.markdown_table(header, rows)}\n\n{report.provenance_line(made)}"
    write_atomic(out / "table.md", text)
    write_atomic(out / "results.json", json.dumps({"made": made, "header": header, "rows": rows}, indent=1))
    print(f"written to {out}/: results.json, table.md")


def write_tables(
    out: Path,
    tables: Mapping[str, tuple[Sequence[str], Sequence[Sequence[str]]]],
    found: Mapping[str, Mapping[str, ed.Result]],
    *,
    command: str,
    note: str = "",
) -> None:
    """Prints tables of an experiment's own, title -> (header, rows), and writes them with results and plot.

    Args:
        out: output directory.
        tables: in their order.
        found: panel title -> method -> result.
        command: what to say that made it.
        note: what must be said beneath.
    """
    for title, (header, body) in tables.items():
        report.print_table(title, header, body)
    text = "\n".join(f"## {title}\n\n{report.markdown_table(*table)}" for title, table in tables.items())
    made = report.provenance(command)
    write_atomic(
        out / "table.md", "\n\n".join(filter(None, (text.strip(), note, report.provenance_line(made))))
    )
    flat = {f"{title} / {label}": r for title, results in found.items() for label, r in results.items()}
    report.write_results(out / "results.json", made, flat)
    plots.save(plots.progress_by_queries(found), out / "progress.png")
    print("\n".join(filter(None, (note, f"written to {out}/: results.json, table.md, progress.png"))))
