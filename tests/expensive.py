"""A stand-in for an expensive evaluation, and the driver that test_examples_workers starts.

An evaluation imports no jax. It notes that it began, and which process it is, in the folder that the driver was
given; one architecture kills its worker the first time, another always fails.
"""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
KILLER, FAILING = "1-0-2-2", "2-2-1-0"
"""Both are among those that the run asks for."""


def value(arch):
    """What an architecture scores."""
    return float(int(arch.replace("-", ""), 3)) / 2


def evaluate(folder, arch):
    """Returns what an architecture scores, after a while."""
    begun = Path(folder) / "begun.txt"
    is_first = not begun.exists() or f"{arch} " not in begun.read_text()
    with begun.open("a") as file:
        file.write(f"{arch} {os.getpid()}\n")
    if arch == KILLER and is_first:
        os.kill(os.getpid(), signal.SIGKILL)
    if arch == FAILING:
        raise ValueError("the loss is no number")
    time.sleep(0.1)
    return value(arch)


def new_run():
    """Returns the run that is driven."""
    import ednag_jax as ed

    space = ed.CategoricalSpace("bumpy", choices=(3,) * 4)
    return ed.AskTell(space, ed.RandomSearchConfig(num_steps=2, batch_size=10), ed.seed_keys(1)[0], ahead=1)


def main(kind, out):
    """Drives the run in a folder to its end, or goes on with it."""
    import workers

    import ednag_jax as ed

    space = ed.CategoricalSpace("bumpy", choices=(3,) * 4)
    run = ed.AskTell.load(out / "run.npz", space=space) if (out / "run.npz").exists() else new_run()
    if kind == "workers":
        workers.drive(run, partial(evaluate, out), out, num_workers=2)
    else:
        import cluster

        with cluster.local_client(2) as client:
            cluster.drive(run, partial(evaluate, out), out, client=client, num_workers=2)


if __name__ == "__main__":
    sys.path.insert(0, str(EXAMPLES))
    import expensive  # by its name, so that workers find `evaluate` in a module and not in this script

    expensive.main(sys.argv[1], Path(sys.argv[2]))
