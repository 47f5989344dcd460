"""Latency of Once-for-All MobileNetV3 networks on a Samsung Note10: the sum of a published table's entries."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ednag_jax.spaces.mobilenetv3 import EXPAND_RATIOS, KERNELS, MobileNetV3
from ednag_jax.storage import DataError, data_file, digest

FILE = Path("ofa_mobilenetv3") / "ofa_note10_latency_lut.json"
DIGEST = "42304786390f63d51f0c346a1f56ac81f4cdda1789b6cb57f69a9779cc46033d"
RESOLUTIONS = tuple(range(160, 225, 4))
STAGES = ((32, 2, 0, 0), (48, 2, 1, 0), (96, 2, 0, 1), (136, 1, 1, 1), (192, 2, 1, 1))
"""Channels, stride of the first block, squeeze-and-excitation or not, hard swish (1) or ReLU (0)."""
STEM_CHANNELS, EXPANDED_CHANNELS, HEAD_CHANNELS, NUM_CLASSES = 24, 1152, 1536, 1000


class LatencyTable(NamedTuple):
    """Milliseconds of a network's parts, by resolution index."""

    fixed: Float[Array, " r"]
    """Stem, first block and head, which every network has."""
    blocks: Float[Array, "r 5 2 3 3"]
    """By stage, whether the block is the stage's first (0) or a later one (1), kernel and expand ratio."""


def latency(space: MobileNetV3, table: LatencyTable, phenotype: Int[Array, "*b e"]) -> Float[Array, "*b"]:
    """Returns the sum of the latencies of a network's parts, in ms, as the official estimate is made."""
    resolution = space.whole_field(phenotype, 0)
    stage, slot = np.divmod(np.arange(space.num_blocks), space.depth_range[1])
    kernel, ratio = (space.block_field(phenotype, choice) for choice in range(2))
    parts = table.blocks[resolution[..., None], stage, np.minimum(slot, 1), kernel, ratio]
    return table.fixed[resolution] + jnp.sum(parts * space.block_exists(phenotype), axis=-1)


def read_latency(resolutions: tuple[int, ...], directory: str | Path | None = None) -> LatencyTable:
    """Returns the latency table of some resolutions.

    Args:
        resolutions: pixels; 160, 164, ... 224 are in the file.
        directory: the data directory; default is the setting `EDNAG_DATA_DIR`.

    Raises:
        ValueError: a resolution that the file does not have.
        DataError: the file is missing, cut or altered.
    """
    unknown = sorted(set(resolutions) - set(RESOLUTIONS))
    if unknown:
        raise ValueError(f"resolutions {unknown} have no latency; there are 160, 164, ... 224")
    path = data_file(FILE, directory)
    try:
        file = json.loads(path.read_bytes())
        tables = [_parts(file[str(pixels)], pixels) for pixels in RESOLUTIONS]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"data file {str(path)!r} is cut or altered ({error!r}); get it anew") from error
    fixed, blocks = (np.stack(column).astype(np.float32) for column in zip(*tables, strict=True))
    if digest(fixed, blocks) != DIGEST:
        raise DataError(f"data file {str(path)!r} does not hold the published latencies; get it anew")
    rows = [RESOLUTIONS.index(pixels) for pixels in resolutions]
    return LatencyTable(jnp.asarray(fixed[rows]), jnp.asarray(blocks[rows]))


def _parts(entries: dict[str, float], pixels: int) -> tuple[float, Float[np.ndarray, "5 2 3 3"]]:
    """Returns the latency of what every network has, and of every block, at one resolution."""
    size, channels = (pixels + 1) // 2, STEM_CHANNELS
    fixed = entries[f"Conv-input:{_cube(pixels, 3)}-output:{_cube(size, channels)}"]
    fixed += entries[_block((size, channels), (size, channels), 1, 3, (1, 1, 0, 0))]
    blocks = np.empty((len(STAGES), 2, len(KERNELS), len(EXPAND_RATIOS)))
    for stage, (out_channels, stride, excites, swishes) in enumerate(STAGES):
        out = (size - 1) // stride + 1
        for (k, kernel), (e, ratio) in itertools.product(enumerate(KERNELS), enumerate(EXPAND_RATIOS)):
            first = _block((size, channels), (out, out_channels), ratio, kernel, (stride, 0, excites, swishes))
            later = _block((out, out_channels), (out, out_channels), ratio, kernel, (1, 1, excites, swishes))
            blocks[stage, :, k, e] = entries[first], entries[later]
        size, channels = out, out_channels
    fixed += entries[f"Conv_1-input:{_cube(size, channels)}-output:{_cube(size, EXPANDED_CHANNELS)}"]
    fixed += entries[f"AvgPool2D-input:{_cube(size, EXPANDED_CHANNELS)}-output:{_cube(1, EXPANDED_CHANNELS)}"]
    fixed += entries[f"Conv_2-input:{_cube(1, EXPANDED_CHANNELS)}-output:{_cube(1, HEAD_CHANNELS)}"]
    fixed += entries[f"Logits-input:{_cube(1, HEAD_CHANNELS)}-output:{NUM_CLASSES}"]
    return fixed, blocks


def _cube(size: int, channels: int) -> str:
    return f"{size}x{size}x{channels}"


def _block(
    inner: tuple[int, int], outer: tuple[int, int], ratio: int, kernel: int, flags: tuple[int, int, int, int]
) -> str:
    """Returns the file's key of a block; flags are its stride, identity skip, excitation and hard swish."""
    stride, skips, excites, swishes = flags
    shape = f"input:{_cube(*inner)}-output:{_cube(*outer)}-expand:{ratio * inner[1]}-kernel:{kernel}"
    return f"expanded_conv-{shape}-stride:{stride}-idskip:{skips}-se:{excites}-hs:{swishes}"
