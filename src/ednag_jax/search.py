"""One call from a strategy's name and a benchmark to a result: many seeds, every query counted."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ednag_jax.benchmarks import Benchmark
from ednag_jax.benchmarks.base import TRUE_COLUMN
from ednag_jax.choice import Choose, chooser
from ednag_jax.config import check_choice, check_range
from ednag_jax.diagnostics import step_diagnostics
from ednag_jax.evolve import seed_keys
from ednag_jax.feasibility import is_feasible
from ednag_jax.many_seeds import run_timed
from ednag_jax.objectives import ACCURACY, Goal, checked_goal, front_outcome, goal_optimum, posed
from ednag_jax.queries import QueryLog, best_so_far, failures, flatten_trace, query_log
from ednag_jax.result import Result
from ednag_jax.resume import EVERY, Chunks, Report
from ednag_jax.strategies import METHODS
from ednag_jax.types import Trace

REPORTED_PACKAGES = ("ednag-jax", "jax", "jaxlib", "numpy")


def search(
    strategy: str,
    benchmark: Benchmark,
    *,
    seeds: int | range = 100,
    queries: int | None = None,
    config: Any = None,
    root: int = 0,
    objectives: Sequence[str] = (ACCURACY,),
    constraints: Mapping[str, float] | None = None,
    reference: Mapping[str, float] | None = None,
    checkpoint: str | Path | None = None,
    every: int = EVERY,
    report: Report | None = None,
) -> Result:
    """Returns what a strategy finds on a benchmark, all seeds in one compiled call.

    Within constraints, if there are any: every strategy keeps to them, and none returns an architecture beyond
    them once it met one within.

    Args:
        strategy: a name of `STRATEGIES`, such as `ednag`, `ednag_online` or `tpe`, or of `GUIDED_STRATEGIES`.
        benchmark: from `load_benchmark` or `Benchmark.from_table`.
        seeds: how many (0 .. seeds-1), or a range of them.
        queries: budget of distinct architectures per seed: what a seed would do after spending it is cut off.
            None counts all that the run makes.
        config: the strategy's settings; default are its own defaults, long enough to spend the budget.
        root: the random root that seeds are folded into.
        objectives: `accuracy` and costs to minimise with it, columns of the benchmark such as `latency`. The
            result then has each seed's front and the hypervolume that it dominates.
        constraints: cost -> the most that is allowed, in the unit of its column.
        reference: objective -> where hypervolumes begin; default is the worst of the table.
        checkpoint: a folder of this run alone, to go on from where it was stopped: see `evolve_seeds`. Seconds
            in the result are then those of this start.
        every: steps between two checkpoints; changes no result.
        report: `report(steps done, steps of the run)`, called after every checkpoint.

    Raises:
        ValueError: unknown strategy or cost, a config of another strategy, a number out of range, several
            objectives for a strategy that searches for accuracy alone, or checkpoints of another run.
        OSError: the folder of checkpoints cannot be written, or its disk is full.

    >>> from ednag_jax import CategoricalSpace
    >>> table = Benchmark.from_table(CategoricalSpace("mine", choices=(3, 3)), np.arange(9.0), name="mine")
    >>> search("local_search", table, seeds=2).best_arch
    ['2-2', '2-2']
    """
    check_choice("strategy", strategy, tuple(METHODS))
    numbers = range(seeds) if isinstance(seeds, int) else seeds
    check_range("seeds", len(numbers), 1)
    if queries is not None:
        check_range("queries", queries, 1)
    goal = checked_goal(benchmark, objectives, constraints, reference)
    if config is None:
        config = default_config(strategy, queries, benchmark.space.size, len(goal.objectives))
    _check_able(strategy, config, goal)
    keys, method = seed_keys(numbers, root=root), METHODS[strategy].strategy
    problem, params = posed(benchmark, goal)
    chunks = None if checkpoint is None else Chunks(Path(checkpoint), every, report)
    trace, *seconds = run_timed(keys, params, problem=problem, config=config, strategy=method, chunks=chunks)
    choose = chooser(method, benchmark.space, config, is_noisy=benchmark.is_noisy)
    return Result(
        strategy=strategy,
        benchmark={**describe(benchmark), "optimum": goal_optimum(benchmark, goal)},
        config={"name": type(config).__name__, **dataclasses.asdict(config)},
        seeds=list(numbers),
        budget=queries,
        compile_seconds=seconds[0],
        run_seconds=seconds[1],
        environment=environment(),
        objectives=list(goal.objectives),
        constraints=goal.constraints,
        root=root,
        **_outcome(trace, benchmark, goal, queries, choose),
    )


def default_config(strategy: str, queries: int | None, size: int, num_objectives: int = 1) -> Any:
    """Returns a strategy's own settings, long enough to spend the budget in a space of that size."""
    wanted = METHODS[strategy].config
    if num_objectives > 1 and hasattr(wanted, "for_front"):
        return wanted.for_front(queries, size)
    return wanted() if queries is None else wanted.for_budget(queries, size)


def _check_able(strategy: str, config: Any, goal: Goal) -> None:
    """Raises ValueError where settings are another strategy's, or objectives too many for this one."""
    wanted = METHODS[strategy].config
    if not isinstance(config, wanted):
        raise ValueError(f"{strategy} takes a {wanted.__name__}, got a {type(config).__name__}")
    if len(goal.objectives) > 1 and not METHODS[strategy].strategy.several_objectives:
        able = ", ".join(name for name, entry in METHODS.items() if entry.strategy.several_objectives)
        asked = ", ".join(goal.objectives)
        raise ValueError(f"{strategy} searches for accuracy alone, got objectives {asked}; use one of {able}")


def describe(benchmark: Benchmark) -> dict[str, Any]:
    """Returns what a result says of the benchmark that it was found on."""
    names = ("name", "dataset", "metric", "oracle", "epochs", "unit", "direction", "table_hash", "optimum")
    return {"space": benchmark.space.name, **{name: getattr(benchmark, name) for name in names}}


def environment() -> dict[str, str]:
    """Returns the versions and the device of this process."""
    devices = jax.devices()
    versions = {name: version(name) for name in REPORTED_PACKAGES}
    device = f"{len(devices)} x {devices[0].device_kind} ({platform.machine()})"
    return {**versions, "python": platform.python_version(), "device": device}


def _outcome(
    trace: Trace, benchmark: Benchmark, goal: Goal, budget: int | None, choose: Choose
) -> dict[str, Any]:
    """Returns the fields of a Result that are read off a trace."""
    evaluation = flatten_trace(trace)
    logs = [query_log(evaluation, seed, budget) for seed in range(len(evaluation.queried))]
    length = budget or max(len(log.accuracy) for log in logs)
    _check_met(logs)
    rows = choose(logs, length)
    best = [_final_query(log, int(row)) for log, row in zip(logs, rows[:, -1], strict=True)]
    archs = np.stack([phenotype for phenotype, _ in best])
    said = np.array([accuracy for _, accuracy in best])
    test = None
    if benchmark.test_params is not None:
        test = np.where(np.isnan(said), np.nan, benchmark.lookup(jnp.asarray(archs), "test"))
    invalid, failed = failures(evaluation)
    curve = np.stack([best_so_far(log.accuracy, length) for log in logs])
    if benchmark.is_noisy:
        curve = np.where(np.isnan(curve), np.nan, _true_curve(logs, rows, benchmark))
    return {
        "best_accuracy": curve[:, -1] if benchmark.is_noisy else said,
        "observed_accuracy": said if benchmark.is_noisy else None,
        "test_accuracy": test,
        "best_arch": [benchmark.space.to_str(arch) for arch in archs],
        "queries": np.array([len(log.accuracy) for log in logs]),
        "curve": curve,
        "num_invalid": invalid.sum(axis=1),
        "num_failed": failed.sum(axis=1),
        "diagnostics": step_diagnostics(trace, logs, budget),
        **front_outcome(evaluation, logs, benchmark, goal, length),
    }


def _true_curve(
    logs: Sequence[QueryLog], rows: Int[np.ndarray, "s q"], benchmark: Benchmark
) -> Float[np.ndarray, "s q"]:
    """Returns the true value of the query that each seed would end with after 1 .. q queries."""
    archs = np.stack([log.phenotype[row] for log, row in zip(logs, rows, strict=True)])
    true = benchmark.lookup(jnp.asarray(archs.reshape(-1, archs.shape[-1])), TRUE_COLUMN)
    return np.asarray(true, np.float64).reshape(archs.shape[:2])


def _check_met(logs: Sequence[QueryLog]) -> None:
    """Raises ValueError where a seed met no valid architecture at all."""
    if not all(len(log.accuracy) for log in logs):
        raise ValueError(
            "a seed met no valid architecture; raise num_steps or population_size, or use the compact encoding"
        )


def _final_query(log: QueryLog, row: int) -> tuple[np.ndarray, float]:
    """Returns the phenotype and accuracy of the query that a seed ends with.

    Where none is within the constraints: of the one nearest to them, with accuracy NaN.
    """
    if np.isnan(log.accuracy[row]):
        row = int(np.argmax(np.where(is_feasible(log.fitness), -np.inf, log.fitness)))
    return log.phenotype[row], float(log.accuracy[row])
