"""Packages that only images need: brought in when asked for, with a plain error where they are absent."""

from __future__ import annotations

import importlib
from typing import Any

from ednag_jax.storage import DataError

INSTALL = "pip install 'ednag-jax[images]'"


def import_extra(module: str, purpose: str) -> Any:
    """Returns a module of the extra `images`; `purpose` says in the error what it is needed for.

    Raises:
        DataError: the extra is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(f"{purpose} needs the package {module.split('.')[0]!r}: {INSTALL}") from error
