"""The guide: what the project's own predictor expects of a cell, learnt from cells with noise on them.

Nothing but the predictor teaches it, so guided generation and EDNAG know the same. With squared error it comes
to E[z(x_0) | x, data set], the mean of what the predictor says of all cells that a noisy one may be; z is
standardised over the cells of the space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ednag_jax.config.score import ScoreConfig, ScoreTrainingConfig
from ednag_jax.predictor import Predictor, Target
from ednag_jax.predictor.examples import Standards
from ednag_jax.predictor.model import PredictorNetwork, in_chunks
from ednag_jax.score.cells import as_matrix, check_space
from ednag_jax.score.network import GuideNetwork, applied
from ednag_jax.score.training import Report, Trained, noised, train
from ednag_jax.spaces import NasBench201
from ednag_jax.storage import digest
from ednag_jax.types import KeyArray, Params


class Lessons(NamedTuple):
    """What a predictor says of cells on data sets."""

    matrices: Float[Array, "m v o"]
    """All cells."""
    encodings: Float[Array, "t k"]
    """Each data set as the ensemble sees it, every number standardised over the data sets."""
    target: Float[Array, "t m"]
    """Predicted accuracy, standardised over the cells."""


def lessons_of(predictor: Predictor, targets: Sequence[Target] = ()) -> Lessons:
    """Returns what a predictor says of all cells, on the tasks that it learnt from and on further data sets.

    Of those it is asked nothing but its own predictions: no accuracy of theirs is seen.

    Args:
        predictor: of NAS-Bench-201.
        targets: the data sets to generate for; the last rows.

    Raises:
        ValueError: a predictor of another space.
    """
    check_space(predictor.space)
    cells = NasBench201().from_index(jnp.arange(predictor.space.size))
    tasks = jnp.moveaxis(predictor.task_vectors, 1, 0)
    vectors = jnp.concatenate([tasks, *(target.dataset[None] for target in targets)])
    said = predicted(predictor.weights, predictor.standards, vectors, cells, network=predictor.network)
    deviation = jnp.maximum(jnp.std(said, axis=1, keepdims=True), 1e-6)
    flat = vectors.reshape(len(vectors), -1)
    spread = jnp.std(flat, axis=0)
    encodings = (flat - jnp.mean(flat, axis=0)) / jnp.where(spread > 1e-6, spread, 1.0)
    return Lessons(as_matrix(cells), encodings, (said - jnp.mean(said, axis=1, keepdims=True)) / deviation)


@partial(jax.jit, static_argnames=("network",))
def predicted(
    weights: Params,
    standards: Standards,
    vectors: Float[Array, "t s d"],
    phenotype: Int[Array, "m e"],
    *,
    network: PredictorNetwork,
) -> Float[Array, "t m"]:
    """Returns the accuracy that an ensemble expects of each architecture on each data set: the mean of it.

    The architectures are encoded once for all data sets.
    """

    def encoded(archs: Int[Array, "_ e"]) -> Float[Array, "_ sg"]:
        one = jax.vmap(lambda own: applied(network, own, archs, method="encode_archs"))(weights)
        return jnp.moveaxis(one, 0, 1).reshape(len(archs), -1)

    members = jax.tree.leaves(weights)[0].shape[0]
    flat = in_chunks(encoded, phenotype)
    archs = jnp.moveaxis(flat.reshape(len(flat), members, -1), 1, 0)

    def one(dataset: Float[Array, "s d"]) -> Float[Array, " m"]:
        def member(own: Params, vector: Array, rows: Array) -> tuple[Array, Array]:
            z = applied(network, own, vector, rows, method="standardised")
            return z, applied(network, own, vector, method="level")

        z, level = jax.vmap(member)(weights, dataset, archs)
        return jnp.mean(standards.accuracy(level, z), axis=0)

    return jax.lax.map(one, vectors)


def guide_loss(
    weights: Params, key: KeyArray, lessons: Lessons, batch_size: int, *, network: GuideNetwork
) -> Float[Array, ""]:
    """Returns the squared error of standardised predictions from noisy cells, mean over a batch."""
    key_rows, key_tasks, key_noise, key_drop = jax.random.split(key, 4)
    rows = jax.random.randint(key_rows, (batch_size,), 0, len(lessons.matrices))
    tasks = jax.random.randint(key_tasks, (batch_size,), 0, len(lessons.encodings))
    noisy, sigma, _ = noised(key_noise, lessons.matrices[rows], network.config)
    rngs = {"dropout": key_drop}
    said = applied(network, weights, noisy, sigma, lessons.encodings[tasks], train=True, rngs=rngs)
    return jnp.mean(jnp.square(said - lessons.target[tasks, rows]))


def train_guide(
    lessons: Lessons,
    config: ScoreConfig | None = None,
    training: ScoreTrainingConfig | None = None,
    *,
    seed: int = 0,
    directory: str | Path | None = None,
    report: Report | None = None,
) -> Trained:
    """Returns a guide that learnt what a predictor says.

    Args:
        lessons: from `lessons_of`.
        config: shape of the network.
        training: how it is trained.
        seed: of the training.
        directory: where the latest checkpoint is kept; a training that stopped there goes on.
        report: called after every `steps_per_call` steps.

    Raises:
        ValueError: a directory of another training.
        DataError: a checkpoint that is cut or altered.
    """
    config = config or ScoreConfig()
    learnt = digest(np.asarray(lessons.encodings), np.asarray(lessons.target))
    return train(
        jax.random.key(seed),
        lessons,
        training or ScoreTrainingConfig(),
        loss=guide_loss,
        network=GuideNetwork(config, lessons.encodings.shape[1]),
        about={"kind": "guide", "config": asdict(config), "lessons": learnt, "seed": seed},
        directory=directory,
        report=report,
    )
