"""A table with several trainings of each architecture: a run is told of one of them, drawn by chance."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from ednag_jax.benchmarks.base import TRUE_COLUMN, Benchmark
from ednag_jax.spaces import SearchSpace
from ednag_jax.storage import digest
from ednag_jax.types import KeyArray


def draw(key: KeyArray, trainings: Float[Array, "n k"]) -> Float[Array, " n"]:
    """Returns one of each row's trainings, all equally likely; NaN marks those that were not run."""
    lot = jnp.where(jnp.isfinite(trainings), jax.random.uniform(key, trainings.shape), -1.0)
    return jnp.take_along_axis(trainings, jnp.argmax(lot, axis=-1, keepdims=True), axis=-1)[..., 0]


@dataclass(frozen=True)
class NoisyLookup:
    """Answers with one training of each architecture, drawn once a run: asking again tells nothing new.

    `params` are the trainings [size k], or, once `for_run` has drawn, one answer per architecture [size].
    The trainings themselves may be asked too; then every query draws anew.
    """

    space: SearchSpace

    def for_run(self, key: KeyArray, params: Float[Array, "size k"]) -> Float[Array, " size"]:
        """Returns what one run is answered, for every architecture of the table."""
        return draw(key, params)

    def __call__(
        self,
        params: Float[Array, " size"] | Float[Array, "size k"],
        key: KeyArray,
        phenotype: Int[Array, "n e"],
    ) -> Float[Array, " n"]:
        asked = params[self.space.arch_index(phenotype)]
        return asked if params.ndim == 1 else draw(key, asked)


def with_trainings(benchmark: Benchmark, trainings: ArrayLike) -> Benchmark:
    """Returns the benchmark of a table made noisy: queries see one training, results are judged as before.

    Args:
        benchmark: over a table; its values become the column `true`.
        trainings: [size k], NaN where not run.

    Raises:
        ValueError: not k values for each architecture, or an architecture with none.
    """
    table = np.asarray(trainings, np.float32)
    size = benchmark.space.size
    if table.ndim != 2 or len(table) != size:
        raise ValueError(f"trainings must be [{size} k], as benchmark {benchmark.name!r} is, got {table.shape}")
    untrained = np.flatnonzero(~np.isfinite(table).any(axis=1))
    if untrained.size:
        raise ValueError(
            f"trainings must have a number for each architecture, got none for {untrained.size}, "
            f"first in row {untrained[0]}: leave them out of the space"
        )
    return dataclasses.replace(
        benchmark,
        params=jnp.asarray(table),
        columns={**benchmark.columns, TRUE_COLUMN: benchmark.params},
        fitness_fn=NoisyLookup(benchmark.space),
        table_hash=digest(table),
    )
