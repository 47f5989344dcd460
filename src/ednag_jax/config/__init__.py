"""Settings: one class a strategy, every default and every check."""

from ednag_jax.config.base import StepsConfig, Swept, check_choice, check_range, static
from ednag_jax.config.baselines import (
    LocalSearchConfig,
    RandomSearchConfig,
    RegularizedEvolutionConfig,
    ReinforceConfig,
    TPEConfig,
)
from ednag_jax.config.evolve import ENCODINGS, MAPPINGS, PRESETS, EvolveConfig
from ednag_jax.config.meta import MetaConfig
from ednag_jax.config.model_based import BananasConfig, GPBOConfig
from ednag_jax.config.online import OnlineConfig
from ednag_jax.config.predicted import DENOISING, PredictedConfig
from ednag_jax.config.predictor import PredictorConfig, PredictorTrainingConfig
from ednag_jax.config.score import (
    SCORE_PRESETS,
    DiffusionNAGConfig,
    SamplingConfig,
    ScoreConfig,
    ScorePreset,
    ScoreTrainingConfig,
)
from ednag_jax.config.training import TrainingConfig

__all__ = [
    "DENOISING",
    "ENCODINGS",
    "MAPPINGS",
    "PRESETS",
    "SCORE_PRESETS",
    "BananasConfig",
    "DiffusionNAGConfig",
    "EvolveConfig",
    "GPBOConfig",
    "LocalSearchConfig",
    "MetaConfig",
    "OnlineConfig",
    "PredictedConfig",
    "PredictorConfig",
    "PredictorTrainingConfig",
    "RandomSearchConfig",
    "RegularizedEvolutionConfig",
    "ReinforceConfig",
    "SamplingConfig",
    "ScoreConfig",
    "ScorePreset",
    "ScoreTrainingConfig",
    "StepsConfig",
    "Swept",
    "TPEConfig",
    "TrainingConfig",
    "check_choice",
    "check_range",
    "static",
]
