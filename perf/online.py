"""`ednag_online` on NAS-Bench-201: 100 seeds x 300 queries in one call, and its memory.

Command: `make bench`, or `python perf/online.py`; about three minutes on 2 cores.

Targets, 2 cores: run in under 60 s, compiled in under 15 s, the whole process in under 2 GB. The baseline is
TPE, which fits a model of its own to each seed's queries too.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from timing import interleaved

import ednag_jax as ed
from ednag_jax.many_seeds import run_timed

SEEDS, QUERIES = 100, 300
STRATEGIES = ("ednag_online", "tpe")
GIGABYTE = 1024**3


def measure() -> dict[str, float]:
    """Returns seconds of compiling and running, and the peak memory of this process in bytes."""
    benchmark = ed.load_benchmark("nasbench201", dataset="cifar10")
    keys, compiled = ed.seed_keys(SEEDS), {}
    calls: dict[str, Callable[[], Any]] = {}
    for name in STRATEGIES:
        strategy, config = ed.STRATEGIES[name]
        arguments = {
            "problem": benchmark.problem,
            "config": config.for_budget(QUERIES, benchmark.space.size),
            "strategy": strategy,
        }
        compiled[f"{name} compiled"] = run_timed(keys, benchmark.params, **arguments)[1]
        calls[name] = partial(run_timed, keys, benchmark.params, **arguments)
    seconds = interleaved(calls)
    memory = 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {**compiled, **seconds, "memory": memory}


def lines() -> list[str]:
    """Returns what a process of its own measures: the peak of another one would count too."""
    found = json.loads(subprocess.run([sys.executable, __file__], check=True, capture_output=True).stdout)
    online, tpe = (found[name] for name in STRATEGIES)
    compiled = found[f"{STRATEGIES[0]} compiled"]
    return [
        f"{SEEDS} seeds x {QUERIES} queries compiled in {compiled:.1f} s (target: under 15)",
        f"run in {online:.1f} s (target: under 60); TPE {tpe:.2f} s, so {online / tpe:.0f} times as long",
        f"peak memory of the process {found['memory'] / GIGABYTE:.2f} GB (target: under 2)",
    ]


if __name__ == "__main__":
    print(json.dumps(measure()))
