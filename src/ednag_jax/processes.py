"""Processes that compute side by side, each on a core of its own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

T = TypeVar("T")


def side_by_side(
    function: Callable[..., T], calls: Sequence[tuple[Any, ...]], *, num_processes: int
) -> Iterator[tuple[int, T]]:
    """Yields (position, function(*call)) of every call as soon as it is done.

    Calls that have not begun when the caller stops, by an error or an interrupt, are dropped.

    Args:
        function: of a module, as the processes import it.
        calls: the arguments of each; they and what is returned are pickled.
        num_processes: 1 computes in this process.
    """
    if num_processes == 1 or len(calls) < 2:
        yield from ((position, function(*call)) for position, call in enumerate(calls))
        return
    context = multiprocessing.get_context("spawn")  # a forked process cannot use jax
    with ProcessPoolExecutor(num_processes, mp_context=context, initializer=_keep_to_one_core) as pool:
        waiting = {pool.submit(function, *call): position for position, call in enumerate(calls)}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # else an interrupt waits for all that is queued


def _keep_to_one_core() -> None:
    """Keeps a process to one core and one thread: small networks lose by more.

    XLA's pool has a thread for each core that the process may use, whatever its flags say: two processes that
    train cells for the meta-training data took 1.4 times the CPU time of two that keep apart.
    """
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"
    if hasattr(os, "sched_setaffinity"):  # Linux
        cores = sorted(os.sched_getaffinity(0))
        (number,) = multiprocessing.current_process()._identity[-1:]
        os.sched_setaffinity(0, {cores[number % len(cores)]})
