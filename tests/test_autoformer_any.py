"""The AutoFormer supernet against single networks, and its DSS against one that forms every gradient."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.networks.autoformer import build
from ednag_jax.networks.autoformer_any import AutoFormerAny, extract
from ednag_jax.networks.variables import initialise
from ednag_jax.proxies import dss_any
from ednag_jax.proxies.dss import dss
from ednag_jax.spaces.autoformer import AutoFormer
from ednag_jax.spaces.staged import Choice

SPACE = AutoFormer(
    "small",
    whole=(Choice("d", (16, 24)),),
    block=(Choice("m", (2, 4)), Choice("h", (1, 2))),
    depth_range=(1, 3),
)
TEXTS = ("d16 | m2h1", "d24 | m4h2 m2h1", "d16 | m4h1 m2h2 m4h2", "d24 | m4h2 m4h2 m4h2")
NUM_CLASSES, PATCH_SIZE = 3, 4


def blown_up(variables):
    """Biases and norms that are not 0 and 1, so that a missing mask shows."""
    leaves, structure = jax.tree.flatten(variables)
    rng = np.random.default_rng(7)
    return jax.tree.unflatten(
        structure, [leaf + 0.1 * rng.normal(size=leaf.shape).astype("f") for leaf in leaves]
    )


@pytest.fixture(scope="module")
def drawn():
    network = AutoFormerAny(SPACE, NUM_CLASSES, PATCH_SIZE)
    shape = (PATCH_SIZE, 2 * PATCH_SIZE, 3)
    return network, initialise(network, jax.random.key(0), shape, SPACE.from_str(TEXTS[0]))


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS)
def test_any_architecture_computes_what_its_own_network_does(text, drawn):
    network, variables = drawn
    params, phenotype = blown_up(variables["params"]), SPACE.from_str(text)
    images = jax.random.normal(jax.random.key(1), (2, PATCH_SIZE, 2 * PATCH_SIZE, 3))
    single = build(phenotype, num_classes=NUM_CLASSES, space=SPACE, patch_size=PATCH_SIZE)
    expected = jax.jit(single.apply)({"params": extract(params, phenotype, SPACE)}, images)
    found = jax.jit(network.apply)({"params": params}, images, phenotype)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


def test_nuclear_norm_of_two_outer_products_is_that_of_their_sum():
    rng = np.random.default_rng(0)
    a, b, weight = (rng.random(shape, np.float32) - 0.5 for shape in ((3, 2, 5), (3, 2, 7), (3, 5, 7)))
    a[1, 1], a[2] = a[1, 0], 0.0  # rank one, and nothing
    gradient = np.einsum("kti,ktj->kij", a, b)
    expected = [np.linalg.norm(matrix, "nuc") for matrix in gradient]
    found = jax.jit(dss_any.outer_nuclear_norm)(jnp.asarray(a), jnp.asarray(b))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    found = jax.jit(dss_any.saliency)(jnp.abs(weight), jnp.asarray(a), jnp.asarray(b))
    np.testing.assert_allclose(found, np.abs(weight * gradient).sum(axis=(1, 2)), rtol=1e-4)


@pytest.mark.slow
def test_dss_from_shared_weights_is_that_of_single_networks(monkeypatch):
    """With all neurons counted, and blocks alike in the weights whose norms are those of the first block."""
    monkeypatch.setattr(dss_any, "NEURON_STEP", 1)
    fitness = dss_any.AutoFormerDss(SPACE, NUM_CLASSES, PATCH_SIZE)
    shape = (PATCH_SIZE, PATCH_SIZE, 3)
    variables = initialise(fitness.network, jax.random.key(0), shape, SPACE.from_str(TEXTS[0]))
    params = variables["params"]
    for name in ("qkv", "out"):
        kernel = params["blocks"][name]["kernel"]
        params["blocks"][name]["kernel"] = jnp.broadcast_to(kernel[:1], kernel.shape)
    phenotype = jnp.stack([SPACE.from_str(text) for text in TEXTS])
    shared = dss_any.shared_weights(params, variables["perturbations"], SPACE)
    found = jax.jit(fitness)(shared, jax.random.key(0), phenotype)
    expected = []
    for row in phenotype:
        single = build(row, num_classes=NUM_CLASSES, space=SPACE, patch_size=PATCH_SIZE)
        own = {"params": extract(params, row, SPACE)}
        expected.append(jax.jit(partial(dss, single))(own, jnp.ones((1, *shape))))
    np.testing.assert_allclose(found, expected, rtol=2e-3)


@pytest.mark.slow
def test_search_runs_on_dss_and_finds_more_than_random_architectures_have():
    fitness = dss_any.AutoFormerDss(SPACE, NUM_CLASSES, PATCH_SIZE)
    shared = fitness.params(jax.random.key(0))
    benchmark = ed.Benchmark.from_function(SPACE, fitness, shared, name="dss")
    result = ed.search("ednag", benchmark, seeds=3, queries=60)
    random = jax.jit(fitness)(shared, jax.random.key(0), SPACE.random(jax.random.key(1), 50))
    assert np.all(result.best_accuracy > np.median(random))
