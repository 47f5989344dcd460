"""A search over all devices of several hosts; start it on every host, each with its own number.

On the first:   python two_hosts.py --coordinator first-host:1234 --hosts 2 --host 0 --out result.json
On the second:  python two_hosts.py --coordinator first-host:1234 --hosts 2 --host 1

The coordinator is the first host, by a name and a free port that all can reach. Every host needs the same code
and the same tables. Without arguments it searches on the devices of this host alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import jax

import ednag_jax as ed


def main() -> None:
    """Searches with 100 seeds; the first host prints and writes what all of them found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coordinator")
    parser.add_argument("--hosts", type=int, default=1)
    parser.add_argument("--host", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--strategy", default="ednag", choices=list(ed.STRATEGIES))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.hosts > 1:  # before anything else touches a device
        jax.distributed.initialize(given.coordinator, given.hosts, given.host)

    benchmark = ed.load_benchmark("nasbench201", dataset="cifar10")
    result = ed.search(given.strategy, benchmark, seeds=given.seeds, queries=given.queries)

    if jax.process_index() == 0:  # every host has the whole result
        print(f"{given.seeds} seeds on {jax.device_count()} devices of {jax.process_count()} hosts")
        print(f"best {result.best_accuracy.max():.3f}, mean {result.best_accuracy.mean():.3f}")
        if given.out is not None:
            result.to_json(given.out)


if __name__ == "__main__":
    main()
