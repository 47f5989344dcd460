"""Once-for-All MobileNetV3: the official accuracy predictor, and latency on a phone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ednag_jax.benchmarks.base import Benchmark, Source
from ednag_jax.benchmarks.mobilenetv3_latency import FILE as LATENCY_FILE
from ednag_jax.benchmarks.mobilenetv3_latency import LatencyTable, latency, read_latency
from ednag_jax.config import check_choice
from ednag_jax.spaces.mobilenetv3 import EXPAND_RATIOS, KERNELS, MobileNetV3
from ednag_jax.storage import DataError, data_dir, data_file, digest, read_npz
from ednag_jax.torch_files import read_torch
from ednag_jax.types import KeyArray

DATASETS = ("imagenet",)
METRICS = ("predicted", "latency")
FOLDER = Path("ofa_mobilenetv3")
PREDICTOR_FILES = (FOLDER / "ofa_official_acc_predictor.pth", FOLDER / "acc_predictor_official_ofa.npz")
"""The official release's file, and the same arrays as .npz; either will do."""
SUBNETS_FILE = FOLDER / "moofa_repo_subnets.npz"
SOURCES = (
    Source(
        PREDICTOR_FILES[0].as_posix(),
        "accuracy predictor",
        "as published: acc_predictor.pth of github.com/mit-han-lab/once-for-all, in its tutorial",
    ),
    Source(
        LATENCY_FILE.as_posix(),
        "block latencies on a Samsung Note10",
        "no importer; numbers of github.com/mit-han-lab/once-for-all, its tables latency_table@note10",
    ),
    Source(
        SUBNETS_FILE.as_posix(),
        "2,610 measured subnets",
        "no importer; rows of github.com/MaximeGirard/memory-optimized-once-for-all",
    ),
)
PREDICTOR_SHAPES = ((400, 128), (400, 400), (400, 400), (1, 400))
PREDICTOR_DIGEST = "925b1ee46d57c526cad0f29d5b4cad32889e5f9bad60c65e1a2d367b99adc5d7"
NUM_RESOLUTION_BINS, FIRST_BIN, BIN_WIDTH = 8, 112, 16


class Predictor(NamedTuple):
    """A perceptron: weights [out in] and biases [out] of each layer, ReLU between them."""

    weights: tuple[Float[Array, "out in"], ...]
    biases: tuple[Float[Array, " out"], ...]


@dataclass(frozen=True)
class OnceForAll:
    """The fitness function of both quantities: the kind of `params` says which one is asked for."""

    space: MobileNetV3

    def __call__(
        self, params: Predictor | LatencyTable, key: KeyArray, phenotype: Int[Array, "n e"]
    ) -> Float[Array, " n"]:
        """Returns predicted top-1 in percent, or latency in ms; with a negated table its negative."""
        del key  # neither draws
        if isinstance(params, Predictor):
            return predicted_top1(self.space, params, phenotype)
        return latency(self.space, params, phenotype)


def load(dataset: str, metric: str = "predicted", directory: str | Path | None = None) -> Benchmark:
    """Returns the benchmark: predicted ImageNet top-1 in percent, or latency on a Samsung Note10 in ms.

    Both are there as columns, `predicted` and `latency` (ms, not negated), where their files are. The
    predictor orders networks of one resolution as measurements do (Pearson .88 and .90 at 160 and 192 pixels,
    over 1,671 measured subnets), but says 5.7 to 5.9 points too much, and is off below 160 pixels, which the
    space leaves out. No optimum is known.

    Args:
        dataset: `imagenet`.
        metric: `predicted` (default), or `latency`, where less is better and the search sees it negated.
        directory: the data directory; default is the setting `EDNAG_DATA_DIR`.

    Raises:
        ValueError: unknown data set or metric.
        DataError: a file that is missing, cut or altered.
    """
    check_choice("dataset", dataset, DATASETS)
    check_choice("metric", metric, METRICS)
    space = MobileNetV3()
    columns: dict[str, Predictor | LatencyTable] = {}
    if metric == "predicted" or _is_there(PREDICTOR_FILES, directory):
        columns["predicted"] = read_predictor(directory)
    if metric == "latency" or _is_there((LATENCY_FILE,), directory):
        columns["latency"] = read_latency(space.resolutions, directory)
    is_latency = metric == "latency"
    return Benchmark.from_function(
        space,
        OnceForAll(space),
        jax.tree.map(jnp.negative, columns[metric]) if is_latency else columns[metric],
        name="mobilenetv3",
        columns=columns,
        dataset=dataset,
        metric="latency on a Samsung Note10" if is_latency else "predicted top-1 accuracy",
        unit="ms" if is_latency else "percent",
        direction="min" if is_latency else "max",
    )


def predicted_top1(
    space: MobileNetV3, predictor: Predictor, phenotype: Int[Array, "*b e"]
) -> Float[Array, "*b"]:
    """Returns what the official predictor says of ImageNet top-1, in percent; trust it from 160 pixels on."""
    hidden = features(space, phenotype)
    for weight, bias in zip(predictor.weights[:-1], predictor.biases[:-1], strict=True):
        hidden = jax.nn.relu(_dense(hidden, weight, bias))
    return 100 * _dense(hidden, predictor.weights[-1], predictor.biases[-1])[..., 0]


def features(space: MobileNetV3, phenotype: Int[Array, "*b e"]) -> Float[Array, "*b 128"]:
    """Returns the predictor's input, all of it zeros and ones.

    Kernel one-hot of every block (20 x 3), then expand ratio (20 x 3), both 0 where the block does not
    exist; then the resolution, one-hot in 8 bins of 16 pixels from 112 on.
    """
    exists = space.block_exists(phenotype)[..., None]
    one_hots = [jax.nn.one_hot(space.block_field(phenotype, f), 3) * exists for f in range(2)]
    bins = (jnp.array(space.resolutions) - FIRST_BIN) // BIN_WIDTH
    resolution = jax.nn.one_hot(bins[space.whole_field(phenotype, 0)], NUM_RESOLUTION_BINS)
    flat = [one_hot.reshape(*phenotype.shape[:-1], -1) for one_hot in one_hots]
    return jnp.concatenate([*flat, resolution], axis=-1)


def _dense(x: Float[Array, "*b in"], weight: Float[Array, "out in"], bias: Float[Array, " out"]) -> Array:
    """Returns W x + b in full float32, also where the device would round to fewer bits."""
    return jnp.matmul(x, weight.T, precision=jax.lax.Precision.HIGHEST) + bias


def read_predictor(directory: str | Path | None = None) -> Predictor:
    """Returns the official predictor's weights, from the .pth or the .npz, whichever is there.

    Raises:
        DataError: neither is there, or the file is cut or altered.
    """
    place = next((file for file in PREDICTOR_FILES if _is_there((file,), directory)), PREDICTOR_FILES[0])
    return predictor_of(data_file(place, directory))


def predictor_of(path: Path) -> Predictor:
    """Returns the weights that a file holds under the names `0.weight`, `0.bias`, `2.weight` ... `6.bias`.

    Raises:
        DataError: the file is cut, or its arrays are not the published ones.
    """
    content = path.read_bytes()
    arrays = read_npz(content, str(path)) if path.suffix == ".npz" else read_torch(content, str(path))
    names = [f"{2 * layer}.{part}" for part in ("weight", "bias") for layer in range(len(PREDICTOR_SHAPES))]
    missing = [name for name in names if name not in arrays]
    if missing:
        raise DataError(f"data file {str(path)!r} lacks {missing}; get it anew")
    found = [np.ascontiguousarray(arrays[name]) for name in names]
    if digest(*found) != PREDICTOR_DIGEST:
        raise DataError(f"data file {str(path)!r} does not hold the published weights; get it anew")
    weights, biases = found[: len(PREDICTOR_SHAPES)], found[len(PREDICTOR_SHAPES) :]
    return Predictor(tuple(map(jnp.asarray, weights)), tuple(map(jnp.asarray, biases)))


class Measured(NamedTuple):
    """Subnets whose accuracy was measured, with weights inherited from the supernet."""

    space: MobileNetV3
    """With the resolutions that were measured: 128, 160 and 192 pixels."""
    phenotype: Int[Array, "n e"]
    top1: Float[np.ndarray, " n"]
    """On the 50,000 ImageNet validation images, in percent."""


def measured_subnets(directory: str | Path | None = None) -> Measured:
    """Returns 2,610 measured subnets of the official supernet: for checking the predictor, not for search.

    Raises:
        DataError: the file is missing, cut or altered.
    """
    path = data_file(SUBNETS_FILE, directory)
    table = read_npz(path.read_bytes(), str(path))
    keys = ("image_size", "d", "ks", "e", "top1")
    missing = [key for key in keys if f"MIT_OFA_{key}" not in table]
    if missing:
        raise DataError(f"data file {str(path)!r} lacks columns {missing} of MIT_OFA; get it anew")
    sizes, depths, kernels, ratios, top1 = (table[f"MIT_OFA_{key}"] for key in keys)
    space = MobileNetV3.with_resolutions(tuple(int(pixels) for pixels in np.unique(sizes)))
    indices = [
        np.searchsorted(space.resolutions, sizes[:, None]),
        depths - space.depth_range[0],
        np.searchsorted(KERNELS, kernels),
        np.searchsorted(EXPAND_RATIOS, ratios),
    ]
    phenotype = space.canonical(jnp.asarray(np.concatenate(indices, axis=1), jnp.int32))
    if not (bool(space.is_valid(phenotype).all()) and 0.6 < top1.min() <= top1.max() < 0.8):
        raise DataError(f"data file {str(path)!r} has subnets that are none of the space; get it anew")
    return Measured(space, phenotype, 100 * top1)


def _is_there(files: tuple[Path, ...], directory: str | Path | None) -> bool:
    """Returns whether the data directory has one of the files."""
    folder = data_dir(directory)
    return folder is not None and any((folder / file).is_file() for file in files)
