"""Training-free proxies against those of others: rank correlation on NAS-Bench-201 at the published size.

Command: `python -m ednag_jax.experiments.validate_proxies`; about three minutes on 2 cores.

Expected (300 cells, seed 0, weights drawn once and shared, 32 images): Kendall's tau with the published SynFlow
>= 0.8 (measured 0.956) and with the published NASWOT >= 0.6 (measured 0.951); 1 for parameters. Beside it
stands tau with the validation accuracy, which is what a proxy is for: 0.53, 0.54, and 0.48 for parameters.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import kendalltau

from ednag_jax.proxies import ProxyFitness
from ednag_jax.spaces import SPACES
from ednag_jax.storage import data_file, read_npz, write_atomic

TABLE = Path("nasbench201") / "nasbench201.npz"
IMAGES = Path("images") / "cifar10_small.npz"
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
"""Of CIFAR-10's channels, on the scale from 0 to 1."""
PROXIES = ("synflow", "naswot", "parameters", "flops")
PUBLISHED = {"synflow": "cifar10_synflow", "naswot": "cifar10_naswot", "parameters": "cifar10_params"}
"""Proxy -> the column of others' scores; multiply-adds have none."""
NUM_CELLS_SCORED, NUM_IMAGES, SEED = 300, 32, 0


def run(*, out: Path = Path("results/proxies"), data_dir: Path | None = None, smoke: bool = False) -> None:
    """Scores random cells with every proxy and writes correlations and times; smoke: 8 cells, tiny network."""
    num, size = (8, {"channels": 4, "num_cells": 1}) if smoke else (NUM_CELLS_SCORED, {})
    rows = np.random.default_rng(SEED).choice(SPACES["nasbench201"].size, num, replace=False)
    table = _table(data_dir, smoke)
    phenotype = table["ops"][rows] if table else SPACES["nasbench201"].random(jax.random.key(SEED), num)
    images = _images(data_dir)
    results = {}
    for name in PROXIES:
        fitness = ProxyFitness("nasbench201", name, **size)
        results[name] = _measure(fitness, images, jnp.asarray(phenotype, jnp.int32))
        scores = np.array(results[name]["scores"])
        for label, column in (("published", PUBLISHED.get(name)), ("valid", "cifar10_valid")):
            if table and column:
                results[name][label] = _tau(scores, table[column][rows])
        print(name, {key: value for key, value in results[name].items() if key != "scores"})
    settings = {"cells": num, "seed": SEED, "network": size or "published size", "images": len(images)}
    stored = {"settings": {**settings, "real_images": _has(IMAGES, data_dir)}, "results": results}
    write_atomic(out / "results.json", json.dumps(stored, indent=1))


def _measure(fitness: ProxyFitness, images: jax.Array, phenotype: jax.Array) -> dict[str, object]:
    """Returns the scores, seconds of compiling, and seconds of running for one cell."""
    key = jax.random.key(SEED)
    params = fitness.params(key, images)
    start = time.perf_counter()
    program = jax.jit(fitness).lower(params, key, phenotype).compile()
    compiled = time.perf_counter()
    scores = jax.block_until_ready(program(params, key, phenotype))
    seconds = (time.perf_counter() - compiled) / len(phenotype)
    return {
        "scores": np.asarray(scores).tolist(),
        "compile_seconds": round(compiled - start, 2),
        "seconds_per_cell": round(seconds, 5),
        "infinite": int(np.isinf(scores).sum()),
    }


def _tau(scores: np.ndarray, others: np.ndarray) -> dict[str, float | int]:
    """Returns Kendall's tau (b) over rows without NaN, -inf ranking lowest, and how many rows had one."""
    known = ~(np.isnan(scores) | np.isnan(others))
    tau = kendalltau(scores[known], others[known]).statistic
    return {"tau": round(float(tau), 4), "excluded": int((~known).sum())}


def _table(data_dir: Path | None, smoke: bool) -> dict[str, np.ndarray]:
    """Returns others' scores and accuracies, or in a smoke run without the file nothing."""
    if smoke and not _has(TABLE, data_dir):
        return {}
    path = data_file(TABLE, data_dir)
    return read_npz(path.read_bytes(), str(path))


def _images(data_dir: Path | None) -> jax.Array:
    """Returns normalised images of CIFAR-10, or where the file is absent Gaussian noise."""
    if not _has(IMAGES, data_dir):
        return jax.random.normal(jax.random.key(SEED), (NUM_IMAGES, 32, 32, 3))
    path = data_file(IMAGES, data_dir)
    pixels = read_npz(path.read_bytes(), str(path))["x_train"]
    chosen = pixels[np.random.default_rng(SEED).choice(len(pixels), NUM_IMAGES, replace=False)]
    return jnp.asarray((chosen / 255 - np.array(MEAN)) / np.array(STD), jnp.float32)


def _has(path: Path, data_dir: Path | None) -> bool:
    try:
        return data_file(path, data_dir).is_file()
    except ValueError:
        return False


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
