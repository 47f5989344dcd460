"""Counting queries on the host: a query is one distinct valid architecture asked about in one seed's run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from ednag_jax.feasibility import is_feasible
from ednag_jax.types import Trace


class QueryLog(NamedTuple):
    """The distinct queries of one seed, in the order in which they were first asked."""

    phenotype: Int[np.ndarray, "q e"]
    accuracy: Float[np.ndarray, " q"]
    """NaN where the evaluation failed or breaks a constraint."""
    fitness: Float[np.ndarray, " q"]
    row: Int[np.ndarray, " q"]
    """Where it stands among all that the seed evaluated."""


class Evaluated(NamedTuple):
    """Everything that a batch of seeds evaluated, on the host, in query order; fields as in `Evaluation`."""

    phenotype: Int[np.ndarray, "s m e"]
    arch_id: Num[np.ndarray, "s m ..."]
    queried: Bool[np.ndarray, "s m"]
    accuracy: Float[np.ndarray, "s m"]
    fitness: Float[np.ndarray, "s m"]
    cost: Float[np.ndarray, "s m k"] = np.zeros((0, 0, 0), np.float32)
    """Without it nothing but accuracy was an objective."""


def flatten_trace(trace: Trace) -> Evaluated:
    """Returns the evaluations of the initial population and of all steps, one after the other."""
    pairs = zip(trace.initial, trace.steps.evaluation, strict=True)
    return Evaluated(*(_joined(np.asarray(first), np.asarray(later)) for first, later in pairs))


def _joined(first: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Returns [s n ...] and [s t k ...] as one [s n + t k ...]."""
    num = later.shape[1] * later.shape[2]  # not -1, which an axis of no costs leaves open
    return np.concatenate([first, later.reshape(first.shape[0], num, *first.shape[2:])], axis=1)


def query_log(evaluation: Evaluated, seed: int, budget: int | None = None) -> QueryLog:
    """Returns one seed's distinct queries, the first `budget` of them.

    Asking again is free, and its answer does not count: the first answer is the one in the log.

    Args:
        evaluation: of a batch, from `flatten_trace`.
        seed: which row of the batch.
        budget: None means all.
    """
    asked = np.flatnonzero(evaluation.queried[seed])
    ids = packed_ids(evaluation.arch_id[seed])[asked]
    first = np.sort(np.unique(ids, return_index=True)[1])
    kept = asked[first[:budget]]
    fitness = evaluation.fitness[seed, kept]
    accuracy = np.where(is_feasible(fitness), evaluation.accuracy[seed, kept], np.nan)
    return QueryLog(evaluation.phenotype[seed, kept], accuracy, fitness, kept)


def packed_ids(arch_id: np.ndarray) -> Int[np.ndarray, " m"]:
    """Returns one integer per architecture: the table index, or the two halves of its hash joined."""
    if arch_id.ndim == 1:
        return arch_id.astype(np.int64)
    return arch_id[:, 0].astype(np.uint64).view(np.int64) << 32 | arch_id[:, 1].astype(np.int64)


def best_so_far(accuracy: Float[np.ndarray, " q"], length: int) -> Float[np.ndarray, " length"]:
    """Returns the best accuracy after 1 .. length queries.

    NaN until the first success; carried on unchanged where a run asked for fewer than `length`.
    """
    return accuracy[incumbents(accuracy, length)] if len(accuracy) else np.full(length, np.nan)


def incumbents(accuracy: Float[np.ndarray, " q"], length: int) -> Int[np.ndarray, " length"]:
    """Returns the row of the best after 1 .. length queries, at least one asked; the first of equals.

    Row 0 until the first success; carried on unchanged where a run asked for fewer than `length`.
    """
    fitness = np.where(np.isnan(accuracy), -np.inf, accuracy)
    before = np.maximum.accumulate(np.concatenate([[-np.inf], fitness[:-1]]))
    rows = np.maximum.accumulate(np.where(fitness > before, np.arange(len(fitness)), 0))[:length]
    return np.concatenate([rows, np.full(length - len(rows), rows[-1])])


def failures(evaluation: Evaluated) -> tuple[Bool[np.ndarray, "s m"], Bool[np.ndarray, "s m"]]:
    """Returns which evaluations were of no valid architecture, and which of a valid one failed."""
    return ~evaluation.queried, evaluation.queried & ~np.isfinite(evaluation.accuracy)
