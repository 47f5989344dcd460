"""Checkpoints by orbax: whole through any end of the process, and proven to be whole before they are read."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from ednag_jax.storage import DataError, require_writable, write_atomic

DIGEST = "digest.sha256"
"""Of a checkpoint's other files, in its folder and written last: one without it is half-written."""
NAMES = r"\d+(\.orbax-checkpoint-tmp.*)?"
"""Of checkpoints, and of those that orbax is writing."""
ABOUT = "about.json"
"""What tells the run whose checkpoints a folder has from any other."""


class CheckpointWarning(UserWarning):
    """A checkpoint was half-written or damaged, so the one before it was taken."""


class Checkpoints:
    """The checkpoints in one folder, each named by how many steps were done; see `open_checkpoints`."""

    def __init__(self, manager: ocp.CheckpointManager, *, keep: int | None, half_written: list[str]) -> None:
        self._manager, self._keep = manager, keep
        self.half_written = half_written
        """Names of the checkpoints that an interruption left half-written; they are removed."""

    def steps(self) -> list[int]:
        """Returns the steps of the checkpoints, in order; whether they are undamaged, `read` says."""
        return sorted(self._manager.all_steps())

    def save(self, step: int, items: Mapping[str, Any]) -> None:
        """Keeps a checkpoint of some pytrees by name, then drops the oldest; returns once it is written.

        Raises:
            OSError: it could not be written; those before are still there.
        """
        parts = {name: ocp.args.StandardSave(part) for name, part in items.items()}
        try:
            self._manager.save(step, args=ocp.args.Composite(**parts), force=True)
            self._manager.wait_until_finished()  # orbax writes in the background, and may fail there
            folder = self._folder(step)
            write_atomic(folder / DIGEST, files_digest(folder))
        except Exception as error:  # tensorstore raises nearly anything on a full disk
            raise OSError(
                f"checkpoint {step} cannot be written in {str(self._manager.directory)!r} ({error}): make "
                "room, then start the same again; it goes on from the checkpoint before"
            ) from error
        if self._keep is not None:
            self.drop(self.steps()[: -self._keep])

    def read(self, step: int, like: Mapping[str, Any], *, proven: bool = False) -> dict[str, Any]:
        """Returns items of a checkpoint, in the shapes of those given; None takes an item as it was saved.

        Args:
            step: one of `steps`.
            like: the items to read, by name.
            proven: whether the files are known to be undamaged.

        Raises:
            DataError: the checkpoint is damaged, or of other shapes.
        """
        place = f"checkpoint {step} in {str(self._manager.directory)!r}"
        # Orbax reads some damaged files without a word, and its threads fail one by one over others.
        if not (proven or _is_whole(self._folder(step))):
            raise DataError(f"{place} does not match its digest: it was cut or altered")
        found = self._manager.item_metadata(step)
        for name, part in like.items():
            if part is not None and _shapes(found[name].tree) != _shapes(part):
                raise DataError(f"{place} is of other shapes than what is to go on from it")
        wanted = jax.tree.map(ocp.utils.to_shape_dtype_struct, dict(like))
        items = {name: ocp.args.StandardRestore(part) for name, part in wanted.items()}
        try:
            return dict(self._manager.restore(step, args=ocp.args.Composite(**items)).items())
        except Exception as error:  # which one depends on what is wrong
            raise DataError(f"{place} cannot be read ({error})") from error

    def drop(self, steps: Sequence[int]) -> None:
        """Removes checkpoints."""
        for step in steps:
            self._manager.delete(step)

    def _folder(self, step: int) -> Path:
        return Path(self._manager.directory) / str(step)


@contextmanager
def open_checkpoints(
    folder: Path, items: Sequence[str], *, keep: int | None = 1, read_only: bool = False
) -> Iterator[Checkpoints]:
    """Yields the checkpoints in a folder, closed afterwards; what an interruption left half-written is removed.

    Args:
        folder: made if it is missing.
        items: names of what each checkpoint is made of.
        keep: how many of the newest stay; None keeps all.
        read_only: leaves the folder as it is.

    Raises:
        OSError: the folder cannot be written.
    """
    half_written = []
    if not read_only:
        half_written = _remove_half_written(require_writable(folder))
    options = ocp.CheckpointManagerOptions(create=False, read_only=read_only)
    handlers = {name: ocp.StandardCheckpointHandler() for name in items}
    with (
        _quiet(),
        _closed(ocp.CheckpointManager(folder.resolve(), options=options, item_handlers=handlers)) as manager,
    ):
        yield Checkpoints(manager, keep=keep, half_written=half_written)


@contextmanager
def _closed(manager: ocp.CheckpointManager) -> Iterator[ocp.CheckpointManager]:
    """Closes a manager afterwards; where a save has failed, that raises once more what was raised already."""
    try:
        yield manager
    except BaseException:
        with suppress(Exception):
            manager.close()
        raise
    manager.close()


def claim(folder: Path, about: Mapping[str, Any], *, kind: str) -> None:
    """Writes what a folder's checkpoints are of, so that nothing else goes on from them.

    Args:
        folder: made if it is missing.
        about: what tells the run from any other, as JSON has it.
        kind: what it is, for the text of an error.

    Raises:
        ValueError: the folder has checkpoints of another; the text names every difference.
        DataError: what it has is damaged.
        OSError: the folder cannot be written.
    """
    ours, path = (
        json.loads(json.dumps(about)),
        require_writable(folder) / ABOUT,
    )  # as read back: tuples are lists
    if not path.exists():
        if any(re.fullmatch(NAMES, child.name) for child in (*folder.glob("*"), *folder.glob("*/*"))):
            raise DataError(f"{str(folder)!r} has checkpoints but no {ABOUT}; empty the folder, and start anew")
        write_atomic(path, json.dumps(ours, indent=2) + "\n")
        return
    try:
        theirs = json.loads(path.read_text())
    except ValueError as error:
        raise DataError(
            f"{str(path)!r} is no whole JSON ({error}); empty the folder, and start anew"
        ) from error
    different = _differences(ours, theirs)
    if different:
        raise ValueError(
            f"{str(folder)!r} has checkpoints of another {kind}: {'; '.join(different)}. Choose another "
            "folder, or empty it"
        )


def files_digest(folder: Path) -> str:
    """Returns the SHA-256 of all files in a folder, and of their names, but for its own `DIGEST`."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.parent == folder and path.name.strip(".").startswith(DIGEST):  # or its part, left by a kill
            continue
        content = path.read_bytes()
        total.update(f"{path.relative_to(folder).as_posix()} {len(content)} ".encode() + content)
    return total.hexdigest()


def _is_whole(checkpoint: Path) -> bool:
    """Returns whether a checkpoint's files are as they were written."""
    written = checkpoint / DIGEST
    return written.is_file() and written.read_text() == files_digest(checkpoint)


def _remove_half_written(folder: Path) -> list[str]:
    """Returns the names of the checkpoints that lack their digest, after removing them."""
    ours = [path for path in folder.iterdir() if path.is_dir() and re.fullmatch(NAMES, path.name)]
    names = [path.name for path in ours if not (path / DIGEST).is_file()]
    for name in names:
        shutil.rmtree(folder / name)
    return sorted({name.partition(".")[0] for name in names})


def _differences(ours: Any, theirs: Any, name: str = "") -> list[str]:
    """Returns what differs, in words, each by its name such as `config.num_steps`."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if ours.get("kind") != theirs.get("kind"):  # of settings: then all others differ as well
            return _differences(ours.get("kind"), theirs.get("kind"), f"{name}.kind")
        keys = [*ours, *(key for key in theirs if key not in ours)]
        pairs = [(f"{name}.{key}".lstrip("."), ours.get(key), theirs.get(key)) for key in keys]
        return [text for key, our, their in pairs for text in _differences(our, their, key)]
    return [] if ours == theirs else [f"{name} was {theirs}, now {ours}"]


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every leaf by its path."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape) for path, leaf in leaves}


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
