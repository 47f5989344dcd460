"""What a search is asked for beside accuracy: costs to minimise, and bounds that an architecture must keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ednag_jax.benchmarks import Benchmark
from ednag_jax.benchmarks.base import TRUE_COLUMN
from ednag_jax.hypervolume import front_rows, hypervolume, hypervolume_curve
from ednag_jax.problem import Problem, TableLookup
from ednag_jax.queries import Evaluated, QueryLog
from ednag_jax.types import Costs, FitnessFn, KeyArray, Params

ACCURACY = "accuracy"


class Goal(NamedTuple):
    """What a search is for, checked against its benchmark by `checked_goal`."""

    objectives: tuple[str, ...] = (ACCURACY,)
    """`accuracy`, then the costs to minimise."""
    constraints: dict[str, float] = {}  # noqa: RUF012 (never changed)
    """Cost -> the most that is allowed, in the unit of its column."""
    reference: dict[str, float] | None = None
    """Objective -> where its hypervolume begins; None is the worst of the table."""


def checked_goal(
    benchmark: Benchmark,
    objectives: Sequence[str],
    constraints: Mapping[str, float] | None,
    reference: Mapping[str, float] | None = None,
) -> Goal:
    """Returns the goal in its usual order: accuracy, then costs.

    Raises:
        ValueError: a name that is no cost of the benchmark, an objective twice or accuracy missing, a bound
            that is not above 0, a reference for other names, or several objectives under a noisy oracle.
    """
    names = (objectives,) if isinstance(objectives, str) else tuple(objectives)
    costs, bounds = tuple(name for name in names if name != ACCURACY), dict(constraints or {})
    for name in (*costs, *bounds):
        _check_cost(benchmark, name)
    if len(set(names)) < len(names) or ACCURACY not in names:
        raise ValueError(f"objectives must be {ACCURACY!r} and different costs, got {names}")
    for name, bound in bounds.items():
        if not 0 < bound < float("inf"):
            raise ValueError(f"constraint {name} must be above 0 and finite, got {bound}: it is an upper bound")
    if reference is not None and set(reference) != set(names):
        raise ValueError(f"reference must give one value for each of {', '.join(names)}, got {dict(reference)}")
    if costs and benchmark.is_noisy:
        raise ValueError(f"several objectives need an oracle that says the truth, got {benchmark.oracle}")
    return Goal((ACCURACY, *costs), bounds, None if reference is None else dict(reference))


def _check_cost(benchmark: Benchmark, name: str) -> None:
    """Raises ValueError where a name is no column of the benchmark, or one whose direction is not known."""
    if name in benchmark.cost_columns:
        return
    known = ", ".join(benchmark.cost_columns) or "none"
    text = f"benchmark {benchmark.name!r} has no cost {name!r}; its costs are: {known}"
    if name in benchmark.columns:
        text += f". Column {name!r} is not known to be better the less it is; if so, name it in `costs`"
    raise ValueError(text)


class CostedParams(NamedTuple):
    """The params of a problem with costs."""

    accuracy: Params
    columns: tuple[Params, ...]
    """Of the objectives beside accuracy, then of further constraints."""
    bounds: Float[Array, " c"]
    """The most that is allowed of each column, inf where all is."""


@dataclass(frozen=True)
class AccuracyOf:
    """The fitness function of a problem with costs."""

    fitness_fn: FitnessFn

    def __call__(self, params: CostedParams, key: KeyArray, phenotype: Int[Array, "n e"]) -> Float[Array, " n"]:
        return self.fitness_fn(params.accuracy, key, phenotype)

    def for_run(self, key: KeyArray, params: CostedParams) -> CostedParams:
        """Returns the params of one run, drawn where the fitness function draws them."""
        drawn = getattr(self.fitness_fn, "for_run", None)
        return params if drawn is None else params._replace(accuracy=drawn(key, params.accuracy))


@dataclass(frozen=True)
class CostsOf:
    """The cost function over columns, which a benchmark's fitness function reads as it reads accuracies."""

    fitness_fn: FitnessFn
    num_minimised: int

    def __call__(self, params: CostedParams, phenotype: Int[Array, "n e"]) -> Costs:
        key = jax.random.key(0)  # a column does not draw
        read = [self.fitness_fn(column, key, phenotype) for column in params.columns]
        costs = jnp.stack(read, axis=-1)
        excess = jnp.sum(jnp.maximum(costs - params.bounds, 0.0) / params.bounds, axis=-1)
        return Costs(costs[:, : self.num_minimised], excess)


def posed(benchmark: Benchmark, goal: Goal) -> tuple[Problem, Params]:
    """Returns the problem of a goal and its params, the bounds among them: another bound compiles nothing."""
    minimised = goal.objectives[1:]
    names = (*minimised, *(name for name in goal.constraints if name not in minimised))
    if not names:
        return benchmark.problem, benchmark.params
    bounds = jnp.array([goal.constraints.get(name, jnp.inf) for name in names], jnp.float32)
    params = CostedParams(benchmark.params, tuple(benchmark.columns[name] for name in names), bounds)
    costs = CostsOf(benchmark.fitness_fn, len(minimised))
    return Problem(benchmark.space, AccuracyOf(benchmark.fitness_fn), costs), params


def feasible_table(benchmark: Benchmark, goal: Goal) -> Float[np.ndarray, "size k"] | None:
    """Returns the objectives of a whole table, costs negated, NaN where infeasible; None if it is no table."""
    if not (isinstance(benchmark.fitness_fn, TableLookup) or benchmark.is_noisy):
        return None
    accuracy = benchmark.columns.get(TRUE_COLUMN, benchmark.params)
    columns = [accuracy, *(-benchmark.columns[name] for name in goal.objectives[1:])]
    table = np.stack([np.asarray(column, np.float64) for column in columns], axis=-1)
    for name, bound in goal.constraints.items():
        table[np.asarray(benchmark.columns[name]) > np.float32(bound)] = np.nan
    return table


def goal_optimum(benchmark: Benchmark, goal: Goal) -> float | None:
    """Returns the best accuracy within the constraints; None where it is not known or nothing is."""
    if not goal.constraints:
        return benchmark.optimum
    table = feasible_table(benchmark, goal)
    if table is None or np.isnan(table).all():
        return None
    return float(np.nanmax(table[:, 0]))


class Scale(NamedTuple):
    """How hypervolumes are measured, the same for every method."""

    reference: Float[np.ndarray, " k"]
    """Where they begin, costs negated."""
    whole: float
    """What the front of the whole table dominates; 1 where that is not known."""

    def curve(self, values: Float[np.ndarray, "q k"], length: int) -> Float[np.ndarray, " length"]:
        """Returns the share of the whole after 1 .. length queries of these objectives, costs negated."""
        return hypervolume_curve(values, self.reference, length) / self.whole


def scale_of(benchmark: Benchmark, goal: Goal) -> Scale | None:
    """Returns how hypervolumes are measured; None for a benchmark that is no table and without a reference.

    The reference point is the goal's, or the worst value of each objective in the table, of all its rows.
    """
    everything, within = (feasible_table(benchmark, each) for each in (goal._replace(constraints={}), goal))
    if goal.reference is not None:
        signs = np.where(np.array(goal.objectives) == ACCURACY, 1.0, -1.0)
        reference = signs * [goal.reference[name] for name in goal.objectives]
    elif everything is not None:
        reference = everything.min(axis=0)
    else:
        return None
    whole = 0.0 if within is None else hypervolume(within, reference)
    return Scale(reference, whole or 1.0)  # 1 where nothing is within the constraints, too


def front_outcome(
    evaluation: Evaluated, logs: Sequence[QueryLog], benchmark: Benchmark, goal: Goal, length: int
) -> dict[str, Any]:
    """Returns the fields of a Result that several objectives add."""
    if len(goal.objectives) == 1:
        return {}
    scale = scale_of(benchmark, goal)
    values = [
        np.concatenate([log.accuracy[:, None], -evaluation.cost[seed, log.row]], axis=1)
        for seed, log in enumerate(logs)
    ]
    return {
        "fronts": [_front(log, value, benchmark, goal) for log, value in zip(logs, values, strict=True)],
        "hypervolume": None if scale is None else np.stack([scale.curve(value, length) for value in values]),
        "reference": None if scale is None else _in_units(scale.reference, goal),
    }


def _in_units(values: np.ndarray, goal: Goal) -> dict[str, float]:
    """Returns objective -> value of one point, costs negated no more."""
    return {name: float(v if name == ACCURACY else -v) for name, v in zip(goal.objectives, values, strict=True)}


def _front(log: QueryLog, values: np.ndarray, benchmark: Benchmark, goal: Goal) -> dict[str, list[Any]]:
    """Returns the non-dominated queries of one seed, the most accurate first."""
    rows = front_rows(values)
    columns = [values[rows, 0], *(-values[rows, 1:].T)]
    return {
        "arch": [benchmark.space.to_str(log.phenotype[row]) for row in rows],
        **{name: column.tolist() for name, column in zip(goal.objectives, columns, strict=True)},
    }
