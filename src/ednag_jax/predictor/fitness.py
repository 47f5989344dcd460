"""The predictor as what a search maximises: no query, no table, one data set of images."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ednag_jax.benchmarks import Benchmark
from ednag_jax.config import PredictorConfig
from ednag_jax.predictor.model import Predictor, PredictorNetwork, Target, member_accuracies
from ednag_jax.proxies.fitness import COUNTS
from ednag_jax.spaces import SearchSpace
from ednag_jax.types import KeyArray

PARAMS = "params"
"""The cost that predicted benchmarks have: trained numbers of the network at its published size."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NetworkSize:
    """In the place of a `Target`: what is asked for is how many numbers a network of so many classes trains."""

    num_classes: int = field(metadata={"static": True})


@dataclass(frozen=True)
class PredictedAccuracy:
    """The fitness function of a predictor: the accuracy in percent that its ensemble expects, the mean of it.

    Weights and data set are the `Target`, handed to it as `params`: predictors and data sets share a program.
    """

    space: SearchSpace
    config: PredictorConfig

    def __call__(
        self, params: Target | NetworkSize, key: KeyArray, phenotype: Int[Array, "n e"]
    ) -> Float[Array, " n"]:
        """Returns the predicted accuracy of each architecture, or its size."""
        del key  # nothing is drawn
        if isinstance(params, NetworkSize):
            count = COUNTS["parameters"][self.space.name](phenotype, num_classes=params.num_classes)
            return count.astype(jnp.float32)
        network = PredictorNetwork(self.space, self.config)
        return jnp.mean(member_accuracies(params, phenotype, network=network), axis=0)


def predicted_benchmark(
    predictor: Predictor, target: Target, *, dataset: str, num_classes: int | None = None
) -> Benchmark:
    """Returns a benchmark whose accuracies are predicted, for `ednag_jax.search` with any strategy.

    Args:
        predictor: trained, or loaded.
        target: the predictor turned to a data set, from `encode_dataset`.
        dataset: its name, for reports.
        num_classes: of the data set; with it the benchmark has the cost `params`, for spaces of `SPACES`.
    """
    columns = {}
    if num_classes is not None and predictor.space.name in COUNTS["parameters"]:
        columns[PARAMS] = NetworkSize(num_classes)
    return Benchmark.from_function(
        predictor.space,
        PredictedAccuracy(predictor.space, predictor.config),
        target,
        columns=columns,
        name=f"{predictor.space.name} predictor",
        dataset=dataset,
        metric="predicted accuracy",
    )
