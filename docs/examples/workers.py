"""EDNAG with an online predictor on networks that are really trained, side by side in processes of their own.

    python docs/examples/workers.py --out workers/ --queries 20

Kill it at any moment, or one of its workers. Started again it goes on, and evaluates nothing twice.
"""

import argparse
import math
import multiprocessing
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from keeping import begin, kept

import ednag_jax as ed

MOST_TRIES = 3
"""Workers that an architecture may take with it before it counts as failed."""


def drive(run: ed.AskTell, evaluate: Callable[[str], float], out: Path, *, num_workers: int) -> None:
    """Evaluates all that a run asks for, and saves the run after every result.

    Each worker is a pool of one process: when it dies, one architecture is known to be asked again.
    """
    pools = [new_pool(slot) for slot in range(num_workers)]
    free, deaths = list(range(num_workers)), Counter[str]()
    busy: dict[Future[float], tuple[int, ed.Proposal]] = {}
    while not run.done:
        for proposal in run.ask(len(free)):
            slot = free.pop()
            call = (kept, evaluate, out / "results", proposal.arch)
            try:
                future = pools[slot].submit(*call)
            except BrokenProcessPool:  # it died while it had nothing to do
                pools[slot] = new_pool(slot)
                future = pools[slot].submit(*call)
            busy[future] = slot, proposal
        finished, _ = wait(busy, return_when=FIRST_COMPLETED)
        for future in finished:
            slot, proposal = busy.pop(future)
            free.append(slot)
            if isinstance(future.exception(), BrokenProcessPool):
                pools[slot] = new_pool(slot)
                deaths[proposal.arch] += 1
                if deaths[proposal.arch] < MOST_TRIES:
                    run.forget([proposal])
                    continue
            run.tell(proposal, outcome(future, proposal))
            run.save(out / "run.npz")
    for pool in pools:
        pool.shutdown()


def new_pool(slot: int) -> ProcessPoolExecutor:
    """Returns a pool of one process; a forked one could not use jax."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=context, initializer=begin, initargs=(slot,))


def outcome(future: Future[float], proposal: ed.Proposal) -> float:
    """Returns what an evaluation gave; NaN, and a line that says why, where it failed."""
    error = future.exception()
    if error is None:
        return future.result()
    print(f"{proposal.arch} failed: {error!r}", flush=True)
    return math.nan


def begun(out: Path, queries: int, num_workers: int) -> ed.AskTell:
    """Returns the run in a folder, or a new one of so many queries."""
    if (out / "run.npz").exists():
        return ed.AskTell.load(out / "run.npz")
    space = ed.SPACES["nasbench201"]
    config = ed.OnlineConfig.for_budget(queries, space.size)
    return ed.AskTell(space, config, ed.seed_keys(1)[0], ahead=num_workers - 1)


def report(run: ed.AskTell, out: Path) -> None:
    """Prints the best, and writes the result as `ednag search` does."""
    print(f"{run.queries} evaluated, best {run.best.accuracy:.2f} %: {run.best.arch}")
    run.result().to_json(out / "result.json")


def settings(text: str) -> argparse.ArgumentParser:
    """Returns what the command line takes."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run and of the results")
    parser.add_argument("--queries", type=int, default=20, help="architectures to train")
    parser.add_argument("--workers", type=int, default=2, help="trainings side by side")
    return parser


if __name__ == "__main__":
    from digits import train

    chosen = settings(__doc__.splitlines()[0]).parse_args()
    run = begun(chosen.out, chosen.queries, chosen.workers)
    drive(run, train, chosen.out, num_workers=chosen.workers)
    report(run, chosen.out)
