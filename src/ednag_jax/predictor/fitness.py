"""The predictor as what a search maximises: no query, no table, one data set of images."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ednag_jax.benchmarks import Benchmark
from ednag_jax.config import PredictorConfig
from ednag_jax.predictor.model import Predictor, PredictorNetwork, Target, member_accuracies
from ednag_jax.spaces import SearchSpace
from ednag_jax.types import KeyArray


@dataclass(frozen=True)
class PredictedAccuracy:
    """The fitness function of a predictor: the accuracy in percent that its ensemble expects, the mean of it.

    Weights and data set are the `Target`, handed to it as `params`: predictors and data sets share a program.
    """

    space: SearchSpace
    config: PredictorConfig

    def __call__(self, params: Target, key: KeyArray, phenotype: Int[Array, "n e"]) -> Float[Array, " n"]:
        """Returns the predicted accuracy of each architecture."""
        del key  # nothing is drawn
        network = PredictorNetwork(self.space, self.config)
        return jnp.mean(member_accuracies(params, phenotype, network=network), axis=0)


def predicted_benchmark(predictor: Predictor, target: Target, *, dataset: str) -> Benchmark:
    """Returns a benchmark whose accuracies are predicted, for `ednag_jax.search` with any strategy.

    Args:
        predictor: trained, or loaded.
        target: the predictor turned to a data set, from `encode_dataset`.
        dataset: its name, for reports.
    """
    return Benchmark.from_function(
        predictor.space,
        PredictedAccuracy(predictor.space, predictor.config),
        target,
        name=f"{predictor.space.name} predictor",
        dataset=dataset,
        metric="predicted accuracy",
    )
