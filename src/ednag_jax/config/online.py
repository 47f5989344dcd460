"""Settings of EDNAG with an online predictor."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
from jaxtyping import Array, Int

from ednag_jax.config.base import StepsConfig, Swept, check_choice, check_range, static
from ednag_jax.schedules import SCHEDULES


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class OnlineConfig(StepsConfig):
    """Settings of EDNAG with an online predictor; chosen on half of the tables: docs/method.md."""

    num_steps: int = static(295)
    """Queries after the first ones, one a step."""
    num_initial: int = static(5)
    """First queries, drawn uniformly."""
    first: Swept = None
    """Architectures [k e] to query in place of the first k of those; see `starting_with`."""
    denoising: bool = static(True)
    """False leaves the denoised proposals out, for ablations."""
    predictor: bool = static(True)
    """False queries a random one of the proposals, for ablations."""
    population_size: int = static(32)
    """Samples that are denoised for each query."""
    num_denoising: int = static(4)
    """Denoising steps for each query."""
    schedule: str = static("cosine")
    num_parents: int = static(12)
    """Fittest architectures whose mutants are proposed."""
    num_mutants: int = static(144)
    num_random: int = static(32)
    """Architectures drawn uniformly for each query."""
    noise_levels: tuple[float, ...] = static((0.02, 0.1, 0.4))
    """Variances, as shares of the predictor's, of what accuracy does not share with similar architectures.

    Each query is chosen at one of them, drawn by how well it explains the archive.
    """
    noise_scale: Swept = 0.8
    """Share of DDIM's noise drawn anew, in [0, 1]."""
    temperature: Swept = 0.1
    """Of the ranks that weight the archive in (8), above 0; smaller is greedier."""
    rough_share: Swept = 0.45
    """Of the predictor's variance that rough traits explain, in [0, 1]."""
    coarse_share: Swept = 0.45
    """The same of coarse traits; fine ones explain the rest."""
    rate: Swept = 2.0
    """How fast similarity falls with dissimilarity in traits."""
    explore_every: Swept = 2
    """One query in so many goes to the greatest upper bound, the others to expected improvement."""
    explore_width: Swept = 3.0
    """Standard deviations from the mean up to that bound."""
    own_share: Swept = 0.1
    """Of what is told beyond what the predictor expects, under a noisy oracle, how much is believed, in [0, 1].

    A search ends with the query of which it then believes most: at 1 with the best told.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("schedule", self.schedule, SCHEDULES)
        check_range("num_initial", self.num_initial, 1)
        if getattr(self.first, "ndim", 2) != 2:
            raise ValueError(f"first must be architectures [k e], got an array {self.first.shape}")
        check_range("number of first architectures", getattr(self.first, "shape", (0,))[0], 0, self.num_initial)
        check_range("population_size", self.population_size, 1)
        check_range("num_denoising", self.num_denoising, 1)
        check_range("num_parents", self.num_parents, 1)
        if not (self.denoising or self.num_mutants or self.num_random):
            raise ValueError("denoising is off and num_mutants and num_random are 0: nothing proposes; set one")
        check_range("temperature", self.temperature, 1e-6)
        check_range("explore_every", self.explore_every, 1)
        if not self.noise_levels:
            raise ValueError("noise_levels must name at least one variance, got none; take (0.05,)")
        for level in self.noise_levels:
            check_range("noise_levels", level, 1e-6)
        for share in ("noise_scale", "rough_share", "coarse_share", "own_share"):
            check_range(share, getattr(self, share), 0, 1)
        if all(isinstance(share, int | float) for share in (self.rough_share, self.coarse_share)):
            check_range("rough_share + coarse_share", self.rough_share + self.coarse_share, 0, 1)

    @property
    def num_queries(self) -> int:
        """Queries of a whole run, q."""
        return self.num_initial + self.num_steps

    def starting_with(self, first: Int[Array, "k e"]) -> OnlineConfig:
        """Returns the same settings and number of queries, of which those architectures are asked first.

        All of them but for the last query, which the predictor chooses; more are drawn up to `num_initial`.
        """
        number = min(len(first), self.num_queries - 1)
        initial = max(number, self.num_initial)
        steps = self.num_queries - initial
        return replace(self, first=first[:number], num_initial=initial, num_steps=steps)

    @classmethod
    def for_budget(cls, queries: int, size: int) -> OnlineConfig:
        """Returns settings that ask exactly that many times, the first ones drawn with replacement."""
        del size
        initial = min(5, max(queries - 1, 1))
        return cls(num_steps=max(queries - initial, 1), num_initial=initial)
