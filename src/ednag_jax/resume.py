"""Runs in chunks with a checkpoint after each: stopped in any way, they go on and end bitwise the same."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
from jaxtyping import Array, Key

from ednag_jax.checkpoints import Checkpoints, CheckpointWarning, claim, open_checkpoints
from ednag_jax.config import check_range
from ednag_jax.devices import Devices
from ednag_jax.identity import about_run
from ednag_jax.problem import Problem
from ednag_jax.programs import Clock, compiled_advance, compiled_begin
from ednag_jax.storage import DataError
from ednag_jax.types import Params, StepInfo, Strategy, Trace

EVERY = 50
"""Steps between two checkpoints, where nothing else is asked for."""
STATE, TRACE = "state", "trace"
KEPT_STATES = 2
"""The latest, and the one before it in case the latest is damaged; of the trace every chunk is kept."""

Report: TypeAlias = Callable[[int, int], None]
"""`report(steps done, steps of the run)`, called on the host after every chunk."""


class Chunks(NamedTuple):
    """How a run is cut, and where it is kept."""

    folder: Path
    every: int = EVERY
    report: Report | None = None


class Saved(NamedTuple):
    """A run so far, on the host."""

    done: int
    """Steps."""
    state: Any
    parts: list[Any]
    """Of the trace: the initial `Evaluation`, then a `StepInfo` [s k ...] a chunk."""


def evolve_in_chunks(
    keys: Key[Array, " s"],
    params: Params,
    *,
    problem: Problem,
    config: Any,
    strategy: Strategy,
    chunks: Chunks,
    clock: Clock,
) -> tuple[Any, Trace]:
    """Returns what `evolve_seeds` does, as NumPy arrays, from a run that goes on where it was stopped.

    All chunks but the last have the same length, so they share one program.

    Raises:
        ValueError: the folder has checkpoints of another run; the text names every difference. Or there are
            several processes.
        DataError: its description of the run is damaged.
        OSError: it cannot be written, or its disk is full; the last good checkpoint stays.
    """
    check_range("every", chunks.every, 1)
    if jax.process_count() > 1:
        raise ValueError(f"checkpoint needs a single process, got {jax.process_count()}: leave it out")
    method: dict[str, Any] = {"problem": problem, "config": config, "strategy": strategy}
    devices, total = Devices.for_keys(keys), jax.eval_shape(config.rows).step.shape[0]
    on_devices = {**method, "config": devices.copy(config), "mesh": devices.mesh}
    ours, params_there = devices.spread(keys), devices.copy(params)
    claim(chunks.folder, about_run(keys, params, **method), kind="run")
    with run_folder(chunks.folder) as kept:
        run = kept.latest(lambda: _shapes(keys, params, method))
        if run is None:
            state = devices.gather(clock.call(compiled_begin, ours, params_there, **on_devices))
            run = kept.save(Saved(0, state, [state.evaluation]))
        while run.done < total:
            length = min(chunks.every, total - run.done)
            arguments = (ours, devices.spread(run.state), np.int32(run.done), params_there)
            result = clock.call(compiled_advance, *arguments, **on_devices, num_steps=length)
            state, steps = devices.gather(result)
            run = kept.save(Saved(run.done + length, state, [*run.parts, steps]))
            if chunks.report is not None:
                chunks.report(run.done, total)
    return run.state, _joined(run.parts)


class RunFolder:
    """The checkpoints of one run: the last states, and the trace in chunks, each named by the steps done."""

    def __init__(self, folder: Path, states: Checkpoints, traces: Checkpoints) -> None:
        self._folder, self._states, self._traces = folder, states, traces

    def save(self, run: Saved) -> Saved:
        """Returns the run, after keeping its state and the last chunk of its trace.

        Raises:
            OSError: they could not be written; those before are still there.
        """
        self._traces.save(run.done, {TRACE: _stored(run.parts[-1])})
        self._states.save(run.done, {STATE: _stored(run.state)})
        return run

    def latest(self, shapes: Callable[[], tuple[Any, StepInfo]]) -> Saved | None:
        """Returns the run up to its latest whole checkpoint, None where there is none; later ones are removed.

        Warns of every checkpoint that is passed over: it is half-written or damaged, or a chunk of the trace
        before it is.

        Args:
            shapes: called where there is a checkpoint; gives the shapes of the states, and of one step.
        """
        run, passed = None, []
        for done in reversed(self._states.steps()):
            try:
                run = self._read(done, *shapes())
                break
            except DataError as error:
                passed.append(str(error))
        done = -1 if run is None else run.done
        halves = [name for name in {*self._states.half_written, *self._traces.half_written} if int(name) > done]
        halves += [str(step) for step in self._traces.steps() if step > max(self._states.steps(), default=-1)]
        passed += [f"checkpoint {name} is half-written" for name in sorted(set(halves), key=int)]
        if passed:
            where = "the start" if run is None else f"checkpoint {done}"
            text = f"{str(self._folder)!r}: {'; '.join(passed)}. The run goes on from {where}"
            warnings.warn(text, CheckpointWarning, stacklevel=2)
        for kept in (self._states, self._traces):
            kept.drop([step for step in kept.steps() if step > done])
        return run

    def _read(self, done: int, state: Any, step: StepInfo) -> Saved:
        """Returns the run up to a checkpoint.

        Raises:
            DataError: it is damaged, or a chunk of the trace is damaged or missing.
        """
        found = self._part(self._states, STATE, done, state)
        ends = [end for end in self._traces.steps() if end <= done]
        if ends[:1] != [0] or ends[-1] != done:
            raise DataError(f"checkpoint {done} in {str(self._folder)!r} lacks a chunk of its trace")
        parts = [self._part(self._traces, TRACE, 0, state.evaluation)]
        for start, end in itertools.pairwise(ends):
            like = jax.tree.map(lambda leaf, k=end - start: _with_steps(leaf, k), step)
            parts.append(self._part(self._traces, TRACE, end, like))
        return Saved(done, found, parts)

    def _part(self, kept: Checkpoints, name: str, done: int, like: Any) -> Any:
        """Returns what `_stored` made of a pytree like the one given; DataError where it is another."""
        stored = kept.read(done, {name: None})[name]
        leaves, structure = jax.tree.flatten(like)
        names = [_name(place) for place in range(len(leaves))]
        shapes = {key: leaf.shape for key, leaf in zip(names, leaves, strict=True) if leaf.size}
        if {key: leaf.shape for key, leaf in stored.items()} != shapes:
            raise DataError(f"checkpoint {done} in {str(self._folder)!r} is of other shapes than the run")
        pairs = zip(names, leaves, strict=True)
        whole = [stored[key] if leaf.size else np.zeros(leaf.shape, leaf.dtype) for key, leaf in pairs]
        return jax.tree.unflatten(structure, whole)


@contextmanager
def run_folder(folder: Path) -> Iterator[RunFolder]:
    """Yields the checkpoints of a run, closed afterwards."""
    with (
        open_checkpoints(folder / STATE, (STATE,), keep=KEPT_STATES) as states,
        open_checkpoints(folder / TRACE, (TRACE,), keep=None) as traces,
    ):
        yield RunFolder(folder, states, traces)


def _shapes(keys: Key[Array, " s"], params: Params, method: dict[str, Any]) -> tuple[Any, StepInfo]:
    """Returns the shapes of the states of a run, and of what one step did [s 1 ...]; compiles nothing."""
    states = jax.eval_shape(lambda: compiled_begin(keys, params, **method))
    once = lambda states: compiled_advance(keys, states, np.int32(0), params, **method, num_steps=1)  # noqa: E731
    return states, jax.eval_shape(once, states)[1]


def _with_steps(leaf: Any, num_steps: int) -> jax.ShapeDtypeStruct:
    """Returns the shape [s k ...] of what a chunk of k steps did, from that of one step."""
    return jax.ShapeDtypeStruct((leaf.shape[0], num_steps, *leaf.shape[2:]), leaf.dtype)


def _stored(tree: Any) -> dict[str, Any]:
    """Returns the leaves of a pytree by their place; orbax takes none that is empty."""
    return {_name(place): leaf for place, leaf in enumerate(jax.tree.leaves(tree)) if leaf.size}


def _name(place: int) -> str:
    return f"{place:03d}"


def _joined(parts: list[Any]) -> Trace:
    """Returns the trace of the initial population and of all chunks."""
    initial, *chunks = parts
    return Trace(initial, jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=1), *chunks))
