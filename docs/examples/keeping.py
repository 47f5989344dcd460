"""What a worker does: it evaluates, keeps the result in a file, and ends when its driver does.

Nothing here imports jax, so a worker whose evaluation needs none starts at once.
"""

import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Callable
from pathlib import Path


def kept(evaluate: Callable[[str], float], folder: str | Path, arch: str) -> float:
    """Returns what evaluating an architecture gives; from its file where that was done before.

    So an evaluation that ends while no driver listens is not lost. Workers on several machines need a folder
    that all of them see.
    """
    path = Path(folder) / f"{hashlib.sha256(arch.encode()).hexdigest()[:20]}.json"
    if path.exists():
        return json.loads(path.read_text())["accuracy"]
    accuracy = evaluate(arch)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps({"arch": arch, "accuracy": accuracy}))
    os.replace(part, path)  # whole or not at all, whenever this process dies
    return accuracy


def begin(slot: int) -> None:
    """Keeps this process to one core, and ends it with its parent, for which it would otherwise wait."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "sched_setaffinity"):  # Linux
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[slot % len(cores)]})


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
