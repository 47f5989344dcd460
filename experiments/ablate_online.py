"""What each part does: EDNAG and EDNAG with an online predictor, less one part at a time, on five tables.

Command: `make ablate`; about 15 minutes on 2 cores, and it goes on where it was interrupted.

Each method runs whole and with one thing changed, on the same seeds. Selection off: no elite, and survivors
drawn evenly from parents and children. Mutants instead: as many proposals as before. Predictor off: a random
proposal is queried. Exploration off: always expected improvement.

Expected (seeds 0..99): EDNAG needs selection and mutation (mean delta above 0.7), not denoising. Online needs
its predictor (0.82 at 150 queries); without denoising it loses on two tables by 150, with mutants instead on
one; without rough or coarse traits, exploration or several noise levels on two by 75.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ednag_jax.experiments._comparison import SEEDS, SMOKE_QUERIES, SMOKE_SEEDS, changed_parts, write_tables

import ednag_jax as ed
from ednag_jax.compare import Part, nested, search_parts
from ednag_jax.report import compare_at, effects_at, regret
from ednag_jax.storage import require_writable

TABLES = (
    *(("nasbench201", name) for name in ("cifar10", "cifar100", "ImageNet16-120")),
    ("transnas101_micro", "class_object"),
    ("transnas101_macro", "class_object"),
)
BUDGETS = {"ednag": (150, 300), "ednag_online": (75, 150)}
"""Where methods are compared: halfway, since the end may hide a difference, and at the end."""
SMOKE_CHANGES = ("whole", "denoising off")
NOTE = (
    "Regret: mean distance to the table's best over all seeds. Delta: Cliff's delta of regret against the "
    "whole method, over all pairs of seeds: +1 where each seed does worse for the change; below 0.147 "
    "negligible, 0.33 small, 0.474 medium, else large. p: Wilcoxon over paired seeds, Holm's correction over a "
    "table's rows. Worse / better: tables where p < 0.05. The picture shows the first rows."
)


def changes(strategy: str, queries: int) -> dict[str, dict[str, Any]]:
    """Returns what each row changes in a strategy's settings; the first changes nothing."""
    config = ed.STRATEGIES[strategy].config.for_budget(queries, 0)
    temperatures = {f"temperature x {x:g}": {"temperature": x * config.temperature} for x in (0.1, 10.0)}
    schedules = {f"schedule {name}": {"schedule": name} for name in ("linear", "ddpm")}
    if strategy == "ednag":
        return {
            "whole": {},
            "denoising off": {"denoising": False},
            "selection off": {"elite_rate": 0.0, "diversity_rate": 0.0, "roulette_pressure": 0.0},
            "mutation off": {"variation": "none"},
            **temperatures,
            **schedules,
            "encoding padded": {"encoding": "padded"},
            **{f"mapping {name}": {"mapping": name} for name in ("identity", "energy", "standardised")},
        }
    denoised = config.num_denoising * config.population_size
    return {
        "whole": {},
        "denoising off": {"denoising": False},
        "predictor off": {"predictor": False},
        "denoising off, mutants instead": {"denoising": False, "num_mutants": config.num_mutants + denoised},
        "mutants off": {"num_mutants": 0},
        "rough traits off": {"rough_share": 0.0, "coarse_share": 0.9},
        "coarse traits off": {"rough_share": 0.9, "coarse_share": 0.0},
        "fine traits off": {"rough_share": 0.5, "coarse_share": 0.5},
        "exploration off": {"explore_every": 1_000_000},
        "one level of noise": {"noise_levels": (0.05,)},
        **{f"{n} denoising steps": {"num_denoising": n} for n in (1, 2, 8)},
        **{**temperatures, **schedules},
    }


def parts(strategy: str, benchmarks: Mapping[str, ed.Benchmark], queries: int) -> dict[tuple[str, str], Part]:
    """Returns (table, change) -> search; a macro space has no padded encoding."""
    found = {}
    for title, benchmark in benchmarks.items():
        possible = {
            name: changed
            for name, changed in changes(strategy, queries).items()
            if "encoding" not in changed or isinstance(benchmark.space, ed.CategoricalSpace)
        }
        made = changed_parts(strategy, benchmark, possible, queries)
        found.update({(title, name): part for name, part in made.items()})
    return found


def measured(results: Mapping[str, ed.Result], queries: int) -> dict[str, tuple[str, float, float]]:
    """Returns change -> (mean regret, effect on it, p) after so many queries."""
    several = list(results.values())
    effects, p_values = [0.0, *effects_at(several, queries)], [1.0, *compare_at(several, queries)]
    distances = [regret(result, queries) for result in several]
    return dict(zip(results, zip(distances, effects, p_values, strict=True), strict=True))


def rows(title: str, results: Mapping[str, ed.Result], budgets: Sequence[int]) -> list[list[str]]:
    """Returns one row a change: regret, effect and p at each budget."""
    lines = {name: [title, name] for name in results}
    for queries in budgets:
        for name, (distance, effect, p) in measured(results, queries).items():
            lines[name] += [distance, f"{effect:+.2f}", f"{p:.1e}"]
    return list(lines.values())


def summary(found: Mapping[str, Mapping[str, ed.Result]], budgets: Sequence[int]) -> list[list[str]]:
    """Returns one row a change: the mean effect over the tables, and on how many it is significant."""
    lines = {name: [name] for results in found.values() for name in results}
    for queries in budgets:
        tables = [measured(results, queries) for results in found.values()]
        for name, line in lines.items():
            effects = [(table[name][1], table[name][2] < 0.05) for table in tables if name in table]
            worse, better = (sum(sure and sign * effect > 0 for effect, sure in effects) for sign in (1, -1))
            mean = sum(effect for effect, _ in effects) / len(effects)
            line += [f"{mean:+.2f}", f"{worse} / {better} of {len(effects)}"]
    return list(lines.values())


def run(*, out: Path = Path("results/ablate"), data_dir: Path | None = None, smoke: bool = False) -> None:
    """Runs both methods whole and with each change; finished parts in `out` are kept."""
    require_writable(out)
    benchmarks = {
        f"{space} {name}": ed.load_benchmark(space, dataset=name, data_dir=data_dir)
        for space, name in (TABLES[:1] if smoke else TABLES)
    }
    seeds = SMOKE_SEEDS if smoke else SEEDS
    tables: dict[str, tuple[Sequence[str], list[list[str]]]] = {}
    every: dict[str, Mapping[str, ed.Result]] = {}
    for strategy, told in BUDGETS.items():
        budgets = (SMOKE_QUERIES // 2, SMOKE_QUERIES) if smoke else told
        asked = parts(strategy, benchmarks, budgets[-1]).items()
        chosen = {key: part for key, part in asked if not smoke or key[1] in SMOKE_CHANGES}
        found = nested(search_parts(chosen, seeds=seeds, folder=out / "parts"))
        tables[f"{strategy}: effect of each change, over the tables"] = (
            ("change", *(name for q in budgets for name in (f"mean delta at {q}", "worse / better"))),
            summary(found, budgets),
        )
        tables[f"{strategy}, {seeds} seeds"] = (
            ("table", "change", *(name for q in budgets for name in (f"regret at {q}", "delta", "p"))),
            [row for title, results in found.items() for row in rows(title, results, budgets)],
        )
        every |= {f"{strategy}, {title}": results for title, results in found.items()}
    write_tables(out, tables, every, command="make ablate", note=NOTE)


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
