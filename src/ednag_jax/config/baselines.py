"""Settings of the strategies that EDNAG is compared with; defaults are the published ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax

from ednag_jax.config.base import StepsConfig, Swept, check_range, static


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RandomSearchConfig(StepsConfig):
    """Settings of random search: each step asks for `batch_size` architectures drawn uniformly."""

    batch_size: int = static(10)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("batch_size", self.batch_size, 1)

    @classmethod
    def for_budget(cls, queries: int, size: int) -> RandomSearchConfig:
        """Returns settings whose draws from `size`, with replacement, nearly always spend the budget."""
        left = max(size - queries, 1)
        # log1p: in a space of 10^20 the quotient left / size rounds to 1, and its logarithm to no draw at all.
        # 2.5: in nasbench101, where draws favour small modules, half of them repeat an earlier one.
        draws = -2.5 * size * math.log1p((left - size) / size) + 20
        return cls(num_steps=math.ceil(draws / 10))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RegularizedEvolutionConfig(StepsConfig):
    """Settings of regularized evolution (Real et al. 2019): age-based removal, tournament of `sample_size`."""

    num_steps: int = static(1000)
    population_size: int = static(30)
    sample_size: int = static(10)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("population_size", self.population_size, 2)
        check_range("sample_size", self.sample_size, 1, self.population_size)

    @classmethod
    def for_budget(cls, queries: int, size: int) -> RegularizedEvolutionConfig:
        """Returns settings long enough for that many distinct queries; children often repeat."""
        del size
        return cls(num_steps=4 * queries)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LocalSearchConfig(StepsConfig):
    """Settings of local search (White et al. 2021): all neighbours, move to the best, restart when stuck."""

    num_steps: int = static(60)

    @classmethod
    def for_budget(cls, queries: int, size: int) -> LocalSearchConfig:
        """Returns settings long enough for that many distinct queries; neighbourhoods overlap."""
        del size
        return cls(num_steps=queries // 4 + 10)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ReinforceConfig(StepsConfig):
    """Settings of REINFORCE as published for NAS-Bench-201 (Dong and Yang 2020; NATS-Bench, 2021)."""

    num_steps: int = static(500)
    """Architectures sampled after the first, one a step."""
    num_tries: int = static(32)
    """Samples among which the first valid one is taken."""
    learning_rate: Swept = 0.01
    """Of Adam. NATS-Bench's; NAS-Bench-201 had 0.001, with which a policy hardly moves in 100 steps."""
    momentum: Swept = 0.9
    """Of the moving average of rewards that is the baseline, in [0, 1)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("num_tries", self.num_tries, 1)
        check_range("learning_rate", self.learning_rate, 0)
        check_range("momentum", self.momentum, 0, 0.9999)

    @classmethod
    def for_budget(cls, queries: int, size: int) -> ReinforceConfig:
        """Returns settings long enough for that many distinct queries; a policy samples some again."""
        del size
        return cls(num_steps=3 * queries)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TPEConfig(StepsConfig):
    """Settings of the tree-structured Parzen estimator (Bergstra et al. 2011), with Hyperopt's defaults."""

    num_steps: int = static(280)
    """Queries after the first ones, one a step."""
    num_initial: int = static(20)
    """First queries, drawn uniformly."""
    gamma: float = static(0.15)
    """Share of the queries that count as good, the paper's quantile; in (0, 1]."""
    num_candidates: int = static(24)
    """Architectures drawn from the good density for each query."""
    prior_weight: Swept = 1.0
    """Added to the count of every value: how many observations the uniform prior is worth to each."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("num_initial", self.num_initial, 1)
        check_range("gamma", self.gamma, 1e-3, 1)
        check_range("num_candidates", self.num_candidates, 1)
        check_range("prior_weight", self.prior_weight, 1e-6)

    @property
    def num_queries(self) -> int:
        """Queries of a whole run, q."""
        return self.num_initial + self.num_steps

    @classmethod
    def for_budget(cls, queries: int, size: int) -> TPEConfig:
        """Returns settings for that many distinct queries, whatever of the first, uniform ones is a repeat."""
        del size
        return cls(num_steps=queries, num_initial=min(20, max(queries - 1, 1)))
