"""What tells one run from another, in words and digests: a checkpoint goes on in its own run alone."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from importlib.metadata import version
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from ednag_jax.problem import Problem
from ednag_jax.storage import digest
from ednag_jax.types import Params, Strategy

FORMAT = 1
"""Of the checkpoints of a run."""
PACKAGES = ("ednag-jax", "jax", "jaxlib")
"""Whose versions may change a number in the last bit."""


def about_run(
    keys: Key[Array, " s"], params: Params, *, problem: Problem, config: Any, strategy: Strategy
) -> dict[str, Any]:
    """Returns what a run depends on, as JSON has it: settings, problem, table, seeds, versions.

    Functions are told apart by name, so one that was edited counts as the same.
    """
    return {
        "format": FORMAT,
        "strategy": strategy.name,
        "config": described(config),
        "problem": described(problem),
        "table": digest(*(np.asarray(leaf) for leaf in jax.tree.leaves(params))),
        "seeds": {"number": len(keys), "digest": digest(np.asarray(jax.random.key_data(keys)))},
        "versions": {name: version(name) for name in PACKAGES},
        "device": jax.devices()[0].device_kind,
    }


def described(thing: Any) -> Any:
    """Returns a setting, or a whole dataclass of them, as JSON has it; arrays and functions by their names.

    >>> described((len, np.float32(0.5), None))
    ['builtins.len', 0.5, None]
    """
    if thing is None or isinstance(thing, str | bool | int | float):
        return thing
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        fields = {item.name: described(getattr(thing, item.name)) for item in dataclasses.fields(thing)}
        return {"kind": type(thing).__name__, **fields}
    if isinstance(thing, list | tuple):
        return [described(part) for part in thing]
    if isinstance(thing, dict):
        return {str(name): described(part) for name, part in thing.items()}
    if isinstance(thing, np.ndarray | np.generic | jax.Array):
        return thing.item() if thing.ndim == 0 else digest(np.asarray(thing))
    if isinstance(thing, functools.partial):
        return described([thing.func, thing.args, thing.keywords])
    named = thing if inspect.isroutine(thing) or isinstance(thing, type) else type(thing)
    return f"{named.__module__}.{named.__qualname__}"
