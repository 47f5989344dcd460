"""What an architecture scores: a space, a fitness function, its arrays, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from ednag_jax.config import static
from ednag_jax.problem import Problem, TableLookup
from ednag_jax.spaces import SearchSpace
from ednag_jax.storage import digest
from ednag_jax.types import FitnessFn, Params


class Source(NamedTuple):
    """A file in the data directory."""

    path: str
    """Relative to the data directory."""
    holds: str
    published: str
    """Where it is to be had."""


ORACLES = {
    "valid": "validation accuracy",
    "test": "test accuracy",
    "noisy": "validation accuracy of one training, drawn by chance",
}
TRUE_COLUMN = "true"
"""The column that a noisy benchmark has: what its answers scatter around, and results are judged by."""

COSTS = ("cost", "energy", "flops", "latency", "macs", "memory", "model_size", "params", "train_time")
"""Columns of which less is better, by the names that benchmarks give them."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Benchmark:
    """Accuracies of a space's architectures: a pytree whose leaves are arrays, described by static fields.

    A search sees `fitness_fn(params, key, phenotype)`, higher is better always: a loss is stored negated, and
    `direction` says so. `test_params`, where known, is of the same form and looked up once, for the final
    architecture; so are the `columns` (training time, latency, size, ...).
    """

    params: Params
    test_params: Params
    columns: dict[str, Params]
    space: SearchSpace = field(metadata={"static": True})
    fitness_fn: FitnessFn = field(metadata={"static": True})
    name: str = field(metadata={"static": True})
    dataset: str = static("")
    metric: str = static("valid")
    """The split that a search sees: `valid`, `test`, or in words where neither fits."""
    epochs: int | None = static(None)
    unit: str = static("percent")
    direction: str = static("max")
    """Of the metric as its source gives it: `min` for a loss, which is stored negated."""
    table_hash: str = static("")
    """SHA-256 of what a search sees."""
    optimum: float | None = static(None)
    """The best value there is; None where it is not known."""
    costs: tuple[str, ...] = static(COSTS)
    """Names of columns of which less is better: what a search may minimise or bound."""

    @classmethod
    def from_table(
        cls,
        space: SearchSpace,
        accuracy: ArrayLike,
        test_accuracy: ArrayLike | None = None,
        *,
        name: str,
        columns: Mapping[str, ArrayLike] | None = None,
        **described: Any,
    ) -> Benchmark:
        """Returns a benchmark over a table, row `space.arch_index(phenotype)` per architecture.

        Args:
            space: any indexable space.
            accuracy: [space.size] finite numbers, higher is better.
            test_accuracy: the same of another split, or None.
            name: for reports.
            columns: further tables [space.size] by name.
            **described: `dataset`, `metric`, `epochs`, `unit`, `direction`, for reports; `costs`.

        Raises:
            ValueError: a column of another length, or with a value that is not finite.
        """
        named = {"accuracy": accuracy, **(columns or {})}
        if test_accuracy is not None:
            named["test_accuracy"] = test_accuracy
        tables = {key: _column(f"benchmark {name!r}", key, table, space.size) for key, table in named.items()}
        arrays = {key: jnp.asarray(table) for key, table in tables.items()}
        return cls(
            params=arrays.pop("accuracy"),
            test_params=arrays.pop("test_accuracy", None),
            columns=arrays,
            space=space,
            fitness_fn=TableLookup(space),
            name=name,
            table_hash=digest(tables["accuracy"]),
            optimum=float(tables["accuracy"].max()),
            **described,
        )

    @classmethod
    def from_function(
        cls,
        space: SearchSpace,
        fitness_fn: FitnessFn,
        params: Params,
        *,
        name: str,
        test_params: Params = None,
        columns: Mapping[str, Params] | None = None,
        **described: Any,
    ) -> Benchmark:
        """Returns a benchmark over any hashable fitness function: a surrogate, a predictor, a larger table.

        Args:
            space: what is searched.
            fitness_fn: see `Problem`.
            params: its arrays.
            name: for reports.
            test_params: arrays of the same form for the test split, or None.
            columns: arrays of the same form for further quantities.
            **described: `dataset`, `metric`, `epochs`, `unit`, `direction`, `optimum`, for reports; `costs`.
        """
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(params)]
        return cls(
            params=params,
            test_params=test_params,
            columns=dict(columns or {}),
            space=space,
            fitness_fn=fitness_fn,
            name=name,
            table_hash=digest(*leaves),
            **described,
        )

    @property
    def problem(self) -> Problem:
        """The space with the fitness function; equal for all data sets of a space, so they share programs."""
        return Problem(self.space, self.fitness_fn)

    @property
    def cost_columns(self) -> tuple[str, ...]:
        """The columns there are of which less is better."""
        return tuple(name for name in self.columns if name in self.costs)

    @property
    def oracle(self) -> str:
        """What the search sees, in words."""
        return ORACLES.get(self.metric, self.metric)

    @property
    def is_noisy(self) -> bool:
        """Whether a search sees something else than what its result is judged by."""
        return TRUE_COLUMN in self.columns

    def lookup(self, phenotype: Int[Array, "n e"], column: str = "oracle") -> Float[Array, " n"]:
        """Returns what n valid architectures score: the `oracle`, or `test`, or a column by its name.

        Raises:
            ValueError: no such column.
        """
        known = {"oracle": self.params, "test": self.test_params, **self.columns}
        if known.get(column) is None:
            available = ", ".join(key for key, value in known.items() if value is not None)
            raise ValueError(f"benchmark {self.name!r} has no column {column!r}; it has: {available}")
        return self.fitness_fn(known[column], jax.random.key(0), jnp.asarray(phenotype))


def _column(owner: str, name: str, values: ArrayLike, size: int) -> np.ndarray:
    """Returns a column as float32 [size] after checking its length and that every value is finite."""
    column = np.asarray(values, np.float32)
    if column.shape != (size,):
        rows = len(column) if column.ndim == 1 else column.shape
        raise ValueError(f"{owner} has {rows} rows in {name}, expected {size}; was the download cut?")
    broken = np.flatnonzero(~np.isfinite(column))
    if broken.size:
        raise ValueError(
            f"{owner} has {broken.size} values that are not finite in {name}, first in row {broken[0]}"
        )
    return column
