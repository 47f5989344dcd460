"""A trained predictor as one file: an .npz of its arrays with a header that says what they are."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from ednag_jax.config import PredictorConfig
from ednag_jax.predictor.dags import dag_of
from ednag_jax.predictor.examples import Standards
from ednag_jax.predictor.model import Predictor, PredictorNetwork, smallest_inputs
from ednag_jax.spaces import SPACES, SearchSpace
from ednag_jax.storage import DataError, digest, read_npz, write_atomic

FORMAT = 1
"""Raised when files of an earlier program can no longer be read."""
HEADER = "header"
RECORDED_PACKAGES = ("ednag-jax", "jax", "flax", "numpy")


def save_predictor(predictor: Predictor, path: str | Path) -> Path:
    """Returns the path of the .npz that `load_predictor` reads, written whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    arrays = {name: np.asarray(array) for name, array in flatten_dict(_tree(predictor), sep="/").items()}
    header = {
        "format": FORMAT,
        "space": predictor.space.name,
        "ops": list(dag_of(predictor.space).ops),
        "config": asdict(predictor.config),
        "backbone": predictor.backbone,
        "tasks": list(predictor.tasks),
        "table_hash": predictor.table_hash,
        "versions": {name: version(name) for name in RECORDED_PACKAGES},
        "digest": _digest(arrays),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{HEADER: np.array(json.dumps(header))}, **arrays)  # type: ignore[arg-type]
    return write_atomic(path, buffer.getvalue())


def load_predictor(path: str | Path, *, space: SearchSpace | None = None) -> Predictor:
    """Returns the predictor in a file that `save_predictor` wrote.

    Args:
        path: of the .npz.
        space: what it is for, where that is not one of `SPACES`.

    Raises:
        DataError: the file is missing, cut, altered or of another version; or arrays of another shape than the
            network has, or not finite; or it is for another space.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"predictor file {str(path)!r} is missing; train one and save it, or name another")
    arrays = read_npz(path.read_bytes(), str(path))
    header = _header(arrays.pop(HEADER, None), path)
    if _digest(arrays) != header["digest"]:
        raise DataError(f"predictor file {str(path)!r} does not match its digest; it was altered. Get it anew.")
    space = _space(header, space, path)
    config = PredictorConfig(**header["config"])
    _check_arrays(arrays, PredictorNetwork(space, config), path)
    tree = unflatten_dict({name: jnp.asarray(array) for name, array in arrays.items()}, sep="/")
    return Predictor(
        weights=tree["weights"],
        standards=Standards(**tree["standards"]),
        space=space,
        config=config,
        backbone=header["backbone"],
        tasks=tuple(header["tasks"]),
        task_vectors=tree["task_vectors"],
        table_hash=header["table_hash"],
    )


def _tree(predictor: Predictor) -> dict[str, Any]:
    """Returns everything of a predictor that is arrays."""
    return {
        "weights": predictor.weights,
        "standards": predictor.standards._asdict(),
        "task_vectors": predictor.task_vectors,
    }


def _digest(arrays: dict[str, np.ndarray]) -> str:
    """Returns the SHA-256 of arrays and their names."""
    names = sorted(arrays)
    return digest(np.array(names), *(arrays[name] for name in names))


def _header(entry: np.ndarray | None, path: Path) -> dict[str, Any]:
    """Returns the header of a file; DataError where it has none that this program reads."""
    try:
        header = json.loads(str(entry))
    except ValueError:
        header = None
    if not isinstance(header, dict) or "digest" not in header:
        raise DataError(f"{str(path)!r} is no predictor file: it has no header")
    if header["format"] != FORMAT:
        raise DataError(
            f"predictor file {str(path)!r} has format {header['format']}, this program reads {FORMAT}; "
            f"train it anew, or use ednag-jax {header['versions']['ednag-jax']}"
        )
    return header


def _space(header: dict[str, Any], space: SearchSpace | None, path: Path) -> SearchSpace:
    """Returns the space that a file is for; DataError where that is another one."""
    name = header["space"]
    found = space or SPACES.get(name)
    if found is None:
        raise DataError(f"predictor file {str(path)!r} is for space {name!r}, which is not known; pass space=")
    if found.name != name or list(dag_of(found).ops) != header["ops"]:
        raise DataError(f"predictor file {str(path)!r} is for another space, {name!r}, than {found.name!r}")
    return found


def _check_arrays(arrays: dict[str, np.ndarray], network: PredictorNetwork, path: Path) -> None:
    """Raises DataError where arrays are not those of the network, or not finite."""
    shapes = jax.eval_shape(network.init, jax.random.key(0), *smallest_inputs(network))
    wanted = {name: leaf.shape for name, leaf in flatten_dict({"weights": shapes}, sep="/").items()}
    found = {name: array.shape[1:] for name, array in arrays.items() if name.startswith("weights/")}
    if found != wanted:
        different = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise DataError(
            f"predictor file {str(path)!r} has other arrays than its network: {', '.join(different)}"
        )
    broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if broken:
        raise DataError(f"predictor file {str(path)!r} has numbers that are not finite in {', '.join(broken)}")
