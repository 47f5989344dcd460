"""Training of cells for the meta-training data: one at a time, and side by side.

Command: `make bench`, or `python perf/meta.py`; about ten minutes on 2 cores.

Both ways run the program of `ednag_jax.meta.training`, with a quarter of the recipe's steps. The baseline is
one cell at a time by `NasBench201Any`, which computes every operation on every edge and selects.
"""

from __future__ import annotations

from functools import partial
from unittest import mock

import jax
from timing import interleaved

from ednag_jax.config import MetaConfig
from ednag_jax.meta import meta_tasks, training
from ednag_jax.meta.cells import cells_of
from ednag_jax.networks import NasBench201Any

CONFIG = MetaConfig(num_steps=MetaConfig.num_steps // 4)
DIGITS = 3
"""Number of the first task of digits, whose images come with a package."""


def any_network(config: MetaConfig) -> NasBench201Any:
    """Returns the network in which every edge computes every operation."""
    return NasBench201Any(training.MAX_CLASSES, config.channels, config.num_cells)


def lines() -> list[str]:
    """Returns what is measured, in words."""
    task = meta_tasks(DIGITS + 1)[DIGITS]
    arrays, cells = training.task_arrays(task), cells_of(task.index, CONFIG)
    run = partial(training.train_cells, cells, arrays, seed=0, config=CONFIG)
    seconds = interleaved({"alone": partial(run, at_once=1), "side by side": partial(run, at_once=len(cells))})
    jax.clear_caches()  # the same function, traced anew with the other network
    with mock.patch.object(training, "network", any_network):
        seconds |= interleaved({"any": partial(run, at_once=1)})
    alone, together, everything = (1000 * seconds[way] / len(cells) for way in ("alone", "side by side", "any"))
    return [
        f"one cell at a time {alone:.0f} ms a cell, {len(cells)} side by side {together:.0f} ms: "
        f"{together / alone:.1f} times as long, so a CPU trains one at a time",
        f"with every operation computed on every edge {everything:.0f} ms: {everything / alone:.1f} times",
    ]


if __name__ == "__main__":
    print("\n".join(lines()))
