"""Accuracy against latency and against size on NAS-Bench-201: EDNAG and NSGA-II at equal queries.

Command: `make compare-objectives`; about 3 minutes on 2 cores, and it goes on where it was interrupted. NSGA-II
is pymoo's (pip install 'ednag-jax[nsga2]').

Expected (seeds 0..99), mean over the six tables: `ednag_online` above all others at 100, 200 and 300 queries,
0.989 at 300, though below NSGA-II on model size with CIFAR-10; EDNAG and NSGA-II within 0.002 of each other,
0.981 at 300, random search below 0.957. Settings of both were chosen on cifar10 and ImageNet16-120 with seeds
from 100 on: for NSGA-II population 10 (of 10, 20, 40) and uniform crossover (before two-point, and before
simulated binary with 20); with population 20 it is behind EDNAG. EDNAG's denoising does not matter here:
without it the same order of fronts with the same mutation finds as much.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ednag_jax.experiments._comparison import SEEDS, SMOKE_QUERIES, SMOKE_SEEDS
from jaxtyping import Float

import ednag_jax as ed
from ednag_jax import plots, report
from ednag_jax.compare import Method, Part, nested, search_parts
from ednag_jax.objectives import checked_goal, feasible_table, scale_of
from ednag_jax.storage import require_writable, write_atomic

DATASETS, COSTS, BUDGETS = ("cifar10", "cifar100", "ImageNet16-120"), ("latency", "model_size"), (100, 200, 300)
POPULATIONS = (10, 20)
NOTE = (
    "Share of the hypervolume that the whole table dominates, from its worst accuracy and its worst cost: "
    "mean over all seeds, and the standard deviation at the last budget. Mark after a number: better (+) or "
    "worse (-) than the first method at that budget, Wilcoxon with Holm's correction over methods, p < 0.05."
)
Curves = Float[np.ndarray, "s q"]


def methods(queries: int, size: int) -> list[Method]:
    """Returns every strategy of the registry that takes several objectives, and EDNAG without its denoising."""
    able = [name for name, entry in ed.STRATEGIES.items() if entry.strategy.several_objectives]
    without = ed.EvolveConfig.for_front(queries, size).replace(denoising=False)
    return [*(Method(name, name) for name in able), Method("ednag, denoising off", "ednag", without)]


def nsga2(benchmark: ed.Benchmark, cost: str, *, seeds: int, queries: int, population: int) -> Curves:
    """Returns the hypervolume of NSGA-II after 1 .. queries queries, seed by seed."""
    from ednag_jax.experiments._nsga2 import queries_of

    goal = checked_goal(benchmark, ("accuracy", cost), None)
    scale, table = scale_of(benchmark, goal), feasible_table(benchmark, goal)
    if scale is None or table is None or not isinstance(benchmark.space, ed.CategoricalSpace):
        raise ValueError(f"NSGA-II is run on tables of categorical spaces, got benchmark {benchmark.name!r}")
    settings = {"queries": queries, "population": population}
    asked = [queries_of(table, benchmark.space.choices, seed=seed, **settings) for seed in range(seeds)]
    return np.stack([scale.curve(table[rows], queries) for rows in asked])


def rows(title: str, curves: Mapping[str, Curves], budgets: Sequence[int]) -> list[list[str]]:
    """Returns one row a method: mean hypervolume at each budget, marked where it differs from the first's."""
    first, *others = curves.values()
    p_values = [report.holm([report.wilcoxon(first[:, q - 1], c[:, q - 1]) for c in others]) for q in budgets]
    lines = []
    for number, (label, curve) in enumerate(curves.items()):
        cells = []
        for q, p in zip(budgets, p_values, strict=True):
            mean, gain = curve[:, q - 1].mean(), curve[:, q - 1].mean() - first[:, q - 1].mean()
            mark = "" if not number or p[number - 1] >= 0.05 else " +" if gain > 0 else " -"
            cells.append(f"{mean:.4f}{mark}")
        lines.append([title, label, *cells, f"{curve[:, budgets[-1] - 1].std(ddof=1):.4f}"])
    return lines


def all_curves(
    benchmarks: Mapping[str, ed.Benchmark], costs: Sequence[str], *, seeds: int, queries: int, folder: Path
) -> tuple[dict[str, dict[str, Curves]], dict[str, ed.Result]]:
    """Returns title -> method -> hypervolume by queries, NSGA-II first; EDNAG's results on the first cost."""
    parts = {
        (f"{name}, {cost}", method.label): Part(benchmark, method, queries, ("accuracy", cost))
        for name, benchmark in benchmarks.items()
        for cost in costs
        for method in methods(queries, benchmark.space.size)
    }
    found = nested(search_parts(parts, seeds=seeds, folder=folder))
    curves: dict[str, dict[str, Curves]] = {}
    for name, benchmark in benchmarks.items():
        for cost in costs:
            settings = {"seeds": seeds, "queries": queries}
            title = f"{name}, {cost}"
            curves[title] = {
                f"NSGA-II, {n}": nsga2(benchmark, cost, population=n, **settings) for n in POPULATIONS
            }
            curves[title] |= {label: np.asarray(r.hypervolume) for label, r in found[title].items()}
            print(f"{title}: NSGA-II done", flush=True)
    return curves, {title: results["ednag"] for title, results in found.items() if title.endswith(costs[0])}


def run(*, out: Path = Path("results/objectives"), data_dir: Path | None = None, smoke: bool = False) -> None:
    """Compares the methods on every data set and cost; finished parts in `out` are kept."""
    require_writable(out)
    seeds, queries = (SMOKE_SEEDS, SMOKE_QUERIES) if smoke else (SEEDS, BUDGETS[-1])
    names, costs = (DATASETS[:1], COSTS[:1]) if smoke else (DATASETS, COSTS)
    benchmarks = {name: ed.load_benchmark("nasbench201", dataset=name, data_dir=data_dir) for name in names}
    curves, results = all_curves(benchmarks, costs, seeds=seeds, queries=queries, folder=out / "parts")
    plots.save(plots.hypervolume_by_queries(curves), out / "hypervolume.png")
    plots.save(plots.fronts(results), out / "fronts.png")
    each = list(curves.values())
    curves["mean of all"] = {label: np.mean([c[label] for c in each], axis=0) for label in each[0]}
    budgets = tuple(q for q in BUDGETS if q <= queries) or (queries,)
    header = ("data set, cost", "method", *(f"at {q}" for q in budgets), "std")
    body = [row for title, each in curves.items() for row in rows(title, each, budgets)]
    title = f"Mean hypervolume by queries, accuracy against a cost, {seeds} seeds"
    report.print_table(title, header, body)
    made = report.provenance("make compare-objectives")
    table = report.markdown_table(header, body)
    write_atomic(out / "table.md", f"## {title}\n\n{table}\n{NOTE}\n\n{report.provenance_line(made)}")
    at = {
        t: {label: c[:, [q - 1 for q in budgets]].tolist() for label, c in e.items()} for t, e in curves.items()
    }
    write_atomic(out / "results.json", json.dumps({**made, "budgets": budgets, "hypervolume": at}) + "\n")
    print(f"{NOTE}\nwritten to {out}/: results.json, table.md, hypervolume.png, fronts.png")


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
