"""Several methods on one benchmark: same seeds, same budget, finished results kept so that a run can go on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ednag_jax.benchmarks import Benchmark
from ednag_jax.config import EvolveConfig
from ednag_jax.result import Result, plain
from ednag_jax.search import describe, environment, search
from ednag_jax.strategies import STRATEGIES


class Method(NamedTuple):
    """A strategy with settings, under the name that tables give it."""

    label: str
    strategy: str
    config: Any = None
    """None is the strategy's default for the budget."""


BASELINES = (
    Method("regularized evolution", "regularized_evolution"),
    Method("local search", "local_search"),
    Method("random search", "random_search"),
)
EDNAG_DEFAULT = Method("EDNAG, default", "ednag")


def paper_recipe(dataset: str = "") -> Method:
    """Returns preset `paper`, with the data set's published factor where there is one."""
    return Method("EDNAG, paper", "ednag", EvolveConfig.preset("paper", dataset=dataset))


def compare(
    benchmark: Benchmark,
    methods: Sequence[Method],
    *,
    seeds: int = 100,
    queries: int,
    folder: Path | None = None,
) -> dict[str, Result]:
    """Returns label -> result, every method with the same seeds and budget.

    Args:
        benchmark: what is searched.
        methods: in the order of the tables.
        seeds: seeds 0 .. seeds-1.
        queries: budget per seed.
        folder: where finished results are kept as JSON; one that fits (same benchmark and table, settings,
            seeds, budget, versions) is read instead of computed again, so an interrupted run goes on.
    """
    return {
        method.label: _found_or_searched(method, benchmark, range(seeds), queries, folder) for method in methods
    }


def _found_or_searched(
    method: Method, benchmark: Benchmark, seeds: range, queries: int, folder: Path | None
) -> Result:
    path = folder and folder / f"{benchmark.name} {benchmark.dataset} {method.label}.json"
    kept = path and _kept(path, method, benchmark, seeds, queries)
    if kept:
        return kept
    result = search(method.strategy, benchmark, seeds=seeds, queries=queries, config=method.config)
    if path:
        result.to_json(path)
    print(
        f"{benchmark.name} {benchmark.dataset}: {method.label}, {len(seeds)} seeds, compiled in "
        f"{result.compile_seconds:.1f} s, ran in {result.run_seconds:.1f} s",
        flush=True,
    )
    return result


def _kept(path: Path, method: Method, benchmark: Benchmark, seeds: range, queries: int) -> Result | None:
    """Returns the result in a file where it is this very search's, else None."""
    try:
        kept = Result.from_dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        return None  # missing, cut, or of another version: it is computed again
    config = method.config
    if config is None:
        config = STRATEGIES[method.strategy].config.for_budget(queries, benchmark.space.size)
    wanted = {
        "strategy": method.strategy,
        "benchmark": describe(benchmark),
        "config": {"name": type(config).__name__, **dataclasses.asdict(config)},
        "seeds": list(seeds),
        "budget": queries,
        "environment": environment(),
    }
    return kept if all(getattr(kept, name) == plain(value) for name, value in wanted.items()) else None
