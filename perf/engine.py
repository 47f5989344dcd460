"""Seeds per second of preset `paper` against the unavoidable work alone, in one process.

Command: `make bench` (or `python perf/engine.py`), about two minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import ednag_jax as ed

REPEATS = 5


def seconds(fn: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Returns the median seconds of a warm call."""
    jax.block_until_ready(fn())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(fn())
        times.append(time.perf_counter() - start)
    return median(times)


def floor_loop(keys: jax.Array, table: jax.Array, *, config: ed.EvolveConfig, space: ed.SearchSpace) -> jax.Array:
    """Returns the result of a scan that does only what no version of the recipe can leave out.

    Per step: x x^T, weights x, one random draw per number used (noise [n d], two per individual for the
    mutation, one per roulette spin), arg-max decoding and the table look-up.
    """
    n, d = config.population_size, space.genotype_size
    spins = n - config.num_elite - config.num_diverse

    def one(key: jax.Array) -> jax.Array:
        def body(x: jax.Array, step: jax.Array) -> tuple[jax.Array, jax.Array]:
            draws = jax.random.uniform(jax.random.fold_in(key, step), (n * d + 2 * n + spins,), minval=-1.0)
            noise = jnp.sqrt(2.0) * jax.lax.erf_inv(draws[: n * d]).reshape(n, d)
            product = (x @ x.T) @ x
            accuracy = table[space.arch_index(space.decode(noise))]
            return 1e-3 * product + noise, accuracy + jnp.sum(draws[n * d :])

        start = jax.random.normal(key, (n, d))
        return jax.lax.scan(body, start, jnp.arange(config.num_steps - 1))

    return jax.vmap(one)(keys)


if __name__ == "__main__":
    benchmark = ed.load_benchmark("nasbench201", dataset="cifar10")
    config = ed.EvolveConfig.preset("paper", dataset="cifar10")
    space = benchmark.space.with_encoding("padded")
    keys = ed.seed_keys(100)
    floor = jax.jit(lambda keys, table: floor_loop(keys, table, config=config, space=space))
    start = time.perf_counter()
    evolve = lambda keys: ed.evolve_seeds(keys, benchmark.params, problem=benchmark.problem, config=config)
    c = ed.evolve_seeds.lower(keys, benchmark.params, problem=benchmark.problem, config=config).compile()
    print("compile", time.perf_counter() - start)
    for _ in range(2):
        a, b = seconds(lambda: evolve(keys)), seconds(lambda: floor(keys, benchmark.params))
        print(a, b, a / b)
    for s in (1, 10, 100, 200, 400,1000):
        t = seconds(lambda: evolve(ed.seed_keys(s)))
        print(s, t, t / s)
