"""Checkpoints of a predictor's training that may be interrupted: the latest one, and what it is of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ednag_jax.checkpoints import Checkpoints, claim, open_checkpoints
from ednag_jax.storage import DataError

State = TypeVar("State")
STATE = "state"


class RunFolder:
    """The checkpoints of one training, named by how many epochs were done; without a folder, it keeps none."""

    def __init__(self, kept: Checkpoints | None) -> None:
        self._kept = kept

    def latest(self, state: State) -> tuple[State, int]:
        """Returns the latest checkpoint and its epoch; the given state and 0 where there is none.

        Raises:
            DataError: the checkpoint is cut or altered.
        """
        epochs = [] if self._kept is None else self._kept.steps()
        if self._kept is None or not epochs:
            return state, 0
        try:
            return self._kept.read(max(epochs), {STATE: state})[STATE], max(epochs)
        except DataError as error:
            raise DataError(f"{error}. Empty the directory, and the training starts anew.") from error

    def save(self, state: Any, epoch: int) -> None:
        """Keeps a checkpoint, the earlier ones dropped; returns once it is written.

        Raises:
            OSError: it could not be written; the one before is still there.
        """
        if self._kept is not None:
            self._kept.save(epoch, {STATE: state})


@contextmanager
def run_folder(directory: str | Path | None, about: dict[str, Any]) -> Iterator[RunFolder]:
    """Yields the checkpoints in a directory, closed afterwards; None keeps none.

    Args:
        directory: made if it is missing.
        about: what tells this training from another, as JSON has it.

    Raises:
        ValueError: the directory's checkpoints are of another training.
        OSError: the directory cannot be written.
    """
    if directory is None:
        yield RunFolder(None)
        return
    claim(Path(directory), about, kind="training")
    with open_checkpoints(Path(directory), (STATE,)) as kept:
        yield RunFolder(kept)
