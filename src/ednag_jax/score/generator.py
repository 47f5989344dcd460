"""A score network with a guide, turned to a data set: guided cells, and how a search is given it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ednag_jax.benchmarks import Benchmark
from ednag_jax.config import PredictorConfig, Swept
from ednag_jax.config.score import SamplingConfig, ScoreConfig
from ednag_jax.predictor import PredictedAccuracy, Target
from ednag_jax.score.cells import NUM_NODES, NUM_TYPES, check_space, from_matrix
from ednag_jax.score.network import GuideNetwork, ScoreNetwork, applied
from ednag_jax.score.sde import sample
from ednag_jax.spaces import NasBench201
from ednag_jax.types import FitnessFn, KeyArray, Params


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Generator:
    """All that DiffusionNAG generates from, a pytree whose shapes of networks are static."""

    score: Params
    """Weights of the score network."""
    guide: Params
    encoding: Swept
    """[k]: the data set as the guide reads it, a row of `Lessons.encodings`."""
    goal: Swept
    """What is asked for: a standardised prediction, the greatest of the guide's lessons on the data set."""
    target: Target
    """The predictor turned to the data set, which orders what was generated."""
    score_config: ScoreConfig = field(metadata={"static": True})
    guide_config: ScoreConfig = field(metadata={"static": True})
    predictor_config: PredictorConfig = field(metadata={"static": True})

    def score_of(self, x: Float[Array, "n v o"], sigma: Float[Array, ""]) -> Float[Array, "n v o"]:
        """Returns what the score network says of noisy cells."""
        return applied(ScoreNetwork(self.score_config), self.score, x, jnp.broadcast_to(sigma, x.shape[:1]))

    def expected(self, x: Float[Array, "n v o"], sigma: Float[Array, ""]) -> Float[Array, " n"]:
        """Returns what the guide says of noisy cells."""
        network = GuideNetwork(self.guide_config, self.encoding.shape[-1])
        encoding = jnp.broadcast_to(self.encoding, (len(x), *self.encoding.shape))
        return applied(network, self.guide, x, jnp.broadcast_to(sigma, x.shape[:1]), encoding)

    def guided_score(
        self, x: Float[Array, "n v o"], sigma: Float[Array, ""], *, scale: Any
    ) -> Float[Array, "n v o"]:
        """Returns the score plus scale times the gradient of -(goal - guide)^2 / 2, a log likelihood."""

        def log_likelihood(x: Array) -> Array:
            return -0.5 * jnp.sum(jnp.square(self.goal - self.expected(x, sigma)))

        return self.score_of(x, sigma) + scale * jax.grad(log_likelihood)(x)

    def predicted(self, phenotype: Int[Array, "n e"]) -> Float[Array, " n"]:
        """Returns the accuracy that the predictor expects of cells; -inf of what is none."""
        space = NasBench201()
        said = PredictedAccuracy(space, self.predictor_config)(self.target, jax.random.key(0), phenotype)
        return jnp.where(space.is_valid(phenotype), said, -jnp.inf)


def generate_cells(
    key: KeyArray, generator: Generator, num: int, sampling: SamplingConfig
) -> tuple[Int[Array, "n e"], Float[Array, " n"]]:
    """Returns guided cells and what the predictor says of them, the best first; -1 and -inf where it is none.

    Args:
        key: consumed.
        generator: networks, and the data set.
        num: how many; the corrector's step is theirs in common.
        sampling: settings.
    """
    score = partial(generator.guided_score, scale=sampling.guidance_scale)
    shape = (num, NUM_NODES, NUM_TYPES)
    cells = from_matrix(sample(key, score, shape, sampling, config=generator.score_config))
    said = generator.predicted(cells)
    order = jnp.argsort(-said)
    return cells[order], said[order]


@partial(jax.jit, static_argnames=("num",))
def generated(
    keys: Array, generator: Generator, sampling: SamplingConfig, *, num: int
) -> tuple[Int[Array, "s n e"], Float[Array, "s n"]]:
    """Returns `generate_cells` of every key: the one jit, all in one compiled call."""
    return jax.vmap(lambda key: generate_cells(key, generator, num, sampling))(keys)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GuidedParams:
    """The params of a benchmark that carries a generator."""

    oracle: Params
    """The benchmark's own."""
    generator: Generator


@dataclass(frozen=True)
class Unguided:
    """The fitness function of a benchmark that carries a generator: it does not look at it."""

    fitness_fn: FitnessFn

    def __call__(self, params: Params, key: KeyArray, phenotype: Int[Array, "n e"]) -> Float[Array, " n"]:
        return self.fitness_fn(params.oracle if isinstance(params, GuidedParams) else params, key, phenotype)

    def for_run(self, key: KeyArray, params: GuidedParams) -> GuidedParams:
        """Returns the params of one run, drawn where the fitness function draws them."""
        drawn = getattr(self.fitness_fn, "for_run", None)
        return params if drawn is None else dataclasses.replace(params, oracle=drawn(key, params.oracle))


def carrying(benchmark: Benchmark, generator: Generator) -> Benchmark:
    """Returns the benchmark with a generator beside its table, for `ednag_jax.search("diffusion_nag", ...)`.

    To every other strategy it is the same benchmark: they neither see nor use the generator.

    Raises:
        ValueError: a benchmark of another space than NAS-Bench-201.
    """
    check_space(benchmark.space)
    return dataclasses.replace(
        benchmark, params=GuidedParams(benchmark.params, generator), fitness_fn=Unguided(benchmark.fitness_fn)
    )


def generator_in(params: Params) -> Generator:
    """Returns the generator that params carry, those of a problem with costs included.

    Raises:
        ValueError: they carry none.
    """
    carried = getattr(params, "accuracy", params)
    if not isinstance(carried, GuidedParams):
        raise ValueError(
            "diffusion_nag and ednag_predicted need a generator (score network, guide and predictor), and this "
            "benchmark carries none: search carrying(benchmark, generator), with one from "
            "ednag_jax.score.make_generator"
        )
    return carried.generator
