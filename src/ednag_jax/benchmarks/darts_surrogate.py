"""A Gaussian process over DARTS cells: features that jit computes from a phenotype, a kernel, and its fit.

What it models is the log of the error, 100 minus accuracy: errors of cells differ by factors, and no cell is
expected above 100 percent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.linalg import cho_solve, cholesky
from scipy.spatial.distance import cdist

from ednag_jax.spaces.darts import NUM_INPUTS, NUM_NODES, OPS, Darts, edges
from ednag_jax.types import KeyArray

NUM_KINDS = NUM_INPUTS + 1
"""Of sources: either input of the cell, or a node of the cell itself."""


class Features(NamedTuple):
    """Groups of numbers that say what two cells are made of; none depends on the order of a node's edges."""

    normal_ops: Float[Array, "*b 21"]
    """How many edges of the normal cell have each kind of source and op."""
    reduce_ops: Float[Array, "*b 21"]
    normal_paths: Float[Array, "*b 7"]
    """How often each op is met on the way from the normal cell's inputs to a node, mean over ways and nodes."""
    normal_uses: Float[Array, "*b 5"]
    """How many edges come from each source of the normal cell."""


def features(phenotype: Int[Array, "*b e"]) -> Features:
    """Returns the features of cells."""
    source, op = edges(phenotype)
    kind = jnp.minimum(source, NUM_INPUTS)
    ops = jnp.sum(jax.nn.one_hot(kind * len(OPS) + op, NUM_KINDS * len(OPS)), axis=-2)
    normal = source[..., 0, :], op[..., 0, :]
    uses = jnp.sum(jax.nn.one_hot(normal[0], NUM_INPUTS + NUM_NODES - 1), axis=-2)
    return Features(ops[..., 0, :], ops[..., 1, :], path_ops(*normal), uses)


def path_ops(source: Int[Array, "*b 8"], op: Int[Array, "*b 8"]) -> Float[Array, "*b 7"]:
    """Returns how often each op is met on a way from a cell's inputs to a node of it.

    At a node the mean over its two edges of what is met at the edge's source, plus the edge's op; at the
    inputs nothing. Then the mean over the nodes.
    """
    met = jnp.zeros((*source.shape[:-1], NUM_INPUTS, len(OPS)))
    for node in range(NUM_NODES):
        pair = slice(2 * node, 2 * node + 2)
        before = jnp.take_along_axis(met, source[..., pair, None], axis=-2)
        here = jnp.mean(before + jax.nn.one_hot(op[..., pair], len(OPS)), axis=-2, keepdims=True)
        met = jnp.concatenate([met, here], axis=-2)
    return jnp.mean(met[..., NUM_INPUTS:, :], axis=-2)


class Scales(NamedTuple):
    """Settings of the kernel signal * exp(-sum over groups of weight * mean squared difference / 2)."""

    weights: tuple[float, float, float, float]
    """Of the groups in the order of `Features`, whose numbers are standardised first."""
    signal: float
    noise: float
    """Variances, in units of the variance of the accuracies fitted."""


class GaussianProcess(NamedTuple):
    """A fitted process: what the fitness function needs, and no more."""

    mean: Float[Array, " f"]
    scale: Float[Array, " f"]
    """Of the features: (feature - mean) * scale is what distances are taken of."""
    centres: Float[Array, "m f"]
    """Scaled features of the cells fitted."""
    weights: Float[Array, " m"]
    offset: Float[Array, ""]
    """Of minus the log error, where the similarities are all 1."""


@dataclass(frozen=True)
class ExpectedAccuracy:
    """The fitness function of a Gaussian process: the accuracy in percent at the log error that it expects."""

    space: Darts

    def __call__(
        self, params: GaussianProcess, key: KeyArray, phenotype: Int[Array, "n e"]
    ) -> Float[Array, " n"]:
        del key  # the expectation does not draw
        x = (jnp.concatenate(features(phenotype), axis=-1) - params.mean) * params.scale
        return 100 - jnp.exp(-params.offset - similarity_below_one(x, params.centres) @ params.weights)


def similarity_below_one(a: Float[Array, "n f"], b: Float[Array, "m f"]) -> Float[Array, "n m"]:
    """Returns exp(-|a_i - b_j|^2 / 2) - 1.

    Similarities are all near 1 and their weights large, of both signs: in float32 their sum would keep 3 digits
    less than that of the differences.
    """
    product = jnp.matmul(a, b.T, precision=jax.lax.Precision.HIGHEST)  # a GPU's short floats cost as much
    squared = jnp.sum(a**2, axis=-1)[:, None] + jnp.sum(b**2, axis=-1) - 2 * product
    return jnp.expm1(-jnp.maximum(squared, 0.0) / 2)


def fit(
    phenotype: Int[np.ndarray, "m e"], accuracy: Float[np.ndarray, " m"], scales: Scales
) -> GaussianProcess:
    """Returns the process given the accuracies of m cells: one Cholesky factor, in float64 on the host."""
    x, mean, scale = _standardised(phenotype, scales)
    factor, target, (offset, spread) = _factored(x, accuracy, scales)
    weights = scales.signal * spread * cho_solve((factor, True), target)
    arrays = (mean, scale, x, weights, offset + weights.sum())
    return GaussianProcess(*(jnp.asarray(array, jnp.float32) for array in arrays))


def log_likelihood(
    phenotype: Int[np.ndarray, "m e"], accuracy: Float[np.ndarray, " m"], scales: Scales
) -> float:
    """Returns log p(standardised log errors) under the kernel, up to a constant: what scales are chosen by."""
    x, _, _ = _standardised(phenotype, scales)
    factor, target, _ = _factored(x, accuracy, scales)
    fitted = target @ cho_solve((factor, True), target)
    return float(-fitted / 2 - np.log(np.diag(factor)).sum())


def _standardised(
    phenotype: Int[np.ndarray, "m e"], scales: Scales
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns scaled features [m f], and the mean and scale [f] that made them; constant features count 0."""
    groups = [np.asarray(group, np.float64) for group in jax.jit(features)(phenotype)]
    raw = np.concatenate(groups, axis=1)
    mean, spread = raw.mean(axis=0), raw.std(axis=0)
    share = [w / group.shape[1] for group, w in zip(groups, scales.weights, strict=True)]
    weight = np.repeat(share, [group.shape[1] for group in groups])
    scale = np.divide(np.sqrt(weight), spread, out=np.zeros_like(spread), where=spread > 0)
    return (raw - mean) * scale, mean, scale


def _factored(
    x: np.ndarray, accuracy: np.ndarray, scales: Scales
) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Returns the Cholesky factor of the kernel with noise, the standardised target, and its mean and std."""
    covariance = scales.signal * np.exp(-cdist(x, x, "sqeuclidean") / 2) + scales.noise * np.eye(len(x))
    target = -np.log(100 - accuracy)
    offset, spread = target.mean(), target.std()
    return cholesky(covariance, lower=True), (target - offset) / spread, (offset, spread)
