"""NAS-Bench-101's accuracies, from the data directory: test always, validation where the file has it."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from ednag_jax.benchmarks.base import Benchmark, Source
from ednag_jax.benchmarks.hash_table import HashLookup, hash_tables
from ednag_jax.config import check_choice
from ednag_jax.spaces import SPACES
from ednag_jax.spaces.nasbench101_graph import EDGES, NUM_INTERIOR, NUM_VERTICES
from ednag_jax.storage import DataError, data_dir, read_npz

DATASETS = ("cifar10",)
METRICS = ("valid", "test")
EPOCHS = 108
FILE = Path("nasbench101") / "nasbench101.npz"
SOURCES = (
    Source(
        FILE.as_posix(),
        "test and validation accuracy, parameters",
        "ednag import nasbench101 nasbench_only108.tfrecord; that file: github.com/google-research/nasbench",
    ),
)
VALID, TEST = "valid_acc108_mean3", "test_acc108_mean3"
SHAPES = {"num_vertices": (), "adj_bits": (), "ops": (NUM_VERTICES,), TEST: (), "params": ()}
"""Of one module: number of vertices, edges as bits, ops (-1 input, -2 output, -9 none), test accuracy as a
fraction (mean of 3 trainings), trainable parameters. `VALID` is the like of `TEST` and may be missing."""
LANDMARKS = {VALID: (0.950554,), TEST: (0.943176, 0.896798), "params": (49_979_274, 8_459_761.9)}
"""Greatest value and mean of a column: tells another epoch budget, split or order. The greatest validation
accuracy is one minus the least error that the authors of the benchmark's baselines published."""
LANDMARK_TOLERANCE = 1e-5
"""Relative."""


def load(dataset: str, metric: str | None = None, directory: str | Path | None = None) -> Benchmark:
    """Returns the benchmark: accuracy after 108 epochs, mean of 3 trainings, in percent.

    The column `params` is the number of trainable parameters.

    Args:
        dataset: `cifar10`.
        metric: `valid`, or `test`: what it sees is then what it is judged by (protocol `paper`). Default is
            `valid` where the file has it, else `test`.
        directory: the data directory; default is the setting `EDNAG_DATA_DIR`.

    Raises:
        ValueError: unknown data set or metric.
        DataError: validation accuracy asked for, or a file that is missing, cut or altered.
    """
    check_choice("dataset", dataset, DATASETS)
    if metric is not None:
        check_choice("metric", metric, METRICS)
    table = read_table(directory)
    metric = metric or ("valid" if VALID in table else "test")
    if metric == "valid" and VALID not in table:
        raise DataError(
            f"{str(FILE)!r} has test accuracy only, so 'valid' cannot be searched; metric='test' searches test "
            "accuracy (protocol paper), `ednag import nasbench101` makes a file with both"
        )
    space = SPACES["nasbench101"]
    modules = jnp.asarray(phenotypes(table["num_vertices"], table["adj_bits"], table["ops"]))
    invalid = int(jnp.sum(~space.is_valid(modules)))
    if invalid:
        raise DataError(f"data file {str(FILE)!r} has {invalid} rows that are no modules; get it anew")
    columns = {"test": 100 * table[TEST].astype(np.float32), "params": table["params"]}
    if VALID in table:
        columns["valid"] = 100 * table[VALID].astype(np.float32)
    tables = hash_tables(np.asarray(jax.jit(space.arch_id)(modules)), columns)
    return Benchmark.from_function(
        space,
        HashLookup(space),
        tables[metric],
        name="nasbench101",
        test_params=tables.pop("test"),
        columns=tables,
        dataset=dataset,
        metric=metric,
        epochs=EPOCHS,
        optimum=float(columns[metric].max()),
    )


def read_table(directory: str | Path | None = None) -> dict[str, np.ndarray]:
    """Returns the file's arrays, one row a module, after checking shapes, numbers and landmarks.

    Raises:
        DataError: the file is missing, cut or altered.
    """
    folder = data_dir(directory)
    if folder is None or not (folder / FILE).is_file():
        raise DataError(
            f"data file {str(FILE)!r} is missing in the data directory (now {folder}); see `ednag data --help`"
        )
    path = folder / FILE
    return checked(read_npz(path.read_bytes(), str(path)), f"data file {str(path)!r}")


def checked(table: dict[str, np.ndarray], owner: str) -> dict[str, np.ndarray]:
    """Returns a table after checking shapes, numbers and landmarks; `owner` names it in errors.

    Raises:
        DataError: it is not that of all modules after 108 epochs.
    """
    shapes = {**SHAPES, VALID: ()} if VALID in table else SHAPES
    expected = {key: (SPACES["nasbench101"].size, *shape) for key, shape in shapes.items()}
    found = {key: table[key].shape for key in shapes if key in table}
    if found != expected:
        raise DataError(f"{owner} has arrays {found}, expected {expected}; was it cut?")
    for key, landmarks in LANDMARKS.items():
        if key not in table:
            continue
        measured = (table[key].max(), table[key].mean(dtype=np.float64))
        if not np.allclose(measured[: len(landmarks)], landmarks, rtol=LANDMARK_TOLERANCE):
            raise DataError(
                f"{owner}: {key} has greatest {measured[0]:.6f} and mean {measured[1]:.6f}, "
                f"expected {landmarks}; it is altered, or of another epoch budget. Get it anew."
            )
    return table


def phenotypes(num_vertices: np.ndarray, adj_bits: np.ndarray, ops: np.ndarray) -> Int[np.ndarray, "n 26"]:
    """Returns the phenotypes of a file's rows: the output moves to vertex 6, missing vertices get op 0.

    Args:
        num_vertices: [n], 2 to 7; the last is the output.
        adj_bits: [n], bit x + y (y - 1) / 2 for the edge x -> y.
        ops: [n 7].
    """
    output = num_vertices.astype(int) - 1
    edges = np.zeros((len(output), len(EDGES)), np.int32)
    for bit, (source, target) in enumerate(EDGES):
        moved = np.where(target == output, NUM_VERTICES - 1, target)
        edges[np.arange(len(output)), source + moved * (moved - 1) // 2] |= (adj_bits >> bit & 1).astype(
            np.int32
        )
    interior = np.arange(1, NUM_INTERIOR + 1)
    return np.concatenate(
        [edges, np.where(interior < output[:, None], ops[:, interior], 0)], axis=1, dtype=np.int32
    )
