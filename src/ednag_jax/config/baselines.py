"""Settings of the strategies that EDNAG is compared with; defaults are the published ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax

from ednag_jax.config.base import StepsConfig, check_range, static


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
