"""What proxies are compared with: architectures, the scores that others computed, accuracies; and images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ednag_jax.benchmarks import autoformer
from ednag_jax.spaces import SPACES
from ednag_jax.storage import data_file, read_npz

TABLE = Path("nasbench201") / "nasbench201.npz"
DARTS = Path("darts_nb301") / "nb301_naslib.npz"
IMAGES = Path("images") / "cifar10_small.npz"
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
"""Of CIFAR-10's channels, on the scale from 0 to 1."""
SEED, NUM_DRAWN, NUM_IMAGES = 0, 300, 32


class Study(NamedTuple):
    """Architectures of a space, and what is known of them."""

    space: str
    phenotype: np.ndarray
    published: Mapping[str, np.ndarray | None]
    """Proxy to compute -> its scores by others, or None."""
    accuracy: Mapping[str, np.ndarray]
    """Data set -> percent."""


def studies(directory: Path | None) -> dict[str, Study]:
    """Returns what is compared: title -> study."""
    subnets = autoformer.measured(directory)
    unknown = dict.fromkeys(("dss", "parameters", "flops"))
    return {
        "NAS-Bench-201": _nasbench201(directory),
        **_darts(directory),
        "AutoFormer-Tiny": Study("autoformer_tiny", subnets.phenotype, unknown, subnets.accuracy),
    }


def _nasbench201(directory: Path | None) -> Study:
    """Returns cells with SynFlow, NASWOT and size by others, and validation accuracies."""
    table = _read(TABLE, directory)
    row = np.random.default_rng(SEED).choice(len(table["ops"]), NUM_DRAWN, replace=False)
    names = {"synflow": "synflow", "naswot": "naswot", "parameters": "params"}
    published = {proxy: table[f"cifar10_{name}"][row] for proxy, name in names.items()}
    accuracy = {name: table[f"{name}_valid"][row] for name in ("cifar10", "cifar100", "ImageNet16-120")}
    return Study("nasbench201", table["ops"][row], {**published, "zen_score": None, "flops": None}, accuracy)


def _darts(directory: Path | None) -> dict[str, Study]:
    """Returns cells with scores by others: some drawn, without accuracy; and all those with accuracy."""
    table, fields = _read(DARTS, directory), SPACES["darts"].num_fields
    row = np.random.default_rng(SEED).choice(len(table["all_zen"]), NUM_DRAWN, replace=False)
    drawn = table["all_archs"][row].reshape(-1, fields)
    scores = {"zen_score": table["all_zen"][row], "naswot": table["all_nwot"][row]}
    sizes = {"parameters": table["nb301_zc_params"], "flops": table["nb301_zc_flops"]}
    listed, accuracy = table["nb301_arch"].reshape(-1, fields), {"NAS-Bench-301": table["nb301_val_acc"]}
    return {
        "DARTS": Study("darts", drawn, scores, {}),
        "DARTS, with accuracy": Study("darts", listed, sizes, accuracy),
    }


def drawn_studies() -> dict[str, Study]:
    """Returns two random architectures of two spaces, of which nothing is known."""
    proxies = {"nasbench201": ("naswot", "flops"), "darts": ("zen_score",)}
    key = jax.random.key(SEED)
    return {s: Study(s, np.asarray(SPACES[s].random(key, 2)), dict.fromkeys(proxies[s]), {}) for s in proxies}


def normalised_images(directory: Path | None) -> jax.Array:
    """Returns images of CIFAR-10."""
    pixels = _read(IMAGES, directory)["x_train"]
    chosen = pixels[np.random.default_rng(SEED).choice(len(pixels), NUM_IMAGES, replace=False)]
    return jnp.asarray((chosen / 255 - np.array(MEAN)) / np.array(STD), jnp.float32)


def _read(path: Path, directory: Path | None) -> dict[str, np.ndarray]:
    return read_npz(data_file(path, directory).read_bytes(), str(path))
