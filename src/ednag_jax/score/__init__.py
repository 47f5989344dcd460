"""DiffusionNAG (An et al. 2024) for NAS-Bench-201: a trained score network that a predictor guides."""

from ednag_jax.score.evaluation import Quality, quality, score_error
from ednag_jax.score.generator import Generator, GuidedParams, carrying, generate_cells, generated, generator_in
from ednag_jax.score.guide import Lessons, lessons_of, train_guide
from ednag_jax.score.making import assembled, make_generator
from ednag_jax.score.network import GuideNetwork, ScoreNetwork
from ednag_jax.score.sde import log_density, sample
from ednag_jax.score.training import Trained, train_score

__all__ = [
    "Generator",
    "GuideNetwork",
    "GuidedParams",
    "Lessons",
    "Quality",
    "ScoreNetwork",
    "Trained",
    "assembled",
    "carrying",
    "generate_cells",
    "generated",
    "generator_in",
    "lessons_of",
    "log_density",
    "make_generator",
    "quality",
    "sample",
    "score_error",
    "train_guide",
    "train_score",
]
