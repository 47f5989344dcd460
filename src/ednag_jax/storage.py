"""Where files live and how they are read and written: checked when read, whole or not at all when written."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

DATA_DIR_VARIABLE = "EDNAG_DATA_DIR"
CACHE_DIR_VARIABLE = "EDNAG_CACHE_DIR"


class DataError(ValueError):
    """A data file is missing, cut, altered or not what it claims; the text names it and what to do."""


def data_dir(override: str | Path | None = None) -> Path | None:
    """Returns the folder of the user's benchmark files: the argument, or `EDNAG_DATA_DIR`, or None."""
    chosen = override or os.environ.get(DATA_DIR_VARIABLE)
    return Path(chosen).expanduser() if chosen else None


def data_file(path: str | Path, override: str | Path | None = None) -> Path:
    """Returns the place of a file, given relative to the data directory.

    Raises:
        DataError: no data directory is set, or the file is not in it.
    """
    folder = data_dir(override)
    if folder is None or not (folder / path).is_file():
        raise DataError(
            f"data file {str(path)!r} is missing in the data directory (now {folder}); see `ednag data --help`"
        )
    return folder / path


def cache_dir() -> Path:
    """Returns the folder of derived files: `EDNAG_CACHE_DIR`, or `ednag-jax` in the user's cache folder."""
    chosen = os.environ.get(CACHE_DIR_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ednag-jax"


def write_atomic(path: str | Path, content: bytes | str) -> Path:
    """Writes a file so that a reader sees the old one or the whole new one, never a part.

    Raises:
        OSError: the folder cannot be made or written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def require_writable(folder: str | Path) -> Path:
    """Returns the folder, made and proven writable, so that a long run does not end in a write error.

    Raises:
        OSError: it cannot be made or written; the text names it.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"output directory {str(folder)!r} cannot be written ({error.strerror}); choose another"
        ) from error
    return folder


def digest(*arrays: np.ndarray) -> str:
    """Returns the SHA-256 of the arrays' types, shapes and values."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype.str}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def check_file(path: Path, *, size: int, sha256: str) -> bytes:
    """Returns a file's bytes after comparing its size and SHA-256.

    Raises:
        DataError: the file is missing, cut or altered.
    """
    if not path.is_file():
        raise DataError(f"data file {str(path)!r} is missing; see `ednag data --help` for where to get it")
    content = path.read_bytes()
    if len(content) != size:
        raise DataError(
            f"data file {str(path)!r} has {len(content)} bytes, expected {size}; was it cut? Get it anew."
        )
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"data file {str(path)!r} does not match its SHA-256; it was altered. Get it anew.")
    return content


def read_npz(content: bytes, name: str) -> dict[str, np.ndarray]:
    """Returns the arrays of an .npz, with pickled objects refused.

    Raises:
        DataError: not a whole .npz of plain arrays.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{name!r} is no whole .npz of plain arrays ({error}); get it anew") from error


class _PlainUnpickler(pickle.Unpickler):
    """Reads containers, numbers and text only: a pickle that names any class or function is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise DataError(f"pickle asks for {module}.{name}; only plain dicts, lists and numbers are read")


def read_plain_pickle(content: bytes) -> Any:
    """Returns the object of a pickle made of plain dicts, lists, numbers and text, running no code of it.

    Raises:
        DataError: the pickle names a class or function, or is cut.
    """
    try:
        return _PlainUnpickler(io.BytesIO(content)).load()
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"pickle is cut or altered ({error})") from error
