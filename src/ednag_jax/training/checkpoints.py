"""Checkpoints of a training: the latest one, and the network that a finished training left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ednag_jax.checkpoints import Checkpoints, files_digest, open_checkpoints
from ednag_jax.storage import DataError
from ednag_jax.training.steps import TrainState

VARIABLES = "variables"
"""Kept apart from the optimiser's, so that they can be read without them."""


class TrainingCheckpoints:
    """The checkpoints of one training, named by how many epochs were done."""

    def __init__(self, kept: Checkpoints) -> None:
        self._kept = kept

    def latest(self, state: TrainState) -> tuple[TrainState, int]:
        """Returns the latest checkpoint and its epoch; the given state and 0 where there is none.

        Raises:
            DataError: it is damaged, or of another network.
        """
        epoch = max(self._kept.steps(), default=0)
        if not epoch:
            return state, 0
        try:
            return TrainState(**self._kept.read(epoch, state._asdict())), epoch
        except DataError as error:
            raise DataError(f"{error}; empty the folder and train anew") from error

    def save(self, state: TrainState, epoch: int) -> None:
        """Keeps a checkpoint, then drops the one before; returns once it is written.

        Raises:
            OSError: it could not be written; the one before is still there.
        """
        self._kept.save(epoch, state._asdict())


@contextmanager
def checkpoints(folder: Path) -> Iterator[TrainingCheckpoints]:
    """Yields the checkpoints in a folder, which is made if it is missing; closed afterwards."""
    with open_checkpoints(folder, TrainState._fields) as kept:
        yield TrainingCheckpoints(kept)


def read_variables(folder: Path, shapes: dict[str, Any], digest: str) -> dict[str, Any]:
    """Returns a network's variables from the checkpoint that a finished training left in a folder.

    Args:
        folder: of the checkpoints.
        shapes: that the variables have.
        digest: that `files_digest` gave at the end of the training.

    Raises:
        DataError: the checkpoint is missing, altered or of another network.
    """
    if not folder.is_dir():
        raise DataError(f"checkpoint folder {str(folder)!r} is missing; train the network anew")
    with open_checkpoints(folder, TrainState._fields, read_only=True) as kept:
        epochs = kept.steps()
        if not epochs:
            raise DataError(f"folder {str(folder)!r} has no whole checkpoint; train the network anew")
        if files_digest(folder) != digest:
            raise DataError(
                f"checkpoint in {str(folder)!r} does not match its digest: it was altered; train anew"
            )
        try:
            return kept.read(max(epochs), {VARIABLES: shapes}, proven=True)[VARIABLES]
        except DataError as error:
            raise DataError(f"{error}; train the network anew") from error
