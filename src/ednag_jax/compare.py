"""Several methods on one benchmark: same seeds, same budget, finished results kept so that a run can go on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ednag_jax.benchmarks import Benchmark
from ednag_jax.config import EvolveConfig
from ednag_jax.result import Result, plain
from ednag_jax.search import default_config, describe, environment, search

Key = TypeVar("Key", bound=Hashable)


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


class Part(NamedTuple):
    """One search of a comparison."""

    benchmark: Benchmark
    method: Method
    queries: int | None
    """Budget per seed; None is all that a run asks."""
    objectives: tuple[str, ...] = ("accuracy",)

    def path(self, folder: Path) -> Path:
        """Returns the file of the finished part."""
        benchmark = self.benchmark
        names = (benchmark.name, benchmark.dataset, benchmark.metric, *self.objectives[1:], self.method.label)
        return folder / f"{' '.join(names)}.json"

    def config(self) -> Any:
        """Returns the settings that it is searched with."""
        method, size = self.method, self.benchmark.space.size
        if method.config is not None:
            return method.config
        return default_config(method.strategy, self.queries, size, len(self.objectives))


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
        folder: where finished results are kept, see `search_parts`.
    """
    return compare_all({"": benchmark}, methods, seeds=seeds, queries=queries, folder=folder)[""]


def compare_all(
    benchmarks: Mapping[str, Benchmark],
    methods: Sequence[Method],
    *,
    seeds: int = 100,
    queries: int,
    folder: Path | None = None,
) -> dict[str, dict[str, Result]]:
    """Returns title -> label -> result, as `compare` does on each benchmark."""
    parts = {
        (title, method.label): Part(benchmark, method, queries)
        for title, benchmark in benchmarks.items()
        for method in methods
    }
    return nested(search_parts(parts, seeds=seeds, folder=folder))


def nested(results: Mapping[tuple[str, str], Result]) -> dict[str, dict[str, Result]]:
    """Returns title -> label -> result of results by both."""
    found: dict[str, dict[str, Result]] = {}
    for (title, label), result in results.items():
        found.setdefault(title, {})[label] = result
    return found


def search_parts(
    parts: Mapping[Key, Part], *, seeds: int | range, folder: Path | None = None
) -> dict[Key, Result]:
    """Returns the result of every part, and says after each how far this is.

    Args:
        parts: in the order in which they are run.
        seeds: of every part: how many from 0 on, or a range of them.
        folder: where finished results are kept as JSON; one that fits (same benchmark and table, settings,
            seeds, budget, versions) is read instead of computed again, so an interrupted run goes on. Code
            that is edited without a new version does not show: empty the folder then.
    """
    found, seeds = {}, range(seeds) if isinstance(seeds, int) else seeds
    for number, (key, part) in enumerate(parts.items(), 1):
        kept = _kept(part, seeds, folder) if folder else None
        found[key] = kept or _searched(part, seeds, folder)
        result, named = found[key], f"{part.benchmark.name} {part.benchmark.dataset}: {part.method.label}"
        took = f"compiled in {result.compile_seconds:.1f} s, ran in {result.run_seconds:.1f} s"
        took = "kept from before" if kept else took
        print(f"part {number} of {len(parts)}, {named}, {len(seeds)} seeds, {took}", flush=True)
    return found


def _searched(part: Part, seeds: range, folder: Path | None) -> Result:
    asked: dict[str, Any] = {"queries": part.queries, "config": part.config(), "objectives": part.objectives}
    result = search(part.method.strategy, part.benchmark, seeds=seeds, **asked)
    if folder:
        result.to_json(part.path(folder))
    # Rounded as a kept one is: else two methods differ by what was rounded, in each seed the same way.
    return dataclasses.replace(Result.from_dict(result.to_dict()), config=result.config)


def _kept(part: Part, seeds: range, folder: Path) -> Result | None:
    """Returns the result in the part's file where it is this very search's, else None."""
    try:
        kept = Result.from_dict(json.loads(part.path(folder).read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        return None  # missing, cut, or of another version: it is computed again
    config = part.config()
    wanted = {
        "strategy": part.method.strategy,
        "benchmark": describe(part.benchmark),
        "config": {"name": type(config).__name__, **dataclasses.asdict(config)},
        "seeds": list(seeds),
        "budget": part.queries,
        "objectives": list(part.objectives),
        "environment": environment(),
    }
    return kept if all(getattr(kept, name) == plain(value) for name, value in wanted.items()) else None
