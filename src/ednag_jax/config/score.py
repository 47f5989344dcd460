"""Settings of DiffusionNAG (An et al. 2024): the score network, how it is trained, and how it generates."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import jax

from ednag_jax.config.base import StepsConfig, Swept, check_choice, check_range, static


@dataclass(frozen=True)
class ScoreConfig:
    """Shape of a network that reads noisy cells, and the noise it knows. All of it is static.

    Raises:
        ValueError: a size below 1, a width that heads do not divide, or levels of noise in the wrong order.
    """

    num_layers: int = 12
    width: int = 64
    num_heads: int = 8
    hidden_width: int = 128
    """Of the layer that each node has of its own."""
    dropout: float = 0.1
    sigma_min: float = 0.1
    """Least deviation of the noise."""
    sigma_max: float = 5.0
    """Greatest: the prior's."""

    def __post_init__(self) -> None:
        for size in ("num_layers", "width", "num_heads", "hidden_width"):
            check_range(size, getattr(self, size), 1)
        check_range("dropout", self.dropout, 0, 0.9)
        check_range("sigma_min", self.sigma_min, 1e-6)
        if self.width % (2 * self.num_heads):
            raise ValueError(
                f"width must be a multiple of twice num_heads {self.num_heads}, got {self.width}: every head "
                "takes an equal part, and the noise is told by as many sines as cosines"
            )
        if self.sigma_max <= self.sigma_min:
            raise ValueError(f"sigma_max must be above sigma_min {self.sigma_min}, got {self.sigma_max}")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ScoreTrainingConfig:
    """How a score network or a guide is trained. Counts shape the program; rates are traced.

    Raises:
        ValueError: a count below 1, or a rate out of range.
    """

    num_steps: int = static(250_000)
    batch_size: int = static(256)
    steps_per_call: int = static(500)
    """Steps between two reports and checkpoints."""
    learning_rate: Swept = 2e-5
    """Of Adam, after the warm-up."""
    warmup_steps: Swept = 1000
    clip_norm: Swept = 1.0
    """Greatest norm of a step's gradient."""
    ema_rate: Swept = 0.9999
    """Of the moving average of the weights, which is what generates; in [0, 1)."""
    final_rate: Swept = 1.0
    """Share of the learning rate at the last step, to which it falls along a cosine; 1 leaves it constant."""

    def __post_init__(self) -> None:
        for count in ("num_steps", "batch_size", "steps_per_call", "warmup_steps"):
            check_range(count, getattr(self, count), 1)
        check_range("learning_rate", self.learning_rate, 0)
        check_range("clip_norm", self.clip_norm, 1e-6)
        check_range("ema_rate", self.ema_rate, 0, 0.999999)
        check_range("final_rate", self.final_rate, 0, 1)


@dataclass(frozen=True)
class ScorePreset:
    """Networks of one size with their trainings: the score network's, and the guide's."""

    score: ScoreConfig = field(default_factory=ScoreConfig)
    score_training: ScoreTrainingConfig = field(default_factory=ScoreTrainingConfig)
    guide: ScoreConfig = field(default_factory=lambda: ScoreConfig(num_layers=4))
    guide_training: ScoreTrainingConfig = field(
        default_factory=lambda: ScoreTrainingConfig(num_steps=10_000, learning_rate=1e-3)
    )

    @classmethod
    def named(cls, name: str) -> ScorePreset:
        """Returns `published`, the paper's settings, or `cpu`: smaller networks that a core trains in minutes.

        Raises:
            ValueError: unknown preset.
        """
        check_choice("preset", name, tuple(SCORE_PRESETS))
        return SCORE_PRESETS[name]


SMALL_TRAINING = ScoreTrainingConfig(
    num_steps=1500, learning_rate=2e-3, warmup_steps=100, ema_rate=0.995, final_rate=0.01
)
SCORE_PRESETS = {
    "published": ScorePreset(),
    "cpu": ScorePreset(
        score=ScoreConfig(num_layers=2, num_heads=4, dropout=0.0),
        score_training=SMALL_TRAINING,
        guide=ScoreConfig(num_layers=2, width=32, num_heads=2, hidden_width=64, dropout=0.0),
        guide_training=SMALL_TRAINING,
    ),
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SamplingConfig:
    """How noise becomes cells: a step of prediction and some of correction at every level of noise.

    Raises:
        ValueError: a count or a number out of range.
    """

    num_scales: int = static(1000)
    """Levels of noise, geometric from the greatest to the least."""
    num_correctors: int = static(1)
    """Steps of Langevin dynamics at every level; 0 leaves the correction out."""
    snr: Swept = 0.16
    """Signal to noise of the corrector: it sets the size of its step."""
    guidance_scale: Swept = 100.0
    """Factor of the guide's gradient; 0 generates without guidance. Chosen on digits by what the predictor
    expects of the cells, no accuracy looked at: 1000 is no better."""

    def __post_init__(self) -> None:
        check_range("num_scales", self.num_scales, 2)
        check_range("num_correctors", self.num_correctors, 0)
        check_range("snr", self.snr, 0)
        check_range("guidance_scale", self.guidance_scale, 0)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DiffusionNAGConfig(StepsConfig):
    """Settings of the strategy: all cells are generated, then queried one by one in the predictor's order."""

    num_steps: int = static(29)
    """Queries after the first, one a step."""
    num_samples: int = static(32)
    """Cells generated; where too few of them are different, some are asked about again, which is free."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("num_samples", self.num_samples, 1)

    @classmethod
    def for_budget(cls, queries: int, size: int) -> DiffusionNAGConfig:
        """Returns settings that ask that many times, of twice as many generated."""
        del size
        return cls(num_steps=max(queries - 1, 1), num_samples=2 * queries)

    def replace(self, **changes: Any) -> DiffusionNAGConfig:
        """Returns a copy with some settings changed, checked anew."""
        return dataclasses.replace(self, **changes)
