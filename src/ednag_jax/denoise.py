"""Equations (8) and (9) for ONE population: estimate the clean sample, then one DDIM step towards it."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.lax import Precision
from jaxtyping import Array, Float

from ednag_jax.types import KeyArray, Scalar

BLOCK_ROWS = 1024
"""Rows of the n x n weight matrix held at once: less memory, and faster, since a block stays in the cache."""


def _dot(a: Array, b: Array) -> Array:
    """Returns a @ b in full float32: accelerators round to fewer bits unless told otherwise."""
    return jnp.matmul(a, b, precision=Precision.HIGHEST)


def _softmax_weights(
    rows: Float[Array, "r d"], population: Float[Array, "n d"], bias: Float[Array, " n"], scale: Array
) -> Float[Array, "r n"]:
    """Returns softmax_j(scale * rows_i . population_j + bias_j), not normalised: the greatest of a row is 1."""
    logits = scale * _dot(rows, population.T) + bias
    return jnp.exp(logits - jnp.max(logits, axis=-1, keepdims=True))


def _bias_and_scale(
    population: Float[Array, "n d"], log_weight: Float[Array, " n"], alpha_bar: Scalar
) -> tuple[Float[Array, " n"], Array]:
    """Returns what `_softmax_weights` takes for the weights of (8)."""
    root = jnp.sqrt(alpha_bar)
    scale = root / (1 - alpha_bar)
    return _some_weight(log_weight) - 0.5 * root * scale * jnp.sum(population**2, axis=-1), scale


def in_blocks(fn: Callable[[Array], Array], rows: Float[Array, "n d"]) -> Float[Array, "n e"]:
    """Returns fn(rows), `BLOCK_ROWS` rows at a time where n is larger, so memory grows with n alone."""
    if rows.shape[0] <= BLOCK_ROWS:
        return fn(rows)
    return jax.lax.map(lambda row: fn(row[None])[0], rows, batch_size=BLOCK_ROWS)


def estimate_x0(
    population: Float[Array, "n d"], log_weight: Float[Array, " n"], alpha_bar: Scalar
) -> Float[Array, "n d"]:
    """Returns the clean sample that each individual points at, equation (8).

    x0_i = sum_j p_ij x_j,  p_ij = softmax_j( log g_j - |x_i - sqrt(alpha_bar) x_j|^2 / (2 (1 - alpha_bar)) ).

    |x_i|^2 is the same for all j and drops out of the softmax, so one product x x^T is enough and no
    [n n d] array of differences is made. Every x0_i lies in the convex hull of the population.

    Args:
        population: x_t, any real numbers.
        log_weight: log g[f(x)], unnormalised; -inf gives an individual no say. All -inf means equal.
        alpha_bar: cumulative signal share at t, in [0, 1).

    >>> x = jnp.array([[1.0], [3.0]])
    >>> estimate_x0(x, jnp.log(jnp.array([1.0, 3.0])), 0.0)
    Array([[2.5],
           [2.5]], dtype=float32)
    """
    return estimate_x0_of(population, population, log_weight, alpha_bar)


def estimate_x0_of(
    samples: Float[Array, "m d"],
    population: Float[Array, "n d"],
    log_weight: Float[Array, " n"],
    alpha_bar: Scalar,
) -> Float[Array, "m d"]:
    """Returns the clean sample that each of m samples points at, where the sum in (8) runs over a population
    that they need not belong to: an archive, say. Arguments as for `estimate_x0`.
    """
    given = _bias_and_scale(population, log_weight, alpha_bar)

    def mean(rows: Float[Array, "r d"]) -> Float[Array, "r d"]:
        weights = _softmax_weights(rows, population, *given)
        return _dot(weights, population) / jnp.sum(weights, axis=-1, keepdims=True)

    return in_blocks(mean, samples)


def _some_weight(log_weight: Float[Array, " n"]) -> Float[Array, " n"]:
    """Returns the log weights, or equal ones where all are -inf, which would make 0/0."""
    return jnp.where(jnp.any(jnp.isfinite(log_weight)), log_weight, 0.0)


def estimate_x0_floored(
    population: Float[Array, "n d"],
    log_weight: Float[Array, " n"],
    alpha_bar: Scalar,
    floor: Scalar,
) -> Float[Array, "n d"]:
    """Returns (8) as the published experiments compute it: `floor` added to g, to the kernel and to Z.

    x0_i = sum_j w_ij x_j / (sum_j w_ij + floor),  w_ij = (g_j / max g + floor) (K_ij + floor),
    K_ij = exp(-|x_i - sqrt(alpha_bar) x_j|^2 / (2 (1 - alpha_bar))).

    Where every kernel value vanishes the floor turns (8) into a mean weighted by fitness alone. g is
    scaled to a maximum of 1 first, which float32 needs.
    """

    def mean(rows: Float[Array, "r d"]) -> Float[Array, "r d"]:
        weights = _floored_weights(rows, population, log_weight, alpha_bar, floor=floor)
        return _dot(weights, population) / (jnp.sum(weights, axis=-1, keepdims=True) + floor)

    return in_blocks(mean, population)


def _floored_weights(
    rows: Float[Array, "r d"],
    population: Float[Array, "n d"],
    log_weight: Float[Array, " n"],
    alpha_bar: Scalar,
    *,
    floor: Scalar,
) -> Float[Array, "r n"]:
    """Returns w_ij of `estimate_x0_floored` for some rows i."""
    root = jnp.sqrt(alpha_bar)
    log_weight = _some_weight(log_weight)
    weight = jnp.exp(log_weight - jnp.max(log_weight)) + floor
    norm = jnp.sum(population**2, axis=-1)
    row_norm = jnp.sum(rows**2, axis=-1, keepdims=True)
    distance = row_norm - 2 * root * _dot(rows, population.T) + root**2 * norm
    kernel = jnp.exp(-0.5 / (1 - alpha_bar) * jnp.maximum(distance, 0.0))
    return weight * (kernel + floor)


def effective_size(
    population: Float[Array, "n d"],
    log_weight: Float[Array, " n"],
    alpha_bar: Scalar,
    *,
    floor: Scalar | None = None,
) -> Float[Array, ""]:
    """Returns over how many individuals the sum in (8) really runs: the effective sample size of its weights.

    (sum_j w_ij)^2 / sum_j w_ij^2, the mean over i: n where all weigh the same, 1 where one decides. Where the
    population is larger than `BLOCK_ROWS`, over that many of its individuals. Arguments as for `denoise`.

    >>> round(float(effective_size(jnp.zeros((4, 1)), jnp.log(jnp.array([2.0, 1.0, 1.0, 0.0])), 0.5)), 3)
    2.667
    """
    rows = population[:BLOCK_ROWS]
    if floor is None:
        weights = _softmax_weights(rows, population, *_bias_and_scale(population, log_weight, alpha_bar))
    else:
        weights = _floored_weights(rows, population, log_weight, alpha_bar, floor=floor)
        weights /= jnp.max(weights, axis=-1, keepdims=True)  # a square of what is as small as the floor is 0
    total, squares = jnp.sum(weights, axis=-1), jnp.sum(weights**2, axis=-1)
    return jnp.mean(total**2 / squares)


def sigma(alpha_bar: Scalar, alpha_bar_prev: Scalar, noise_scale: Scalar) -> Float[Array, ""]:
    """Returns the standard deviation of the fresh noise of a step from t to t-1, with equation (9)."""
    return noise_scale * jnp.sqrt((1 - alpha_bar_prev) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_prev))


def ddim_step(
    population: Float[Array, "n d"],
    x0: Float[Array, "n d"],
    noise: Float[Array, "n d"],
    alpha_bar: Scalar,
    alpha_bar_prev: Scalar,
    *,
    noise_scale: Scalar = 0.8,
) -> Float[Array, "n d"]:
    """Returns x_{t-1} from x_t, its clean estimate and standard normal noise, equation (4).

    x_{t-1} = sqrt(a') x0 + sqrt(1 - a' - s^2) (x_t - sqrt(a) x0) / sqrt(1 - a) + s w,
    with a = alpha_bar, a' = alpha_bar_prev.
    """
    a, a_prev = jnp.float32(alpha_bar), jnp.float32(alpha_bar_prev)
    s = sigma(a, a_prev, noise_scale)
    # 1 - a' - s^2 as a product of sums of what is never negative: the plain difference cancels to rounding
    # error where noise_scale is 1 or a' is 1, and its root would turn 1e-8 into 1e-4.
    fresh, old = (1 - a / a_prev) / (1 - a), a * (1 - a_prev) / (a_prev * (1 - a))
    kept = jnp.sqrt((1 - a_prev) / (1 - a) * ((1 - noise_scale**2) * fresh + old))
    return (jnp.sqrt(a_prev) - kept * jnp.sqrt(a)) * x0 + kept * population + s * noise


def denoise(
    key: KeyArray,
    population: Float[Array, "n d"],
    log_weight: Float[Array, " n"],
    alpha_bar: Scalar,
    alpha_bar_prev: Scalar,
    *,
    noise_scale: Scalar = 0.8,
    floor: Scalar | None = None,
) -> Float[Array, "n d"]:
    """Returns the denoised children x_{t-1} of a population x_t: equation (8), then (9).

    Args:
        key: consumed, for the noise w.
        population: x_t.
        log_weight: log g[f(x)], unnormalised.
        alpha_bar: cumulative signal share at t, in [0, 1).
        alpha_bar_prev: the same at t-1, in (alpha_bar, 1].
        noise_scale: share of DDIM's noise that is drawn anew, in [0, 1]; 0 is deterministic.
        floor: use `estimate_x0_floored` with this floor; None (default) is the plain equation.

    Raises:
        ValueError: a noise_scale outside [0, 1] (where it is a plain number).
    """
    if isinstance(noise_scale, int | float) and not 0 <= noise_scale <= 1:
        raise ValueError(noise_scale_error(noise_scale))
    if floor is None:
        x0 = estimate_x0(population, log_weight, alpha_bar)
    else:
        x0 = estimate_x0_floored(population, log_weight, alpha_bar, floor)
    noise = jax.random.normal(key, population.shape)
    return ddim_step(population, x0, noise, alpha_bar, alpha_bar_prev, noise_scale=noise_scale)


def noise_scale_error(value: float) -> str:
    """Returns what to tell a user whose noise_scale is out of range."""
    return (
        f"noise_scale must be in [0, 1], got {value}: above 1 the step variance "
        "1 - alpha_bar_prev - sigma^2 is negative"
    )
