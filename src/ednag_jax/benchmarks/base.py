"""What an architecture scores: a benchmark is a space with a table of accuracies and where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ednag_jax.config import static
from ednag_jax.problem import Problem, TableLookup
from ednag_jax.spaces import SearchSpace
from ednag_jax.storage import digest


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Benchmark:
    """A table of one value per architecture of a space; a pytree whose leaves are the columns.

    `accuracy` is what a search sees, higher is better always: a loss is stored negated, with
    `direction` saying so. `test_accuracy`, where known, is looked up once, for the final architecture.
    """

    accuracy: Float[Array, " size"]
    test_accuracy: Float[Array, " size"] | None
    space: SearchSpace = field(metadata={"static": True})
    name: str = field(metadata={"static": True})
    dataset: str = static("")
    metric: str = static("valid")
    """`valid` or `test`: the split of `accuracy`."""
    epochs: int | None = static(None)
    unit: str = static("percent")
    direction: str = static("max")
    table_hash: str = static("")
    """SHA-256 of the `accuracy` column."""

    @classmethod
    def from_table(
        cls,
        space: SearchSpace,
        accuracy: np.ndarray,
        test_accuracy: np.ndarray | None = None,
        *,
        name: str,
        **described: str | int | None,
    ) -> Benchmark:
        """Returns a benchmark over a table of your own, row `space.arch_index(phenotype)` per architecture.

        Args:
            space: any space small enough to be a table.
            accuracy: [space.size] finite numbers, higher is better.
            test_accuracy: the same of another split, or None.
            name: for reports.
            **described: `dataset`, `metric`, `epochs`, `unit`, `direction`, for reports.

        Raises:
            ValueError: a column of another length, or with a value that is not finite.
        """
        column = _column(f"benchmark {name!r}", "accuracy", accuracy, space.size)
        test = None
        if test_accuracy is not None:
            test = jnp.asarray(_column(f"benchmark {name!r}", "test_accuracy", test_accuracy, space.size))
        return cls(
            accuracy=jnp.asarray(column),
            test_accuracy=test,
            space=space,
            name=name,
            table_hash=digest(column),
            **described,  # type: ignore[arg-type]
        )

    @property
    def params(self) -> Float[Array, " size"]:
        """What `evolve` hands to the fitness function: the oracle column alone."""
        return self.accuracy

    @property
    def problem(self) -> Problem:
        """The space with the table look-up; equal for all data sets of a space."""
        return Problem(self.space, TableLookup(self.space))

    @property
    def optimum(self) -> float:
        """The best accuracy in the table."""
        return float(jnp.max(self.accuracy))

    @property
    def oracle(self) -> str:
        """What the search sees, in words."""
        return {"valid": "validation accuracy", "test": "test accuracy"}.get(self.metric, self.metric)


def _column(owner: str, name: str, values: np.ndarray, size: int) -> np.ndarray:
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
