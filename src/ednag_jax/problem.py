"""What is searched: a space joined with the function that says how good its architectures are."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ednag_jax.spaces import SearchSpace
from ednag_jax.types import CostFn, Costs, FitnessFn, KeyArray, Params


@dataclass(frozen=True)
class Problem:
    """A space and a fitness function, both hashable, so that equal problems share one compiled program.

    `fitness_fn(params, key, phenotype [n e]) -> [n]` is traced: higher is better, any sign, and NaN or inf
    marks an architecture that failed. Tables and weights go into `params`, not into a closure: jit would
    copy a closed-over array into the program. `cost_fn(params, phenotype [n e]) -> Costs`, where there is one,
    says what an architecture costs: further objectives, and whether it is within the constraints.

    A fitness function that draws something once a run has a method `for_run(key, params) -> params`.
    """

    space: SearchSpace
    fitness_fn: FitnessFn
    cost_fn: CostFn | None = None

    def costs(self, params: Params, phenotype: Int[Array, "n e"]) -> Costs:
        """Returns what n architectures cost: no numbers, and no constraint broken, without a `cost_fn`."""
        if self.cost_fn is None:
            num = phenotype.shape[0]
            return Costs(jnp.zeros((num, 0)), jnp.zeros(num))
        return self.cost_fn(params, phenotype)

    def with_encoding(self, encoding: str) -> Problem:
        """Returns the same problem searched under another encoding of its space."""
        return dataclasses.replace(self, space=self.space.with_encoding(encoding))

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
