"""Checkpoints of a training, by orbax: the latest one, kept whole through any end of the process."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from flax.traverse_util import flatten_dict

from ednag_jax.storage import DataError
from ednag_jax.training.steps import TrainState


class Checkpoints:
    """The checkpoints of one training, named by how many epochs were done.

    The network's variables are kept apart from the optimiser's, so that they can be read without them.
    """

    def __init__(self, manager: ocp.CheckpointManager) -> None:
        self._manager = manager

    def latest(self, state: TrainState) -> tuple[TrainState, int]:
        """Returns the latest checkpoint and its epoch; the given state and 0 where there is none.

        Raises:
            DataError: it is damaged, or of another network.
        """
        epoch = self._manager.latest_step()
        if epoch is None:
            return state, 0
        return TrainState(**_restored(self._manager, epoch, state._asdict())), epoch

    def save(self, state: TrainState, epoch: int) -> None:
        """Keeps a checkpoint, then drops the one before; returns once it is written.

        Raises:
            OSError: it could not be written; the one before is still there.
        """
        items = {name: ocp.args.StandardSave(part) for name, part in state._asdict().items()}
        try:
            self._manager.save(epoch, args=ocp.args.Composite(**items))
            self._manager.wait_until_finished()  # orbax writes in the background, and may fail there
        except Exception as error:  # tensorstore raises nearly anything on a full disk
            raise OSError(
                f"checkpoint of epoch {epoch} cannot be written in {str(self._manager.directory)!r} ({error}): "
                "make room, then start the same training again; it goes on from the checkpoint before"
            ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps orbax from logging what it raises as well: a page of stack traces for every file."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def checkpoints(folder: Path) -> Iterator[Checkpoints]:
    """Yields the checkpoints in a folder, which is made if it is missing; closed afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ocp.CheckpointManagerOptions(max_to_keep=1)
    with _quiet(), ocp.CheckpointManager(folder.resolve(), options=options) as manager:
        yield Checkpoints(manager)


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
    handlers = {"variables": ocp.StandardCheckpointHandler(), "optimiser": ocp.StandardCheckpointHandler()}
    options = ocp.CheckpointManagerOptions(create=False)
    with ocp.CheckpointManager(folder.resolve(), options=options, item_handlers=handlers) as manager:
        epoch = manager.latest_step()
        if epoch is None:
            raise DataError(f"folder {str(folder)!r} has no whole checkpoint; train the network anew")
        if files_digest(folder) != digest:  # before orbax meets it: its threads would go on to fail one by one
            raise DataError(
                f"checkpoint in {str(folder)!r} does not match its digest: it was altered; train anew"
            )
        found = manager.item_metadata(epoch)["variables"].tree
        if _shapes(found) != _shapes(shapes):
            raise DataError(f"checkpoint in {str(folder)!r} is of another network; train anew")
        return _restored(manager, epoch, {"variables": shapes})["variables"]


def files_digest(folder: Path) -> str:
    """Returns the SHA-256 of all files of the checkpoints in a folder, and of their names."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        total.update(f"{path.relative_to(folder).as_posix()} {len(content)} ".encode() + content)
    return total.hexdigest()


def _shapes(variables: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every variable by its name."""
    return {name: tuple(leaf.shape) for name, leaf in flatten_dict(variables, sep="/").items()}


def _restored(manager: ocp.CheckpointManager, epoch: int, like: dict[str, Any]) -> dict[str, Any]:
    """Returns parts of a checkpoint, in the shapes of those given."""
    wanted = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    items = {name: ocp.args.StandardRestore(part) for name, part in wanted.items()}
    try:
        return dict(manager.restore(epoch, args=ocp.args.Composite(**items)).items())
    except Exception as error:  # which one depends on which of orbax's files is damaged
        raise DataError(
            f"checkpoint of epoch {epoch} in {str(manager.directory)!r} cannot be read ({error}); empty the "
            "folder and train anew"
        ) from error
