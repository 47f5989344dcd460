"""Settings of EDNAG on what a predictor expects."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import jax

from ednag_jax.config.base import StepsConfig, check_range, static
from ednag_jax.config.evolve import EvolveConfig

DENOISING = EvolveConfig(num_steps=100)
"""Of a run that maximises a prediction: a hundred steps as in the paper, elsewhere the default preset."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PredictedConfig(StepsConfig):
    """Settings of the strategy: one run on predictions, then its best are queried one by one."""

    num_steps: int = static(29)
    """Queries after the first, one a step."""
    num_samples: int = static(30)
    """Cells that are kept of those that the run met; past the last it is asked about again, which is free."""
    denoising: EvolveConfig = field(default_factory=lambda: DENOISING)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("num_samples", self.num_samples, 1)

    @classmethod
    def for_budget(cls, queries: int, size: int) -> PredictedConfig:
        """Returns settings that ask that many times."""
        del size
        return cls(num_steps=max(queries - 1, 1), num_samples=queries)

    def replace(self, **changes: Any) -> PredictedConfig:
        """Returns a copy with some settings changed, checked anew."""
        return dataclasses.replace(self, **changes)
