"""The file of a run: a description as JSON and plain arrays in one .npz, with a checksum over all of it."""

from __future__ import annotations

import dataclasses
import io
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Key

from ednag_jax.spaces import SPACES, SearchSpace
from ednag_jax.storage import DataError, digest, read_npz, write_atomic
from ednag_jax.strategies import STRATEGIES
from ednag_jax.types import KeyArray

FORMAT = "ednag-jax ask-tell 1"
HEADER, CHECKSUM, STATE = "header", "checksum", "state_"


def write(path: str | Path, header: dict[str, Any], arrays: dict[str, np.ndarray], state: Any) -> Path:
    """Writes a run, whole or not at all, and returns the path.

    Args:
        path: of the file.
        header: of what JSON knows.
        arrays: by name.
        state: any pytree of arrays, or None.
    """
    text = json.dumps({"format": FORMAT, "version": version("ednag-jax"), **header})
    leaves = {f"{STATE}{at:04d}": _plain(leaf) for at, leaf in enumerate(jax.tree.leaves(state))}
    content = {HEADER: np.frombuffer(text.encode(), np.uint8), **arrays, **leaves}
    buffer = io.BytesIO()
    np.savez(buffer, **content, **{CHECKSUM: np.array(_checksum(content))})  # type: ignore[arg-type]
    return write_atomic(path, buffer.getvalue())


def read(path: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Returns the header and the arrays of a run's file.

    Raises:
        DataError: it is missing, cut, altered, or another file.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"file {str(path)!r} of a run is missing; begin a new run with AskTell(...)")
    content = read_npz(path.read_bytes(), str(path))
    said = content.pop(CHECKSUM, None)
    if HEADER not in content or said is None or str(said) != _checksum(content):
        raise DataError(f"file {str(path)!r} does not match its checksum, or is no run's; take an older copy")
    header = json.loads(content.pop(HEADER).tobytes())
    if header["format"] != FORMAT:
        raise DataError(f"file {str(path)!r} is of format {header['format']!r}, expected {FORMAT!r}")
    return header, content


def state_of(arrays: dict[str, np.ndarray], shape: Any, path: str | Path) -> Any:
    """Returns the strategy's state, of the shapes that it has in this version.

    Raises:
        DataError: the file's are others.
    """
    expected, structure = jax.tree.flatten(shape)
    stored = [arrays[name] for name in sorted(arrays) if name.startswith(STATE)]
    same = len(stored) == len(expected)
    if not same or any(_plain_shape(e) != (s.shape, s.dtype) for e, s in zip(expected, stored, strict=True)):
        raise DataError(
            f"file {str(path)!r} holds the state of another version of its strategy; go on with the version "
            "that wrote it, or begin a new run and tell it what you know"
        )
    leaves = [_as_expected(array, leaf) for array, leaf in zip(stored, expected, strict=True)]
    return jax.tree.unflatten(structure, leaves)


def described(space: SearchSpace, config: Any, key: KeyArray) -> dict[str, Any]:
    """Returns what a file says of a run's space, settings and key."""
    return {
        "space": _space(space),
        "config": _config(config),
        "key": {"impl": str(jax.random.key_impl(key)), "data": jax.random.key_data(key).tolist()},
    }


def key_of(header: dict[str, Any]) -> KeyArray:
    """Returns the run's key."""
    data = jnp.array(header["key"]["data"], jnp.uint32)
    return jax.random.wrap_key_data(data, impl=header["key"]["impl"])


def space_of(header: dict[str, Any], given: SearchSpace | None) -> SearchSpace:
    """Returns the run's space: the one given, or the one of `SPACES` that has its name.

    Raises:
        ValueError: none is given and the name is not known, or it is another.
    """
    name = header["space"]["name"]
    space = given or SPACES.get(name)
    if space is None:
        raise ValueError(f"the run searches space {name!r}, which is none of SPACES: give it as space=")
    found = _space(space)
    if found != header["space"]:
        raise ValueError(f"space must be the run's, {_differences(header['space'], found)}")
    return space


def config_of(header: dict[str, Any], given: Any) -> Any:
    """Returns the run's settings, which those given must equal.

    Raises:
        ValueError: none are given and their class is not known, or they are others.
    """
    name, fields = header["config"]["name"], header["config"]["fields"]
    if given is not None:
        found = _config(given)
        if found != header["config"]:
            different = _differences({"name": name, **fields}, {"name": found["name"], **found["fields"]})
            raise ValueError(f"config must be the run's, {different}")
        return given
    classes = {entry.config.__name__: entry.config for entry in STRATEGIES.values()}
    if name not in classes:
        raise ValueError(
            f"the run has settings {name}, of no strategy of STRATEGIES: give config= and strategy="
        )
    return classes[name](**{field: _from_json(value) for field, value in fields.items()})


def _space(space: SearchSpace) -> dict[str, Any]:
    """Returns what tells spaces apart; the encoding is the settings' business."""
    return {
        "name": space.name,
        "fields": space.num_fields,
        "size": str(space.size),
        "choices": list(space.choices),
    }


def _config(config: Any) -> dict[str, Any]:
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {"name": type(config).__name__, "fields": {name: _to_json(value) for name, value in fields.items()}}


def _to_json(value: Any) -> Any:
    """Returns a setting as JSON knows it; arrays with their type, so that they come back the same."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return {"dtype": str(value.dtype), "array": np.asarray(value).tolist()}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return jnp.array(value["array"], value["dtype"]) if isinstance(value, dict) else value


def _differences(stored: dict[str, Any], given: dict[str, Any]) -> str:
    """Returns in words what differs."""
    names = [name for name in {**stored, **given} if stored.get(name) != given.get(name)]
    words = [f"{name} {stored.get(name)!r} (given: {given.get(name)!r})" for name in names]
    return "which has " + ", ".join(words)


def _checksum(content: dict[str, np.ndarray]) -> str:
    names = sorted(content)
    return digest(np.array(names), *(content[name] for name in names))


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf: Any) -> np.ndarray:
    """Returns an array of the state as a file can hold it: keys as their numbers."""
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _plain_shape(leaf: Any) -> tuple[tuple[int, ...], np.dtype]:
    plain = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
    return plain.shape, plain.dtype


def _as_expected(array: np.ndarray, leaf: Any) -> Key[jax.Array, "..."] | jax.Array:
    if not _is_key(leaf):
        return jnp.asarray(array)
    return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(leaf))
