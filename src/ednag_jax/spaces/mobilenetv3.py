"""The MobileNetV3 space of Once-for-All (Cai et al. 2020): depths, kernels, expand ratios and a resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from ednag_jax.spaces.staged import Choice, StagedSpace
from ednag_jax.types import HostPhenotype

RESOLUTIONS = (160, 176, 192, 208, 224)
"""Pixels. Those that the official search chooses from: the accuracy predictor tells apart steps of 16, so that
finer ones would be different architectures of the same predicted accuracy, and below 160 it is off."""
KERNELS = (3, 5, 7)
EXPAND_RATIOS = (3, 4, 6)


@dataclass(frozen=True)
class MobileNetV3(StagedSpace):
    """5 stages of 2 to 4 blocks, each block of kernel 3, 5 or 7 and expand ratio 3, 4 or 6; a resolution.

    The width multiplier is no choice: the latency table is for 1.2, the measured subnets are of 1.0, and the
    predictor does not say. 7371^5 = 2.2 * 10^19 networks (the paper's 2 * 10^19), times the resolutions.
    Other resolutions: `MobileNetV3.with_resolutions`.

    >>> space = MobileNetV3()
    >>> space.size == 5 * 7371**5
    True
    >>> text = "r224 | k3e3 k5e6 | k3e3 k3e3 | k7e4 k3e3 k3e3 | k3e3 k3e3 | k3e3 k3e3"
    >>> space.to_str(space.from_str(text)) == text
    True
    """

    name: str = "mobilenetv3"
    whole: tuple[Choice, ...] = (Choice("r", RESOLUTIONS),)
    block: tuple[Choice, ...] = (Choice("k", KERNELS), Choice("e", EXPAND_RATIOS))
    num_stages: int = 5
    depth_range: tuple[int, int] = (2, 4)

    @classmethod
    def with_resolutions(cls, resolutions: tuple[int, ...]) -> MobileNetV3:
        """Returns the space with other resolutions to choose from."""
        return cls(whole=(Choice("r", resolutions),))

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Pixels, in the order of the resolution's index."""
        return tuple(int(value) for value in self.whole[0].values)

    def to_config(self, phenotype: HostPhenotype) -> dict[str, Any]:
        """Returns the official release's configuration: `r`, and per stage or block `d`, `ks`, `e` (host).

        Blocks beyond a stage's depth have kernel and ratio 0.
        """
        fields = jnp.asarray(phenotype)
        exists = np.asarray(self.block_exists(fields))
        kernels, ratios = (
            np.where(exists, np.array(choice.values)[np.asarray(self.block_field(fields, index))], 0).tolist()
            for index, choice in enumerate(self.block)
        )
        depths = np.asarray(self.depths(fields)).tolist()
        return {"r": [self.resolutions[int(fields[0])]], "d": depths, "ks": kernels, "e": ratios}

    def from_config(self, config: Mapping[str, Any]) -> Int[Array, " e"]:
        """Returns the canonical phenotype of an official configuration; entries beyond a depth do not matter.

        Raises:
            ValueError: a key or entry is missing, or a value is none of the choices.
        """
        found = {key: len(config.get(key, ())) for key in ("d", "ks", "e")}
        expected = {"d": self.num_stages, "ks": self.num_blocks, "e": self.num_blocks}
        if found != expected or "r" not in config:
            raise ValueError(f"configuration has {found} entries, expected {expected} and a resolution 'r'")
        room, depths = self.depth_range[1], [int(depth) for depth in config["d"]]
        kinds = [f"k{kernel:g}e{ratio:g}" for kernel, ratio in zip(config["ks"], config["e"], strict=True)]
        stages = (" ".join(kinds[room * s : room * s + depth]) for s, depth in enumerate(depths))
        resolution = config["r"][0] if isinstance(config["r"], list | tuple) else config["r"]
        return self.from_str(" | ".join((f"r{resolution:g}", *stages)))
