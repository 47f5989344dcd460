"""What the comparison of EDNAG with DiffusionNAG measures: seconds of trainings and generations, qualities."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from ednag_jax import report
from ednag_jax.benchmarks import Benchmark
from ednag_jax.config import SamplingConfig, ScorePreset, ScoreTrainingConfig
from ednag_jax.generate import best_distinct, denoised
from ednag_jax.predictor import Predictor, Target
from ednag_jax.score import (
    Generator,
    Lessons,
    assembled,
    generated,
    lessons_of,
    quality,
    sample,
    train_guide,
    train_score,
)
from ednag_jax.score.cells import NUM_NODES, NUM_TYPES, as_matrix, from_matrix
from ednag_jax.score.evaluation import Quality, expected_uniqueness
from ednag_jax.score.network import ScoreNetwork
from ednag_jax.score.training import TrainState, first_weights, matching_loss, optimiser_for, run_steps
from ednag_jax.spaces import NasBench201

REPEATS = 5
"""Timed runs, each of another seed, whose median counts; one before them is not counted."""
NUM_UNGUIDED = 256
"""Cells by which a score network is judged."""
POOL = 16
"""Cells of which DiffusionNAG takes the best predicted: as many as EDNAG's population."""
PUBLISHED_STEPS = 2
"""Steps of the published score network that are timed."""


class Seconds(NamedTuple):
    """Of a training or a generation."""

    compile: float
    run: float


class Times:
    """Reports of a training, timed: the first call has the compilation in it."""

    def __init__(self) -> None:
        self._ends = [time.perf_counter()]

    def __call__(self, steps: int, loss: float) -> None:
        self._ends.append(time.perf_counter())

    def seconds(self) -> Seconds:
        """Returns compiling, what the first call took longer than the others' median, and running."""
        calls = np.diff(self._ends)
        usual = float(np.median(calls[1:])) if len(calls) > 1 else float(calls[0])
        return Seconds(max(float(calls[0]) - usual, 0.0), usual * len(calls))


def timed(run: Callable[[int], Any]) -> Seconds:
    """Returns what the first run of all took longer than the median of further ones, and that median."""
    seconds = []
    for seed in range(REPEATS + 1):
        start = time.perf_counter()
        jax.block_until_ready(run(seed))
        seconds.append(time.perf_counter() - start)
    usual = float(np.median(seconds[1:]))
    return Seconds(max(seconds[0] - usual, 0.0), usual)


def trained_score(sizes: ScorePreset, sampling: SamplingConfig) -> tuple[Any, Quality, Seconds]:
    """Returns a score network's weights, how good it is without guidance, and the seconds of its training."""
    clock = Times()
    trained, learnt = train_score(sizes.score, sizes.score_training, report=clock)
    seconds = clock.seconds()

    def score(x: jax.Array, sigma: jax.Array) -> Any:
        return ScoreNetwork(sizes.score).apply(trained.weights, x, jnp.broadcast_to(sigma, x.shape[:1]))

    shape = (NUM_UNGUIDED, NUM_NODES, NUM_TYPES)
    drawn = jax.jit(lambda key: sample(key, score, shape, sampling, config=sizes.score))(jax.random.key(1))
    return trained.weights, quality(from_matrix(drawn), learnt), seconds


def trained_generator(
    predictor: Predictor, target: Target, score: Any, sizes: ScorePreset
) -> tuple[Generator, Seconds, float]:
    """Returns the generator of a data set, the seconds of the guide's training, and those of its lessons."""
    start = time.perf_counter()
    lessons: Lessons = jax.block_until_ready(lessons_of(predictor, [target]))
    taught, clock = time.perf_counter() - start, Times()
    guide = train_guide(lessons, sizes.guide, sizes.guide_training, report=clock)
    return assembled(predictor, target, lessons, (score, guide.weights), sizes), clock.seconds(), taught


def published_training() -> float:
    """Returns the seconds that the published score network would take: those of a step, times 250,000."""
    sizes, key = ScorePreset.named("published"), jax.random.key(0)
    network, training = ScoreNetwork(sizes.score), ScoreTrainingConfig()
    weights = first_weights(key, network=network)
    state = TrainState(weights, weights, optimiser_for(training).init(weights), jnp.zeros(()))
    matrices = as_matrix(NasBench201().from_index(jnp.arange(NasBench201().size)))

    def run(seed: int) -> TrainState:
        data = (jnp.int32(seed), matrices, training)
        return run_steps(state, key, *data, loss=matching_loss, network=network, count=PUBLISHED_STEPS)

    return timed(run).run / PUBLISHED_STEPS * training.num_steps


@partial(jax.jit, static_argnames=("num",))
def unguided(key: jax.Array, generator: Generator, sampling: SamplingConfig, *, num: int) -> jax.Array:
    """Returns cells [n e] that the score network generates without its guide."""
    shape = (num, NUM_NODES, NUM_TYPES)
    return from_matrix(sample(key, generator.score_of, shape, sampling, config=generator.score_config))


def ednag_cell(predicted: Benchmark, seed: int) -> Any:
    """Returns the one cell [e] that `ednag generate` gives by one run of the denoising."""
    scored = denoised(predicted, max_params=None, seeds=range(1), root=seed)
    return best_distinct(scored, predicted.space, 1)[0]


def seconds_of(
    generator: Generator, predicted: Benchmark, table: Benchmark, sampling: SamplingConfig
) -> dict[str, Seconds]:
    """Returns the seconds of every generation, and of each without what it asks the predictor or the guide.

    Args:
        generator: DiffusionNAG's.
        predicted: what EDNAG maximises.
        table: takes the predictor's place, for the seconds of EDNAG alone.
        sampling: DiffusionNAG's settings.
    """
    keys = jax.random.split(jax.random.key(7), REPEATS + 1)
    return {
        "EDNAG": timed(lambda seed: ednag_cell(predicted, seed)),
        "EDNAG without predictor": timed(lambda seed: ednag_cell(table, seed)),
        "one cell": timed(lambda seed: generated(keys[seed][None], generator, sampling, num=1)),
        "one cell without guide": timed(lambda seed: unguided(keys[seed], generator, sampling, num=1)),
        "pool": timed(lambda seed: generated(keys[seed][None], generator, sampling, num=POOL)),
    }


def measures(benchmark: Benchmark, cells: Int[np.ndarray, "s e"]) -> list[str]:
    """Returns accuracies of one cell a seed, their ranks among all cells, and how many are different."""
    table = np.asarray(benchmark.test_params)
    is_cell = np.asarray(benchmark.space.is_valid(jnp.asarray(cells)))  # what is none counts as 0 percent
    valid, test = (
        np.where(is_cell, benchmark.lookup(jnp.asarray(cells), column), 0.0) for column in ("oracle", "test")
    )
    told, ranks = report.summarise(test), 1 + np.sum(table[None] > test[:, None] + 1e-6, axis=1)
    spread = [report.plus_minus(report.summarise(valid))[0], report.plus_minus(told)[0]]
    different = str(len(np.unique(cells, axis=0)))
    return [*spread, f"{told.best:.2f} / {told.worst:.2f}", f"{np.median(ranks):.0f}", different]


def unguided_line(found: Quality) -> str:
    """Returns how good the score network is without guidance, in words."""
    return (
        f"Score network without guidance, {NUM_UNGUIDED} cells: validity {found.validity:.3f}, uniqueness "
        f"{found.uniqueness:.3f} ({expected_uniqueness(NUM_UNGUIDED):.3f} if uniform), novelty "
        f"{found.novelty:.3f} (half of the cells were learnt from), greatest distance of an edge's operations "
        f"from uniform {found.distance:.3f} in total variation."
    )


def training_line(score: Seconds, published: float | None) -> str:
    """Returns how long trainings of a score network take, in words; the published one where it was timed."""
    ours = (
        f"Training: score network, once for all data sets, and guide with its lessons; compiling apart, "
        f"{score.compile:.1f} s for the score network."
    )
    if published is None:
        return ours
    return (
        f"{ours} Published, extrapolated: the score network alone {published / 3600:.1f} hours on this device "
        "(paper: 3.43 GPU hours on a V100)."
    )
