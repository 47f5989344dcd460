"""How much of TransNAS-Bench-101 micro's order is chance, and so what no predictor of architectures can find.

Command: `python experiments/study_chance.py`; about four minutes on 2 cores.

Cells of one structure (`NasBench201.canonical_id`) are the same network, trained from another start. Read are
whole tables, which no search does, and of NAS-Bench-201 the same 4,096 cells, those without pooling. Accuracies
are normal scores, the quantiles at their ranks, as the predictor of `ednag_online` reads them; each cell is
predicted from all others (leave one out) with its traits, and with the fields that differ, as GP BO does.

Of the cells predicted to be among the best eighth: the standard deviation of what the prediction misses, and
that of cells of one structure about their mean, which nothing that knows the structure alone can tell. Of the
best cell: how many of these deviations it lies above its prediction, and its place among the predictions.

Expected: the predictor misses about what chance adds, on micro (0.44 to 0.70) about twice what it misses on
NAS-Bench-201. On NAS-Bench-201 the best cell is among the 25 that are expected to be best; on micro's
class_object, autoencoder, normal, room_layout and jigsaw it is at place 98 to 828, so who asks for it early
is lucky. On normal and jigsaw fields alone expect it somewhat sooner, which is where GP BO is ahead.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from ednag_jax.experiments._comparison import write_rows
from ednag_jax.experiments.compare_strategies import TABLES
from jaxtyping import Float, Int

import ednag_jax as ed
from ednag_jax.spaces.nasbench201 import NasBench201
from ednag_jax.storage import require_writable
from ednag_jax.strategies.gaussian_process import Kernel, half_squared_distance, normal_scores

NUM_OPS, NUM_EDGES, SHARE = 4, 6, 8
HEADER = ("table", "missed", "chance", "best above its prediction", "its place", "place by fields")
SMOKE_TABLES = (("nasbench201", "cifar10"),)


def left_out(covariance: Float[np.ndarray, "n n"], y: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Returns what each y is expected to be from all others, noise as explains them best, of a grid.

    With K = covariance + noise I, the expectation of y_i is y_i - (K^-1 y)_i / (K^-1)_ii, of variance
    1 / (K^-1)_ii.
    """
    found = []
    for noise in (0.02, 0.1, 0.4):
        inverse = np.linalg.inv(covariance + noise * np.eye(len(y)))
        variance = 1 / np.diag(inverse)
        missed = (inverse @ y) * variance
        found.append((float(np.sum(missed**2 / variance + np.log(variance))), y - missed))
    return min(found, key=lambda pair: pair[0])[1]


def chance(structure: Int[np.ndarray, " n"], y: Float[np.ndarray, " n"], told: np.ndarray) -> float:
    """Returns the standard deviation of y about the mean of its structure, of the cells told; unbiased."""
    _, group, size = np.unique(structure, return_inverse=True, return_counts=True)
    mean = np.bincount(group, y) / size
    size = size[group]
    counted = told & (size > 1)
    return float(np.sqrt(np.mean(((y - mean[group]) ** 2 * size / np.maximum(size - 1, 1))[counted])))


def row(benchmark: ed.Benchmark) -> list[str]:
    """Returns one row under `HEADER`."""
    cells = jnp.array(list(itertools.product(range(NUM_OPS), repeat=NUM_EDGES)), jnp.int32)
    y = np.asarray(normal_scores(benchmark.lookup(cells), jnp.ones(len(cells), bool)), np.float64)
    config, best = ed.OnlineConfig(), int(np.argmax(y))
    traits, fields = benchmark.space.traits(cells), benchmark.space.encode(cells)
    kernel = Kernel(config.rough_share, config.coarse_share, config.rate)
    expected = left_out(np.asarray(kernel(traits, traits), np.float64), y)
    hamming = half_squared_distance(fields, fields) / (4 * benchmark.space.num_fields)
    by_fields = left_out(np.exp(-config.rate * np.asarray(hamming, np.float64)), y)
    told = expected >= np.quantile(expected, 1 - 1 / SHARE)
    missed = float(np.sqrt(np.mean((y - expected)[told] ** 2)))
    luck = chance(np.asarray(NasBench201().canonical_id(cells)), y, told)
    places = (str(int(np.sum(of > of[best])) + 1) for of in (expected, by_fields))
    above = f"{(y[best] - expected[best]) / missed:.1f} deviations"
    return [f"{benchmark.name} {benchmark.dataset}", f"{missed:.2f}", f"{luck:.2f}", above, *places]


def run(*, out: Path = Path("results/study_chance"), data_dir: Path | None = None, smoke: bool = False) -> None:
    """Reads every table of cells of four nodes; writes table.md and results.json."""
    require_writable(out)
    tables = SMOKE_TABLES if smoke else [t for t in TABLES if t[0] in ("nasbench201", "transnas101_micro")]
    body = [row(ed.load_benchmark(space, dataset=name, data_dir=data_dir)) for space, name in tables]
    title = f"What the predictor misses of the best {1 / SHARE:.1%} of 4,096 cells, and what is chance"
    write_rows(out, title, HEADER, body, command="python experiments/study_chance.py")


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
