"""Images from a folder of class sub-folders: found, read by several threads, the damaged ones counted."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ednag_jax.images.base import ImageSet
from ednag_jax.images.decoding import PURPOSE, shorter_side, square
from ednag_jax.images.extras import import_extra
from ednag_jax.images.pixels import SIZE_RANGE, require_images
from ednag_jax.storage import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
SPLIT_NAMES = {"train", "training", "test", "testing", "val", "valid", "validation"}
MAX_DEFAULT_SIZE = 224
"""Side that photos are brought to where none is asked for: what the frozen backbone sees."""
MAX_BYTES = 4 * 2**30
NUM_THREADS = min(8, os.cpu_count() or 1)
NUM_NAMED = 3
"""Files that a warning or an error names."""

Progress = Callable[[int, int], None]
"""Called as `progress(done, total)` while files are read."""


class Found(NamedTuple):
    """What a folder holds."""

    files: list[Path]
    """By class, then by path."""
    labels: np.ndarray
    """[n] int32."""
    classes: tuple[str, ...]


def from_folder(
    folder: Path, *, name: str, size: int | None = None, progress: Progress | None = None
) -> ImageSet:
    """Returns the images of a folder that has one sub-folder a class, as squares of one size.

    Folders inside a class folder belong to the class; hidden files and folders are left out. Files that are no
    images or cannot be read are left out with a warning that counts them.

    Args:
        folder: of the class folders; their names in rising order are the classes.
        name: of the data set.
        size: side of the images; default is the median of the shorter sides, at most 224.
        progress: called while the files are read.

    Raises:
        DataError: fewer than two classes, a class without a readable image, splits in the place of classes, an
            image beyond pillow's limit of pixels, or more images than memory should hold.
    """
    found = find_images(folder)
    owner = f"folder {str(folder)!r}"
    require_images(np.bincount(found.labels, minlength=len(found.classes)), found.classes, owner)
    sides = np.zeros(len(found.files), np.int64)
    damaged: dict[int, str] = {}

    def measure(row: int) -> None:
        sides[row] = shorter_side(found.files[row])

    if size is None:
        damaged = _each(measure, range(len(sides)), found.files)
        size = default_size(sides)
    images = _empty(len(sides), size, owner)

    def decode(row: int) -> None:
        images[row] = square(found.files[row], size)

    damaged |= _each(decode, [row for row in range(len(sides)) if row not in damaged], found.files, progress)
    good = np.setdiff1d(np.arange(len(sides)), list(damaged))
    lost = [f"{found.files[row].relative_to(folder)} ({reason})" for row, reason in sorted(damaged.items())]
    left = np.bincount(found.labels[good], minlength=len(found.classes))
    require_images(left, found.classes, f"{owner}, of which {_listed(lost)} cannot be read,")
    if lost:
        warnings.warn(f"{owner}: {_listed(lost)} cannot be read and are left out", stacklevel=3)
    return ImageSet(name, images[good] if lost else images, found.labels[good], found.classes)


def default_size(sides: np.ndarray) -> int:
    """Returns the median of the shorter sides that are known (above 0), at most 224 pixels."""
    known = sides[sides > 0]
    return int(np.clip(np.median(known), SIZE_RANGE[0], MAX_DEFAULT_SIZE)) if known.size else MAX_DEFAULT_SIZE


def find_images(folder: Path) -> Found:
    """Returns what a folder of class sub-folders holds; no file is opened.

    Raises:
        DataError: it has no class folders, or its sub-folders are splits.
    """
    visible = sorted(path for path in folder.iterdir() if not _is_hidden(path.name))
    classes = [path for path in visible if path.is_dir()]
    ignored = [path for path in visible if not path.is_dir()]
    if not classes:
        raise DataError(
            f"folder {str(folder)!r} has no sub-folders and {len(ignored)} files; give a folder that has one "
            "sub-folder of images a class"
        )
    splits = [path.name for path in classes if path.name.lower() in SPLIT_NAMES]
    if len(splits) == len(classes):
        raise DataError(
            f"folder {str(folder)!r} has the sub-folders {', '.join(splits)}, which are splits, not classes; "
            f"give one of them, such as {str(folder / splits[0])!r}"
        )
    files: list[Path] = []
    labels: list[int] = []
    for label, path in enumerate(classes):
        inside = sorted(_visible_files(path))
        images = [file for file in inside if file.suffix.lower() in SUFFIXES]
        ignored += [file for file in inside if file.suffix.lower() not in SUFFIXES]
        files += images
        labels += [label] * len(images)
    if ignored:
        shown = _listed([str(path.relative_to(folder)) for path in ignored])
        warnings.warn(
            f"folder {str(folder)!r}: {shown} are no images of a class ({', '.join(SUFFIXES)} in a sub-folder) "
            "and are left out",
            stacklevel=4,
        )
    return Found(files, np.asarray(labels, np.int32), tuple(path.name for path in classes))


def _is_hidden(name: str) -> bool:
    """Whether a file or folder is no data: hidden, or what archives of macOS add."""
    return name.startswith(".") or name == "__MACOSX"


def _visible_files(folder: Path) -> Iterator[Path]:
    """Yields the files in a folder and in the folders inside it."""
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        yield from (Path(here) / name for name in names if not _is_hidden(name))


def _each(
    read: Callable[[int], None], rows: Sequence[int], files: list[Path], progress: Progress | None = None
) -> dict[int, str]:
    """Calls `read` on every row in a few threads; returns why it failed, by the rows where it did.

    Raises:
        DataError: an image has more pixels than pillow allows; whole memory may go into one such file.
    """
    image = import_extra("PIL.Image", PURPOSE)

    def attempt(row: int) -> tuple[int, str]:
        try:
            read(row)
        except (image.DecompressionBombError, image.DecompressionBombWarning) as error:
            raise DataError(
                f"{str(files[row])!r} is too large to be read safely: {error}; make it smaller, remove it, or "
                "raise PIL.Image.MAX_IMAGE_PIXELS if you trust it"
            ) from error
        except MemoryError:
            raise
        except Exception as error:  # pillow raises nearly anything on a damaged file
            return row, str(error) or type(error).__name__
        return row, ""

    failed = {}
    with warnings.catch_warnings(), ThreadPoolExecutor(NUM_THREADS) as pool:
        warnings.simplefilter("ignore")  # odd metadata, of no account to the pixels
        warnings.simplefilter("error", image.DecompressionBombWarning)
        try:
            for done, (row, reason) in enumerate(pool.map(attempt, rows), 1):
                if reason:
                    failed[row] = reason
                if progress is not None:
                    progress(done, len(rows))
        except BaseException:  # also a key pressed to stop: do not read all the rest first
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failed


def _empty(count: int, size: int, owner: str) -> np.ndarray:
    """Returns room for images [count size size 3], after checking that it fits into memory."""
    need = count * size * size * 3
    if need > MAX_BYTES:
        fitting = int((MAX_BYTES / (3 * count)) ** 0.5)
        raise DataError(
            f"{owner} has {count} images, which take {need / 2**30:.1f} GiB at {size} x {size} pixels, allowed "
            f"are {MAX_BYTES / 2**30:g}; give size={fitting} or less, or a folder with fewer images"
        )
    return np.zeros((count, size, size, 3), np.uint8)


def _listed(names: Sequence[str]) -> str:
    """Returns how many there are, and the first few."""
    shown = "; ".join(names[:NUM_NAMED]) + ("; ..." if len(names) > NUM_NAMED else "")
    return f"{len(names)} files ({shown})" if names else "0 files"
