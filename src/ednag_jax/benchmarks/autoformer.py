"""AutoFormer-Tiny subnets whose accuracy was measured: ViT-Bench-101 (Wei et al. 2024)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ednag_jax.benchmarks.base import Benchmark, Source
from ednag_jax.benchmarks.hash_table import HashLookup, hash_tables
from ednag_jax.config import check_choice
from ednag_jax.spaces.autoformer import AutoFormer
from ednag_jax.storage import DataError, data_file

FILE = Path("vitbench101") / "gt_autoformer.json"
SOURCES = (
    Source(
        FILE.as_posix(),
        "100 measured subnets of autoformer_tiny",
        "as published: gt_autoformer.json of github.com/lilujunai/Auto-Prox-AAAI24",
    ),
)
METRICS = ("measured",)
NUM_SUBNETS = 100
TRAINED, DISTILLED = "accuracy, trained from scratch", "accuracy, trained with a teacher"
INHERITED = "accuracy, weights inherited from the supernet"


class Column(NamedTuple):
    """An accuracy of the file, in percent."""

    key: str
    metric: str
    best: float
    mean: float
    """Best and mean of the 100: tell another column or an altered file."""


COLUMNS = {
    "cifar100": Column("c100_base_acc", TRAINED, 69.91, 68.8174),
    "cifar100_distilled": Column("c100_kd_acc", DISTILLED, 78.54, 77.5646),
    "flowers": Column("flower_base_acc", TRAINED, 54.9845, 53.4479),
    "flowers_distilled": Column("flower_kd_acc", DISTILLED, 69.1657, 67.5960),
    "chaoyang": Column("chaoyang_base_acc", TRAINED, 83.2165, 81.8181),
    "chaoyang_distilled": Column("chaoyang_kd_acc", DISTILLED, 86.3955, 84.9065),
    "imagenet": Column("imagenet_super_acc", INHERITED, 75.51, 73.7494),
}
DATASETS = tuple(COLUMNS)
LANDMARK_TOLERANCE = 1e-3


class Measured(NamedTuple):
    """The subnets of the file and their accuracies."""

    phenotype: Int[np.ndarray, "100 e"]
    accuracy: dict[str, Float[np.ndarray, "100"]]
    """By data set, in percent."""


def load(dataset: str, metric: str = "measured", directory: str | Path | None = None) -> Benchmark:
    """Returns the accuracies of 100 subnets, in percent; every other architecture fails (NaN).

    The subnets are one in ten million of the space, so this is for checking proxies and predictors against
    measurements, by `measured`, and not for search. No optimum is known.

    Args:
        dataset: one of `DATASETS`. On ImageNet the weights are inherited from the supernet; elsewhere each
            subnet was trained, from scratch or, `_distilled`, with a teacher.
        metric: `measured`.
        directory: the data directory; default is the setting `EDNAG_DATA_DIR`.

    Raises:
        ValueError: unknown data set or metric.
        DataError: the file is missing, cut or altered.
    """
    check_choice("dataset", dataset, DATASETS)
    check_choice("metric", metric, METRICS)
    space = AutoFormer.of_size("tiny")
    subnets = measured(directory)
    tables = hash_tables(np.asarray(space.arch_id(jnp.asarray(subnets.phenotype))), subnets.accuracy)
    return Benchmark.from_function(
        space,
        HashLookup(space),
        tables[dataset],
        name="autoformer_tiny",
        columns=tables,
        dataset=dataset,
        metric=COLUMNS[dataset].metric,
    )


def measured(directory: str | Path | None = None) -> Measured:
    """Returns the measured subnets, row by row as in the file.

    Raises:
        DataError: the file is missing, cut or altered.
    """
    path, space = data_file(FILE, directory), AutoFormer.of_size("tiny")
    try:
        rows = json.loads(path.read_bytes())
        phenotype = np.stack([np.asarray(space.from_str(_text(row["arch"]))) for row in rows])
        table = {name: np.array([row[column.key] for row in rows], float) for name, column in COLUMNS.items()}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"data file {str(path)!r} is cut or altered ({error!r}); get it anew") from error
    if len(rows) != NUM_SUBNETS:
        raise DataError(f"data file {str(path)!r} has {len(rows)} subnets, expected {NUM_SUBNETS}; was it cut?")
    for name, column in COLUMNS.items():
        found = (table[name].max(), table[name].mean())
        if not np.allclose(found, (column.best, column.mean), atol=LANDMARK_TOLERANCE):
            raise DataError(
                f"data file {str(path)!r}: {column.key} has best {found[0]:.4f} and mean {found[1]:.4f}, "
                f"expected {column.best} and {column.mean}; it is altered. Get it anew."
            )
    return Measured(phenotype, table)


def _text(arch: dict[str, Any]) -> str:
    """Returns the text form of an architecture of the file."""
    if len(arch["mlp_ratio"]) != arch["depth"]:
        raise ValueError(f"{arch} does not have a ratio and heads for every block")
    blocks = zip(arch["mlp_ratio"], arch["num_heads"], strict=True)
    return f"d{arch['hidden_dim']} | " + " ".join(f"m{ratio:g}h{heads}" for ratio, heads in blocks)
