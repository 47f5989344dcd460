"""The text of NAS-Bench-101 modules: JSON of the official ModelSpec's arguments, `matrix` and `ops` (host)."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np

from ednag_jax.spaces.nasbench101_graph import INPUT_LABEL, NUM_VERTICES, OUTPUT_LABEL

OPS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""Op id -> official op name."""
EXAMPLE = '{"matrix":[[0,1],[0,0]],"ops":["input","output"]}'


def write_module(matrix: np.ndarray, labels: list[int]) -> str:
    """Returns the text of a pruned module, the same for isomorphic ones.

    Vertices are put in the order that makes the matrix least, then the ops, edges pointing forwards.

    Args:
        matrix: [v v], 1 at row x and column y for the edge x -> y.
        labels: -1 for the input, op ids, -2 for the output.

    >>> write_module(np.array([[0, 1], [0, 0]]), [-1, -2]) == EXAMPLE
    True
    """
    last = len(labels) - 1
    orders = np.array([[0, *interior, last] for interior in itertools.permutations(range(1, last))])
    renamed = matrix[orders[:, :, None], orders[:, None, :]]
    forward = ~np.tril(renamed).any(axis=(1, 2))
    named = zip(renamed[forward].tolist(), np.array(labels)[orders[forward]].tolist(), strict=True)
    least, ordered = min(named)
    ops = ["input", *(OPS[label] for label in ordered[1:-1]), "output"]
    return json.dumps({"matrix": least, "ops": ops}, separators=(",", ":"))


def read_module(text: str) -> tuple[np.ndarray, list[int]]:
    """Returns matrix [v v] and labels [v] of a text, vertices as they are there; v is 2 to 7.

    Raises:
        ValueError: not of this form, no upper triangular matrix of 0 and 1, or an unknown op. How many edges
            there are, and where they lead, is the space's to check.
    """
    matrix, ops = _fields(text)
    size = len(ops)
    if not 2 <= size <= NUM_VERTICES or [len(row) for row in matrix] != [size] * size:
        raise ValueError(f"{text!r} must have as many ops as matrix rows and columns, 2 to {NUM_VERTICES}")
    upper = [[0] * (x + 1) + row[x + 1 :] for x, row in enumerate(matrix)]
    if matrix != upper or not all(entry in (0, 1) for row in matrix for entry in row):
        raise ValueError(f"{text!r} must have a matrix of 0 and 1, with 0 on the diagonal and below it")
    if (ops[0], ops[-1]) != ("input", "output") or any(op not in OPS for op in ops[1:-1]):
        raise ValueError(f"{text!r} must have the ops 'input', any of {', '.join(OPS)}, then 'output'")
    return np.array(matrix, int), [INPUT_LABEL, *(OPS.index(op) for op in ops[1:-1]), OUTPUT_LABEL]


def _fields(text: str) -> tuple[list[list[Any]], list[Any]]:
    """Returns the two lists of a text, whatever their entries are."""
    try:
        module = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not JSON ({error}); a module reads {EXAMPLE}") from error
    matrix, ops = (module.get(key) if isinstance(module, dict) else None for key in ("matrix", "ops"))
    if (
        not isinstance(matrix, list)
        or not isinstance(ops, list)
        or not all(isinstance(x, list) for x in matrix)
    ):
        raise ValueError(f"{text!r} lacks a 'matrix' of rows or a list of 'ops'; a module reads {EXAMPLE}")
    return matrix, ops
