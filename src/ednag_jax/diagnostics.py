"""How a population fares from step to step: what a result keeps of it, the mean over its seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from ednag_jax.queries import QueryLog, packed_ids
from ednag_jax.types import Trace

DIAGNOSTICS = {
    "effective_size": "individuals that decide in (8)",
    "spread": "spread of the genotypes",
    "distinct_share": "share of distinct children",
    "new_share": "share of new children",
    "invalid_share": "share of invalid children",
}
"""Name in a result -> what a reader is told that it is."""


def step_diagnostics(
    trace: Trace, logs: Sequence[QueryLog], budget: int | None = None
) -> dict[str, Float[np.ndarray, " t"]] | None:
    """Returns every number of `DIAGNOSTICS` at each step; None for a method without a population of genotypes.

    A number is the mean over the seeds that had queries left when the step began: what a seed does after its
    budget counts nowhere. The steps end where no seed had any.

    Args:
        trace: of many seeds.
        logs: the queries of each.
        budget: that the logs were cut at; None means not at all.
    """
    steps = trace.steps
    queried = np.asarray(steps.evaluation.queried)
    if not np.isfinite(np.asarray(steps.spread)).any():
        return None
    num_first, num_children = trace.initial.queried.shape[1], queried.shape[2]
    starts = num_first + num_children * np.arange(queried.shape[1])
    ends = np.array([log.row[-1] if len(log.row) == budget else np.inf for log in logs])
    is_on = starts <= ends[:, None]
    values = {
        "effective_size": np.asarray(steps.effective_size, np.float64),
        "spread": np.asarray(steps.spread, np.float64),
        "distinct_share": distinct(_ids(steps.evaluation.arch_id), queried) / num_children,
        "new_share": _first_asked(logs, num_first, queried.shape).mean(axis=2),
        "invalid_share": (~queried).mean(axis=2),
    }
    count = is_on.sum(axis=0)
    num_steps = int((count > 0).sum())
    means = {name: np.where(is_on, of_seed, 0).sum(axis=0) for name, of_seed in values.items()}
    return {name: total[:num_steps] / count[:num_steps] for name, total in means.items()}


def distinct(ids: Int[np.ndarray, "*s t n"], queried: Bool[np.ndarray, "*s t n"]) -> Int[np.ndarray, "*s t"]:
    """Returns how many different architectures n children are; what is not valid is none.

    >>> distinct(np.array([[7, 7, 3, 5]]), np.array([[True, True, True, False]]))
    array([2])
    """
    lowest = np.iinfo(ids.dtype).min  # no index, and 1 in 2^64 hashes
    order = np.sort(np.where(queried, ids, lowest), axis=-1)
    changes = np.sum(np.diff(order, axis=-1) != 0, axis=-1)
    return changes + queried.all(axis=-1)


def _ids(arch_id: object) -> Int[np.ndarray, "s t n"]:
    """Returns one integer per architecture of all steps."""
    ids = np.asarray(arch_id)
    return packed_ids(ids.reshape(-1, *ids.shape[3:])).reshape(ids.shape[:3])


def _first_asked(logs: Sequence[QueryLog], num_first: int, shape: tuple[int, ...]) -> Bool[np.ndarray, "s t n"]:
    """Returns which children were a query of their own: valid, and not asked about before."""
    first = np.zeros((shape[0], num_first + shape[1] * shape[2]), bool)
    for seed, log in enumerate(logs):
        first[seed, log.row] = True
    return first[:, num_first:].reshape(shape)
