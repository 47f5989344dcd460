"""`architecture.json`: all that it takes to build a trained network, to use it, and to train it again."""

from __future__ import annotations

import dataclasses
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ednag_jax.config import TrainingConfig
from ednag_jax.images import ImageSet
from ednag_jax.spaces import SPACES
from ednag_jax.storage import DataError, require_writable, write_atomic
from ednag_jax.training.batches import Normalisation
from ednag_jax.types import HostPhenotype

FILE = "architecture.json"
FORMAT = 1
"""Raised when folders of an earlier program can no longer be read."""
PACKAGES = ("ednag-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
NO_IDENTITY = ("arch", "normalisation", "versions", "result")
"""Parts that follow from the others, or may differ between a training and one that goes on with it."""


def describe(
    space_name: str,
    phenotype: HostPhenotype,
    images: ImageSet,
    *,
    held_out: ImageSet | None,
    settings: dict[str, Any],
    normalisation: Normalisation,
    config: TrainingConfig,
) -> dict[str, Any]:
    """Returns the description of a training that has not begun; `result` is None until it is finished."""
    return {
        "format": FORMAT,
        "space": space_name,
        "arch": SPACES[space_name].to_str(phenotype),
        "phenotype": [int(field) for field in phenotype],
        "num_classes": len(images.classes),
        "classes": list(images.classes),
        "image_shape": list(images.images.shape[1:]),
        "normalisation": {name: array.tolist() for name, array in normalisation._asdict().items()},
        "network": dict(settings),
        "images": {"name": images.name, "fingerprint": images.fingerprint, "num_images": len(images)},
        "held_out": None if held_out is None else {"name": held_out.name, "fingerprint": held_out.fingerprint},
        "recipe": dataclasses.asdict(config),
        "versions": versions(),
        "result": None,
    }


def versions() -> dict[str, str]:
    """Returns what a training depends on beside its recipe."""
    devices = jax.devices()
    device = f"{len(devices)} x {devices[0].device_kind} ({platform.machine()})"
    return {**{name: version(name) for name in PACKAGES}, "python": platform.python_version(), "device": device}


def normalisation_in(description: dict[str, Any]) -> Normalisation:
    """Returns the normalisation of a description."""
    return Normalisation(**{name: np.array(v, np.float32) for name, v in description["normalisation"].items()})


def write_description(folder: Path, description: dict[str, Any]) -> None:
    """Writes `architecture.json`, whole or not at all."""
    write_atomic(folder / FILE, json.dumps(description, indent=2, allow_nan=False) + "\n")


def read_description(folder: Path) -> dict[str, Any] | None:
    """Returns what `architecture.json` holds; None where there is none.

    Raises:
        DataError: it is cut, or of another version of this program.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        description = json.loads(path.read_text())
    except ValueError as error:
        raise DataError(f"{str(path)!r} is no whole JSON ({error}); train the network anew") from error
    found = description.get("format") if isinstance(description, dict) else None
    if found != FORMAT:
        raise DataError(
            f"{str(path)!r} has format {found}, this program reads {FORMAT}; train the network anew"
        )
    return description


def adopted(folder: Path, description: dict[str, Any]) -> dict[str, Any]:
    """Returns the description that a folder has of the same training; writes it where there is none.

    Raises:
        OSError: the folder cannot be made or written.
        ValueError: it has another training.
    """
    kept = read_description(require_writable(folder))
    if kept is None:
        write_description(folder, description)
        return description
    ours, theirs = _identity(description), _identity(kept)
    different = [key for key in ours if theirs.get(key) != ours[key]]
    if different:
        raise ValueError(
            f"folder {str(folder)!r} has another training: {', '.join(different)} differ; choose another "
            "folder, or empty it"
        )
    return kept


def _identity(description: dict[str, Any]) -> dict[str, Any]:
    """Returns what tells a training from another, as JSON reads it back: tuples are lists."""
    told = {key: value for key, value in description.items() if key not in NO_IDENTITY}
    recipe = {key: value for key, value in told.get("recipe", {}).items() if key != "checkpoint_every"}
    return json.loads(json.dumps({**told, "recipe": recipe}))
