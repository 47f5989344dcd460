"""The same as workers.py on a Dask cluster: one of this machine, or one that is there already.

    pip install 'ednag-jax[cluster]'
    python docs/examples/cluster.py --out cluster/ --queries 20
    python docs/examples/cluster.py --out /shared/run/ --scheduler tcp://head:8786

Kill it at any moment, or one of its workers. Started again it goes on, and evaluates nothing twice.
"""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import dask
import keeping
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed
from keeping import kept
from workers import MOST_TRIES, begun, report, settings

import ednag_jax as ed


def drive(
    run: ed.AskTell, evaluate: Callable[[str], float], out: Path, *, client: Client, num_workers: int
) -> None:
    """Evaluates all that a run asks for on a cluster, and saves the run after every result."""
    busy: dict[Future, ed.Proposal] = {}
    deaths, finished = Counter[str](), as_completed()
    while not run.done:
        for proposal in run.ask(num_workers - len(busy)):
            future = client.submit(kept, evaluate, out.resolve() / "results", proposal.arch, pure=False)
            busy[future] = proposal
            finished.add(future)
        future = next(finished)
        proposal, error = busy.pop(future), future.exception()
        if isinstance(error, KilledWorker):
            deaths[proposal.arch] += 1
            if deaths[proposal.arch] < MOST_TRIES:
                run.forget([proposal])
                continue
        if error is not None:
            print(f"{proposal.arch} failed: {error!r}", flush=True)
        run.tell(proposal, math.nan if error is not None else future.result())
        run.save(out / "run.npz")


def local_client(num_workers: int) -> Client:
    """Returns a client of a cluster of processes on this machine, which ends with this process."""
    # Dask would try an architecture whose worker died again by itself; here it comes back, to be counted.
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    return Client(LocalCluster(n_workers=num_workers, threads_per_worker=1, dashboard_address=":0"))


if __name__ == "__main__":
    import digits

    parser = settings(__doc__.splitlines()[0])
    parser.add_argument("--scheduler", help="address of a cluster; by default one of this machine is made")
    chosen = parser.parse_args()
    run = begun(chosen.out, chosen.queries, chosen.workers)
    with Client(chosen.scheduler) if chosen.scheduler else local_client(chosen.workers) as client:
        for module in (keeping, digits):
            client.upload_file(module.__file__)
        drive(run, digits.train, chosen.out, client=client, num_workers=chosen.workers)
    report(run, chosen.out)
