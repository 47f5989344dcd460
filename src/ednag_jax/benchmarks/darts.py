"""The DARTS space on CIFAR-10: a surrogate fitted here to few cells, or a table of the official predictions.

NAS-Bench-301 (Zela et al. 2022) is itself a surrogate: models of the validation accuracy of DARTS cells after
100 epochs. The data directory has its accuracies for 725 cells. `load` fits a small-data surrogate of that
surrogate to 580 of them, and `held_out` says how well it does on the other 145 (R2 0.92, Kendall tau 0.83). The
cells that a search finds best lie above the best of the 725, 94.49 percent, where nothing checks it: good for
comparing search methods, not for quoting accuracies. For those there are the official surrogate and
`load_predictions`.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.stats import kendalltau

from ednag_jax.benchmarks.base import Benchmark, Source
from ednag_jax.benchmarks.darts_surrogate import ExpectedAccuracy, Scales, fit
from ednag_jax.benchmarks.hash_table import HashLookup, hash_tables
from ednag_jax.benchmarks.table_file import read_columns
from ednag_jax.config import check_choice
from ednag_jax.spaces.darts import CELLS, NUM_EDGES, Darts, parsed
from ednag_jax.storage import DataError, data_file, read_npz

DATASETS = ("cifar10",)
METRICS = ("valid",)
EPOCHS = 100
SPACE = Darts()
FILE = Path("darts_nb301") / "nb301_naslib.npz"
SOURCES = (
    Source(
        FILE.as_posix(),
        "725 cells with NAS-Bench-301 accuracies",
        "no importer; arrays from the zero-cost files of github.com/automl/NASLib",
    ),
)
NUM_CELLS, NUM_FITTED, SPLIT_SEED = 725, 580, 0
LANDMARKS = (91.2366, 94.4889, 93.1218)
"""Least, greatest and mean accuracy: tells another column or order of magnitude."""
LANDMARK_TOLERANCE = 1e-3
SCALES = Scales(weights=(0.0106, 0.0051, 0.0303, 0.0148), signal=29.0, noise=0.0379)
"""Where the likelihood of the fitted cells is greatest."""


class Quality(NamedTuple):
    """How well a surrogate says what cells score that it was not fitted to."""

    r2: float
    kendall_tau: float
    rmse: float
    """Percent."""


def load(dataset: str, metric: str = "valid", directory: str | Path | None = None) -> Benchmark:
    """Returns the benchmark of the small-data surrogate, fitted to 580 cells in a second; optimum not known.

    Args:
        dataset: `cifar10`.
        metric: `valid`: validation accuracy in percent, as the surrogate has it.
        directory: the data directory; default is the setting `EDNAG_DATA_DIR`.

    Raises:
        ValueError: unknown data set or metric.
        DataError: the file is missing, cut or altered.
    """
    check_choice("dataset", dataset, DATASETS)
    check_choice("metric", metric, METRICS)
    phenotype, accuracy = read_cells(directory)
    fitted, _ = split()
    return Benchmark.from_function(
        SPACE,
        ExpectedAccuracy(SPACE),
        fit(phenotype[fitted], accuracy[fitted], SCALES),
        name=SPACE.name,
        dataset=dataset,
        metric=f"accuracy by a surrogate of {NUM_FITTED} cells",
        epochs=EPOCHS,
    )


def held_out(directory: str | Path | None = None) -> Quality:
    """Returns how well the surrogate of `load` predicts the 145 cells that it was not fitted to.

    The kernel's scales were chosen on the 580 alone; kinds of features were compared on all 725 first.

    Raises:
        DataError: the file is missing, cut or altered.
    """
    phenotype, accuracy = read_cells(directory)
    _, rest = split()
    benchmark = load(DATASETS[0], directory=directory)
    predicted = np.asarray(benchmark.lookup(jnp.asarray(phenotype[rest])), np.float64)
    error = np.mean((predicted - accuracy[rest]) ** 2)
    return Quality(
        r2=float(1 - error / np.var(accuracy[rest])),
        kendall_tau=float(kendalltau(predicted, accuracy[rest]).statistic),
        rmse=float(np.sqrt(error)),
    )


def split() -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " k"]]:
    """Returns the rows fitted and the rows held out, the same every time."""
    order = np.random.default_rng(SPLIT_SEED).permutation(NUM_CELLS)
    return order[:NUM_FITTED], order[NUM_FITTED:]


def read_cells(directory: str | Path | None = None) -> tuple[Int[np.ndarray, "m e"], Float[np.ndarray, " m"]]:
    """Returns the phenotypes and NAS-Bench-301 accuracies, in percent, of 725 different cells.

    Raises:
        DataError: the file is missing, cut or altered.
    """
    path = data_file(FILE, directory)
    table = read_npz(path.read_bytes(), str(path))
    expected = {"nb301_arch": (NUM_CELLS, len(CELLS), NUM_EDGES, 2), "nb301_val_acc": (NUM_CELLS,)}
    found = {key: table[key].shape for key in expected if key in table}
    if found != expected:
        raise DataError(f"data file {str(path)!r} has arrays {found}, expected {expected}; was it cut?")
    phenotype = table["nb301_arch"].astype(np.int32).reshape(NUM_CELLS, -1)
    accuracy = table["nb301_val_acc"].astype(np.float64)
    invalid = int(np.sum(~np.asarray(jax.jit(SPACE.is_valid)(phenotype))))
    if invalid:
        raise DataError(f"data file {str(path)!r} has {invalid} rows that are no DARTS cells; get it anew")
    measured = (accuracy.min(), accuracy.max(), accuracy.mean())
    if not np.allclose(measured, LANDMARKS, rtol=0, atol=LANDMARK_TOLERANCE):
        raise DataError(
            f"data file {str(path)!r} has least, greatest and mean accuracy {np.round(measured, 4).tolist()}, "
            f"expected {LANDMARKS}; it is altered. Get it anew."
        )
    return phenotype, accuracy


def load_predictions(path: str | Path, *, name: str = "darts_predictions") -> Benchmark:
    """Returns a benchmark over the cells that a file lists; all others fail to evaluate (NaN).

    It scores cells that a search found, and baselines, by the official surrogate, whose software this project
    does without. The file has two columns: `genotype`, texts `Genotype(normal=[...], ...)`, and `accuracy`, in
    percent: a .csv with these names in its first line and the texts in double quotes, or an .npz of two arrays.

    Raises:
        DataError: the file is missing or of another form, a text is no cell, a number is not finite, or a
            cell occurs twice.
    """
    genotypes, accuracy = read_columns(Path(path), "genotype")
    try:
        phenotypes = jnp.array([parsed(text) for text in genotypes], jnp.int32)
    except ValueError as error:
        raise DataError(f"file {str(path)!r}: {error}") from error
    ids = np.asarray(jax.jit(SPACE.arch_id)(phenotypes))
    return Benchmark.from_function(
        SPACE,
        HashLookup(SPACE),
        hash_tables(ids, {"accuracy": accuracy})["accuracy"],
        name=name,
        dataset=DATASETS[0],
        metric=f"accuracy predicted for {len(accuracy)} listed cells",
        epochs=EPOCHS,
    )
