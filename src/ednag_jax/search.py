"""One call from a strategy's name and a benchmark to a result: many seeds, every query counted."""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Key

from ednag_jax.benchmarks import Benchmark
from ednag_jax.benchmarks.base import TRUE_COLUMN
from ednag_jax.config import check_choice, check_range
from ednag_jax.evolve import EDNAG, evolve_seeds, seed_keys
from ednag_jax.problem import Problem
from ednag_jax.queries import QueryLog, best_so_far, failures, flatten_trace, incumbents, query_log
from ednag_jax.result import Result
from ednag_jax.strategies import STRATEGIES
from ednag_jax.types import Params, Strategy, Trace

REPORTED_PACKAGES = ("ednag-jax", "jax", "jaxlib", "numpy")


def search(
    strategy: str,
    benchmark: Benchmark,
    *,
    seeds: int | range = 100,
    queries: int | None = None,
    config: Any = None,
    root: int = 0,
) -> Result:
    """Returns what a strategy finds on a benchmark, all seeds in one compiled call.

    Args:
        strategy: `ednag`, `ednag_online`, `random_search`, `regularized_evolution` or `local_search`.
        benchmark: from `load_benchmark` or `Benchmark.from_table`.
        seeds: how many (0 .. seeds-1), or a range of them.
        queries: budget of distinct architectures per seed: what a seed would do after spending it is cut off.
            None counts all that the run makes.
        config: the strategy's settings; default are its own defaults, long enough to spend the budget.
        root: the random root that seeds are folded into.

    Raises:
        ValueError: unknown strategy, a config of another strategy, or a number out of range.

    >>> from ednag_jax import CategoricalSpace
    >>> table = Benchmark.from_table(CategoricalSpace("mine", choices=(3, 3)), np.arange(9.0), name="mine")
    >>> search("local_search", table, seeds=2).best_arch
    ['2-2', '2-2']
    """
    check_choice("strategy", strategy, tuple(STRATEGIES))
    numbers = range(seeds) if isinstance(seeds, int) else seeds
    check_range("seeds", len(numbers), 1)
    if queries is not None:
        check_range("queries", queries, 1)
    wanted = STRATEGIES[strategy].config
    if config is None:
        config = wanted() if queries is None else wanted.for_budget(queries, benchmark.space.size)
    if not isinstance(config, wanted):
        raise ValueError(f"{strategy} takes a {wanted.__name__}, got a {type(config).__name__}")
    keys, method = seed_keys(numbers, root=root), STRATEGIES[strategy].strategy
    trace, compile_seconds, run_seconds = run_timed(
        keys, benchmark.params, problem=benchmark.problem, config=config, strategy=method
    )
    return Result(
        strategy=strategy,
        benchmark=describe(benchmark),
        config={"name": type(config).__name__, **dataclasses.asdict(config)},
        seeds=list(numbers),
        budget=queries,
        compile_seconds=compile_seconds,
        run_seconds=run_seconds,
        environment=environment(),
        **_outcome(trace, benchmark, queries),
    )


def run_timed(
    keys: Key[jax.Array, " s"], params: Params, *, problem: Problem, config: Any, strategy: Strategy = EDNAG
) -> tuple[Trace, float, float]:
    """Returns the trace of all seeds, the seconds of compiling (0 if done before) and of running."""
    leaves, structure = jax.tree.flatten((keys, params, config))
    program_key = (structure, tuple(map(jax.typeof, leaves)), problem, strategy)
    start = time.perf_counter()
    if program_key not in _PROGRAMS:
        lowered = evolve_seeds.lower(keys, params, problem=problem, config=config, strategy=strategy)
        _PROGRAMS[program_key] = lowered.compile()
        compile_seconds = time.perf_counter() - start
    else:
        compile_seconds = 0.0
    start = time.perf_counter()
    _, trace = jax.block_until_ready(_PROGRAMS[program_key](keys, params, config=config))
    return trace, compile_seconds, time.perf_counter() - start


_PROGRAMS: dict[Any, Any] = {}
"""Shapes and static settings -> compiled program: jit keeps such a table too, but cannot be timed apart."""


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


def _outcome(trace: Trace, benchmark: Benchmark, budget: int | None) -> dict[str, Any]:
    """Returns the fields of a Result that are read off a trace."""
    evaluation = flatten_trace(trace)
    logs = [query_log(evaluation, seed, budget) for seed in range(len(evaluation.queried))]
    length = budget or max(len(log.accuracy) for log in logs)
    best = [_best_query(log) for log in logs]
    archs = np.stack([phenotype for phenotype, _ in best])
    test = None
    if benchmark.test_params is not None:
        test = np.asarray(benchmark.lookup(jnp.asarray(archs), "test"))
    invalid, failed = failures(evaluation)
    said = np.array([accuracy for _, accuracy in best])
    curve = np.stack([best_so_far(log.accuracy, length) for log in logs])
    if benchmark.is_noisy:
        curve = np.where(np.isnan(curve), np.nan, _true_curve(logs, benchmark, length))
    return {
        "best_accuracy": curve[:, -1] if benchmark.is_noisy else said,
        "observed_accuracy": said if benchmark.is_noisy else None,
        "test_accuracy": test,
        "best_arch": [benchmark.space.to_str(arch) for arch in archs],
        "queries": np.array([len(log.accuracy) for log in logs]),
        "curve": curve,
        "num_invalid": invalid.sum(axis=1),
        "num_failed": failed.sum(axis=1),
    }


def _true_curve(logs: Sequence[QueryLog], benchmark: Benchmark, length: int) -> Float[np.ndarray, "s q"]:
    """Returns the true value, after 1 .. length queries, of each seed's best query by what it was told."""
    archs = np.stack([log.phenotype[incumbents(log.accuracy, length)] for log in logs])
    true = benchmark.lookup(jnp.asarray(archs.reshape(-1, archs.shape[-1])), TRUE_COLUMN)
    return np.asarray(true, np.float64).reshape(archs.shape[:2])


def _best_query(log: QueryLog) -> tuple[np.ndarray, float]:
    """Returns the phenotype and accuracy of a seed's best query; the first of equals.

    Raises:
        ValueError: the seed met no valid architecture at all.
    """
    if not len(log.accuracy):
        raise ValueError(
            "a seed met no valid architecture; raise num_steps or population_size, or use the compact encoding"
        )
    row = int(np.argmax(np.nan_to_num(log.accuracy, nan=-np.inf)))
    return log.phenotype[row], float(log.accuracy[row])
