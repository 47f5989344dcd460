"""The data that flows through the engine; every array is described by its shape in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, Num

KeyArray: TypeAlias = Key[Array, ""]
Params: TypeAlias = Any
"""The pytree of tables or predictor weights that a fitness function reads; never looked into here."""

Phenotype: TypeAlias = Int[Array, "n e"]
Scalar: TypeAlias = float | Float[Array, ""]
"""A plain number, or a traced one."""
HostPhenotype: TypeAlias = Int[Array, " e"] | Int[np.ndarray, " e"] | Sequence[int]
"""One phenotype as host code takes it."""
FitnessFn: TypeAlias = Callable[[Params, KeyArray, Phenotype], Float[Array, " n"]]
"""`fitness_fn(params, key, phenotype [n e]) -> [n]`; higher is better, NaN or inf marks a failure."""


class Costs(NamedTuple):
    """What n architectures cost, beside their accuracy; lower is better."""

    value: Float[Array, "*n k"]
    """What the search minimises; k = 0 where accuracy is its one objective."""
    violation: Float[Array, "*n"]
    """How far beyond the constraints: the excess over each bound as a share of it, summed; 0 if within."""


CostFn: TypeAlias = Callable[[Params, Phenotype], Costs]
"""`cost_fn(params, phenotype [n e]) -> Costs`; what is not finite marks a failure."""


class Schedule(NamedTuple):
    """Rows that a denoising loop scans over, first row first; one row holds three scalars."""

    step: Int[Array, "*t"]
    """0 for the first denoising step (t = T-1)."""
    alpha_bar: Float[Array, "*t"]
    """Cumulative signal share at t, in [0, 1)."""
    alpha_bar_prev: Float[Array, "*t"]
    """Cumulative signal share at t-1, in (alpha_bar, 1]."""


class Steps(NamedTuple):
    """Rows of a strategy without a noise schedule."""

    step: Int[Array, "*t"]


class Evaluation(NamedTuple):
    """What asking the fitness function for n architectures gave."""

    phenotype: Int[Array, "*n e"]
    arch_id: Num[Array, "*n"]
    """Table index, int32 [n], or where the space is too large a hash, uint32 [n 2]."""
    queried: Bool[Array, "*n"]
    """False where the genotype decodes to no valid architecture, so nothing was asked."""
    accuracy: Float[Array, "*n"]
    """What the fitness function said, NaN where it failed or was not asked."""
    fitness: Float[Array, "*n"]
    """What selection ranks; -inf where it failed, a large negative number where a constraint is broken."""
    cost: Float[Array, "*n k"]
    """The objectives beside accuracy, lower is better; k = 0 where there are none."""


class State(NamedTuple):
    """One population between two steps; it carries its fitness, so a step costs n evaluations."""

    genotype: Float[Array, "*n d"]
    evaluation: Evaluation
    """Of the population, in the order of `genotype`."""
    best: Evaluation
    """Of the best architecture met so far, the initial population included; no leading axis."""


class StepInfo(NamedTuple):
    """What a step did; only looked at, never read back by the engine."""

    evaluation: Evaluation
    """Of the architectures evaluated in this step, in query order."""
    num_invalid: Int[Array, "*t"]
    """Children that decode to no valid architecture."""
    num_failed: Int[Array, "*t"]
    """Valid architectures whose evaluation was NaN or infinite."""
    effective_size: Float[Array, "*t"]
    """Over how many individuals the sum in (8) ran, see `denoise.effective_size`; NaN where there was none."""
    spread: Float[Array, "*t"]
    """Of the genotypes that the step began with: root mean square of their numbers about the mean genotype, 1
    for N(0, I); NaN where the method has none."""


class Trace(NamedTuple):
    """Everything that one run evaluated, in order."""

    initial: Evaluation
    """Of the initial population [n ...]."""
    steps: StepInfo
    """Stacked over the steps [t n ...]."""


class Strategy(NamedTuple):
    """A search method on the one contract; both functions are pure and see ONE seed.

    `init(key, params, *, problem, config) -> state` evaluates its own start; the state has a field
    `evaluation`. `step(key, state, row, params, *, problem, config) -> (state, StepInfo)`.
    """

    name: str
    init: Callable[..., Any]
    step: Callable[..., tuple[Any, StepInfo]]
    several_objectives: bool = False
    """Whether it heeds `Evaluation.cost`, or asks without looking; else accuracy is all it searches for."""
    recommend: Callable[..., Int[Array, " q"]] | None = None
    """`recommend(phenotype, fitness, *, space, config)`: from one seed's queries [q e] and what a noisy oracle
    told of them [q], the row that it would end with after each; None ends with the best told."""
