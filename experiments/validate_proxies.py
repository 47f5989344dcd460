"""Training-free proxies against scores of others and measured accuracies: rank correlations in three spaces.

Command: `python -m ednag_jax.experiments.validate_proxies`; about nine minutes on 2 cores, an interrupted
one goes on; then `python docs/update_proxies.py results/proxies` puts the table into docs/proxies.md.

Expected (seed 0, weights drawn once): Kendall's tau with the scores of others at least 0.8 for SynFlow, 0.9 for
NASWOT and 1 for parameters on 300 cells of NAS-Bench-201; at least 0.85 for Zen-score and 0.7 for NASWOT on
300 cells of DARTS. There theirs are of 32 channels, ours of 8 channels and images of 16 pixels; the 8 cells are
kept. What proxies are for, tau with accuracy, has no expected value.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ednag_jax.experiments._proxy_studies import SEED, Study, drawn_studies, normalised_images, studies
from scipy.stats import kendalltau

from ednag_jax import report
from ednag_jax.networks import build
from ednag_jax.networks.variables import variable_shapes
from ednag_jax.proxies import ProxyFitness, naswot, zen_score
from ednag_jax.proxies.dss_any import AutoFormerDss
from ednag_jax.proxies.fitness import COUNTS
from ednag_jax.proxies.zen_score import gaussian_weights
from ednag_jax.spaces import AutoFormer
from ednag_jax.storage import require_writable, write_atomic

CHUNK, WORKERS = 25, 2
DARTS_SIZE, SMOKE_SIZE = {"channels": 8, "num_cells": 8}, {"channels": 4, "num_cells": 1}


def run(*, out: Path = Path("results/proxies"), data_dir: Path | None = None, smoke: bool = False) -> None:
    """Scores architectures, writes results.json and table.md; smoke: two at random, tiny networks, noise."""
    require_writable(out)
    rows, results = [], {}
    noise = jax.random.normal(jax.random.key(SEED), (8, 16, 16, 3))
    images = noise if smoke else normalised_images(data_dir)
    for title, study in (drawn_studies() if smoke else studies(data_dir)).items():
        for proxy, published in study.published.items():
            part = out / "parts" / f"{title} {proxy}.json"
            scores, seconds = scored(study, proxy, images, part=part, smoke=smoke)
            taus = {name: tau(scores, column) for name, column in study.accuracy.items()}
            found = {"published": None if published is None else tau(scores, published), "accuracy": taus}
            results[f"{title} / {proxy}"] = {"scores": scores, "seconds": seconds, **found}
            row = [title, str(len(scores)), proxy, "" if published is None else f"{found['published']:.2f}"]
            rows.append([*row, ", ".join(f"{k} {v:.2f}" for k, v in taus.items()), f"{seconds:.2g}"])
            print(*rows[-1], sep=" | ", flush=True)
    made = report.provenance("python -m ednag_jax.experiments.validate_proxies")
    write_atomic(
        out / "results.json", json.dumps({**made, "real_images": not smoke, "results": results}, indent=1)
    )
    header = ("architectures", "number", "proxy", "tau with others' scores", "tau with accuracy", "CPU s each")
    write_atomic(out / "table.md", report.markdown_table(header, rows) + "\n" + report.provenance_line(made))


def scored(
    study: Study, proxy: str, images: jax.Array, *, part: Path, smoke: bool
) -> tuple[list[float], float]:
    """Returns the scores and CPU seconds for each; those that an earlier run left are kept, chunk by chunk."""
    if study.space == "darts" and proxy in ("zen_score", "naswot"):
        size = SMOKE_SIZE if smoke else DARTS_SIZE
        chunks = [study.phenotype[i : i + CHUNK] for i in range(0, len(study.phenotype), CHUNK)]
        paths = [part.with_stem(f"{part.stem} {index}") for index in range(len(chunks))]
        score = partial(_kept, partial(_score_darts, proxy, np.asarray(images[:16, ::2, ::2]), size))
        workers = min(WORKERS, len(chunks))
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            found = list((pool.map if workers > 1 else map)(score, paths, chunks))
    else:
        found = [_kept(partial(_score_at_once, study.space, proxy, images, smoke), part, study.phenotype)]
    scores = [score for chunk in found for score in chunk["scores"]]
    return scores, sum(chunk["seconds"] for chunk in found) / len(scores)


def _kept(score: Callable[[np.ndarray], Any], path: Path, phenotype: np.ndarray) -> dict[str, Any]:
    """Returns scores and seconds (after compiling) as a file of these architectures has them, or makes it."""
    stored = json.loads(path.read_text()) if path.is_file() else {}
    if stored.get("phenotype") != phenotype.tolist():
        scores, seconds = score(phenotype)
        stored = {"phenotype": phenotype.tolist(), "scores": np.asarray(scores).tolist(), "seconds": seconds}
        write_atomic(path, json.dumps(stored))
    return stored


def _score_at_once(space: str, proxy: str, images: jax.Array, smoke: bool, phenotype: np.ndarray) -> Any:
    """Returns scores by one program for all, and its seconds."""
    key, fields = jax.random.key(SEED), jnp.asarray(phenotype, jnp.int32)
    fitness: Any
    if proxy == "dss":
        fitness = AutoFormerDss(AutoFormer.of_size("tiny"))
        params = fitness.params(key)
    elif space == "darts":
        fitness, params = partial(_darts_size, proxy), ()
    else:
        fitness = ProxyFitness(space, proxy, **(SMOKE_SIZE if smoke else {}))
        params = fitness.params(key, images[:16] if proxy == "zen_score" else images)
    program = jax.jit(fitness).lower(params, key, fields).compile()
    start = time.process_time()
    return jax.block_until_ready(program(params, key, fields)), time.process_time() - start


def _darts_size(proxy: str, params: Any, key: Any, phenotype: jax.Array) -> jax.Array:
    """Returns parameters or multiply-adds of the networks that others scored, smaller than the published."""
    return COUNTS[proxy]["darts"](phenotype, num_classes=10, channels=32, num_cells=8)


def _score_darts(proxy: str, images: np.ndarray, size: dict[str, int], phenotype: np.ndarray) -> Any:
    """Returns scores of networks one by one, not jitted, as each would be its own program; and seconds."""
    start, key, scores = time.process_time(), jax.random.key(SEED), []
    for row in phenotype.astype(np.int32):
        network = build("darts", row, num_classes=10, **size)
        shapes = variable_shapes(network, images.shape[1:])
        if proxy == "zen_score":
            scores.append(float(zen_score(network, shapes, jnp.asarray(images[:8]), key=key)))
        else:
            scores.append(float(naswot(network, gaussian_weights(key, shapes), jnp.asarray(images))))
    return scores, time.process_time() - start


def tau(scores: list[float], others: np.ndarray) -> float:
    """Returns Kendall's tau (b), -inf ranking lowest, over rows where both are known."""
    known = ~(np.isnan(scores) | np.isnan(others))
    return round(float(kendalltau(np.array(scores)[known], others[known]).statistic), 4)


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
