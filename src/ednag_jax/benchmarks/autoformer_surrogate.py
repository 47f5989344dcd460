"""ImageNet accuracy of AutoFormer-Tiny subnets, from a ridge regression on the 100 measured: small data.

What it is fitted to is accuracy with weights inherited from the supernet, where width 240 does worse than 192:
what a search finds here is what that supernet favours, and no accuracy of a network trained on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ednag_jax.benchmarks import autoformer
from ednag_jax.benchmarks.autoformer import NUM_SUBNETS, measured
from ednag_jax.benchmarks.base import Benchmark
from ednag_jax.benchmarks.cross_validation import Quality, cross_validated, mean_quality
from ednag_jax.config import check_choice
from ednag_jax.spaces.autoformer import AutoFormer
from ednag_jax.types import KeyArray

DATASETS = ("imagenet",)
METRICS = ("predicted",)
SOURCES = autoformer.SOURCES
PENALTY = 1.0
"""Of the squared weights of standardised features; from 0.1 to 3 the quality is the same."""


class Ridge(NamedTuple):
    """A fitted linear model."""

    weights: Float[Array, " f"]
    offset: Float[Array, ""]


@dataclass(frozen=True)
class LinearAccuracy:
    """The fitness function of a linear model of `features`."""

    space: AutoFormer

    def __call__(self, params: Ridge, key: KeyArray, phenotype: Int[Array, "n e"]) -> Float[Array, " n"]:
        del key  # a linear model does not draw
        return params.offset + features(self.space, phenotype) @ params.weights


def features(space: AutoFormer, phenotype: Int[Array, "*b e"]) -> Float[Array, "*b f"]:
    """Returns width and depth, each one-hot, and the mean over blocks of the ratio's and the heads' index."""
    width = jax.nn.one_hot(space.whole_field(phenotype, 0), len(space.whole[0].values))
    least, greatest = space.depth_range
    num = space.depths(phenotype)
    depth = jax.nn.one_hot(num[..., 0] - least, greatest - least + 1)
    exists = space.block_exists(phenotype)
    means = [jnp.sum(space.block_field(phenotype, f) * exists, axis=-1, keepdims=True) / num for f in range(2)]
    return jnp.concatenate([width, depth, *means], axis=-1)


def load(
    dataset: str = "imagenet",
    metric: str = "predicted",
    directory: str | Path | None = None,
    *,
    space: AutoFormer | None = None,
) -> Benchmark:
    """Returns the benchmark of predicted ImageNet top-1, in percent, as inherited from the supernet.

    Args:
        dataset: `imagenet`.
        metric: `predicted`.
        directory: the data directory; default is the setting `EDNAG_DATA_DIR`.
        space: `tiny`, or the part of it within a range of parameters; what was measured has 5.8 to 9.9 million.

    Raises:
        ValueError: unknown data set or metric.
        DataError: the file of the measured subnets is missing, cut or altered.
    """
    check_choice("dataset", dataset, DATASETS)
    check_choice("metric", metric, METRICS)
    space = space or AutoFormer.of_size("tiny")
    subnets = measured(directory)
    x = _features_of(subnets.phenotype)
    return Benchmark.from_function(
        space,
        LinearAccuracy(space),
        fit(x, subnets.accuracy[dataset]),
        name="autoformer_surrogate",
        dataset=dataset,
        metric=f"accuracy by a surrogate of {NUM_SUBNETS} subnets",
    )


def held_out(directory: str | Path | None = None) -> dict[str, Quality]:
    """Returns the mean quality of 10 times 5 folds: over `all` 100 subnets, and over those of each width.

    Widths differ so much in accuracy that `all` flatters: within one, which is what a narrow range of
    parameters leaves, much less is explained.

    Raises:
        DataError: the file of the measured subnets is missing, cut or altered.
    """
    subnets, space = measured(directory), AutoFormer.of_size("tiny")
    x, accuracy = _features_of(subnets.phenotype), subnets.accuracy[DATASETS[0]]

    def predict(fitted: Int[np.ndarray, " m"], rest: Int[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        model = fit(x[fitted], accuracy[fitted])
        return np.asarray(model.offset, np.float64) + x[rest] @ np.asarray(model.weights, np.float64)

    predicted = cross_validated(predict, NUM_SUBNETS)
    width = np.asarray(space.whole_field(jnp.asarray(subnets.phenotype), 0))
    groups = {"all": np.ones(NUM_SUBNETS, bool)}
    groups |= {f"width {value:g}": width == index for index, value in enumerate(space.whole[0].values)}
    return {name: mean_quality(predicted[:, rows], accuracy[rows]) for name, rows in groups.items()}


def fit(x: Float[np.ndarray, "m f"], accuracy: Float[np.ndarray, " m"]) -> Ridge:
    """Returns the ridge regression on standardised features, in terms of the features themselves (host)."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    scale = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
    z, offset = (x - mean) * scale, accuracy.mean()
    weights = np.linalg.solve(z.T @ z + PENALTY * np.eye(z.shape[1]), z.T @ (accuracy - offset)) * scale
    return Ridge(*(jnp.asarray(value, jnp.float32) for value in (weights, offset - mean @ weights)))


def _features_of(phenotype: Int[np.ndarray, "m e"]) -> Float[np.ndarray, "m f"]:
    """Returns the features of subnets of `tiny` (host)."""
    return np.asarray(features(AutoFormer.of_size("tiny"), jnp.asarray(phenotype)), np.float64)
