"""The predictor: a data set as a vector, an architecture as another, and a head that says their accuracy.

In percent: mean + deviation * z, where the network says z, the accuracy standardised within a task, from both
vectors, and mean and deviation of the task, its level, from the data set's vector alone. So the order of the
architectures on a data set is that of z.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from ednag_jax.config import PredictorConfig
from ednag_jax.predictor.dags import dag_of
from ednag_jax.predictor.examples import Standards
from ednag_jax.predictor.graph_encoder import GraphEncoder
from ednag_jax.predictor.set_encoder import SetEncoder
from ednag_jax.spaces import SearchSpace
from ednag_jax.types import Params

CHUNK = 256
"""Architectures scored at once: their states stay in a CPU's cache."""


class PredictorNetwork(nn.Module):
    """Set encoder, graph encoder and head; a data set and the architectures can be encoded apart."""

    space: SearchSpace
    config: PredictorConfig

    def setup(self) -> None:
        config = self.config
        self.set_encoder = SetEncoder(
            config.set_width, config.num_heads, config.num_set_layers, config.dataset_size
        )
        self.graph_encoder = GraphEncoder(len(dag_of(self.space).ops), config.graph_width)
        self.from_dataset = nn.Dense(config.head_width)
        self.from_arch = nn.Dense(config.head_width)
        self.hidden = nn.Dense(config.head_width)
        self.last = nn.Dense(1)
        self.level_head = nn.Dense(2)
        self.dropout = nn.Dropout(config.dropout)

    def __call__(
        self,
        features: Float[Array, "*b c k p"],
        mask: Bool[Array, "*b c k"],
        phenotype: Int[Array, "*b m e"],
        *,
        train: bool = False,
    ) -> tuple[Float[Array, "*b m"], Float[Array, "*b 2"]]:
        """Returns z of m architectures on each data set, and its level."""
        dataset = self.encode_dataset(features, mask)
        z = self.standardised(dataset, self.encode_archs(phenotype), train=train)
        return z, self.level(dataset)

    def encode_dataset(
        self, features: Float[Array, "*b c k p"], mask: Bool[Array, "*b c k"]
    ) -> Float[Array, "*b d"]:
        """Returns the vector of each data set."""
        dataset = self.set_encoder(features, mask)
        return jnp.zeros_like(dataset) if self.config.blind else dataset

    def encode_archs(self, phenotype: Int[Array, "*b m e"]) -> Float[Array, "*b m g"]:
        """Returns the vector of each architecture."""
        return self.graph_encoder(dag_of(self.space)(phenotype))

    def standardised(
        self, dataset: Float[Array, "*b d"], archs: Float[Array, "*b m g"], *, train: bool = False
    ) -> Float[Array, "*b m"]:
        """Returns z of m architectures on each data set."""
        both = self.from_dataset(dataset)[..., None, :] + self.from_arch(archs)
        inner = self.dropout(nn.relu(both), deterministic=not train)
        inner = self.dropout(nn.relu(self.hidden(inner)), deterministic=not train)
        return self.last(inner)[..., 0]

    def level(self, dataset: Float[Array, "*b d"]) -> Float[Array, "*b 2"]:
        """Returns mean and log deviation of accuracies on each data set, on the scales of `Standards`."""
        return self.level_head(dataset)


def smallest_inputs(network: PredictorNetwork) -> tuple[Array, Array, Array]:
    """Returns inputs of a network, of one task, as its weights' shapes are found with."""
    features = jnp.zeros((1, 1, 1, network.config.components))
    return features, jnp.ones((1, 1, 1), bool), jnp.zeros((1, 1, network.space.num_fields), jnp.int32)


def applied(network: PredictorNetwork, weights: Params, *inputs: Any, **options: Any) -> Any:
    """Returns what a method of the network says; to Flax it might be a pair, with variables that it changed."""
    return network.apply(weights, *inputs, **options)


class Target(NamedTuple):
    """An ensemble turned to one data set: all that scoring reads."""

    weights: Params
    """Of s networks."""
    standards: Standards
    dataset: Float[Array, "s d"]
    """What each network makes of the data set."""


class Prediction(NamedTuple):
    """Of n architectures on a data set."""

    mean: Float[Array, " n"]
    """Percent, mean over the ensemble."""
    deviation: Float[Array, " n"]
    """Percent: by how much the networks of the ensemble differ."""


@dataclass(frozen=True, eq=False)
class Predictor:
    """A trained ensemble, and where it comes from."""

    weights: Params
    """Of s networks: every leaf has a leading axis."""
    standards: Standards
    space: SearchSpace
    config: PredictorConfig
    backbone: str
    """Name of the frozen network whose features it reads."""
    tasks: tuple[str, ...]
    """That it learnt from."""
    task_vectors: Float[Array, "s t d"]
    """What each network makes of them."""
    table_hash: str
    """SHA-256 of the table that it learnt from."""

    @property
    def network(self) -> PredictorNetwork:
        """The network of one member."""
        return PredictorNetwork(self.space, self.config)


def encode_dataset(predictor: Predictor, features: ArrayLike, mask: ArrayLike) -> Target:
    """Returns the predictor turned to a data set, encoded once for however many architectures.

    Args:
        predictor: trained, or loaded.
        features: [c k f] of the images of a coreset, by the backbone that the predictor names.
        mask: [c k], which of them there are.

    Raises:
        ValueError: shapes that do not fit, or features that are not finite.
    """
    rows, there = np.asarray(features, np.float32), np.asarray(mask, bool)
    wanted = predictor.standards.feature_mean.shape[0]
    if rows.ndim != 3 or rows.shape[:2] != there.shape or rows.shape[2] != wanted:
        raise ValueError(
            f"features must be [c k {wanted}] as {predictor.backbone!r} gives them, and mask [c k]; got "
            f"{rows.shape} and {there.shape}"
        )
    if not there.any() or not np.isfinite(rows[there]).all():
        raise ValueError("the coreset must have at least one image, and features that are finite")
    rows = np.where(there[..., None], rows, 0.0)
    components = predictor.standards.project(jnp.asarray(rows))
    vectors = dataset_vectors(predictor.weights, components, jnp.asarray(there), network=predictor.network)
    return Target(predictor.weights, predictor.standards, vectors)


def score(predictor: Predictor, target: Target, phenotype: ArrayLike) -> Prediction:
    """Returns what the ensemble expects of n valid architectures on the data set it is turned to."""
    said = member_accuracies(target, jnp.asarray(phenotype, jnp.int32), network=predictor.network)
    return Prediction(jnp.mean(said, axis=0), jnp.std(said, axis=0))


@partial(jax.jit, static_argnames=("network",))
def member_accuracies(
    target: Target, phenotype: Int[Array, "n e"], *, network: PredictorNetwork
) -> Float[Array, "s n"]:
    """Returns the accuracy in percent that each network expects of each architecture."""

    def level(weights: Params, dataset: Array) -> Array:
        return applied(network, weights, dataset, method="level")

    def z(weights: Params, dataset: Array, archs: Array) -> Array:
        vectors = applied(network, weights, archs, method="encode_archs")
        return applied(network, weights, dataset, vectors, method="standardised")

    def chunk(archs: Int[Array, "_ e"]) -> Float[Array, "_ s"]:
        return jax.vmap(z, (0, 0, None))(target.weights, target.dataset, archs).T

    levels = jax.vmap(level)(target.weights, target.dataset)
    return target.standards.accuracy(levels, in_chunks(chunk, phenotype).T)


def in_chunks(
    function: Callable[[Int[Array, "_ e"]], Float[Array, "_ s"]], rows: Int[Array, "n e"]
) -> Float[Array, "n s"]:
    """Returns function of all rows, `CHUNK` of them at a time."""
    num = rows.shape[0]
    if num <= CHUNK:
        return function(rows)
    filled = jnp.pad(rows, ((0, -num % CHUNK), (0, 0)), mode="edge")
    parts = jax.lax.map(function, filled.reshape(-1, CHUNK, rows.shape[1]))
    return parts.reshape(filled.shape[0], -1)[:num]


@partial(jax.jit, static_argnames=("network",))
def dataset_vectors(
    weights: Params,
    components: Float[Array, "*b c k p"],
    mask: Bool[Array, "*b c k"],
    *,
    network: PredictorNetwork,
) -> Float[Array, "s *b d"]:
    """Returns what each network makes of data sets, given the components of their features."""
    return jax.vmap(lambda own: applied(network, own, components, mask, method="encode_dataset"))(weights)
