"""Importers: an official download becomes the file that a benchmark reads, checked as it is when read."""

from __future__ import annotations

import io
from pathlib import Path
from types import ModuleType

import numpy as np

from ednag_jax.benchmarks.importers import nasbench101, nasbench201, transnas101
from ednag_jax.config import check_choice
from ednag_jax.storage import (
    DATA_DIR_VARIABLE,
    DataError,
    data_dir,
    require_writable,
    write_atomic,
)

IMPORTERS: dict[str, ModuleType] = {
    "nasbench101": nasbench101,
    "nasbench201": nasbench201,
    "transnas101": transnas101,
}
"""Name -> module with TARGET (relative to the data directory), OFFICIAL (the download) and read(path)."""


def import_file(name: str, path: str | Path, directory: str | Path | None = None) -> Path:
    """Returns the data file that was written, whole, from an official download; on an error none is.

    Args:
        name: a key of `IMPORTERS`.
        path: the download.
        directory: the data directory; default is the setting `EDNAG_DATA_DIR`.

    Raises:
        ValueError: unknown name.
        DataError: no data directory is set, its file is there already, or the download is missing, cut,
            altered, or not the official one; the text names it and where it is published.
        OSError: the data directory cannot be written.
    """
    check_choice("importer", name, tuple(IMPORTERS))
    importer, path = IMPORTERS[name], Path(path).expanduser()
    if not path.exists():
        raise DataError(f"file {str(path)!r} is missing; it should be {importer.OFFICIAL}")
    target = _free_place(importer.TARGET, directory)
    try:
        arrays = importer.read(path)
    except DataError as error:
        raise DataError(
            f"file {str(path)!r} is not imported: {error}. It should be {importer.OFFICIAL}"
        ) from error
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return write_atomic(target, buffer.getvalue())


def _free_place(target: Path, directory: str | Path | None) -> Path:
    """Returns where to write, proven before a long reading starts."""
    folder = data_dir(directory)
    if folder is None:
        raise DataError(f"no data directory to write {str(target)!r} to: set {DATA_DIR_VARIABLE} or --data-dir")
    if (folder / target).exists():
        raise DataError(f"data file {str(folder / target)!r} is there already; move it away to import anew")
    require_writable((folder / target).parent)
    return folder / target


__all__ = ["IMPORTERS", "import_file"]
