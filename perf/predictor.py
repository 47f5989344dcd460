"""The predictor that comes with the package: all of NAS-Bench-201 on one data set.

Command: `make bench`, or `python perf/predictor.py`; about a minute on 2 cores.

Target: all 15,625 cells in under 5 s on a CPU, the data set encoded once. The baseline is one of them a call.
"""

from __future__ import annotations

import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from timing import interleaved

from ednag_jax.predictor import encode_dataset, packaged_predictor, score
from ednag_jax.spaces import NasBench201

CLASSES, IMAGES = 10, 20
CALLS = 200
"""Of the baseline, in which a call scores one architecture."""


def lines() -> list[str]:
    """Returns what is measured, in words."""
    predictor, space = packaged_predictor("nasbench201"), NasBench201()
    width = predictor.standards.feature_mean.shape[0]
    images = np.random.default_rng(0).normal(size=(CLASSES, IMAGES, width)).astype(np.float32)
    encode = partial(encode_dataset, predictor, images, np.ones((CLASSES, IMAGES), bool))
    target, cells = encode(), space.from_index(jnp.arange(space.size))

    def one_by_one() -> list[jax.Array]:
        return [score(predictor, target, cells[row : row + 1]).mean for row in range(CALLS)]

    start = time.perf_counter()
    jax.block_until_ready(score(predictor, target, cells))
    first = time.perf_counter() - start
    everything = partial(score, predictor, target, cells)
    found = interleaved({"all": everything, "one": one_by_one, "encode": lambda: encode().dataset})
    rate = space.size / found["all"]
    return [
        f"all {space.size:,} cells in {found['all']:.2f} s (target: under 5), {rate:,.0f} a second; the first "
        f"call, compiled, in {first:.1f} s",
        f"one a call {CALLS / found['one']:,.0f} a second: all at once {rate * found['one'] / CALLS:.0f} times "
        "as many",
        f"a data set of {CLASSES} classes, {IMAGES} images each, encoded in {1000 * found['encode']:.0f} ms",
    ]


if __name__ == "__main__":
    print("\n".join(lines()))
