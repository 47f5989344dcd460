"""What can be compared with what: runs on one benchmark, at equal queries."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ednag_jax.reports.runs import Run, benchmark_key
from ednag_jax.result import Result

SHARE_UNIT = "share of the whole table's hypervolume"


class Group(NamedTuple):
    """Runs on one benchmark, cut to equal queries."""

    title: str
    queries: int
    """Distinct architectures a seed after which the runs are compared."""
    runs: dict[str, Result]
    """Label -> result as it was after `queries`."""
    measure: str
    """`accuracy`, or with several objectives `hypervolume`: what `curve` and `best_accuracy` hold."""
    notes: list[str]
    """What is compared, and what is not."""


def group_runs(runs: Sequence[Run], *, queries: int | None = None) -> list[Group]:
    """Returns the groups in which runs can be compared, in the order in which they are met.

    Runs belong together that saw the same table, metric and epochs, under the same objectives and
    constraints; they are compared after the queries that all of them had.

    Args:
        runs: of `read_runs`.
        queries: compare after so many; default is the least of the runs' budgets.

    Raises:
        ValueError: queries below 1, or beyond what a run had.
    """
    members: dict[object, list[Run]] = {}
    for run in runs:
        members.setdefault(benchmark_key(run.result), []).append(run)
    titles = _titles([group[0].result for group in members.values()])
    apart = _apart([group[0].result for group in members.values()])
    made = zip(titles, apart, members.values(), strict=True)
    return [_group(title, note, group, queries) for title, note, group in made]


def _group(title: str, apart: list[str], runs: Sequence[Run], asked: int | None) -> Group:
    """Returns one group, with all that must be said of it."""
    spent = {run.label: run.result.curve.shape[1] for run in runs}
    least = min(spent.values())
    queries = least if asked is None else asked
    if not 1 <= queries <= least:
        shortest = min(spent, key=lambda label: spent[label])
        raise ValueError(
            f"queries must be from 1 to {least}, got {queries}: on {title}, {shortest} has no more than {least}"
        )
    scored = {run.label: scored_by(run.result) for run in runs}
    notes = [*apart, *_about_seeds(scored), *_about_queries(spent, queries), *_about_the_rest(scored)]
    cut_runs = {label: cut(result, queries) for label, result in scored.items()}
    if any(r.test_accuracy is not None and cut_runs[n].test_accuracy is None for n, r in scored.items()):
        notes.append(
            "Test accuracy belongs to what a run ended with, so it is not known of a run that was cut."
        )
    measure = "hypervolume" if len(runs[0].result.objectives) > 1 else "accuracy"
    return Group(title, queries, cut_runs, measure, notes)


def cut(result: Result, queries: int) -> Result:
    """Returns the result as it was after some queries; what is known of its end alone is left out."""
    if queries >= result.curve.shape[1]:
        return result
    best = result.curve[:, queries - 1]
    is_same = np.array_equal(best, result.best_accuracy, equal_nan=True)
    return dataclasses.replace(
        result,
        curve=result.curve[:, :queries],
        best_accuracy=best,
        test_accuracy=result.test_accuracy if is_same else None,
        queries=np.minimum(result.queries, queries),
        hypervolume=None if result.hypervolume is None else result.hypervolume[:, :queries],
        fronts=None,
    )


def scored_by(result: Result) -> Result:
    """Returns the result judged by its hypervolume in place of accuracy, where it has several objectives."""
    if len(result.objectives) == 1 or result.hypervolume is None:
        return result
    optimum = None if result.benchmark["optimum"] is None else 1.0
    return dataclasses.replace(
        result,
        curve=result.hypervolume,
        best_accuracy=result.hypervolume[:, -1],
        test_accuracy=None,
        benchmark={**result.benchmark, "optimum": optimum, "unit": SHARE_UNIT},
    )


def common_seeds(a: Result, b: Result) -> list[int]:
    """Returns the seeds that both have, in order: none where their keys come of different roots."""
    return sorted(set(a.seeds) & set(b.seeds)) if a.root == b.root else []


def at_seeds(result: Result, seeds: Sequence[int]) -> np.ndarray:
    """Returns the final values of some seeds; one that met nothing within the constraints counts as NaN."""
    place = {seed: row for row, seed in enumerate(result.seeds)}
    return result.best_accuracy[[place[seed] for seed in seeds]]


def filled(*values: Float[np.ndarray, "_"]) -> list[Float[np.ndarray, "_"]]:
    """Returns the values with the lowest of all in place of NaN; 0 where all are NaN."""
    known = np.concatenate(values)
    worst = np.nanmin(known) if not np.isnan(known).all() else 0.0
    return [np.where(np.isnan(each), worst, each) for each in values]


def _titles(results: Sequence[Result]) -> list[str]:
    """Returns what each group is called: benchmark, data set, and whatever tells it from another."""
    plain = [_title(result) for result in results]
    shared = Counter(plain)
    hashes = [str(result.benchmark.get("table_hash"))[:8] for result in results]
    told = [f"{t}, table {h}" if shared[t] > 1 else t for t, h in zip(plain, hashes, strict=True)]
    again = Counter(told)
    return [f"{t}, {n}" if again[t] > 1 else t for n, t in enumerate(told, 1)]


def _title(result: Result) -> str:
    about = result.benchmark
    name = about["name"] if about["dataset"] in ("", about["name"]) else f"{about['name']} {about['dataset']}"
    parts = [name, str(about["oracle"])]
    parts += [f"with {', '.join(result.objectives[1:])}"] if len(result.objectives) > 1 else []
    parts += [f"{cost} <= {bound:g}" for cost, bound in (result.constraints or {}).items()]
    return ", ".join(parts)


def _apart(results: Sequence[Result]) -> list[list[str]]:
    """Returns, for each group, a note where another has the same data set but cannot be compared with it."""
    names = [(result.benchmark["name"], result.benchmark["dataset"]) for result in results]
    notes = []
    for name, result in zip(names, results, strict=True):
        others = [
            other for other, same in zip(results, names, strict=True) if same == name and other is not result
        ]
        where = " ".join(filter(None, name))
        differing = _differing(result, others)
        notes.append([f"Not compared with the other runs on {where}: another {differing}."] if others else [])
    return notes


def _differing(result: Result, others: Sequence[Result]) -> str:
    """Returns in what the runs on one data set differ, so that they are no comparison."""
    words = {"metric": "metric", "epochs": "number of epochs", "table_hash": "table"}
    found = [
        w for key, w in words.items() if any(r.benchmark.get(key) != result.benchmark.get(key) for r in others)
    ]
    asked = {"objectives": "set of objectives", "constraints": "set of constraints"}
    found += [w for key, w in asked.items() if any(getattr(r, key) != getattr(result, key) for r in others)]
    return " and ".join(found) or "optimum or reference"


def _about_seeds(runs: Mapping[str, Result]) -> list[str]:
    """Returns what must be said of the seeds: how many, and where they are not the same."""
    sets = {label: (result.root, tuple(sorted(result.seeds))) for label, result in runs.items()}
    if len(set(sets.values())) == 1:
        return [f"{len(next(iter(runs.values())).seeds)} seeds, the same of every run, all of them counted."]
    several = len({root for root, _ in sets.values()}) > 1
    words = {label: f" of root {root}" if several else "" for label, (root, _) in sets.items()}
    each = "; ".join(f"{label}: {seeds_in_words(seeds)}{words[label]}" for label, (_, seeds) in sets.items())
    return [
        f"The runs have different seeds ({each}). Means are over all of a run's seeds; tests pair common ones."
    ]


def seeds_in_words(seeds: Sequence[int]) -> str:
    """Returns seeds as a range where they are one.

    >>> seeds_in_words([0, 1, 2]), seeds_in_words([4, 9])
    ('0 to 2', '2 seeds from 4 to 9')
    """
    first, last = min(seeds), max(seeds)
    is_range = last - first + 1 == len(seeds)
    if len(seeds) == 1:
        return str(first)
    return f"{first} to {last}" if is_range else f"{len(seeds)} seeds from {first} to {last}"


def _about_queries(spent: Mapping[str, int], queries: int) -> list[str]:
    """Returns after how many queries the runs are compared, and which went on."""
    longer = [f"{label} ({num})" for label, num in spent.items() if num > queries]
    went_on = f", of which these had more: {', '.join(longer)}" if longer else ""
    return [f"Compared after {queries} queries a seed{went_on}."]


def _about_the_rest(runs: Mapping[str, Result]) -> list[str]:
    """Returns what else a reader must know: test accuracy as oracle, losses, missing optimum, versions."""
    first, notes = next(iter(runs.values())), []
    if first.benchmark["metric"] == "test":
        notes.append("The search saw test accuracy.")
    if first.benchmark.get("direction") == "min":
        notes.append("A loss, shown with its sign turned: higher is better.")
    if any(result.observed_accuracy is not None for result in runs.values()):
        notes.append("Noisy oracle: judged is the true accuracy of what a method was told is best.")
    if first.benchmark["optimum"] is None:
        notes.append("The best of the benchmark is not known, so neither is the regret.")
    without = {label: int(np.isnan(result.best_accuracy).sum()) for label, result in runs.items()}
    missed = ", ".join(f"{label} {num} of {len(runs[label].seeds)}" for label, num in without.items() if num)
    if missed:
        notes.append(
            f"Seeds that met nothing that counts: {missed}. Means leave them out; in tests they are the worst."
        )
    versions = {result.environment.get("ednag-jax", "unknown") for result in runs.values()}
    if len(versions) > 1:
        notes.append(f"Made by different versions of ednag-jax: {', '.join(sorted(versions))}.")
    return notes
