"""100 seeds of preset `paper` in one call: compile time, run time against the unavoidable work, growth.

Command: `make bench`, or `python perf/engine.py`; about three minutes on 2 cores.

Targets: compiled in under 4 s; run at most 3 times the floor loop; run time linear in seeds (within 15 % from
100 to 1,000) and in steps; at least 100 times faster than the plain NumPy loop (tests/oracle.py), 20 with
compilation.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from timing import interleaved, seconds

import ednag_jax as ed
from ednag_jax import plots
from ednag_jax.programs import compiled_evolve_seeds

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import oracle

SEEDS = (1, 10, 30, 100, 200, 300, 500, 1000)
STEPS = (25, 50, 100, 200, 400)
ORACLE_SEEDS = 5
PLOT = Path(__file__).parents[1] / "docs" / "img" / "seeds_against_seconds.png"


def floor_loop(
    keys: jax.Array, table: jax.Array, *, config: ed.EvolveConfig, space: ed.SearchSpace
) -> tuple[jax.Array, jax.Array]:
    """Returns the result of a scan that does only what no version of the recipe can leave out.

    Per step: x x^T, weights x, one random draw per number used (noise [n d], two an individual for the
    mutation, one a roulette spin), arg-max decoding and the table look-up.
    """
    n, d = config.population_size, space.genotype_size
    spins = n - config.num_elite - config.num_diverse

    def one(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        def body(x: jax.Array, step: jax.Array) -> tuple[jax.Array, jax.Array]:
            draws = jax.random.uniform(jax.random.fold_in(key, step), (n * d + 2 * n + spins,), minval=-1.0)
            noise = jnp.sqrt(2.0) * jax.lax.erf_inv(draws[: n * d]).reshape(n, d)
            accuracy = table[space.arch_index(space.decode(noise))]
            return 1e-3 * (x @ x.T) @ x + noise, accuracy + jnp.sum(draws[n * d :])

        return jax.lax.scan(body, jax.random.normal(key, (n, d)), jnp.arange(config.num_steps - 1))

    return jax.vmap(one)(keys)


def measure() -> dict[str, Any]:
    """Returns every figure of this file, seconds unless it is a ratio."""
    benchmark = ed.load_benchmark("nasbench201", dataset="cifar10")
    config = ed.EvolveConfig.preset("paper", dataset="cifar10")
    arguments: dict[str, Any] = {"problem": benchmark.problem, "config": config}
    table, keys = benchmark.params, ed.seed_keys(100)
    start = time.perf_counter()
    compiled_evolve_seeds.lower(keys, table, **arguments).compile()
    compile_seconds = time.perf_counter() - start
    space = benchmark.space.with_encoding("padded")
    floor = jax.jit(lambda keys, table: floor_loop(keys, table, config=config, space=space))
    times = interleaved(
        {
            "engine": lambda: ed.evolve_seeds(keys, table, **arguments),
            "floor": lambda: floor(keys, table),
        }
    )
    plain = np.asarray(table, np.float64)
    start = time.perf_counter()
    for seed in range(ORACLE_SEEDS):
        oracle.evolve(np.random.default_rng(seed), plain, config.accuracy_factor)
    loop = (time.perf_counter() - start) * 100 / ORACLE_SEEDS

    def run(num_seeds: int, num_steps: int) -> float:
        keys, sized = ed.seed_keys(num_seeds), config.replace(num_steps=num_steps + 1)
        return seconds(lambda: ed.evolve_seeds(keys, table, problem=benchmark.problem, config=sized))

    return {
        "compile": compile_seconds,
        "run": times["engine"],
        "floor": times["floor"],
        "numpy loop": loop,
        "by seeds": {s: run(s, config.num_steps - 1) for s in SEEDS},
        "by steps": {t: run(100, t) for t in STEPS},
    }


def lines(found: dict[str, Any]) -> list[str]:
    """Returns the figures as Markdown list items, targets beside them."""
    run, by_seeds, by_steps = found["run"], found["by seeds"], found["by steps"]
    growth = by_seeds[1000] / by_seeds[100] / 10
    steps = by_steps[400] / by_steps[100] / 4
    return [
        f"100 seeds compiled in {found['compile']:.2f} s (target: under 4 s)",
        f"100 seeds run in {run:.3f} s, floor loop {found['floor']:.3f} s: {run / found['floor']:.2f} times "
        "(target: at most 3)",
        f"1,000 seeds take {10 * growth:.2f} times as long as 100 (target: 8.5 to 11.5); "
        + ", ".join(f"{s}: {t:.3f} s" for s, t in by_seeds.items()),
        f"400 steps take {4 * steps:.2f} times as long as 100 (target: 3.4 to 4.6); "
        + ", ".join(f"{s}: {t:.3f} s" for s, t in by_steps.items()),
        f"plain NumPy loop {found['numpy loop']:.0f} s for 100 seeds ({ORACLE_SEEDS} run): "
        f"{found['numpy loop'] / run:.0f} times as long (target: at least 100), "
        f"{found['numpy loop'] / (run + found['compile']):.0f} times with compilation (target: at least 20)",
    ]


def plot(found: dict[str, Any]) -> None:
    """Writes the README's picture: seconds by seeds, one compiled call against the loops."""
    by_seeds = found["by seeds"]
    counts = list(by_seeds)
    series = {
        f"plain NumPy loop ({ORACLE_SEEDS} seeds measured)": [found["numpy loop"] / 100 * s for s in counts],
        "one compiled call a seed (one measured)": [by_seeds[1] * s for s in counts],
        "one compiled call for all seeds": list(by_seeds.values()),
    }
    plots.save(plots.seeds_against_seconds(counts, series, found["compile"]), PLOT)


if __name__ == "__main__":
    measured = measure()
    print("\n".join(lines(measured)))
    plot(measured)
