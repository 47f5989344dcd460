"""Images of a user: read from a folder, an archive or a package, checked, and kept as arrays."""

from __future__ import annotations

from pathlib import Path

from ednag_jax.images.archive import SPLITS, from_archive
from ednag_jax.images.base import ImageSet
from ednag_jax.images.folder import Progress, from_folder
from ednag_jax.images.named import NAMES, from_name
from ednag_jax.images.pixels import check_size

__all__ = ["NAMES", "ImageSet", "load_images"]


def load_images(
    source: str | Path,
    *,
    name: str | None = None,
    size: int | None = None,
    split: str = "train",
    directory: str | Path | None = None,
    progress: Progress | None = None,
) -> ImageSet:
    """Returns labelled images as uint8 [n h w 3], all of one size.

    Args:
        source: a folder of class sub-folders (png, jpeg, bmp, gif, webp, tiff); or an .npz with images `x`
            ([n h w], [n h w 1] or [n h w 3]; uint8, or floats in [0, 1] or [0, 255]) and labels `y` [n], which
            are integers or text; or one of `NAMES`. A name wins over a folder that is called the same, so write
            ./digits for such a folder.
        name: of the data set; default is what the source is called.
        size: side of the images, which become their middle squares. By default those of an .npz or a name stay
            as they are, and those of a folder get the median of their shorter sides, at most 224.
        split: `train`, or `test` where the source has such a split: cifar10, cifar100, or an .npz with `x_test`
            and `y_test`.
        directory: the data directory, where cifar10 and cifar100 lie; default is the setting `EDNAG_DATA_DIR`.
        progress: called as `progress(done, total)` while the files of a folder are read.

    Raises:
        ValueError: a source that is none of these, or a size or split that is not allowed.
        DataError: images or labels that cannot be used, or a package that is not installed; the text says what
            to do.
    """
    check_size(size)
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    path = Path(source).expanduser()
    if isinstance(source, str) and source in NAMES:
        return from_name(source, name=name or source, size=size, split=split, directory=directory)
    if path.is_dir():
        if split != "train":
            raise ValueError(
                f"a folder has no splits: give the folder of the {split} images, not split={split!r}"
            )
        return from_folder(path, name=name or path.resolve().name, size=size, progress=progress)
    if path.is_file() and path.suffix == ".npz":
        return from_archive(path, name=name or path.stem, size=size, split=split)
    raise ValueError(
        f"source {str(source)!r} is no folder, no .npz file and none of {', '.join(NAMES)}; give one of these"
    )
