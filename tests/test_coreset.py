"""Coresets: K-means against plain NumPy, no image twice, a steadier encoding than random images have."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ednag_jax.predictor.coreset import (
    SELECTIONS,
    coreset,
    lloyd,
    nearest_images,
    random_images,
    squared_distances,
    start_centres,
)
from ednag_jax.predictor.set_encoder import SetEncoder

KEY = jax.random.key(0)
end_centres, closest = jax.jit(lloyd), jax.jit(nearest_images)


def blobs(seed, num=60, width=5, centres=4):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(centres, width)) * 4)[rng.integers(0, centres, num)] + rng.normal(
        size=(num, width)
    )


def plain_lloyd(points, centres):
    """Returns the centres where Lloyd's iterations end, float64, each centre a loop of its own."""
    centres, before = np.array(centres, float), None
    while True:
        nearest = np.argmin([[np.sum((p - c) ** 2) for c in centres] for p in points], axis=1)
        if before is not None and np.array_equal(nearest, before):
            return centres
        for own in range(len(centres)):
            if (nearest == own).any():
                centres[own] = points[nearest == own].mean(axis=0)
        before = nearest


@pytest.mark.parametrize("seed", range(4))
def test_centres_are_those_of_plain_lloyd_from_the_same_start(seed):
    points = blobs(seed)
    start = points[np.random.default_rng(seed).permutation(len(points))[:6]]
    present = np.ones(len(points), bool)
    found = end_centres(jnp.asarray(points, jnp.float32), jnp.asarray(present), jnp.asarray(start, jnp.float32))
    np.testing.assert_allclose(found, plain_lloyd(points, start), atol=1e-4)


def test_absent_points_change_nothing_whatever_they_hold():
    points = jnp.asarray(blobs(1), jnp.float32)
    far = jnp.concatenate([points, jnp.full((9, 5), 50.0)])
    present, start = jnp.arange(len(far)) < len(points), points[:5]
    alone = end_centres(points, present[: len(points)], start)
    np.testing.assert_allclose(end_centres(far, present, start), alone, atol=1e-5)
    chosen = closest(far, present, alone)
    np.testing.assert_array_equal(chosen, closest(points, present[: len(points)], alone))


def test_a_centre_without_points_stays():
    points, start = jnp.array([[0.0], [1.0], [2.0]]), jnp.array([[1.0], [99.0]])
    np.testing.assert_allclose(end_centres(points, jnp.ones(3, bool), start), [[1.0], [99.0]])


def test_order_of_the_images_does_not_matter_from_the_same_start():
    points = jnp.asarray(blobs(2), jnp.float32)
    order, present = np.random.default_rng(0).permutation(len(points)), jnp.ones(len(points), bool)
    start = points[:6]
    one = closest(points, present, end_centres(points, present, start))
    other = closest(points[order], present, end_centres(points[order], present, start))
    assert set(order[np.asarray(other)].tolist()) == set(np.asarray(one).tolist())


def test_moving_turning_and_scaling_the_features_changes_no_choice():
    points = blobs(3, num=80)
    labels = np.arange(80) % 2
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    plain = coreset(KEY, points, labels, num_classes=2, images_per_class=4)
    moved = coreset(KEY, 3 * points @ turn + 100, labels, num_classes=2, images_per_class=4)
    np.testing.assert_array_equal(plain.indices, moved.indices)


def test_start_draws_in_proportion_to_the_squared_distance():
    points = jnp.array([[0.0], [1.0], [3.0], [100.0]])
    present = jnp.array([True, True, True, False])
    keys = jax.random.split(KEY, 4000)
    drawn = np.asarray(jax.vmap(lambda key: start_centres(key, points, present, 2))(keys))[..., 0]
    for first, weights in {0: (0, 1, 9, 0), 1: (1, 0, 4, 0), 3: (9, 4, 0, 0)}.items():
        second = drawn[drawn[:, 0] == first, 1]
        share, total = np.array(weights) / sum(weights), len(second)
        found = np.mean(second[:, None] == np.array([0, 1, 3, 100]), axis=0)
        assert abs(total / 4000 - 1 / 3) < 5 * np.sqrt(2 / 9 / 4000)
        assert (np.abs(found - share) <= 5 * np.sqrt(share * (1 - share) / total)).all()


def test_equal_images_are_chosen_once_each():
    chosen = coreset(KEY, np.ones((12, 3)), np.zeros(12, int), num_classes=1, images_per_class=8)
    assert chosen.mask.all()
    assert len(set(chosen.indices[0].tolist())) == 8


def test_nearest_pair_goes_first_and_no_point_is_taken_twice():
    points, centres = jnp.array([[0.0], [1.0], [5.0]]), jnp.array([[0.6], [0.9], [0.8]])
    assert closest(points, jnp.ones(3, bool), centres).tolist() == [1, 0, 2]


@pytest.mark.parametrize("name", sorted(SELECTIONS))
def test_each_class_gives_its_own_images_each_once_and_small_classes_all_of_theirs(name):
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1, 3], [30, 3, 7]))
    chosen = SELECTIONS[name](KEY, rng.normal(size=(40, 4)), labels, num_classes=4, images_per_class=7)
    assert chosen.indices.shape == chosen.mask.shape == (4, 7)
    assert chosen.mask.sum(axis=1).tolist() == [7, 3, 0, 7]
    for own, (rows, there) in enumerate(zip(*map(np.asarray, chosen), strict=True)):
        assert not rows[~there].any()
        assert len(set(rows[there])) == there.sum()
        assert (labels[rows[there]] == own).all()


def test_a_class_chooses_the_same_whatever_other_classes_there_are():
    points, labels = blobs(5, num=60), np.arange(60) % 3
    some = labels < 2
    of_all = coreset(KEY, points, labels, num_classes=3, images_per_class=5)
    of_two = coreset(KEY, points[some], labels[some], num_classes=3, images_per_class=5)
    np.testing.assert_array_equal(np.flatnonzero(some)[of_two.indices[:2]], of_all.indices[:2])
    assert not of_two.mask[2].any()


def test_centres_of_apart_groups_are_all_met():
    points = np.repeat(np.eye(6) * 100, 10, axis=0) + np.random.default_rng(0).normal(size=(60, 6))
    chosen = coreset(KEY, points, np.zeros(60, int), num_classes=1, images_per_class=6)
    assert sorted(np.asarray(chosen.indices[0]) // 10) == list(range(6))


def test_squared_distances_are_those_of_plain_numpy():
    a, b = blobs(0), blobs(1)[:7]
    expected = ((a[:, None] - b) ** 2).sum(axis=-1)
    np.testing.assert_allclose(
        squared_distances(jnp.asarray(a), jnp.asarray(b)), expected, rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize(
    ("features", "labels", "classes", "message"),
    [
        (np.zeros((3, 2)), [0, 1], 2, r"features must be \[n f\] and labels \[n\]"),
        (np.zeros((2, 2)), [0, 2], 2, r"labels must be in \[0, 2\), got 0 to 2"),
        (np.full((2, 2), np.nan), [0, 1], 2, "4 numbers that are not finite"),
        (np.zeros((2, 2)), [0, 0], 0, "num_classes must be at least 1"),
    ],
)
def test_what_is_no_data_set_is_an_error(features, labels, classes, message):
    with pytest.raises(ValueError, match=message):
        coreset(KEY, features, labels, num_classes=classes)


def encoded(select, digits, keys):
    """Returns the untrained set encoder's vector of the images that each key chooses."""
    pixels, labels = digits
    encoder = SetEncoder(width=32, num_heads=4, num_layers=1, size=16)
    chosen = [select(key, pixels, labels, num_classes=10, images_per_class=20) for key in keys]
    features = jnp.stack([jnp.asarray(pixels)[own.indices] for own in chosen])
    mask = jnp.stack([own.mask for own in chosen])
    weights = jax.jit(encoder.init)(KEY, features[0], mask[0])
    return np.asarray(jax.jit(encoder.apply)(weights, features, mask)), np.asarray(features.mean(axis=2))


@pytest.mark.slow
def test_a_coreset_of_digits_varies_less_over_keys_than_random_images():
    """The reason for it: the same data set should be the same vector. Class means of the pixels too."""
    datasets = pytest.importorskip("sklearn.datasets")
    bunch = datasets.load_digits()
    digits = bunch.data.astype(np.float32) / 16, bunch.target
    keys = jax.random.split(jax.random.key(7), 20)
    variance = {
        name: [part.var(axis=0).sum() for part in encoded(select, digits, keys)]
        for name, select in (("coreset", coreset), ("random", random_images))
    }
    assert variance["coreset"][0] < 0.6 * variance["random"][0]
    assert variance["coreset"][1] < 0.6 * variance["random"][1]
