"""The set encoder: no order is seen, padding changes nothing, and attention is what the paper writes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_tasks import drawn_weights

from ednag_jax.predictor.set_encoder import MAB, PMA, SetEncoder

KEYS = jax.random.split(jax.random.key(0), 4)
ENCODER = SetEncoder(width=16, num_heads=4, num_layers=1, size=6)
encode = jax.jit(ENCODER.apply)


def data_sets(batch=3, classes=4, images=5, width=7):
    features = jax.random.normal(KEYS[0], (batch, classes, images, width))
    return features, jnp.ones(features.shape[:-1], bool)


FEATURES, MASK = data_sets()
WEIGHTS = jax.tree.map(lambda leaf: 2 * leaf, drawn_weights(ENCODER.init, FEATURES, MASK))
VECTORS = encode(WEIGHTS, FEATURES, MASK)


def assert_same(features, mask, expected=VECTORS):
    """Up to float32's rounding: 2e-5 of numbers of about 4 where padding is added, 2e-14 in float64."""
    np.testing.assert_allclose(encode(WEIGHTS, features, mask), expected, rtol=1e-4, atol=1e-4)


def test_vectors_of_different_data_sets_differ():
    assert VECTORS.shape == (3, 6)
    assert np.abs(VECTORS[0] - VECTORS[1]).max() > 0.1


def test_order_of_images_within_a_class_and_of_classes_does_not_matter():
    images, classes = jnp.array([3, 1, 4, 0, 2]), jnp.array([2, 0, 3, 1])
    assert_same(FEATURES[:, :, images], MASK)
    assert_same(FEATURES[:, classes], MASK)
    assert_same(FEATURES[:, classes][:, :, images], MASK)


def test_which_class_an_image_is_of_does_matter():
    swapped = FEATURES.at[:, 0, 0].set(FEATURES[:, 1, 0]).at[:, 1, 0].set(FEATURES[:, 0, 0])
    assert np.abs(encode(WEIGHTS, swapped, MASK) - VECTORS).max() > 1e-2


@pytest.mark.parametrize("filling", [0.0, 1e6, np.nan])
def test_masked_images_and_classes_change_nothing_whatever_they_hold(filling):
    pads = ((0, 0), (0, 2), (0, 3))
    features = jnp.pad(FEATURES, (*pads, (0, 0)), constant_values=filling)
    assert_same(features, jnp.pad(MASK, pads))


@pytest.mark.slow
def test_masked_images_in_the_midst_change_nothing():
    kept = jnp.array([0, 2, 4])
    mask = MASK.at[:, :, jnp.array([1, 3])].set(False)
    assert_same(FEATURES, mask, encode(WEIGHTS, FEATURES[:, :, kept], MASK[:, :, kept]))


def test_a_class_without_images_is_no_class():
    mask = MASK.at[:, 1].set(False)
    others = jnp.array([0, 2, 3])
    assert_same(FEATURES, mask, encode(WEIGHTS, FEATURES[:, others], MASK[:, others]))


@pytest.mark.slow
def test_a_data_set_without_images_is_finite_and_has_finite_gradients():
    nothing = jnp.zeros_like(MASK)
    gradient = jax.jit(jax.grad(lambda weights: jnp.sum(ENCODER.apply(weights, FEATURES, nothing) ** 2)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient(WEIGHTS)))


@pytest.mark.slow
def test_how_many_classes_there_are_is_seen_though_all_are_alike():
    twice = jnp.concatenate([FEATURES, FEATURES], axis=1)
    found = encode(WEIGHTS, twice, jnp.concatenate([MASK, MASK], axis=1))
    assert np.abs(found - VECTORS).max() > 1e-2


@pytest.mark.slow
def test_any_leading_axes_are_taken():
    many = encode(WEIGHTS, FEATURES[:, None], MASK[:, None])
    np.testing.assert_allclose(many[:, 0], VECTORS, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(encode(WEIGHTS, FEATURES[0], MASK[0]), VECTORS[0], rtol=1e-4, atol=1e-4)


def norm(x, weights):
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-6) * weights["scale"] + weights["bias"]


def plain_mab(weights, x, y, mask):
    """Returns the block in float64, one head, query and key after the other."""
    w = jax.tree.map(lambda leaf: np.asarray(leaf, float), weights)
    attention, heard = w["attention"], np.array(x, float)
    num_heads, size = attention["query"]["bias"].shape
    for query, row in enumerate(x):
        for head in range(num_heads):
            part = {name: (attention[name]["kernel"][:, head], attention[name]["bias"][head]) for name in
                    ("query", "key", "value")}  # fmt: skip
            asked = row @ part["query"][0] + part["query"][1]
            keys, values = (y @ part[name][0] + part[name][1] for name in ("key", "value"))
            weight = np.exp(keys @ asked / np.sqrt(size)) * mask
            told = weight / weight.sum() @ values
            heard[query] += told @ attention["out"]["kernel"][head]
    heard = norm(heard + attention["out"]["bias"], w["norm_heard"])
    own = np.maximum(heard @ w["feed_forward"]["kernel"] + w["feed_forward"]["bias"], 0)
    return norm(heard + own, w["norm_own"])


def test_the_attention_block_is_the_papers():
    x, y = (jax.random.normal(key, (rows, 8)) for key, rows in zip(KEYS[2:], (3, 5), strict=True))
    mask = jnp.array([True, False, True, True, False])
    block = MAB(num_heads=2)
    weights = drawn_weights(block.init, x, y, mask)
    rng = np.random.default_rng(1)
    noisy = jax.tree.map(lambda leaf: leaf + rng.normal(0, 0.3, leaf.shape).astype(np.float32), weights)
    found = jax.jit(block.apply)(noisy, x, y, mask)
    np.testing.assert_allclose(
        found, plain_mab(noisy["params"], *map(np.asarray, (x, y, mask))), rtol=1e-3, atol=1e-4
    )


@pytest.mark.slow
def test_pooling_is_a_block_with_a_learned_seed():
    x, mask = jax.random.normal(KEYS[2], (5, 8)), jnp.array([True, True, False, True, True])
    pool = PMA(num_heads=2)
    weights = jax.tree.map(np.asarray, drawn_weights(pool.init, x, mask)["params"])
    fed = np.maximum(np.asarray(x) @ weights["feed_forward"]["kernel"] + weights["feed_forward"]["bias"], 0)
    expected = plain_mab(weights["mab"], weights["seed"], fed, np.asarray(mask))
    np.testing.assert_allclose(
        jax.jit(pool.apply)({"params": weights}, x, mask), expected[0], rtol=1e-3, atol=1e-4
    )
