"""Diffusion by an SDE: distributions whose scores are known are sampled, and their densities found again."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import chi2

import ednag_jax as ed
from ednag_jax.config import SamplingConfig, ScoreConfig
from ednag_jax.score.cells import as_matrix, from_matrix, hearing, uniform_score
from ednag_jax.score.evaluation import expected_uniqueness, quality
from ednag_jax.score.sde import langevin, levels, log_density, reverse_step, sample, sigma_at, time_at

SPACE = ed.SPACES["nasbench201"]
CONFIG = ScoreConfig()
KEY = jax.random.key(0)


def gaussian_score(x, sigma, *, mean, deviation):
    return -(x - mean) / (deviation**2 + sigma**2)


def moments(deviation, sampling):
    """Returns the variance that samples of zero-mean Gaussian data end with, by its recursion in float64."""
    sigma = np.geomspace(CONFIG.sigma_max, CONFIG.sigma_min, sampling.num_scales)
    variance = sigma[0] ** 2
    for now, later in zip(sigma, [*sigma[1:], 0.0], strict=True):
        true = deviation**2 + now**2
        for _ in range(sampling.num_correctors):
            step = 2 * (sampling.snr * true / np.sqrt(variance)) ** 2  # |z| / |g| = true / sqrt(variance)
            variance = (1 - step / true) ** 2 * variance + 2 * step
        change = now**2 - later**2
        variance = (1 - change / true) ** 2 * variance + (change if later > 0 else 0.0)
    return variance


# Levels of noise


def test_levels_fall_geometrically_from_the_greatest_to_the_least_and_then_to_0():
    rows = levels(5, CONFIG)
    np.testing.assert_allclose(rows.sigma, np.geomspace(5.0, 0.1, 5), rtol=1e-5)
    np.testing.assert_array_equal(rows.sigma_next, [*rows.sigma[1:], 0.0])


def test_the_time_of_a_level_leads_back_to_it():
    time = jnp.linspace(0, 1, 7)
    np.testing.assert_allclose(time_at(sigma_at(time, CONFIG), CONFIG), time, atol=1e-6)


# Steps


def test_a_corrector_step_is_the_published_one():
    rng = np.random.default_rng(0)
    x, gradient, noise = rng.normal(size=(3, 6, 2, 4))
    norms = [np.linalg.norm(a.reshape(6, -1), axis=1).mean() for a in (noise, gradient)]
    step = 2 * (0.16 * norms[0] / norms[1]) ** 2
    found = langevin(*(jnp.asarray(a, jnp.float32) for a in (x, gradient, noise)), 0.16)
    np.testing.assert_allclose(found, x + step * gradient + np.sqrt(2 * step) * noise, rtol=1e-4, atol=1e-5)


def test_a_corrector_without_a_gradient_stays_finite():
    x = jnp.ones((2, 3))
    assert np.isfinite(langevin(x, jnp.zeros_like(x), jnp.zeros_like(x), 0.16)).all()


def test_the_last_step_is_the_expectation_of_what_the_noise_hides():
    """Gaussian data: E[x_0 | x] = x s^2 / (s^2 + sigma^2), without fresh noise."""
    x, noise = jnp.array([[1.0, -2.0]]), jnp.full((1, 2), 9.0)
    score = gaussian_score(x, 0.5, mean=0.0, deviation=2.0)
    found = reverse_step(x, score, noise, jnp.float32(0.5), jnp.float32(0.0))
    np.testing.assert_allclose(found, x * 4 / 4.25, rtol=1e-6)


# Sampling


@pytest.mark.parametrize("correctors", [0, 1])
def test_a_gaussian_is_sampled_with_the_variance_that_the_recursion_says(correctors):
    sampling, num = SamplingConfig(num_scales=100, num_correctors=correctors), 4096
    score = partial(gaussian_score, mean=0.0, deviation=1.3)
    found = np.asarray(sample(KEY, score, (num, 2), sampling, config=CONFIG))
    wanted = moments(1.3, sampling)
    assert abs(found.var() / wanted - 1) < 4 * np.sqrt(2 / found.size)
    assert abs(found.mean()) < 4 * np.sqrt(wanted / found.size)


def test_with_the_published_number_of_levels_mean_and_variance_are_nearly_the_data_s():
    """The recursion alone: within 1 % of the variance of E[x_0 | x] at the least level."""
    ideal = 1.3**4 / (1.3**2 + CONFIG.sigma_min**2)
    assert moments(1.3, SamplingConfig(num_correctors=0)) == pytest.approx(ideal, rel=0.01)
    assert moments(1.3, SamplingConfig()) == pytest.approx(ideal, rel=0.03)


def test_a_mean_is_recovered_within_its_error_bar():
    """What the prior's own mean, 0, leaves over is known: the product of the steps' factors."""
    sampling = SamplingConfig(num_scales=100, num_correctors=0)
    sigma = np.geomspace(CONFIG.sigma_max, CONFIG.sigma_min, 100)
    change = sigma**2 - np.append(sigma[1:], 0.0) ** 2
    left = np.prod(1 - change / (0.5**2 + sigma**2))
    found = sample(KEY, partial(gaussian_score, mean=2.0, deviation=0.5), (4096, 2), sampling, config=CONFIG)
    assert abs(np.mean(found) - 2.0 * (1 - left)) < 4 * 0.5 / np.sqrt(found.size)


def test_the_exact_score_of_all_cells_gives_valid_cells_spread_evenly():
    num = 400
    found = from_matrix(sample(KEY, uniform_score, (num, 8, 7), SamplingConfig(num_scales=100), config=CONFIG))
    assert np.asarray(SPACE.is_valid(found)).mean() >= 0.99
    count = np.stack([(np.asarray(found) == op).sum(axis=0) for op in range(5)])
    statistic = np.sum((count - num / 5) ** 2 / (num / 5), axis=0)
    assert statistic.max() < chi2.ppf(1 - 1e-5, df=4)


# Density


def test_the_density_of_a_gaussian_is_its_closed_form():
    deviation, sigma = jnp.array([0.5, 2.0]), jnp.geomspace(0.1, 5.0, 60)

    def normal(x, level):
        variance = deviation**2 + level**2
        return -0.5 * jnp.sum(x**2 / variance + jnp.log(2 * jnp.pi * variance), axis=-1)

    x = jax.random.normal(KEY, (5, 2))
    score = partial(gaussian_score, mean=0.0, deviation=deviation)
    found = log_density(x, score, partial(normal, level=5.0), sigma)
    np.testing.assert_allclose(found, normal(x, 0.1), atol=2e-4)


def test_the_density_of_two_points_with_noise_is_that_of_two_bells():
    points, sigma = jnp.array([[-1.0, 0.0], [1.0, 0.5]]), jnp.geomspace(0.3, 5.0, 60)

    def bells(x, level):
        squared = jnp.sum((x[..., None, :] - points) ** 2, axis=-1)
        total = jax.scipy.special.logsumexp(-squared / (2 * level**2), axis=-1)
        return total - jnp.log(2) - jnp.log(2 * jnp.pi * level**2)

    x = jnp.array([[-1.2, 0.1], [0.0, 0.2], [1.0, 1.0], [0.4, 0.4]])
    found = log_density(x, jax.vmap(jax.grad(bells), (0, None)), partial(bells, level=5.0), sigma)
    np.testing.assert_allclose(found, bells(x, 0.3), atol=1e-3)


# Cells


def test_cells_become_matrices_and_back():
    cells = SPACE.random(KEY, 20)
    matrix = as_matrix(cells)
    assert set(np.unique(matrix)) == {-1.0, 1.0}
    np.testing.assert_array_equal((matrix == 1).sum(axis=-1), 1)
    np.testing.assert_array_equal(from_matrix(matrix), cells)


@pytest.mark.parametrize("node", [0, 7])
def test_what_has_no_input_or_no_output_is_no_cell(node):
    matrix = as_matrix(SPACE.random(KEY, 3)).at[1, node, 3].set(9.0)
    found = SPACE.is_valid(from_matrix(matrix))
    np.testing.assert_array_equal(found, [True, False, True])


def test_nodes_hear_each_other_where_there_is_a_path():
    ends = [(-1, 0), (0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (3, -2)]

    def leads(u, v):
        return u == v or any(leads(w, v) for w in range(8) if ends[u][1] == ends[w][0])

    wanted = [[leads(u, v) or leads(v, u) for v in range(8)] for u in range(8)]
    np.testing.assert_array_equal(hearing(), wanted)
    assert not hearing()[1, 2]  # 0->1 and 0->2 stand side by side
    assert hearing()[[0, 7]].all()


def test_the_uniform_score_is_the_gradient_of_the_sum_over_all_cells():
    """float64, all 15,625 cells, at levels where many cells count and where one does."""
    clean = np.asarray(as_matrix(SPACE.from_index(jnp.arange(SPACE.size))), np.float64).reshape(-1, 56)
    for sigma in (0.4, 1.5):
        x = clean[777] + sigma * np.random.default_rng(1).normal(size=56)
        log_weight = -np.sum((x - clean) ** 2, axis=1) / (2 * sigma**2)
        mean = np.exp(log_weight - logsumexp(log_weight)) @ clean
        found = uniform_score(jnp.asarray(x, jnp.float32).reshape(1, 8, 7), jnp.float32(sigma))
        np.testing.assert_allclose(np.ravel(found), (mean - x) / sigma**2, rtol=1e-3, atol=1e-3)


def test_quality_counts_what_is_valid_different_and_new():
    cells = SPACE.from_index(jnp.array([0, 0, 1, 2, 3])).at[4].set(-1)
    found = quality(cells, SPACE.from_index(jnp.array([1])))
    assert (found.validity, found.uniqueness) == (0.8, 0.75)
    assert found.novelty == pytest.approx(2 / 3)
    np.testing.assert_allclose(found.marginals.sum(axis=1), 1)
    none = quality(cells[4:], cells[:1])
    assert none.validity == 0
    assert np.isnan([none.uniqueness, none.novelty]).all()


def test_expected_uniqueness_is_that_of_uniform_draws():
    drawn = np.random.default_rng(0).integers(0, 15625, (300, 500))
    found = [len(np.unique(row)) / 500 for row in drawn]
    assert abs(np.mean(found) - expected_uniqueness(500)) < 4 * np.std(found) / np.sqrt(300)
