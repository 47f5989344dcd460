"""The sweep behind the settings of EDNAG with an online predictor: one changed at a time, on the chosen tables.

Command: `python experiments/sweep_online.py`; about half an hour on 2 cores, and it goes on where it was
interrupted.

Runs on the tables that settings are chosen on (`CHOSEN_ON` of compare_strategies.py), so that those that
`make compare` holds out have no say, nor its seeds. `own_share`, which decides what a search under a noisy
oracle ends with, is chosen on NAS-Bench-201's CIFAR-10 and ImageNet16-120, one training a query. Score: a
seed's regret, mean over its queries from 26 on; then the mean over seeds, as a share of that of the shipped
settings; then the geometric mean over tables. Below 1 is better than shipped.

Expected: no setting with a score below 1; without fine traits (shares 0.5, 0.5, 0) two tables of TransNAS-
Bench-101 micro are significantly better, and one of NAS-Bench-201 is worse. `own_share` 0.1 and 0.2 are
level: the one is better on CIFAR-10, the other on ImageNet16-120.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ednag_jax.experiments._comparison import SMOKE_QUERIES, changed_parts, write_tables
from ednag_jax.experiments.compare_strategies import CHOSEN_ON
from jaxtyping import Float

import ednag_jax as ed
from ednag_jax.compare import Part, nested, search_parts
from ednag_jax.report import holm, wilcoxon
from ednag_jax.storage import require_writable

QUERIES, NOISY_QUERIES, FIRST, SEEDS, SHIPPED = 150, 300, 26, range(100, 200), "shipped"
NOISY = (("nasbench201", "cifar10"), ("nasbench201", "ImageNet16-120"))
NOTE = (
    "Columns of tables: the score there. Better / worse: tables where p < 0.05, Wilcoxon over paired seeds, "
    "Holm's correction over a table's rows."
)
Settings = dict[str, dict[str, Any]]
"""What a row is called -> what it changes."""


def changes(queries: int) -> Settings:
    """Returns what each row changes in the shipped settings; the first changes nothing."""
    noises = {"one noise level, 0.1": (0.1,), "noise level 1 too": (0.02, 0.1, 0.4, 1.0)}
    return {
        SHIPPED: {},
        **{
            f"shares {a:.2g}, {b:.2g}, {1 - a - b:.2g}": {"rough_share": a, "coarse_share": b}
            for a, b in ((1 / 3, 1 / 3), (0.475, 0.475), (0.5, 0.5))
        },
        **{f"rate {rate:g}": {"rate": rate} for rate in (1.0, 4.0)},
        **{f"explore every {n}": {"explore_every": n} for n in (1, 3, 5)},
        **{f"explore width {width:g}": {"explore_width": width} for width in (1.0, 2.0, 4.0)},
        **{f"{n} first": {"num_initial": n, "num_steps": queries - n} for n in (2, 10)},
        **{name: {"noise_levels": levels} for name, levels in noises.items()},
    }


def noisy_changes() -> Settings:
    """Returns the same of what a search under a noisy oracle ends with."""
    return {SHIPPED: {}, **{f"own share {share:g}": {"own_share": share} for share in (0.0, 0.2, 0.4, 1.0)}}


def parts(
    benchmarks: Mapping[str, ed.Benchmark], changed: Settings, queries: int
) -> dict[tuple[str, str], Part]:
    """Returns (table, setting) -> search."""
    return {
        (title, name): part
        for title, benchmark in benchmarks.items()
        for name, part in changed_parts("ednag_online", benchmark, changed, queries).items()
    }


def areas(result: ed.Result) -> Float[np.ndarray, " s"]:
    """Returns each seed's regret, mean over the queries that count."""
    counted = result.curve[:, min(FIRST, result.curve.shape[1]) - 1 :]
    return np.asarray((result.benchmark["optimum"] - counted).mean(axis=1))


def rows(found: Mapping[str, Mapping[str, ed.Result]]) -> list[list[str]]:
    """Returns one row a setting, the best first: score, tables where it is better and worse, score on each."""
    tables = [{name: areas(result) for name, result in results.items()} for results in found.values()]
    names = list(tables[0])
    scores = np.array([[table[name].mean() / table[SHIPPED].mean() for name in names] for table in tables])
    p_values = [holm([wilcoxon(table[SHIPPED], table[name]) for name in names]) for table in tables]
    signs = np.sign(scores - 1) * (np.array(p_values) < 0.05)
    mean = np.exp(np.log(scores).mean(axis=0))
    return [
        [names[i], f"{mean[i]:.3f}", f"{(signs[:, i] < 0).sum()} / {(signs[:, i] > 0).sum()} of {len(tables)}"]
        + [f"{score:.2f}" for score in scores[:, i]]
        for i in np.argsort(mean)
    ]


def run(*, out: Path = Path("results/sweep_online"), data_dir: Path | None = None, smoke: bool = False) -> None:
    """Runs every setting on every chosen table; finished parts in `out` are kept."""
    require_writable(out)
    queries, noisy_queries = (SMOKE_QUERIES, SMOKE_QUERIES) if smoke else (QUERIES, NOISY_QUERIES)
    asked = {
        "one setting changed": (None, sorted(CHOSEN_ON), changes(queries), queries),
        "under a noisy oracle": ("noisy", NOISY, noisy_changes(), noisy_queries),
    }
    tables: dict[str, tuple[Sequence[str], list[list[str]]]] = {}
    every: dict[str, Mapping[str, ed.Result]] = {}
    for title, (metric, chosen, changed, budget) in asked.items():
        benchmarks = {
            f"{space} {name}": ed.load_benchmark(space, dataset=name, metric=metric, data_dir=data_dir)
            for space, name in (chosen[-1:] if smoke else chosen)
        }
        wanted = dict(list(changed.items())[: 2 if smoke else None])
        seeds = range(SEEDS.start, SEEDS.start + 3) if smoke else SEEDS
        found = nested(search_parts(parts(benchmarks, wanted, budget), seeds=seeds, folder=out / "parts"))
        header = ("setting", "score", "better / worse", *found)
        tables[f"EDNAG, online, {title}: {budget} queries, {len(seeds)} seeds"] = (header, rows(found))
        every |= {f"{title}, {table}": results for table, results in found.items()}
    write_tables(out, tables, every, command="python experiments/sweep_online.py", note=NOTE)


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
