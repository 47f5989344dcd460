"""What a run that was told its accuracies found, in the form that `search` gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from ednag_jax.ask_tell.ledger import Told
from ednag_jax.ask_tell.naming import stacked
from ednag_jax.queries import best_so_far
from ednag_jax.result import Result
from ednag_jax.search import environment
from ednag_jax.spaces import SearchSpace
from ednag_jax.storage import digest
from ednag_jax.types import Strategy


def result_of(
    told: Sequence[Told], space: SearchSpace, strategy: Strategy, config: Any, *, num_invalid: int
) -> Result:
    """Returns a Result of one seed, its queries in the order in which they were told.

    Seconds are 0: what takes long happens elsewhere.

    Raises:
        ValueError: nothing was told.
    """
    if not told:
        raise ValueError("nothing was told yet: there is no result before the first `tell`")
    accuracy = np.array([result.accuracy for result in told], np.float64)
    curve = best_so_far(accuracy, len(accuracy))
    best = int(np.argmax(np.where(np.isnan(accuracy), -np.inf, accuracy)))
    return Result(
        strategy=strategy.name,
        benchmark=_described(space, digest(stacked(told, space), accuracy)),
        config={"name": type(config).__name__, **dataclasses.asdict(config)},
        seeds=[0],
        budget=None,
        best_accuracy=curve[-1:],
        test_accuracy=None,
        best_arch=[told[best].arch],
        queries=np.array([len(told)]),
        curve=curve[None],
        num_invalid=np.array([num_invalid]),
        num_failed=np.array([np.sum(np.isnan(accuracy))]),
        compile_seconds=0.0,
        run_seconds=0.0,
        environment=environment(),
    )


def recommended_of(told: Sequence[Told], space: SearchSpace, strategy: Strategy, config: Any) -> Told:
    """Returns the result that a strategy would end with; at least one must have succeeded."""
    accuracy = np.array([result.accuracy for result in told], np.float32)
    fitness = np.where(np.isnan(accuracy), -np.inf, accuracy)
    if strategy.recommend is None:
        return told[int(np.argmax(fitness))]
    rows = strategy.recommend(
        jnp.asarray(stacked(told, space)), jnp.asarray(fitness), space=space, config=config
    )
    return told[int(rows[-1])]


def _described(space: SearchSpace, table_hash: str) -> dict[str, Any]:
    """Returns what stands for a benchmark: the space, and the hash of all that was told."""
    unknown = {"dataset": "", "metric": "told", "oracle": "what was told", "epochs": None, "unit": ""}
    known = {"space": space.name, "name": space.name, "table_hash": table_hash}
    return {**known, **unknown, "direction": "max", "optimum": None}
