"""Many seeds at once, over all devices: one compiled call, or chunks with a checkpoint after each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from jaxtyping import Array, Key

from ednag_jax.devices import Devices
from ednag_jax.evolve import EDNAG
from ednag_jax.problem import Problem
from ednag_jax.programs import Clock, compiled_evolve_seeds
from ednag_jax.resume import EVERY, Chunks, Report, evolve_in_chunks
from ednag_jax.types import Params, Strategy, Trace


def evolve_seeds(
    keys: Key[Array, " s"],
    params: Params,
    *,
    problem: Problem,
    config: Any,
    strategy: Strategy = EDNAG,
    checkpoint: str | Path | None = None,
    every: int = EVERY,
    report: Report | None = None,
) -> tuple[Any, Trace]:
    """Returns `evolve` of every key [s ...], all seeds in one compiled call.

    Equal problem, strategy and static settings share one compilation; tables, rates, temperatures and
    noise may change freely. Where there are several devices, each runs an equal part of the seeds, and the
    result is gathered in NumPy arrays; with several processes, which all call this alike, on every host.

    Args:
        keys: from `seed_keys`.
        params: handed to the fitness function untouched, but for what it draws once a run.
        problem: space and fitness function; searched under config's encoding where it names one.
        config: `EvolveConfig`, or the strategy's own.
        strategy: the method on the contract; default is EDNAG.
        checkpoint: a folder of this run alone. The run is then cut into chunks, with a checkpoint in the folder
            after each: stopped in any way and started again it goes on, and ends bitwise as it would have
            without the stop. The result is in NumPy arrays.
        every: steps between two checkpoints; changes no result.
        report: `report(steps done, steps of the run)`, called after every checkpoint.

    Raises:
        ValueError: the folder has checkpoints of another run; the text names every difference.
        OSError: it cannot be written, or its disk is full; the last good checkpoint stays.
    """
    method: dict[str, Any] = {"problem": problem, "config": config, "strategy": strategy}
    if checkpoint is None:
        return _on_all(keys, params, method, Devices.for_keys(keys), compiled_evolve_seeds)
    chunks = Chunks(Path(checkpoint), every, report)
    return evolve_in_chunks(keys, params, **method, chunks=chunks, clock=Clock())


def _on_all(
    keys: Key[Array, " s"], params: Params, method: dict[str, Any], devices: Devices, call: Callable[..., Any]
) -> tuple[Any, Trace]:
    """Returns what a call on keys and params over all devices gives, gathered where there are several."""
    if devices.mesh is None:
        return call(keys, params, **method)
    method = {**method, "config": devices.copy(method["config"]), "mesh": devices.mesh}
    return devices.gather(call(devices.spread(keys), devices.copy(params), **method))


def run_timed(
    keys: Key[Array, " s"],
    params: Params,
    *,
    problem: Problem,
    config: Any,
    strategy: Strategy = EDNAG,
    chunks: Chunks | None = None,
) -> tuple[Trace, float, float]:
    """Returns the trace of all seeds, the seconds of compiling (0 if done before) and of running."""
    method: dict[str, Any] = {"problem": problem, "config": config, "strategy": strategy}
    clock = Clock()
    if chunks is None:
        _, trace = _on_all(
            keys, params, method, Devices.for_keys(keys), partial(clock.call, compiled_evolve_seeds)
        )
    else:
        _, trace = evolve_in_chunks(keys, params, **method, chunks=chunks, clock=clock)
    return trace, clock.compile_seconds, clock.run_seconds
