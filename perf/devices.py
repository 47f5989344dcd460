"""Scaling over devices: the same seeds on 1, 2, 4 and 8 virtual CPU devices, each in a process of its own.

Command: `make bench PARTS=devices`, or `python perf/devices.py`; about two minutes on 2 cores.

Virtual devices share the machine's cores, so time can fall no further than the cores allow; the baseline, one
device, may itself use several threads. Efficiency is the baseline's time over the time on d devices, by the
smaller of d and the number of cores. Target: at least 0.7 as long as there are no more devices than cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from typing import Any

import jax
from timing import seconds

import ednag_jax as ed
from ednag_jax.many_seeds import run_timed

DEVICES = (1, 2, 4, 8)
SEEDS = 400
STRATEGIES = ("ednag", "regularized_evolution")
QUERIES = 300


def measure() -> dict[str, Any]:
    """Returns how many devices this process has, and the seconds of each strategy: compiled, and warm."""
    benchmark = ed.load_benchmark("nasbench201", dataset="cifar10")
    keys, found = ed.seed_keys(SEEDS), {}
    for name in STRATEGIES:
        strategy, config = ed.STRATEGIES[name]
        arguments: dict[str, Any] = {
            "problem": benchmark.problem,
            "config": config.for_budget(QUERIES, benchmark.space.size),
            "strategy": strategy,
        }
        compiled = run_timed(keys, benchmark.params, **arguments)[1]
        run = seconds(partial(run_timed, keys, benchmark.params, **arguments))
        found[name] = {"compiled": compiled, "run": run}
    return {"devices": jax.device_count(), **found}


def measured_on(num_devices: int) -> dict[str, Any]:
    """Returns what a process with so many virtual devices measures."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={num_devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    ended = subprocess.run([sys.executable, __file__], check=True, capture_output=True, env=environment)
    return json.loads(ended.stdout)


def lines() -> list[str]:
    """Returns the figures of each strategy, one device first."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = {count: measured_on(count) for count in DEVICES}
    return [f"{cores} cores, {SEEDS} seeds", *(_line(name, found, cores) for name in STRATEGIES)]


def _line(name: str, found: dict[int, dict[str, Any]], cores: int) -> str:
    """Returns a strategy's figures in a line."""
    one, *_ = (found[count][name] for count in DEVICES)
    texts = [f"{name}: 1 device {one['run']:.3f} s, compiled in {one['compiled']:.1f} s"]
    for count in DEVICES[1:]:
        here = found[count][name]
        gain = one["run"] / here["run"]
        texts.append(
            f"{count} devices {here['run']:.3f} s, {gain:.2f} times as fast, efficiency "
            f"{gain / min(count, cores):.2f}, compiled in {here['compiled']:.1f} s"
        )
    return "; ".join(texts) + " (target: efficiency at least 0.7 on no more devices than cores)"


if __name__ == "__main__":
    print(json.dumps(measure()))
