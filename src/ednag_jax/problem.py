"""What is searched: a space joined with the function that says how good its architectures are."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Array, Float, Int

from ednag_jax.spaces import SearchSpace
from ednag_jax.types import FitnessFn, KeyArray, Params


@dataclass(frozen=True)
class Problem:
    """A space and a fitness function, both hashable, so that equal problems share one compiled program.

    `fitness_fn(params, key, phenotype [n e]) -> [n]` is traced: higher is better, any sign, and NaN or inf
    marks an architecture that failed. Tables and weights go into `params`, not into a closure: jit would
    copy a closed-over array into the program.

    A fitness function that draws something once a run has a method `for_run(key, params) -> params`.
    """

    space: SearchSpace
    fitness_fn: FitnessFn

    def with_encoding(self, encoding: str) -> Problem:
        """Returns the same problem searched under another encoding of its space."""
        return Problem(self.space.with_encoding(encoding), self.fitness_fn)

    def for_run(self, key: KeyArray, params: Params) -> Params:
        """Returns what the fitness function reads throughout one run; params untouched if it draws nothing."""
        drawn = getattr(self.fitness_fn, "for_run", None)
        return params if drawn is None else drawn(key, params)


@dataclass(frozen=True)
class TableLookup:
    """The fitness function of a table: `params` is one value per architecture, [size]."""

    space: SearchSpace

    def __call__(
        self, params: Float[Array, " size"], key: KeyArray, phenotype: Int[Array, "n e"]
    ) -> Float[Array, " n"]:
        del key  # a table does not draw
        return params[self.space.arch_index(phenotype)]
