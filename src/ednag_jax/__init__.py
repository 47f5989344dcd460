"""EDNAG in JAX: neural architecture generation by fitness-guided denoising, many seeds in one compiled call."""

from ednag_jax.benchmarks import BENCHMARKS, Benchmark, benchmark_from_table_file, load_benchmark
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
)
from ednag_jax.denoise import ddim_step, denoise, estimate_x0
from ednag_jax.evolve import evolve, evolve_seeds, init, seed_keys
from ednag_jax.fd_step import fd_step
from ednag_jax.problem import Problem
from ednag_jax.result import Result
from ednag_jax.schedules import make_schedule
from ednag_jax.search import search
from ednag_jax.selection import select
from ednag_jax.spaces import SPACES, CategoricalSpace, SearchSpace
from ednag_jax.storage import DataError
from ednag_jax.strategies import STRATEGIES
from ednag_jax.types import Evaluation, Schedule, State, StepInfo, Strategy, Trace

__all__ = [
    "BENCHMARKS",
    "SPACES",
    "STRATEGIES",
    "BananasConfig",
    "Benchmark",
    "CategoricalSpace",
    "DataError",
    "Evaluation",
    "EvolveConfig",
    "GPBOConfig",
    "LocalSearchConfig",
    "OnlineConfig",
    "Problem",
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
    "Trace",
    "benchmark_from_table_file",
    "ddim_step",
    "denoise",
    "estimate_x0",
    "evolve",
    "evolve_seeds",
    "fd_step",
    "init",
    "load_benchmark",
    "make_schedule",
    "search",
    "seed_keys",
    "select",
]
