"""EDNAG in JAX: neural architecture generation by fitness-guided denoising, many seeds in one compiled call."""

from ednag_jax.ask_tell import AskTell, Proposal, Told
from ednag_jax.benchmarks import BENCHMARKS, Benchmark, benchmark_from_table_file, load_benchmark
from ednag_jax.checkpoints import CheckpointWarning
from ednag_jax.config import (
    BananasConfig,
    EvolveConfig,
    GPBOConfig,
    LocalSearchConfig,
    OnlineConfig,
    RandomSearchConfig,
    RegularizedEvolutionConfig,
    ReinforceConfig,
    TPEConfig,
    TrainingConfig,
)
from ednag_jax.denoise import ddim_step, denoise, estimate_x0
from ednag_jax.evolve import evolve, init, seed_keys
from ednag_jax.fd_step import fd_step
from ednag_jax.generate import Architecture, Generated, generate
from ednag_jax.images import ImageSet, load_images
from ednag_jax.many_seeds import evolve_seeds
from ednag_jax.predictor import load_predictor
from ednag_jax.problem import Problem
from ednag_jax.result import Result
from ednag_jax.schedules import make_schedule
from ednag_jax.search import search
from ednag_jax.selection import select
from ednag_jax.spaces import SPACES, CategoricalSpace, SearchSpace
from ednag_jax.storage import DataError
from ednag_jax.strategies import STRATEGIES
from ednag_jax.training import classify_folder, load_trained, train_network
from ednag_jax.types import Evaluation, Schedule, State, StepInfo, Strategy, Trace

__all__ = [
    "BENCHMARKS",
    "SPACES",
    "STRATEGIES",
    "Architecture",
    "AskTell",
    "BananasConfig",
    "Benchmark",
    "CategoricalSpace",
    "CheckpointWarning",
    "DataError",
    "Evaluation",
    "EvolveConfig",
    "GPBOConfig",
    "Generated",
    "ImageSet",
    "LocalSearchConfig",
    "OnlineConfig",
    "Problem",
    "Proposal",
    "RandomSearchConfig",
    "RegularizedEvolutionConfig",
    "ReinforceConfig",
    "Result",
    "Schedule",
    "SearchSpace",
    "State",
    "StepInfo",
    "Strategy",
    "TPEConfig",
    "Told",
    "Trace",
    "TrainingConfig",
    "benchmark_from_table_file",
    "classify_folder",
    "ddim_step",
    "denoise",
    "estimate_x0",
    "evolve",
    "evolve_seeds",
    "fd_step",
    "generate",
    "init",
    "load_benchmark",
    "load_images",
    "load_predictor",
    "load_trained",
    "make_schedule",
    "search",
    "seed_keys",
    "select",
    "train_network",
]
