"""Zen-score against plain NumPy, what its compensation undoes, and the network of any cell."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ednag_jax.networks import NasBench201Any, build, initialise
from ednag_jax.networks.blocks import Classifier, norm
from ednag_jax.networks.nasbench201 import extract
from ednag_jax.networks.variables import variable_shapes
from ednag_jax.proxies import ProxyFitness, zen_score
from ednag_jax.proxies.zen_score import MIXUP, gaussian_pair, gaussian_weights, zen_of_pair
from ednag_jax.spaces import SPACES

SMALL = {"channels": 4, "num_cells": 2}
CELLS = [[3, 2, 4, 1, 3, 2], [2, 0, 3, 4, 1, 3], [1, 3, 2, 2, 0, 0]]
DEAD_EDGE = [0, 3, 3, 3, 3, 3]
"""Node 1 is nothing, and convolutions read from it."""


class Small(nn.Module):
    """Two 1x1 layers, each normalised, with different momentum."""

    @nn.compact
    def __call__(self, x, *, train=False):
        x = nn.relu(norm(train, name="norm_0")(nn.Dense(5, name="first")(x)))
        x = norm(train, momentum=0.5, name="norm_1")(nn.Dense(4, name="second")(x))
        return Classifier(3, name="classifier")(nn.relu(x))


@pytest.fixture(scope="module")
def small():
    """A network, Gaussian weights for it, and a pair of inputs."""
    pair = gaussian_pair(jax.random.key(1), (6, 2, 3, 3))
    return Small(), gaussian_weights(jax.random.key(0), variable_shapes(Small(), (2, 3, 3))), pair


def plain_zen(params, pair):
    """Returns the Zen-score of the small network in float64."""
    features, scales = [], []
    for images in np.asarray(pair, np.float64):
        x = images
        for name in ("first", "second"):
            x = x @ np.asarray(params[name]["kernel"], np.float64)
            mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
            scales.append(0.5 * np.log(variance.mean()))
            x = np.maximum((x - mean) / np.sqrt(variance + 1e-5), 0)
        features.append(x)
    moved = np.abs(features[0] - features[1]).sum(axis=(1, 2, 3)).mean()
    return np.log(moved) + scales[0] + scales[1]


def test_zen_score_is_the_distance_of_features_and_the_scale_of_each_normalisation(small):
    _, variables, pair = small
    np.testing.assert_allclose(zen_of_pair(*small), plain_zen(variables["params"], pair), rtol=1e-4)


def test_weights_before_a_normalisation_scale_the_score_that_it_would_hide(small):
    network, variables, pair = small
    larger = jax.tree.map(lambda leaf: leaf, variables)
    larger["params"]["first"]["kernel"] = 8 * variables["params"]["first"]["kernel"]
    difference = zen_of_pair(network, larger, pair) - zen_of_pair(*small)
    np.testing.assert_allclose(difference, np.log(8), rtol=1e-2)


def test_the_second_input_is_the_first_and_a_hundredth_of_another():
    first, second = np.asarray(gaussian_pair(jax.random.key(0), (40, 8, 8, 3)))
    assert abs(np.std(first) - 1) < 0.03
    assert abs(np.std(second - first) / MIXUP - 1) < 0.03


def test_gaussian_weights_have_unit_variance_and_leave_normalisation_plain():
    drawn = gaussian_weights(jax.random.key(0), variable_shapes(Small(), (2, 3, 3)))
    kernels = [drawn["params"][name]["kernel"] for name in ("first", "second")]
    assert not np.any(np.isin(*kernels))
    assert abs(np.std(np.concatenate([np.ravel(kernel) for kernel in kernels])) - 1) < 0.3
    assert np.all(drawn["params"]["norm_0"]["scale"] == 1)
    assert np.all(drawn["params"]["first"]["bias"] == 0)


def test_zen_score_takes_shapes_and_a_key_only(small):
    network, variables, pair = small
    score = zen_score(network, variables, pair[0])
    zeros = jax.tree.map(jnp.zeros_like, variables)
    assert zen_score(network, zeros, 5 * pair[1]) == score
    assert zen_score(network, variables, pair[0], key=jax.random.key(1)) != score


def test_a_network_without_the_classifier_is_refused():
    class Other(nn.Module):
        @nn.compact
        def __call__(self, x, *, train=False):
            return norm(train)(x).mean(axis=(1, 2))

    images = jnp.ones((2, 2, 3, 3))
    with pytest.raises(ValueError, match="no Classifier"):
        zen_score(Other(), variable_shapes(Other(), (2, 3, 3)), images)


@pytest.fixture(scope="module")
def score():
    """`score(cell)`, one program for all cells, and what it reads."""
    network, cell = NasBench201Any(num_classes=10, **SMALL), jnp.zeros(6, jnp.int32)
    variables = gaussian_weights(jax.random.key(0), variable_shapes(network, (8, 8, 3), cell))
    pair = gaussian_pair(jax.random.key(1), (6, 8, 8, 3))
    program = jax.jit(partial(zen_of_pair, network))
    return lambda cell: program(variables, pair, jnp.array(cell)), variables, pair


@pytest.mark.parametrize("cell", [*CELLS, DEAD_EDGE])
@pytest.mark.slow
def test_zen_score_of_any_cell_is_that_of_the_network_built(score, cell):
    score_of, variables, pair = score
    network = build("nasbench201", cell, num_classes=10, **SMALL)
    built = jax.jit(partial(zen_of_pair, network))(extract(variables, cell), pair)
    assert np.isfinite(built)
    np.testing.assert_allclose(score_of(cell), built, rtol=1e-4)


@pytest.mark.slow
def test_a_cell_that_passes_nothing_has_the_worst_score(score):
    assert score[0]([0] * 6) == -jnp.inf


@pytest.mark.slow
def test_fitness_of_a_population_is_the_zen_score_of_each():
    fitness, key = ProxyFitness("nasbench201", "zen_score", **SMALL), jax.random.key(3)
    images, cells = jnp.zeros((4, 8, 8, 3)), jnp.array(CELLS)
    found = jax.jit(fitness)(fitness.params(key, images), jax.random.key(0), cells)
    network = NasBench201Any(num_classes=10, **SMALL)
    variables = variable_shapes(network, (8, 8, 3), cells[0])
    one = jax.jit(lambda cell: zen_score(network, variables, images, cell, key=key))
    np.testing.assert_allclose(found, [one(cell) for cell in cells], rtol=1e-4)
    assert len(set(np.asarray(found).tolist())) == len(CELLS)


@pytest.mark.slow
def test_darts_networks_have_a_zen_score_that_does_not_depend_on_drawn_variables():
    (phenotype,) = SPACES["darts"].random(jax.random.key(0), 1)
    network = build("darts", phenotype, num_classes=10, channels=4, num_cells=3)
    variables, images = initialise(network, jax.random.key(5), (8, 8, 3)), jnp.zeros((2, 8, 8, 3))
    score = zen_score(network, variables, images)
    assert np.isfinite(score)
    assert score == zen_score(network, variable_shapes(network, (8, 8, 3)), images)
