"""Checkpoints of a training that may be interrupted, by orbax: the latest one, and what it is of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp

from ednag_jax.storage import DataError, digest, require_writable

State = TypeVar("State")
EMPTY_IT = "it is cut or altered. Empty the directory, and the training starts anew."


class RunFolder:
    """The checkpoints of one training; without a manager, it keeps none."""

    def __init__(self, manager: ocp.CheckpointManager | None, about: dict[str, Any]) -> None:
        self._manager = manager
        self._about = json.loads(json.dumps(about))  # as it is read back: tuples are lists

    def latest(self, state: State) -> tuple[State, int]:
        """Returns the latest checkpoint and its epoch; the given state and 0 where there is none.

        Raises:
            ValueError: the folder's checkpoints are of another training.
            DataError: the checkpoint is cut or altered.
        """
        epoch = None if self._manager is None else self._manager.latest_step()
        if self._manager is None or epoch is None:
            return state, 0
        folder = str(self._manager.directory)
        kept = _read(self._manager, epoch, about=ocp.args.JsonRestore())
        about = kept.get("about", {}) if isinstance(kept, dict) else {}
        different = [key for key in self._about if about.get(key) != self._about[key]]
        if different:
            raise ValueError(
                f"{folder!r} has checkpoints of another training: {', '.join(different)} "
                "differ; choose another directory, or empty it"
            )
        like = jax.tree.map(ocp.utils.to_shape_dtype_struct, state)
        restored = _read(self._manager, epoch, state=ocp.args.StandardRestore(like))
        # Orbax reads some altered files without complaint.
        if _digest(restored) != kept.get("digest"):
            raise DataError(f"checkpoint {epoch} in {folder!r} does not match its digest; {EMPTY_IT}")
        return restored, epoch

    def save(self, state: Any, epoch: int) -> None:
        """Keeps a checkpoint, the earlier ones dropped; returns once it is written."""
        if self._manager is None:
            return
        header = {"about": self._about, "digest": _digest(state)}
        items = {"state": ocp.args.StandardSave(state), "about": ocp.args.JsonSave(header)}
        self._manager.save(epoch, args=ocp.args.Composite(**items))
        self._manager.wait_until_finished()


def _digest(state: Any) -> str:
    """Returns the SHA-256 of a state's arrays."""
    return digest(*(np.asarray(leaf) for leaf in jax.tree.leaves(state)))


def _read(manager: ocp.CheckpointManager, epoch: int, **item: ocp.args.CheckpointArgs) -> Any:
    """Returns the one item named, of a checkpoint; DataError where it cannot be read."""
    (name,) = item
    try:
        return manager.restore(epoch, args=ocp.args.Composite(**item))[name]
    except Exception as error:  # a cut file gives any of many kinds, the plain Exception among them
        raise DataError(
            f"the {name} of checkpoint {epoch} in {str(manager.directory)!r} cannot be read; {EMPTY_IT}"
        ) from error


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
