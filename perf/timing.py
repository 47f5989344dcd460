"""How every figure of perf/ is taken: warm, median of 5, waited for; compile time apart."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import jax

REPEATS = 5


def seconds(fn: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Returns the median seconds of a call, after one call that does not count."""
    jax.block_until_ready(fn())
    return median(once(fn) for _ in range(repeats))


def once(fn: Callable[[], Any]) -> float:
    """Returns the seconds of one call."""
    start = time.perf_counter()
    jax.block_until_ready(fn())
    return time.perf_counter() - start


def interleaved(fns: dict[str, Callable[[], Any]], repeats: int = REPEATS) -> dict[str, float]:
    """Returns the median seconds of each function, taken in turns, so that a slow spell hits all alike."""
    for fn in fns.values():
        jax.block_until_ready(fn())
    rounds = [{name: once(fn) for name, fn in fns.items()} for _ in range(repeats)]
    return {name: median(r[name] for r in rounds) for name in fns}
