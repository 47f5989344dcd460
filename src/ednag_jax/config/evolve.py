"""Settings of EDNAG: every default, every preset and every check of a setting lives here."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import jax

from ednag_jax.config.base import Swept, check_choice, check_range, static
from ednag_jax.denoise import noise_scale_error
from ednag_jax.schedules import SCHEDULES, make_schedule
from ednag_jax.types import Schedule

OBJECTIVES = ("accuracy", "rescaled")
MAPPINGS = ("identity", "power", "energy", "rank", "standardised", "constant")
ENCODINGS = ("compact", "padded")
VARIATIONS = ("none", "reset", "polynomial")
ROULETTES = ("rank", "walk")
PAPER_ACCURACY_FACTORS = {"cifar10": 1.0, "cifar100": 1.2, "ImageNet16-120": 2.0}
"""The constants by which the published experiments multiply accuracy, per data set."""

REPEATING_SIZE = 10_000_000
"""Architectures up to which a run of the default preset asks for many of them twice."""
LARGE_SPACE_POPULATION = 6
FRONT_SETTINGS: dict[str, Any] = {"population_size": 8, "elite_rate": 1.0, "noise_scale": 0.0}
"""With several objectives: survivors by their place in the fronts alone, and no fresh noise."""
CONTINUOUS_SETTINGS: dict[str, Any] = {
    "schedule": "geometric",
    "temperature": 0.03,
    "noise_scale": 0.8,
    "mutation_rate": 0.01,
    "roulette_pressure": 6.0,
}
"""Where the numbers themselves are the solution: noise falls to where it hardly shows, choice is greedier."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class EvolveConfig:
    """Settings of EDNAG. Static ones shape the program; the rest are traced, so a sweep compiles once.

    Raises:
        ValueError: a setting out of its range; the text says which, what is allowed and why.
    """

    num_steps: int = static(500)
    """T schedule values, at least 2; they give T-1 denoising steps."""
    population_size: int = static(16)
    """n, at least 2."""
    schedule: str = static("cosine")
    """`cosine`, `linear`, `ddpm` or `geometric`."""
    encoding: str = static("compact")
    """`compact`: one number per field and choice, always valid. `padded`: the paper's, with input and
    output nodes and ops, where most genotypes are invalid."""
    objective: str = static("accuracy")
    """Fitness from accuracy: as it is, or `rescaled` by the paper's piecewise linear function."""
    mapping: str = static("rank")
    """g, from fitness to weight: `identity`, `power`, `energy`, `rank` or `standardised`; with `constant`,
    for ablations, fitness has no say in (8)."""
    roulette: str = static("rank")
    """`rank`: exact draws without replacement, weights from ranks. `walk`: the paper's experiments'."""
    denoising: bool = static(True)
    """False leaves (8) and (9) out, for ablations: a child is its parent, varied."""
    selection: bool = static(True)
    """False leaves (10) out, for ablations: the children are the next population."""
    elite_rate: float = static(0.1)
    """Share of the population kept as the fittest."""
    diversity_rate: float = static(0.0)
    """Share kept as the most distinct."""
    variation: str = static("reset")
    """Of the children after (9): `none`; `reset`: single numbers drawn anew; `polynomial`: the paper's
    experiments', with every child min-max normalised to [-1, 1] before and after."""
    floored: bool = static(False)
    """Use the experiments' form of (8), with `floor` added to g, the kernel and Z."""
    noise_scale: Swept = 0.2
    """Share of DDIM's noise drawn anew, in [0, 1]."""
    temperature: Swept = 1.0
    """Of the mapping, above 0; smaller is greedier."""
    power: Swept = 1.0
    """Exponent of the `power` mapping."""
    floor: Swept = 1e-9
    """Used where `floored`."""
    roulette_pressure: Swept = 2.0
    """Of the `rank` roulette, at least 0: weight is rank to this power; 0 draws uniformly."""
    accuracy_factor: Swept = 1.0
    """Used by the `rescaled` objective; `PAPER_ACCURACY_FACTORS` has the published ones."""
    mutation_rate: Swept = 0.05
    """Share of numbers drawn anew (`reset`), or of children mutated (`polynomial`), in [0, 1]."""
    distribution_index: Swept = 5.0
    """Of the polynomial mutation; larger is milder."""
    first_distribution_index: Swept = 8.0
    """The same in the very first step."""

    def __post_init__(self) -> None:
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("encoding", self.encoding, ENCODINGS)
        check_choice("objective", self.objective, OBJECTIVES)
        check_choice("mapping", self.mapping, MAPPINGS)
        check_choice("variation", self.variation, VARIATIONS)
        check_choice("roulette", self.roulette, ROULETTES)
        check_range("num_steps", self.num_steps, 2)
        check_range("population_size", self.population_size, 2)
        for rate in ("elite_rate", "diversity_rate", "mutation_rate"):
            check_range(rate, getattr(self, rate), 0, 1)
        if self.elite_rate + self.diversity_rate > 1 + 1e-9:
            raise ValueError(
                f"elite_rate + diversity_rate must be at most 1, got {self.elite_rate} + "
                f"{self.diversity_rate}: the roulette fills what they leave"
            )
        if isinstance(self.noise_scale, int | float) and not 0 <= self.noise_scale <= 1:
            raise ValueError(noise_scale_error(self.noise_scale))
        check_range("temperature", self.temperature, 1e-6)
        check_range("roulette_pressure", self.roulette_pressure, 0)

    @property
    def num_elite(self) -> int:
        """Individuals kept as the fittest; at least one where the rate is above 0."""
        return math.ceil(self.elite_rate * self.population_size - 1e-9)

    @property
    def num_diverse(self) -> int:
        """Individuals kept as the most distinct."""
        return min(round(self.diversity_rate * self.population_size), self.population_size - self.num_elite)

    def rows(self) -> Schedule:
        """Returns the schedule rows of a run."""
        return make_schedule(self.schedule, self.num_steps)

    @classmethod
    def preset(cls, name: str, *, dataset: str | None = None) -> EvolveConfig:
        """Returns a named configuration.

        Args:
            name: `default` (chosen by experiments/sweep_default.py) or `paper` (the published
                experiments: docs/method.md, section 3).
            dataset: for `paper`, the data set whose accuracy factor to use; None or one that the
                published experiments do not name uses 1.0.

        Raises:
            ValueError: unknown preset.
        """
        check_choice("preset", name, tuple(PRESETS))
        config = cls(**PRESETS[name])
        factor = PAPER_ACCURACY_FACTORS.get(dataset or "", 1.0)
        return config.replace(accuracy_factor=factor) if name == "paper" else config

    @classmethod
    def for_budget(cls, queries: int, size: int) -> EvolveConfig:
        """Returns the default preset, with a schedule that ends with the budget where children hardly repeat.

        In a space as small as a table most children repeat, and repeats are free, so the long schedule of the
        preset is spent on few queries. In a larger one every child is a query: the preset would be cut off
        in its first steps, and a small population with a short schedule finds better ones (measured on
        MobileNetV3 and DARTS: 6 before 10 before 16).
        """
        config = cls.preset("default")
        if size <= REPEATING_SIZE:
            return config
        steps = math.ceil(1.2 * queries / LARGE_SPACE_POPULATION) + 1  # a few children do repeat
        return config.replace(population_size=LARGE_SPACE_POPULATION, num_steps=max(steps, 2))

    @classmethod
    def for_front(cls, queries: int | None, size: int) -> EvolveConfig:
        """Returns settings for several objectives: `FRONT_SETTINGS`, or in a large space a smaller population.

        Chosen on seeds 100..199 of NAS-Bench-201 cifar10 and ImageNet16-120, accuracy against latency or size.
        """
        config = cls() if queries is None else cls.for_budget(queries, size)
        size = min(config.population_size, FRONT_SETTINGS["population_size"])
        return config.replace(**{**FRONT_SETTINGS, "population_size": size})

    @classmethod
    def for_continuous(cls) -> EvolveConfig:
        """Returns settings for problems whose solutions are real numbers, that decode to nothing.

        Among 72 settings they tie with the best on every second of evosax's BBOB functions in 5 and 20
        dimensions (experiments/sweep_continuous.py); experiments/bbob.py tells the others apart.
        """
        return cls(**CONTINUOUS_SETTINGS)

    def replace(self, **changes: Any) -> EvolveConfig:
        """Returns a copy with some settings changed, checked anew."""
        return dataclasses.replace(self, **changes)


PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {
        "num_steps": 100,
        "population_size": 30,
        "encoding": "padded",
        "objective": "rescaled",
        "mapping": "energy",
        "roulette": "walk",
        "variation": "polynomial",
        "floored": True,
        "diversity_rate": 0.2,
        "noise_scale": 0.8,
        "mutation_rate": 0.6,
    },
}
