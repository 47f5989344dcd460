"""Settings of the strategies that ask a model of what they queried so far; defaults are the published ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax

from ednag_jax.config.base import StepsConfig, Swept, check_choice, check_range, static


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BananasConfig(StepsConfig):
    """Settings of BANANAS (White et al. 2021); see `strategies.bananas` for what departs from it."""

    num_steps: int = static(29)
    """Rounds after the first queries."""
    num_initial: int = static(10)
    """First queries, drawn uniformly."""
    batch_size: int = static(10)
    """Queries a round, k."""
    features: str = static("adjacency")
    """What networks read: `adjacency`, the space's own numbers, or `path`, the sequences of ops on paths."""
    num_networks: int = static(5)
    """Of the ensemble."""
    num_layers: int = static(10)
    """Hidden layers of a network."""
    width: int = static(20)
    """Of a hidden layer."""
    num_updates: int = static(150)
    """Gradient steps of a network a round, each on a minibatch."""
    minibatch_size: int = static(32)
    num_parents: int = static(10)
    """Fittest architectures whose mutants are candidates."""
    num_mutants: int = static(200)
    learning_rate: Swept = 0.01
    """Of Adam."""
    margin: Swept = 0.1
    """By how much the bound of the percentage error lies above the best, in median regrets; above 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("features", self.features, ("adjacency", "path"))
        counts = ("num_initial", "batch_size", "num_networks", "num_layers", "width", "num_updates")
        for count in (*counts, "minibatch_size", "num_parents"):
            check_range(count, getattr(self, count), 1)
        check_range("num_mutants", self.num_mutants, self.batch_size)
        check_range("margin", self.margin, 1e-3)

    @property
    def num_queries(self) -> int:
        """Queries of a whole run, q."""
        return self.num_initial + self.num_steps * self.batch_size

    @classmethod
    def for_budget(cls, queries: int, size: int) -> BananasConfig:
        """Returns settings whose rounds spend the budget, the last one cut off where it does not divide it."""
        del size
        initial = min(cls.num_initial, queries)
        return cls(num_steps=max(math.ceil((queries - initial) / cls.batch_size), 1), num_initial=initial)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GPBOConfig(StepsConfig):
    """Settings of Bayesian optimisation with a Gaussian process; the pool is NAS-BOWL's (Ru et al. 2021)."""

    num_steps: int = static(290)
    """Queries after the first ones, one a step."""
    num_initial: int = static(10)
    """First queries, drawn uniformly."""
    num_random: int = static(100)
    """Candidates drawn uniformly for each query."""
    num_mutants: int = static(100)
    """Candidates one edit from one of the fittest."""
    num_parents: int = static(10)
    """How many fittest."""
    fit_growth: Swept = 1.1
    """The kernel's rate and noise are chosen anew whenever the archive has grown by this factor, above 1."""
    rates: tuple[float, ...] = static((0.5, 1.0, 2.0, 4.0, 8.0))
    """To choose from: how fast similarity falls with the share of fields that differ."""
    noises: tuple[float, ...] = static((1e-3, 1e-2, 1e-1))
    """To choose from: variance of the observations' noise, as a share of the process's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for count in ("num_initial", "num_random", "num_mutants", "num_parents"):
            check_range(count, getattr(self, count), 1)
        check_range("fit_growth", self.fit_growth, 1.001)
        if not (self.rates and self.noises):
            raise ValueError(
                f"rates and noises must each name at least one number, got {self.rates}, {self.noises}"
            )
        check_range("the least of rates", min(self.rates), 1e-6)
        # Below that a Cholesky decomposition of hundreds of rows fails in float32.
        check_range("the least of noises", min(self.noises), 1e-4)

    @property
    def num_queries(self) -> int:
        """Queries of a whole run, q."""
        return self.num_initial + self.num_steps

    @classmethod
    def for_budget(cls, queries: int, size: int) -> GPBOConfig:
        """Returns settings that ask exactly that many times."""
        del size
        initial = min(cls.num_initial, max(queries - 1, 1))
        return cls(num_steps=max(queries - initial, 1), num_initial=initial)
