"""`ednag search`: a strategy on a benchmark, and the settings of both by name."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from ednag_jax import plots, report
from ednag_jax.benchmarks import BENCHMARKS, load_benchmark
from ednag_jax.cli.progress import plain_warnings, progress
from ednag_jax.config import EvolveConfig
from ednag_jax.result import Result
from ednag_jax.resume import EVERY
from ednag_jax.search import default_config
from ednag_jax.search import search as run_search
from ednag_jax.storage import require_writable, write_atomic
from ednag_jax.strategies import STRATEGIES


def search(
    *,
    space: str = "nasbench201",
    dataset: str | None = None,
    strategy: str = "ednag",
    seeds: int = 100,
    queries: int | None = None,
    preset: str = "default",
    settings: Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="NAME=VALUE")] = (),
    metric: str | None = None,
    objectives: tuple[str, ...] = ("accuracy",),
    constraints: Annotated[tuple[str, ...], tyro.conf.arg(metavar="COST=BOUND")] = (),
    root: int = 0,
    data_dir: Path | None = None,
    out: Path | None = None,
    checkpoint: Path | None = None,
    every: int = EVERY,
) -> None:
    """Searches a benchmark with many seeds in one compiled call and reports every seed.

    Example: ednag search --space nasbench201 --dataset cifar10 --strategy ednag --seeds 100 --queries 300

    Args:
        space: a benchmark's space; `ednag list` names them.
        dataset: a data set or task of the benchmark; default is its first.
        strategy: ednag, ednag_online, tpe, random_search, ...: `ednag list` names all.
        seeds: seeds 0 .. seeds-1.
        queries: distinct architectures that each seed may ask about; default is all that a run asks.
        preset: settings of strategy ednag: default or paper.
        settings: settings of the strategy by name, such as num_steps=200 temperature=0.5.
        metric: what the search sees; default is validation accuracy where the benchmark has it. `test`
            searches test accuracy (protocol `paper`), and the report says so.
        objectives: accuracy, and costs of the benchmark to minimise with it, such as latency or model_size.
        constraints: the most that is allowed of a cost, in its own unit, such as latency=0.015.
        root: random root that the seeds are folded into.
        data_dir: folder of benchmark files; default is EDNAG_DATA_DIR.
        out: folder for result.json, table.md, progress.png and, with several objectives, front.png; default
            writes nothing.
        checkpoint: folder of this run's checkpoints: stop it in any way, give the same command again, and it
            goes on and ends as it would have without the stop.
        every: steps between two checkpoints; changes no result.
    """
    if out is not None:
        require_writable(out)
    benchmark = _load(space, dataset, metric, data_dir)
    bounds = dict(_bound(text) for text in constraints)
    budget = (queries, benchmark.space.size, len(objectives))
    config = _configured(strategy, preset, benchmark.dataset, settings, budget)
    asked: dict[str, Any] = {"objectives": objectives, "constraints": bounds, "config": config, "root": root}
    asked.update(checkpoint=checkpoint, every=every)
    text = f"{strategy}: {seeds} seeds on {space} {benchmark.dataset}, one compiled call"
    if checkpoint is not None:
        text += f" for every {every} steps"
    with plain_warnings(), progress(text) as show:
        asked["report"] = lambda done, total: show(f"step {done} of {total}")
        result = run_search(strategy, benchmark, seeds=seeds, queries=queries, **asked)
    _report(result, f"{space}: {benchmark.oracle} as oracle", out)


def _report(result: Result, title: str, out: Path | None) -> None:
    """Prints a result, and writes it with its tables and plots where there is a folder for them."""
    tables: dict[str, tuple[Sequence[str], list[list[str]]]] = {
        title: (report.RESULT_HEADER, [report.result_row(result.strategy, result)])
    }
    report.print_table(title, *tables[title], only=report.TERMINAL_COLUMNS)
    print(report.footnotes([result]))
    print(f"compiled in {result.compile_seconds:.1f} s, ran in {result.run_seconds:.2f} s")
    best = int(np.argmax(np.nan_to_num(result.best_accuracy, nan=-np.inf)))
    is_known = not np.isnan(result.best_accuracy[best])
    print(f"{'best' if is_known else 'nearest to the constraints'}: {result.best_arch[best]}")
    if result.fronts:
        front, header, rows = report.front_table(result)
        tables[front] = (header, rows)
        report.print_table(front, header, rows)
    if out is None:
        return
    made = report.provenance(" ".join(["ednag", *sys.argv[1:]]))
    text = "\n".join(f"{name}\n\n{report.markdown_table(*table)}" for name, table in tables.items())
    write_atomic(out / "table.md", f"{text}\n{report.footnotes([result])}\n\n{report.provenance_line(made)}")
    report.write_results(out / "result.json", made, {result.strategy: result})
    group = {result.benchmark["dataset"]: {result.strategy: result}}
    plots.save(plots.progress_by_queries(group), out / "progress.png")
    if result.fronts:
        plots.save(plots.fronts({result.strategy: result}), out / "front.png")
    print(f"written to {out}/")


def _load(space: str, dataset: str | None, metric: str | None, data_dir: Path | None) -> Any:
    """Returns the benchmark; the data set defaults to the benchmark's first."""
    if dataset is None and space in BENCHMARKS:
        dataset = BENCHMARKS[space].DATASETS[0]
    return load_benchmark(space, dataset=dataset or "", metric=metric, data_dir=data_dir)


def _configured(
    strategy: str, preset: str, dataset: str, settings: Sequence[str], budget: tuple[int | None, int, int]
) -> Any:
    """Returns the strategy's settings with those given by name put in; None where nothing was given.

    The budget is queries, the size of the space, and the number of objectives.
    """
    if strategy not in STRATEGIES or (strategy != "ednag" and not settings):
        return None
    is_named = STRATEGIES[strategy].config is EvolveConfig and preset != "default"
    config = EvolveConfig.preset(preset, dataset=dataset) if is_named else default_config(strategy, *budget)
    changes = dict(_parsed(text, config) for text in settings)
    return dataclasses.replace(config, **changes)


def _bound(text: str) -> tuple[str, float]:
    """Returns name and number of COST=BOUND.

    Raises:
        ValueError: not of that form.
    """
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise ValueError(f"--constraints {text!r} must be COST=BOUND, such as latency=0.015") from None


def _parsed(text: str, config: Any) -> tuple[str, Any]:
    """Returns the name and value of NAME=VALUE, the value as the setting's own type.

    Raises:
        ValueError: no such setting, or a value of another type.
    """
    name, _, value = text.partition("=")
    names = [field.name for field in dataclasses.fields(config)]
    if name not in names:
        raise ValueError(f"--set {text!r}: no setting {name!r}; there are {', '.join(names)}")
    kind = type(getattr(config, name))
    try:
        return name, (value == "True" if kind is bool else kind(value))
    except ValueError as error:
        raise ValueError(f"--set {text!r}: {name} must be a {kind.__name__}, got {value!r}") from error
