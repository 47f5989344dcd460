"""Checkpoints of a training that may be interrupted, by orbax: the latest one, and what it is of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import jax
import orbax.checkpoint as ocp

from ednag_jax.storage import require_writable

State = TypeVar("State")


class RunFolder:
    """The checkpoints of one training; without a manager, it keeps none."""

    def __init__(self, manager: ocp.CheckpointManager | None, about: dict[str, Any]) -> None:
        self._manager = manager
        self._about = json.loads(json.dumps(about))  # as it is read back: tuples are lists

    def latest(self, state: State) -> tuple[State, int]:
        """Returns the latest checkpoint and its epoch; the given state and 0 where there is none.

        Raises:
            ValueError: the folder's checkpoints are of another training.
        """
        epoch = None if self._manager is None else self._manager.latest_step()
        if self._manager is None or epoch is None:
            return state, 0
        kept = self._manager.restore(epoch, args=ocp.args.Composite(about=ocp.args.JsonRestore()))["about"]
        different = [key for key in self._about if kept.get(key) != self._about[key]]
        if different:
            raise ValueError(
                f"{str(self._manager.directory)!r} has checkpoints of another training: {', '.join(different)} "
                "differ; choose another directory, or empty it"
            )
        like = jax.tree.map(ocp.utils.to_shape_dtype_struct, state)
        restored = self._manager.restore(epoch, args=ocp.args.Composite(state=ocp.args.StandardRestore(like)))
        return restored["state"], epoch

    def save(self, state: Any, epoch: int) -> None:
        """Keeps a checkpoint, the earlier ones dropped; returns once it is written."""
        if self._manager is None:
            return
        items = {"state": ocp.args.StandardSave(state), "about": ocp.args.JsonSave(self._about)}
        self._manager.save(epoch, args=ocp.args.Composite(**items))
        self._manager.wait_until_finished()


@contextmanager
def run_folder(directory: str | Path | None, about: dict[str, Any]) -> Iterator[RunFolder]:
    """Yields the checkpoints in a directory, closed afterwards; None keeps none.

    Args:
        directory: made if it is missing.
        about: what tells this training from another, as JSON has it.

    Raises:
        OSError: the directory cannot be written.
    """
    if directory is None:
        yield RunFolder(None, about)
        return
    folder = require_writable(directory).resolve()
    options = ocp.CheckpointManagerOptions(max_to_keep=1)
    with ocp.CheckpointManager(folder, options=options) as manager:
        yield RunFolder(manager, about)
