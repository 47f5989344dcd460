"""Noise schedules: the cumulative signal share alpha_bar from t = 0 (data) to t = T-1 (noise)."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ednag_jax.types import Schedule

SCHEDULES = ("cosine", "linear", "ddpm", "geometric")
GEOMETRIC_NOISE = (30.0, 1e-3)
"""Noise beside signal in the first and last step of `geometric`; float32 holds 1 - alpha_bar no finer."""


def alpha_bar_values(name: str, num_steps: int) -> Float[np.ndarray, " t"]:
    """Returns alpha_bar at t = 0 .. T-1, falling strictly from exactly 1 to exactly 0.

    * `cosine`: (cos(pi t / (T-1)) + 1) / 2, the paper's.
    * `linear`: 1 - t / (T-1).
    * `ddpm`: the product of 1 - beta with beta linear (Ho et al. 2020, their 1,000 steps resampled to
      T), then sqrt(alpha_bar) shifted and scaled so that its ends are exactly 1 and 0 (Lin et al.
      2024), because the loop starts from pure noise and ends in data.
    * `geometric`: 1 / (1 + s^2) with s falling by the same factor each step (Song et al. 2019), between an
      alpha_bar of 0 and of 1: as many steps for each order of magnitude, where numbers are to be found exactly.
    """
    t = np.linspace(0.0, 1.0, num_steps)
    if name == "cosine":
        values = (np.cos(np.pi * t) + 1) / 2
    elif name == "linear":
        values = 1 - t
    elif name == "geometric":
        noise = np.geomspace(*GEOMETRIC_NOISE, max(num_steps - 2, 1))
        values = np.pad(1 / (1 + noise[: num_steps - 2][::-1] ** 2), 1)
    else:
        log_alpha_bar = np.cumsum(np.log1p(-np.linspace(1e-4, 0.02, 1000)))
        root = np.exp(np.interp(t * 999, np.arange(1000), log_alpha_bar) / 2)
        values = ((root - root[-1]) / (root[0] - root[-1])) ** 2
    values[0], values[-1] = 1.0, 0.0
    return values


def make_schedule(name: str, num_steps: int) -> Schedule:
    """Returns the T-1 rows (step, alpha_bar, alpha_bar_prev) that a denoising loop scans over.

    Args:
        name: `cosine`, `linear`, `ddpm` or `geometric`.
        num_steps: T, the number of schedule values, at least 2; they give T-1 denoising steps.

    Raises:
        ValueError: unknown name, or num_steps below 2.

    >>> make_schedule("linear", 3).alpha_bar_prev
    Array([0.5, 1. ], dtype=float32)
    """
    if name not in SCHEDULES:
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {name!r}")
    if num_steps < 2:
        raise ValueError(f"num_steps must be at least 2, got {num_steps}: T values give T-1 denoising steps")
    values = alpha_bar_values(name, num_steps)[::-1]
    return Schedule(
        step=jnp.arange(num_steps - 1),
        alpha_bar=jnp.asarray(values[:-1], jnp.float32),
        alpha_bar_prev=jnp.asarray(values[1:], jnp.float32),
    )
