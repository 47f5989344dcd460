"""A Gaussian process over architectures, grown by one observation at a time in arrays of a fixed size."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.special import ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Bool, Float, Int

from ednag_jax.fitness import mean_ranks
from ednag_jax.spaces.traits import Traits
from ednag_jax.types import Scalar

FAR = -5.0
"""Standard deviations below which expected improvement is taken from its asymptotic series."""


class Kernel(NamedTuple):
    """The covariance of two architectures: a part for each kind of traits, falling with dissimilarity in them.

    k(a, b) = sum over the kinds of share exp(-rate D), D = |a - b|^2 / 2; fine traits have what is left of 1.
    """

    rough_share: Scalar
    coarse_share: Scalar
    rate: Scalar

    def __call__(self, a: Traits, b: Traits) -> Float[Array, "n m"]:
        """Returns the covariances of n architectures with m; of one with itself 1."""
        rough, coarse, fine = (
            jnp.exp(-self.rate * half_squared_distance(x, y)) for x, y in zip(a, b, strict=True)
        )
        fine_share = 1 - self.rough_share - self.coarse_share
        return self.rough_share * rough + self.coarse_share * coarse + fine_share * fine


def half_squared_distance(a: Float[Array, "n f"], b: Float[Array, "m f"]) -> Float[Array, "n m"]:
    """Returns |a_i - b_j|^2 / 2, at least 0, from one product."""
    norms = jnp.sum(a**2, axis=-1)[:, None] + jnp.sum(b**2, axis=-1)
    return jnp.maximum(0.5 * norms - a @ b.T, 0.0)


def grown_inverse(
    inverse: Float[Array, "q q"], covariance: Float[Array, " q"], row: Int[Array, ""], variance: Scalar
) -> tuple[Float[Array, "q q"], Float[Array, ""]]:
    """Returns the inverse of a covariance matrix with one more row and column, in O(q^2) by the block formula.

    And what its determinant grew by. With u = K^-1 k and d = variance - k . u, the new inverse is the old one
    plus v v^T / d, v = u - e_row, and the determinant is d times the old one.

    Args:
        inverse: of the matrix so far; 0 in rows and columns from `row` on.
        covariance: of the new architecture with those so far; 0 from `row` on.
        row: how many there are so far.
        variance: of the new one with itself, noise included.
    """
    u = inverse @ covariance
    left = jnp.maximum(variance - covariance @ u, 1e-6)  # rounding, where an architecture comes twice
    v = u.at[row].set(-1.0)
    return inverse + v[:, None] * (v / left), left


def posterior(
    inverse: Float[Array, "q q"], cross: Float[Array, "q m"], target: Float[Array, " q"]
) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """Returns mean and standard deviation of m architectures without noise, prior mean 0 and variance 1.

    Args:
        inverse: of the covariance matrix of what was observed, noise included.
        cross: covariances of the observed with the m architectures.
        target: what was observed.
    """
    weights = inverse @ cross
    variance = 1.0 - jnp.sum(weights * cross, axis=0)
    return target @ weights, jnp.sqrt(jnp.maximum(variance, 1e-8))


def log_evidence(
    inverse: Float[Array, "q q"], log_determinant: Float[Array, ""], target: Float[Array, " q"]
) -> Float[Array, ""]:
    """Returns log N(target; 0, K) without its constant: -(y . K^-1 y + log |K|) / 2."""
    return -0.5 * (target @ inverse @ target + log_determinant)


def normal_scores(fitness: Float[Array, " q"], observed: Bool[Array, " q"]) -> Float[Array, " q"]:
    """Returns each observed fitness as the quantile of a normal distribution at its rank; 0 elsewhere.

    Free of the scale of fitness and of its outliers; equals share a score, and -inf ranks last.
    """
    unused = jnp.sum(~observed)
    # Unused rows rank below everything and so lift the others' ranks by as many.
    rank = mean_ranks(jnp.where(observed, jnp.maximum(fitness, -jnp.finfo(jnp.float32).max), -jnp.inf))
    share = (rank - unused + 0.5) / jnp.maximum(jnp.sum(observed), 1)
    return jnp.where(observed, ndtri(jnp.clip(share, 1e-6, 1 - 1e-6)), 0.0)


def log_expected_improvement(
    mean: Float[Array, " m"], deviation: Float[Array, " m"], best: Float[Array, ""]
) -> Float[Array, " m"]:
    """Returns log E[max(f - best, 0)], f ~ N(mean, deviation^2), without underflow far below the best.

    EI = deviation (z Phi(z) + phi(z)), z = (mean - best) / deviation (Jones et al. 1998); for z << 0 it tends
    to deviation phi(z) / z^2.
    """
    z = (mean - best) / deviation
    near = jnp.maximum(z, FAR)
    exact = jnp.log(near * norm.cdf(near) + norm.pdf(near))
    series = norm.logpdf(z) - 2 * jnp.log(jnp.abs(jnp.minimum(z, FAR)))
    return jnp.log(deviation) + jnp.where(z > FAR, exact, series)
