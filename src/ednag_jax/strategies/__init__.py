"""Search methods by name, all on the contract of `ednag_jax.types.Strategy`."""

from __future__ import annotations

from typing import Any, NamedTuple

from ednag_jax.config import (
    BananasConfig,
    DiffusionNAGConfig,
    EvolveConfig,
    GPBOConfig,
    LocalSearchConfig,
    OnlineConfig,
    PredictedConfig,
    RandomSearchConfig,
    RegularizedEvolutionConfig,
    ReinforceConfig,
    TPEConfig,
)
from ednag_jax.evolve import EDNAG
from ednag_jax.strategies.bananas import BANANAS
from ednag_jax.strategies.diffusion_nag import DIFFUSION_NAG
from ednag_jax.strategies.ednag_online import EDNAG_ONLINE
from ednag_jax.strategies.ednag_predicted import EDNAG_PREDICTED
from ednag_jax.strategies.gp_bo import GP_BO
from ednag_jax.strategies.local_search import LOCAL_SEARCH
from ednag_jax.strategies.random_search import RANDOM_SEARCH
from ednag_jax.strategies.regularized_evolution import REGULARIZED_EVOLUTION
from ednag_jax.strategies.reinforce import REINFORCE
from ednag_jax.strategies.tpe import TPE
from ednag_jax.types import Strategy


class Entry(NamedTuple):
    """A strategy and the class of its settings, whose defaults are the published ones."""

    strategy: Strategy
    config: type[Any]


STRATEGIES: dict[str, Entry] = {
    entry.strategy.name: entry
    for entry in (
        Entry(EDNAG, EvolveConfig),
        Entry(EDNAG_ONLINE, OnlineConfig),
        Entry(RANDOM_SEARCH, RandomSearchConfig),
        Entry(REGULARIZED_EVOLUTION, RegularizedEvolutionConfig),
        Entry(LOCAL_SEARCH, LocalSearchConfig),
        Entry(REINFORCE, ReinforceConfig),
        Entry(TPE, TPEConfig),
        Entry(GP_BO, GPBOConfig),
        Entry(BANANAS, BananasConfig),
    )
}

GUIDED_STRATEGIES: dict[str, Entry] = {
    entry.strategy.name: entry
    for entry in (Entry(DIFFUSION_NAG, DiffusionNAGConfig), Entry(EDNAG_PREDICTED, PredictedConfig))
}
"""On the same contract, but apart: they need one space, and a benchmark that carries a trained generator, which
no table does. So they are left out where every strategy is tried on every benchmark."""
METHODS = {**STRATEGIES, **GUIDED_STRATEGIES}
"""All that `ednag_jax.search` takes."""

__all__ = ["GUIDED_STRATEGIES", "METHODS", "STRATEGIES", "Entry"]
