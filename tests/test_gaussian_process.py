"""The incremental Gaussian process against plain NumPy, float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ednag_jax.spaces.traits import Traits
from ednag_jax.strategies.gaussian_process import (
    Kernel,
    grown_inverse,
    log_evidence,
    log_expected_improvement,
    normal_scores,
    posterior,
)

SIZE, USED, NOISE = 12, 7, 0.05


def drawn(seed, number):
    keys = jax.random.split(jax.random.key(seed), 3)
    return Traits(*(jax.random.normal(key, (number, 4)) for key in keys))


def plain_kernel(a, b):
    parts = []
    for x, y in ((a.rough, b.rough), (a.coarse, b.coarse), (a.fine, b.fine)):
        difference = np.asarray(x, float)[:, None] - np.asarray(y, float)[None]
        parts.append(np.exp(-2.0 * np.sum(difference**2, axis=-1) / 2))
    return 0.3 * parts[0] + 0.2 * parts[1] + 0.5 * parts[2]


KERNEL = Kernel(0.3, 0.2, 2.0)


def grown(covariance):
    return grown_with_determinant(covariance)[0]


def grown_with_determinant(covariance):
    inverse, determinant = jnp.zeros((SIZE, SIZE)), 1.0
    for row in range(USED):
        new = jnp.where(jnp.arange(SIZE) < row, covariance[:, row], 0.0)
        inverse, growth = grown_inverse(inverse, new, jnp.int32(row), 1 + NOISE)
        determinant *= growth
    return inverse, determinant


def test_kernel_is_a_covariance_with_unit_variance():
    a, b = drawn(0, 5), drawn(1, 3)
    np.testing.assert_allclose(KERNEL(a, b), plain_kernel(a, b), atol=1e-6)
    np.testing.assert_allclose(jnp.diag(KERNEL(a, a)), 1.0, atol=1e-6)


def test_inverse_grown_row_by_row_is_the_inverse():
    covariance = KERNEL(drawn(2, SIZE), drawn(2, SIZE))
    inverse = np.asarray(grown(covariance))
    expected = np.linalg.inv(np.asarray(covariance, float)[:USED, :USED] + NOISE * np.eye(USED))
    np.testing.assert_allclose(inverse[:USED, :USED], expected, rtol=1e-3, atol=1e-4)
    assert not inverse[USED:].any()
    assert not inverse[:, USED:].any()


def test_the_same_architecture_twice_stays_finite_without_noise():
    covariance = jnp.ones((SIZE, SIZE))
    inverse, _ = grown_inverse(jnp.zeros((SIZE, SIZE)), jnp.zeros(SIZE), jnp.int32(0), 1.0)
    again = jnp.where(jnp.arange(SIZE) < 1, covariance[:, 1], 0.0)
    inverse, growth = grown_inverse(inverse, again, jnp.int32(1), 1.0)
    assert jnp.isfinite(inverse).all()
    assert growth > 0


def test_evidence_is_the_density_of_a_normal_distribution():
    old = drawn(2, SIZE)
    inverse, determinant = grown_with_determinant(KERNEL(old, old))
    target = jnp.where(jnp.arange(SIZE) < USED, jax.random.normal(jax.random.key(4), (SIZE,)), 0.0)
    gram = plain_kernel(old, old)[:USED, :USED] + NOISE * np.eye(USED)
    expected = stats.multivariate_normal.logpdf(np.asarray(target[:USED], float), cov=gram)
    found = log_evidence(inverse, jnp.log(determinant), target)
    assert found == pytest.approx(expected + USED / 2 * np.log(2 * np.pi), abs=2e-3)


def test_posterior_is_the_textbook_one():
    old, new = drawn(2, SIZE), drawn(3, 5)
    observed = jnp.arange(SIZE) < USED
    target = jnp.where(observed, jax.random.normal(jax.random.key(4), (SIZE,)), 0.0)
    mean, deviation = posterior(grown(KERNEL(old, old)), KERNEL(old, new) * observed[:, None], target)
    gram = plain_kernel(old, old)[:USED, :USED] + NOISE * np.eye(USED)
    cross = plain_kernel(old, new)[:USED]
    np.testing.assert_allclose(mean, cross.T @ np.linalg.solve(gram, target[:USED]), rtol=1e-3, atol=1e-4)
    variance = 1 - np.sum(cross * np.linalg.solve(gram, cross), axis=0)
    np.testing.assert_allclose(deviation, np.sqrt(variance), rtol=1e-3)


def test_normal_scores_are_quantiles_at_ranks():
    fitness = jnp.array([3.0, -jnp.inf, 7.0, 3.0, 99.0, 99.0])
    observed = jnp.array([True, True, True, True, False, False])
    expected = stats.norm.ppf((stats.rankdata([3, -9, 7, 3]) - 0.5) / 4)
    np.testing.assert_allclose(normal_scores(fitness, observed), [*expected, 0, 0], atol=1e-5)
    assert not normal_scores(fitness, jnp.zeros(6, bool)).any()


@pytest.mark.parametrize("z", [-30.0, -8.0, -5.01, -4.99, -1.0, 0.0, 2.0])
def test_log_expected_improvement_is_right_near_and_far(z):
    deviation = 0.5
    found = log_expected_improvement(jnp.array([z * deviation]), jnp.array([deviation]), jnp.float32(0))
    density, share = stats.norm.logpdf(z), stats.norm.logcdf(z)
    if z > -6:
        expected = np.log(deviation * (z * np.exp(share) + np.exp(density)))
    else:
        expected = np.log(deviation) + density + np.log(1 / z**2 - 3 / z**4)
    np.testing.assert_allclose(found, expected, atol=0.12 if z <= -5 else 1e-3)
    assert jnp.isfinite(found).all()
