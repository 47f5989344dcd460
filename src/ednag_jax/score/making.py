"""From a predictor and a data set to a generator: trains what is missing."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp

from ednag_jax.config.score import ScorePreset
from ednag_jax.predictor import Predictor, Target
from ednag_jax.score.generator import Generator
from ednag_jax.score.guide import Lessons, lessons_of, train_guide
from ednag_jax.score.training import Report, train_score
from ednag_jax.types import Params


def make_generator(
    predictor: Predictor,
    target: Target,
    *,
    preset: str | ScorePreset = "cpu",
    seed: int = 0,
    directory: str | Path | None = None,
    report: Report | None = None,
) -> Generator:
    """Returns a generator of cells for a data set: score network and guide are trained, the predictor as it is.

    Args:
        predictor: of NAS-Bench-201.
        target: the predictor turned to the data set, from `encode_dataset`.
        preset: `cpu`, `published`, which takes a CPU days, or sizes of your own.
        seed: of both trainings.
        directory: where checkpoints are kept, in `score` and `guide`; trainings that stopped there go on, and
            finished ones are read.
        report: called after every few steps.

    Raises:
        ValueError: unknown preset, a predictor of another space, or a directory of other trainings.
        DataError: a checkpoint that is cut or altered.
    """
    sizes = ScorePreset.named(preset) if isinstance(preset, str) else preset
    places = [None if directory is None else Path(directory) / part for part in ("score", "guide")]
    lessons = lessons_of(predictor, [target])
    score, _ = train_score(sizes.score, sizes.score_training, seed=seed, directory=places[0], report=report)
    guide = train_guide(
        lessons, sizes.guide, sizes.guide_training, seed=seed, directory=places[1], report=report
    )
    return assembled(predictor, target, lessons, (score.weights, guide.weights), sizes)


def assembled(
    predictor: Predictor, target: Target, lessons: Lessons, weights: tuple[Params, Params], sizes: ScorePreset
) -> Generator:
    """Returns the generator of trained parts.

    Args:
        predictor: the guide's teacher.
        target: the predictor turned to the data set, the last of the lessons'.
        lessons: of the guide.
        weights: of the score network and the guide.
        sizes: of both.
    """
    return Generator(
        score=weights[0],
        guide=weights[1],
        encoding=lessons.encodings[-1],
        goal=jnp.max(lessons.target[-1]),
        target=target,
        score_config=sizes.score,
        guide_config=sizes.guide,
        predictor_config=predictor.config,
    )
