"""What a trained network says of images: arrays of them, or the files of a folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from ednag_jax.images.decoding import square
from ednag_jax.images.folder import NUM_NAMED, SUFFIXES
from ednag_jax.images.pixels import resized
from ednag_jax.storage import DataError
from ednag_jax.training.description import normalisation_in
from ednag_jax.training.saved import Trained, load_trained
from ednag_jax.training.steps import EVALUATION_BATCH, probabilities

Source: TypeAlias = str | Path | Trained
"""A folder that `train_network` wrote, or what `load_trained` gave: that saves reading it each time."""
Progress: TypeAlias = Callable[[int, int], None]
"""Called as `progress(done, total)`."""


class Classified(NamedTuple):
    """What a network says of one file."""

    file: Path
    label: str
    """The most probable class."""
    probability: float
    """That the network gives it, in [0, 1]; networks tend to be too sure."""


def classify(
    source: Source, images: np.ndarray, *, progress: Progress | None = None
) -> Float[np.ndarray, "n k"]:
    """Returns the probability of every class, in the order of the description's `classes`.

    Args:
        source: the network.
        images: uint8 [n h w 3] of any size; their middle squares are brought to the size that was trained on.
        progress: called after every batch.

    Raises:
        ValueError: images of another form; or of another size, where those trained on were no squares.
        DataError: the network cannot be read, see `load_trained`.
    """
    trained = _loaded(source)
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8:
        raise ValueError(f"images must be uint8 [n h w 3], got {images.dtype} {images.shape}")
    height, width, _ = trained.description["image_shape"]
    if images.shape[1:3] != (height, width):
        if height != width:
            raise ValueError(
                f"images are {images.shape[1]} x {images.shape[2]} pixels; the network was trained on "
                f"{height} x {width}, no squares: bring them to this size"
            )
        images = resized(images, height)
    normalisation = normalisation_in(trained.description)
    return probabilities(trained.variables, images, normalisation, module=trained.module, report=progress)


def classify_folder(
    source: Source, image_folder: str | Path, *, progress: Progress | None = None
) -> list[Classified]:
    """Returns the most probable class of every image file in a folder and in all folders inside it, by path.

    Files that cannot be read are left out, with a warning that counts them; hidden files and folders too,
    without one.

    Args:
        source: the network; images become squares of the size that it was trained on.
        image_folder: of the files, by suffix: png, jpeg, bmp, gif, webp, tiff.
        progress: called after every batch of files.

    Raises:
        ValueError: the network was not trained on squares.
        DataError: the network cannot be read, or the folder is missing or has no image that can be.
    """
    trained, folder = _loaded(source), Path(image_folder).expanduser()
    height, width, _ = trained.description["image_shape"]
    if height != width:
        raise ValueError(
            f"the network was trained on {height} x {width} pixels; image files are read as squares"
        )
    files = image_files(folder)
    found: list[Classified] = []
    damaged: list[str] = []
    for start in range(0, len(files), EVALUATION_BATCH):  # so many images in memory, however many files
        batch = files[start : start + EVALUATION_BATCH]
        read = _readable(batch, height, folder, damaged)
        if read:
            found += _most_probable(trained, read)
        if progress is not None:
            progress(start + len(batch), len(files))
    if not found:
        raise DataError(f"folder {str(folder)!r} has no image that can be read: {_listed(damaged)} cannot")
    if damaged:
        warnings.warn(
            f"folder {str(folder)!r}: {_listed(damaged)} cannot be read and are left out", stacklevel=2
        )
    return found


def image_files(folder: Path) -> list[Path]:
    """Returns the image files in a folder and in all folders inside it, hidden ones left out, in rising order.

    Raises:
        DataError: the folder is missing, or has none.
    """
    if not folder.is_dir():
        raise DataError(f"folder {str(folder)!r} is missing; give a folder of images")
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not files:
        raise DataError(f"folder {str(folder)!r} has no image file ({', '.join(SUFFIXES)})")
    return files


def _loaded(source: Source) -> Trained:
    return source if isinstance(source, Trained) else load_trained(source)


def _readable(files: Sequence[Path], size: int, folder: Path, damaged: list[str]) -> dict[Path, np.ndarray]:
    """Returns the images that can be read; the names of the others, and why, go to `damaged`."""
    images = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata, of no account to the pixels
        for path in files:
            try:
                images[path] = square(path, size)
            except (DataError, MemoryError):  # a package that is not installed: true of all files
                raise
            except Exception as error:  # pillow raises nearly anything on a damaged file
                damaged.append(f"{path.relative_to(folder)} ({str(error) or type(error).__name__})")
    return images


def _most_probable(trained: Trained, images: dict[Path, np.ndarray]) -> list[Classified]:
    """Returns the most probable class of every image."""
    said = classify(trained, np.stack(list(images.values())))
    best, classes = said.argmax(axis=1), trained.description["classes"]
    return [
        Classified(path, classes[label], float(row[label]))
        for path, label, row in zip(images, best, said, strict=True)
    ]


def _listed(names: Sequence[str]) -> str:
    """Returns how many there are, and the first few."""
    shown = "; ".join(names[:NUM_NAMED]) + ("; ..." if len(names) > NUM_NAMED else "")
    return f"{len(names)} files ({shown})"
