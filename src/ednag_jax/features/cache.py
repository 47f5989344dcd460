"""Features that were computed once, kept in the cache folder: whole when written, checked when read."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ednag_jax.storage import DataError, cache_dir, digest, read_npz, write_atomic


def cached(name: str, shape: tuple[int, int], compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Returns features [n f] of the cache, or computes and keeps them.

    A file that is damaged is named in a warning and made anew; a folder that cannot be written costs a warning.

    Args:
        name: of the file, which says all that the features depend on.
        shape: (n, f).
        compute: gives the features where they are not kept yet.
    """
    path = cache_dir() / "features" / f"{name}.npz"
    if path.is_file():
        try:
            return _checked(path, shape)
        except (DataError, OSError) as error:
            warnings.warn(f"cache file {str(path)!r} is made anew: {error}", stacklevel=3)
    features = compute()
    buffer = io.BytesIO()
    np.savez(buffer, features=features, digest=np.array(digest(features)))
    try:
        write_atomic(path, buffer.getvalue())
    except OSError as error:  # a read-only home is no reason to stop
        warnings.warn(f"cache file {str(path)!r} cannot be written: {error}", stacklevel=3)
    return features


def _checked(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Returns a file's features after comparing shape and digest, and that all are finite."""
    arrays = read_npz(path.read_bytes(), str(path))
    features = arrays.get("features")
    if features is None or features.shape != shape or features.dtype != np.float32:
        raise DataError(f"it holds no float32 features {shape}")
    if str(arrays.get("digest")) != digest(features) or not np.isfinite(features).all():
        raise DataError("its features do not match their digest")
    return features
