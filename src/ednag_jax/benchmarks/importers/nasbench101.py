"""The official NAS-Bench-101 file, read without TensorFlow: validation and test accuracy of every module."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt32

from ednag_jax.benchmarks import nasbench101 as benchmark
from ednag_jax.benchmarks.importers.protobuf import double, fields
from ednag_jax.benchmarks.importers.tfrecord import read_records
from ednag_jax.spaces.nasbench101_graph import EDGES, NUM_VERTICES
from ednag_jax.storage import DataError

TARGET = benchmark.FILE
OFFICIAL = "nasbench_only108.tfrecord (or nasbench_full.tfrecord), linked from https://github.com/google-research/nasbench"
LABELS = {"conv3x3-bn-relu": 0, "conv1x1-bn-relu": 1, "maxpool3x3": 2}
INPUT, OUTPUT, NO_VERTEX = -1, -2, -9
NUM_REPEATS = 3
EVALUATIONS, PARAMETERS = 1, 2
"""Fields of a ModelMetrics message: one evaluation at the start, halfway and at the end; number of weights."""
VALID, TEST = 4, 5
"""Fields of an evaluation: accuracies as fractions."""


class Training(NamedTuple):
    """One record: a module trained once."""

    name: str
    """The official hash, 32 hex digits."""
    module: tuple[str, str, int]
    """Adjacency matrix row by row as 0s and 1s, names of the ops joined by commas, trainable parameters."""
    valid: float
    test: float


def read(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of the data file, one row a module, in the order of the official hashes.

    Takes half a minute and 0.7 GB of memory. Of the larger file, trainings of other lengths than 108
    epochs are passed over.

    Raises:
        DataError: the file is cut or altered, or is another.
    """
    return benchmark.checked(table_of(read_records(path)), "its table")


def table_of(records: Iterable[bytes]) -> dict[str, np.ndarray]:
    """Returns the arrays of any number of modules, after checking that each has three trainings.

    Raises:
        DataError: a record is no training of a module, or trainings are missing or disagree.
    """
    modules: dict[str, tuple[str, str, int]] = {}
    runs: dict[str, list[tuple[float, float]]] = {}
    for number, record in enumerate(records):
        training = parsed(record, number)
        if training is None:
            continue
        if modules.setdefault(training.name, training.module) != training.module:
            raise DataError(f"record {number} gives module {training.name} another graph than an earlier one")
        runs.setdefault(training.name, []).append((training.valid, training.test))
    names = sorted(modules)
    wrong = [name for name in names if len(runs[name]) != NUM_REPEATS]
    if wrong or not names:
        example = f", such as {wrong[0]} with {len(runs[wrong[0]])}" if wrong else ""
        raise DataError(
            f"{len(wrong)} of its {len(names)} modules do not have {NUM_REPEATS} trainings of "
            f"{benchmark.EPOCHS} epochs{example}; was it cut?"
        )
    accuracy = np.array([runs[name] for name in names]).mean(axis=1).astype(np.float32)
    return {
        **_graphs([modules[name] for name in names]),
        benchmark.VALID: accuracy[:, 0],
        benchmark.TEST: accuracy[:, 1],
    }


def parsed(record: bytes, number: int) -> Training | None:
    """Returns the training that a record describes; None where it is of another number of epochs.

    Args:
        record: a JSON list of hash, epochs, matrix, ops, and a ModelMetrics message in base64.
        number: of the record, for errors.

    Raises:
        DataError: the record is of another form.
    """
    try:
        name, epochs, matrix, ops, metrics = json.loads(record)
        if epochs != benchmark.EPOCHS:
            return None
        message = list(fields(base64.b64decode(metrics, validate=True)))
        *_, final = (value for field, value in message if field == EVALUATIONS)
        (params,) = (value for field, value in message if field == PARAMETERS)
        evaluation = dict(fields(bytes(final)))
        if len(name) != 32 or len(matrix) != len(_labels(ops)) ** 2 or set(matrix) - set("01"):
            raise DataError(f"module {name!r} has matrix {matrix!r} for the ops {ops!r}")
        accuracies = double(evaluation.get(VALID)), double(evaluation.get(TEST))
        return Training(name, (matrix, ops, int(params)), *accuracies)
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"record {number} is no training of a module ({error})") from error


@cache
def _labels(ops: str) -> tuple[int, ...]:
    """Returns the label of each vertex; few lists of ops exist, so each is read once."""
    first, *interior, last = ops.split(",")
    unknown = set(interior) - set(LABELS)
    if first != "input" or last != "output" or unknown or len(interior) > NUM_VERTICES - 2:
        raise DataError(f"{ops!r} is not input, up to {NUM_VERTICES - 2} of {', '.join(LABELS)}, output")
    return (INPUT, *(LABELS[op] for op in interior), OUTPUT)


def _graphs(modules: list[tuple[str, str, int]]) -> dict[str, np.ndarray]:
    """Returns the arrays that describe the modules themselves."""
    labels = [_labels(ops) for _, ops, _ in modules]
    num_vertices = np.array([len(label) for label in labels], np.uint8)
    adj_bits = np.zeros(len(modules), np.uint32)
    for count in np.unique(num_vertices).tolist():
        rows = np.flatnonzero(num_vertices == count)
        adj_bits[rows] = _edge_bits([modules[row][0] for row in rows], count)
    return {
        "num_vertices": num_vertices,
        "adj_bits": adj_bits,
        "ops": _padded(labels),
        "params": np.array([params for *_, params in modules], np.int32),
    }


def _padded(labels: list[tuple[int, ...]]) -> Int[np.ndarray, "n 7"]:
    return np.array([label + (NO_VERTEX,) * (NUM_VERTICES - len(label)) for label in labels], np.int8)


def _edge_bits(matrices: list[str], num_vertices: int) -> UInt32[np.ndarray, " n"]:
    """Returns the edges of matrices of one size, bit x + y (y - 1) / 2 for the edge x -> y.

    Raises:
        DataError: an edge does not point forwards.
    """
    flat = np.frombuffer("".join(matrices).encode(), np.uint8) - ord("0")
    matrix = flat.reshape(-1, num_vertices, num_vertices)
    if np.tril(matrix).any():
        raise DataError("a module has an edge that does not point forwards")
    bits = np.zeros(len(matrix), np.uint32)
    for bit, (source, target) in enumerate(EDGES):
        if target < num_vertices:
            bits |= matrix[:, source, target].astype(np.uint32) << np.uint32(bit)
    return bits
