"""Figure 7 of the paper, its ablation, on NAS-Bench-201: naive diffusion, fitness-guided denoising, selection.

Command: `make reproduce-ablation`, `ednag reproduce ablation`: about a minute on 2 cores.

Naive: in (8) every individual weighs the same, and children replace their parents. FD: weights from fitness.
FD + selection: (10) as well. Whole: mutation too, as the published experiments have it. The oracle is
validation accuracy; compared is the test accuracy of what a run generates, the best of its last population (or,
without the data directory, its validation accuracy; the tables say which).

Expected (seeds 0..99), in the settings of the paper, on every data set: naive below FD below FD + selection
below whole, as the paper says (its accuracies are lost from the text). FD adds most, d above 1.5; selection 0.1
to 0.4 points, by itself hardly significant. In the default settings FD does not differ from naive: selection
and mutation guide there, d above 1 each.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

import ednag_jax as ed
from ednag_jax import plots, report
from ednag_jax.many_seeds import evolve_seeds
from ednag_jax.queries import flatten_trace, query_log
from ednag_jax.result import plain
from ednag_jax.storage import require_writable, write_atomic

DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
PRESETS = ("paper", "default")
SETTINGS: dict[str, dict[str, Any]] = {
    "naive diffusion": {"mapping": "constant", "selection": False, "variation": "none"},
    "FD": {"selection": False, "variation": "none"},
    "FD + selection": {"variation": "none"},
    "whole: mutation too": {},
}
NOTE = (
    "Generated: accuracy of the best of the last population (where none of it is valid, of the best met), "
    "mean ± standard deviation over seeds. Best met: the best validation accuracy of any step. p and d: "
    "against the row above; paired t-test over seeds with Holm's correction over all rows, Cohen's d above 0 "
    "where the row is better."
)
Column = Float[np.ndarray, " s"]


class Found(NamedTuple):
    """What one setting gave on one data set."""

    generated: Column
    """Accuracy of what a run generates."""
    judged: str
    """Which accuracy that is: `test` where the column is at hand, else `validation`."""
    met: Column
    queries: Column
    children: Float[np.ndarray, "s t n"]
    """Validation accuracy, NaN where invalid."""


def run_setting(benchmark: ed.Benchmark, config: ed.EvolveConfig, seeds: int) -> Found:
    """Returns what all seeds of a setting give."""
    problem, keys = benchmark.problem, ed.seed_keys(seeds)
    state, trace = evolve_seeds(keys, benchmark.params, problem=problem, config=config)
    fittest = np.asarray(state.evaluation.fitness).argmax(axis=1)
    last = np.asarray(state.evaluation.phenotype)[np.arange(seeds), fittest]
    none_valid = np.isnan(np.asarray(state.evaluation.accuracy)).all(axis=1)[:, None]
    arch = jnp.asarray(np.where(none_valid, np.asarray(state.best.phenotype), last))
    evaluation, has_test = flatten_trace(trace), benchmark.test_params is not None
    return Found(
        np.asarray(benchmark.lookup(arch, "test" if has_test else "oracle"), np.float64),
        "test" if has_test else "validation",
        np.asarray(state.best.accuracy, np.float64),
        np.array([len(query_log(evaluation, seed, None).accuracy) for seed in range(seeds)], np.float64),
        np.asarray(trace.steps.evaluation.accuracy),
    )


def rows(found: Mapping[str, Found], p_values: Iterator[float]) -> list[list[str]]:
    """Returns one row a setting, each compared with the one above it."""
    lines, above = [], None
    for name, one in found.items():
        measured = [report.plus_minus(report.summarise(column))[0] for column in (one.generated, one.met)]
        compared = ["", ""]
        if above is not None:
            compared = [f"{next(p_values):.1e}", f"{report.cohens_d(one.generated, above.generated):+.2f}"]
        lines.append([name, *measured, f"{one.queries.mean():.0f}", *compared])
        above = one
    return lines


def corrected(found: Mapping[tuple[str, str], Mapping[str, Found]]) -> Iterator[float]:
    """Returns the p-value of every row against the one above it, over all tables, in their order."""
    pairs = [pair for table in found.values() for pair in itertools.pairwise(table.values())]
    return iter(report.holm([report.paired_t(a.generated, b.generated) for a, b in pairs]))


def run(
    *, out: Path = Path("results/ablation"), seeds: int = 100, data_dir: Path | None = None, smoke: bool = False
) -> None:
    """Runs every setting on every data set, writes table.md, results.json and generations.png."""
    require_writable(out)
    seeds, datasets = (3, DATASETS[:1]) if smoke else (seeds, DATASETS)
    found: dict[tuple[str, str], dict[str, Found]] = {}
    for preset, dataset in itertools.product(PRESETS, datasets):
        benchmark = ed.load_benchmark("nasbench201", dataset=dataset, data_dir=data_dir)
        whole = ed.EvolveConfig.preset(preset, dataset=dataset)
        whole = whole.replace(num_steps=20) if smoke else whole
        table = {name: run_setting(benchmark, whole.replace(**c), seeds) for name, c in SETTINGS.items()}
        found[preset, dataset] = table
        print(f"preset {preset}, {dataset}: done", flush=True)
        if dataset == DATASETS[0]:
            children = {name: one.children for name, one in table.items()}
            plots.save(plots.generations(children, benchmark.optimum), out / f"generations_{preset}.png")
    write_tables(out, found, seeds)


def write_tables(out: Path, found: Mapping[tuple[str, str], Mapping[str, Found]], seeds: int) -> None:
    """Writes table.md and results.json, and prints the tables."""
    made, p_values, text = report.provenance("ednag reproduce ablation"), corrected(found), []
    for (preset, dataset), table in found.items():
        title, lines = f"Preset {preset}, {dataset}, {seeds} seeds", rows(table, p_values)
        judged = next(iter(table.values())).judged
        header = ("setting", f"generated, {judged}", "best met, validation", "queries", "p", "d")
        report.print_table(title, header, lines)
        text.append(f"## {title}\n\n{report.markdown_table(header, lines)}\n")
    write_atomic(out / "table.md", "\n".join([*text, NOTE, "", report.provenance_line(made)]))
    numbers = {
        f"{preset} / {dataset} / {name}": {k: plain(v) for k, v in one._asdict().items() if k != "children"}
        for (preset, dataset), table in found.items()
        for name, one in table.items()
    }
    write_atomic(out / "results.json", json.dumps({**made, "results": numbers}, indent=1))
    print(f"written to {out}/: results.json, table.md, generations_paper.png, generations_default.png")


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
