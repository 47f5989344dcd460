"""Diffusion by a variance-exploding SDE (Song et al. 2021): levels of noise, sampling, and log density.

x_sigma = x_0 + sigma z; the score at a level is the gradient of log p_sigma. Every function takes the score as
`score(x [n ...], sigma) -> [n ...]`: what is known in closed form is sampled like what a network learnt.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ednag_jax.config.score import SamplingConfig, ScoreConfig
from ednag_jax.types import KeyArray, Scalar

ScoreFn = Callable[[Array, Array], Array]


class Level(NamedTuple):
    """One row of a sampler's loop."""

    step: Int[Array, "*t"]
    sigma: Float[Array, "*t"]
    sigma_next: Float[Array, "*t"]
    """The next level down; 0 after the last."""


def sigma_at(time: Float[Array, "*b"], config: ScoreConfig) -> Float[Array, "*b"]:
    """Returns the deviation of the noise at times in [0, 1], geometric from the least to the greatest."""
    return config.sigma_min * (config.sigma_max / config.sigma_min) ** time


def time_at(sigma: Float[Array, "*b"], config: ScoreConfig) -> Float[Array, "*b"]:
    """Returns the time at which the noise has a deviation: the inverse of `sigma_at`."""
    return jnp.log(sigma / config.sigma_min) / jnp.log(config.sigma_max / config.sigma_min)


def levels(num_scales: int, config: ScoreConfig) -> Level:
    """Returns the rows of a sampler, the noisiest first."""
    sigma = sigma_at(jnp.linspace(1.0, 0.0, num_scales), config)
    return Level(jnp.arange(num_scales), sigma, jnp.append(sigma[1:], 0.0))


def sample(
    key: KeyArray, score: ScoreFn, shape: tuple[int, ...], sampling: SamplingConfig, *, config: ScoreConfig
) -> Float[Array, "n ..."]:
    """Returns samples [n ...] of what a score is of: correction, then prediction, from level to level.

    The last prediction is without noise, the expectation of what the least noise hides.

    Args:
        key: consumed; the draws of a step are `fold_in(key, step)`'s.
        score: of the noisy distribution.
        shape: of the samples, the first axis their number.
        sampling: settings.
        config: names the least and the greatest noise.
    """
    key_prior, key_steps = jax.random.split(key)
    start = config.sigma_max * jax.random.normal(key_prior, shape)

    def body(x: Array, row: Level) -> tuple[Array, None]:
        key_step = jax.random.fold_in(key_steps, row.step)
        noise = jax.random.normal(key_step, (sampling.num_correctors + 1, *shape))
        for correction in range(sampling.num_correctors):
            x = langevin(x, score(x, row.sigma), noise[correction], sampling.snr)
        return reverse_step(x, score(x, row.sigma), noise[-1], row.sigma, row.sigma_next), None

    return jax.lax.scan(body, start, levels(sampling.num_scales, config))[0]


def langevin(
    x: Float[Array, "n ..."], gradient: Float[Array, "n ..."], noise: Float[Array, "n ..."], snr: Scalar
) -> Float[Array, "n ..."]:
    """Returns x + e g + sqrt(2 e) z with e = 2 (snr |z| / |g|)^2, norms meant over the samples."""
    step = 2.0 * jnp.square(snr * _mean_norm(noise) / jnp.maximum(_mean_norm(gradient), 1e-12))
    return x + step * gradient + jnp.sqrt(2.0 * step) * noise


def _mean_norm(rows: Float[Array, "n ..."]) -> Float[Array, ""]:
    return jnp.mean(jnp.linalg.norm(rows.reshape(len(rows), -1), axis=-1))


def reverse_step(
    x: Float[Array, "n ..."],
    gradient: Float[Array, "n ..."],
    noise: Float[Array, "n ..."],
    sigma: Float[Array, ""],
    sigma_next: Float[Array, ""],
) -> Float[Array, "n ..."]:
    """Returns a step of the reverse diffusion from a level to the next; to level 0 without fresh noise."""
    variance = sigma**2 - sigma_next**2
    mean = x + variance * gradient
    return mean + jnp.where(sigma_next > 0, jnp.sqrt(variance), 0.0) * noise


def log_density(
    x: Float[Array, "n d"],
    score: ScoreFn,
    log_prior: Callable[[Float[Array, "n d"]], Float[Array, " n"]],
    sigma: Float[Array, " k"],
) -> Float[Array, " n"]:
    """Returns the log density at the least level, by the probability-flow ODE.

    dx/dsigma = -sigma score(x, sigma); along it log p changes by minus the divergence. Runge-Kutta's fourth
    order, exact divergences.

    Args:
        x: points.
        score: of the noisy distribution.
        log_prior: log density at the greatest level.
        sigma: levels from the least to the greatest, the steps of the integration.
    """

    def velocity(x: Array, level: Array) -> tuple[Array, Array]:
        flow = partial(_flow, score=score, sigma=level)
        return flow(x), jax.vmap(lambda row: jnp.trace(jax.jacfwd(flow)(row)))(x)

    def body(carry: tuple[Array, Array], ends: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        (x, total), (low, high) = carry, ends
        step, middle = high - low, (low + high) / 2
        a, da = velocity(x, low)
        b, db = velocity(x + step / 2 * a, middle)
        c, dc = velocity(x + step / 2 * b, middle)
        d, dd = velocity(x + step * c, high)
        slope, divergence = (a + 2 * b + 2 * c + d) / 6, (da + 2 * db + 2 * dc + dd) / 6
        return (x + step * slope, total + step * divergence), None

    (x, total), _ = jax.lax.scan(body, (x, jnp.zeros(len(x))), (sigma[:-1], sigma[1:]))
    return log_prior(x) + total


def _flow(x: Float[Array, "*n d"], *, score: ScoreFn, sigma: Float[Array, ""]) -> Float[Array, "*n d"]:
    """Returns the velocity of points, or of one."""
    rows = x.reshape(-1, x.shape[-1])
    return (-sigma * score(rows, sigma)).reshape(x.shape)
