"""`denoise` on large populations, against its two bare matrix products and evosax's DiffusionEvolution.

Command: `make bench`, or `python perf/denoise.py`; about three minutes on 2 cores.

Targets: n = 4,096, d = 1,024 in at most 1.5 times the two products and at least 5 times faster than a step of
evosax's DiffusionEvolution; n = 32,768, d = 64 in under 2 GB with the plain answer; time linear in d.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from evosax.algorithms import DiffusionEvolution
from timing import interleaved, seconds

import ednag_jax as ed

LARGE = (4096, 1024)
WIDE = (32_768, 64)
DIMENSIONS = (256, 512, 1024, 2048)
SOFT = 0.02
"""A signal share at which thousands of individuals have a say in each estimate."""
GIGABYTE = 1024**3


def population(n: int, d: int) -> tuple[jax.Array, jax.Array]:
    """Returns a standard normal population and log weights."""
    return jax.random.normal(jax.random.key(0), (n, d)), jax.random.normal(jax.random.key(1), (n,))


@jax.jit
def products(x: jax.Array) -> jax.Array:
    """Returns the two products that (8) cannot do without, and nothing else."""
    return (x @ x.T) @ x


@jax.jit
def denoised(key: jax.Array, x: jax.Array, log_weight: jax.Array) -> jax.Array:
    """Returns one step in the middle of the schedule."""
    return ed.denoise(key, x, log_weight, 0.5, 0.52)


def evosax_step(n: int, d: int) -> tuple:
    """Returns evosax's jitted ask and what it takes, in the middle of its schedule."""
    strategy = DiffusionEvolution(population_size=n, solution=jnp.zeros(d))
    params = strategy.default_params
    x, log_weight = population(n, d)
    state = strategy.init(jax.random.key(0), x, -log_weight, params)
    state = state.replace(generation_counter=strategy.num_generations // 2)
    return strategy.ask, (jax.random.key(2), state, params)


def measure_large() -> dict[str, float]:
    """Returns seconds of our step, the bare products and evosax's step."""
    x, log_weight = population(*LARGE)
    key = jax.random.key(2)
    ask, arguments = evosax_step(*LARGE)
    times = interleaved({"denoise": lambda: denoised(key, x, log_weight), "products": lambda: products(x)})
    times["evosax"] = seconds(lambda: ask(*arguments), repeats=3)
    return times


def measure_dimensions() -> dict[int, float]:
    """Returns seconds by d at n = 2,048."""
    found = {}
    for d in DIMENSIONS:
        x, log_weight = population(2048, d)
        found[d] = seconds(partial(denoised, jax.random.key(2), x, log_weight))
    return found


def wide() -> dict[str, float]:
    """Returns, for a process of its own, the peak memory of the blockwise form and its error on some rows."""
    x, log_weight = population(*WIDE)
    time_taken = seconds(lambda: denoised(jax.random.key(2), x, log_weight), repeats=1)
    x0 = np.asarray(jax.jit(ed.estimate_x0)(x, log_weight, SOFT))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIGABYTE
    rows, points = slice(0, WIDE[0], 997), np.asarray(x, np.float64)
    logits = np.asarray(log_weight, np.float64) - SOFT / (1 - SOFT) * np.sum(points**2, axis=1) / 2
    logits = logits + np.sqrt(SOFT) / (1 - SOFT) * points[rows] @ points.T
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    plain = p @ points / p.sum(axis=1, keepdims=True)
    return {"seconds": time_taken, "peak GB": peak, "error": float(np.abs(x0[rows] - plain).max())}


def measure_wide() -> dict[str, float]:
    """Returns the figures of `wide`, run in a process of its own, whose peak memory is then its own."""
    done = subprocess.run([sys.executable, __file__, "wide"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def lines() -> list[str]:
    """Returns the figures as Markdown list items, targets beside them."""
    large, by_d, blockwise = measure_large(), measure_dimensions(), measure_wide()
    n, d = LARGE
    linear = by_d[2048] / by_d[512] / 4
    return [
        f"n = {n:,}, d = {d:,}: {large['denoise']:.2f} s, bare products {large['products']:.2f} s: "
        f"{large['denoise'] / large['products']:.2f} times (target: at most 1.5)",
        f"evosax's DiffusionEvolution, same size: {large['evosax']:.2f} s, "
        f"{large['evosax'] / large['denoise']:.1f} times as long (target: at least 5)",
        f"n = {WIDE[0]:,}, d = {WIDE[1]}: {blockwise['seconds']:.1f} s, peak memory of the process "
        f"{blockwise['peak GB']:.2f} GB (target: under 2), largest difference to the plain float64 form "
        f"{blockwise['error']:.1e}",
        f"n = 2,048: d = 2,048 takes {4 * linear:.2f} times as long as d = 512 (linear: 4); "
        + ", ".join(f"{k}: {t:.3f} s" for k, t in by_d.items()),
    ]


if __name__ == "__main__":
    if sys.argv[1:] == ["wide"]:
        print(json.dumps(wide()))
    else:
        print("\n".join(lines()))
