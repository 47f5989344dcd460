"""Equations (8) and (9): closed forms, the float64 oracle, invariants, the ends of the schedule."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest

import ednag_jax as ed
from ednag_jax.denoise import ddim_step, denoise, effective_size, estimate_x0, estimate_x0_floored, sigma

denoising = importlib.import_module("ednag_jax.denoise")  # the package has a function of that name
N, D = 12, 7
ALPHAS = [0.0, 1e-3, 0.3, 0.9, 0.9997]


@pytest.fixture(scope="module")
def population():
    rng = np.random.default_rng(1)
    return rng.normal(size=(N, D)), np.exp(rng.normal(size=N))


def f32(values):
    return jnp.asarray(values, jnp.float32)


def test_pure_noise_gives_everybody_the_weighted_mean(population):
    x, g = population
    x0 = estimate_x0(f32(x), f32(np.log(g)), 0.0)
    np.testing.assert_allclose(x0, np.tile(g @ x / g.sum(), (N, 1)), rtol=2e-5, atol=1e-6)


def test_two_points_in_closed_form():
    """x = (0, 2), g = (1, 1), alpha_bar = 1/4: exponents -(x_i - x_j / 2)^2 / 1.5."""
    p = np.exp([-0.0, -1 / 1.5])
    q = np.exp([-4 / 1.5, -1 / 1.5])
    expected = [[2 * p[1] / p.sum()], [2 * q[1] / q.sum()]]
    np.testing.assert_allclose(estimate_x0(f32([[0], [2]]), f32([0, 0]), 0.25), expected, rtol=1e-6)


@pytest.mark.parametrize("alpha_bar", ALPHAS)
def test_estimate_equals_the_oracle(population, alpha_bar):
    x, g = population
    ours = estimate_x0(f32(x), f32(np.log(g)), alpha_bar)
    np.testing.assert_allclose(ours, oracle.estimate_x0(x, g, alpha_bar), rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("alpha_bar", ALPHAS)
@pytest.mark.parametrize("floor", [1e-9, 1e-2])
def test_floored_estimate_equals_the_oracle(population, alpha_bar, floor):
    x, g = population
    ours = estimate_x0_floored(f32(x), f32(np.log(g)), alpha_bar, floor)
    expected = oracle.estimate_x0(x, g / g.max(), alpha_bar, floor=floor)
    np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=2e-4)


def test_estimate_stays_in_the_hull_and_moves_with_the_population(population):
    x, g = population
    x0 = np.asarray(estimate_x0(f32(x), f32(np.log(g)), 0.5))
    assert np.all(x0 <= x.max(axis=0) + 1e-5)
    assert np.all(x0 >= x.min(axis=0) - 1e-5)
    order = np.random.default_rng(0).permutation(N)
    shuffled = estimate_x0(f32(x[order]), f32(np.log(g[order])), 0.5)
    np.testing.assert_allclose(shuffled, x0[order], rtol=1e-4, atol=1e-5)


def test_only_ratios_of_weights_count(population):
    x, g = population
    a = estimate_x0(f32(x), f32(np.log(g)), 0.5)
    b = estimate_x0(f32(x), f32(np.log(g) + 300), 0.5)
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_weights_that_all_underflow_still_rank(population):
    """log weights of -1e4 are 0 as float32 numbers; the log space keeps their ratios."""
    x, g = population
    a = estimate_x0(f32(x), f32(np.log(g)), 0.0)
    b = estimate_x0(f32(x), f32(np.log(g) - 1e4), 0.0)
    np.testing.assert_allclose(a, b, rtol=2e-2, atol=2e-3)


def test_without_any_weight_all_count_alike(population):
    x, _ = population
    none = estimate_x0(f32(x), jnp.full(N, -jnp.inf), 0.2)
    np.testing.assert_array_equal(none, estimate_x0(f32(x), jnp.zeros(N), 0.2))
    floored = estimate_x0_floored(f32(x), jnp.full(N, -jnp.inf), 0.2, 1e-9)
    np.testing.assert_array_equal(floored, estimate_x0_floored(f32(x), jnp.zeros(N), 0.2, 1e-9))


def test_a_failed_individual_has_no_say_but_is_denoised():
    x = f32([[0.0], [1.0], [1000.0]])
    x0 = estimate_x0(x, f32([0, 0, -jnp.inf]), 0.5)
    assert np.all(np.asarray(x0) <= 1.0)


def test_one_individual_points_at_itself():
    np.testing.assert_allclose(estimate_x0(f32([[3.0, -1.0]]), f32([0.0]), 0.7), [[3.0, -1.0]])


def plain_sizes(x, g, alpha_bar, floor=None):
    """Effective sample size of the weights in (8), one individual a time, in float64."""
    added, sizes = floor or 0.0, []
    for row in x:
        exponents = -np.sum((row - np.sqrt(alpha_bar) * x) ** 2, axis=1) / (2 * (1 - alpha_bar))
        shift = exponents.max() if floor is None else 0.0
        p = (g / g.max() + added) * (np.exp(exponents - shift) + added)
        p /= p.sum()
        sizes.append(1 / np.sum(p**2))
    return sizes


@pytest.mark.parametrize("floor", [None, 1e-9])
@pytest.mark.parametrize("alpha_bar", ALPHAS)
def test_effective_size_is_one_over_the_sum_of_squared_shares(population, alpha_bar, floor):
    x, g = population
    ours = effective_size(f32(x), f32(np.log(g)), alpha_bar, floor=floor)
    np.testing.assert_allclose(ours, np.mean(plain_sizes(x, g, alpha_bar, floor)), rtol=2e-3)


def test_effective_size_is_all_where_they_weigh_the_same_and_one_where_one_decides():
    x = f32(np.ones((5, 2)))
    assert effective_size(x, jnp.zeros(5), 0.5) == 5
    assert effective_size(x, jnp.full(5, -jnp.inf), 0.5) == 5  # (no weight at all counts as equal ones)
    assert effective_size(x, f32([0, *[-np.inf] * 4]), 0.5) == 1
    assert effective_size(f32([[3.0]]), jnp.zeros(1), 0.5) == 1


def test_effective_size_of_a_large_population_is_that_of_its_first_block(monkeypatch, population):
    x, g = population
    monkeypatch.setattr(denoising, "BLOCK_ROWS", 4)
    ours = effective_size(f32(x), f32(np.log(g)), 0.3)
    np.testing.assert_allclose(ours, np.mean(plain_sizes(x, g, 0.3)[:4]), rtol=2e-3)


def test_sharp_kernel_near_the_end_keeps_distant_points_apart():
    x = f32([[-1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(estimate_x0(x, f32([0, 5.0]), 0.9999), x, atol=1e-6)


@pytest.mark.parametrize("alpha_bar, alpha_bar_prev", [(0.0, 0.1), (0.3, 0.4), (0.9, 0.95), (0.99, 1.0)])
@pytest.mark.parametrize("noise_scale", [0.0, 0.8, 1.0])
def test_step_equals_the_oracles_two_equations(population, alpha_bar, alpha_bar_prev, noise_scale):
    x, _ = population
    rng = np.random.default_rng(2)
    x0, w = rng.normal(size=(2, N, D))
    ours = ddim_step(f32(x), f32(x0), f32(w), alpha_bar, alpha_bar_prev, noise_scale=noise_scale)
    expected = oracle.ddim(x, x0, w, alpha_bar, alpha_bar_prev, noise_scale)
    np.testing.assert_allclose(ours, expected, rtol=2e-4, atol=2e-5)


def test_last_step_ends_at_the_clean_estimate(population):
    x, g = population
    ours = denoise(jax.random.key(0), f32(x), f32(np.log(g)), 0.5, 1.0, noise_scale=1.0)
    np.testing.assert_allclose(ours, estimate_x0(f32(x), f32(np.log(g)), 0.5), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["cosine", "linear", "ddpm"])
def test_every_row_is_finite_at_full_noise(population, name):
    x, g = population
    for row in zip(*ed.make_schedule(name, 50), strict=True):
        out = denoise(jax.random.key(0), f32(x), f32(np.log(g)), row[1], row[2], noise_scale=1.0)
        assert np.all(np.isfinite(out)), row


def test_forward_noise_of_the_estimate_is_kept_in_distribution():
    """If x_t = sqrt(a) x0 + sqrt(1-a) eps for the estimate itself, a step gives N(sqrt(a') x0, (1-a') I)."""
    a, a_prev, m = 0.4, 0.7, 40_000
    key_eps, key_w = jax.random.split(jax.random.key(3))
    x0 = jnp.full((m, 1), 2.0)
    x = jnp.sqrt(a) * x0 + jnp.sqrt(1 - a) * jax.random.normal(key_eps, (m, 1))
    for noise_scale in (0.0, 0.8, 1.0):
        out = ddim_step(x, x0, jax.random.normal(key_w, (m, 1)), a, a_prev, noise_scale=noise_scale)
        assert abs(float(out.mean()) - np.sqrt(a_prev) * 2) < 4 * np.sqrt((1 - a_prev) / m)
        assert abs(float(out.var()) - (1 - a_prev)) < 4 * (1 - a_prev) * np.sqrt(2 / m)


def test_sigma_is_ddims(population):
    a, b = 0.3, 0.6
    expected = 0.5 * np.sqrt((1 - b) / (1 - a)) * np.sqrt(1 - a / b)
    assert float(sigma(f32(a), f32(b), 0.5)) == pytest.approx(expected, rel=1e-6)


def test_noise_is_the_only_randomness(population):
    x, g = population
    args = (f32(x), f32(np.log(g)), 0.5, 0.6)
    same = [denoise(jax.random.key(k), *args, noise_scale=0.0) for k in (0, 1)]
    np.testing.assert_array_equal(*same)
    other = [denoise(jax.random.key(k), *args) for k in (0, 1)]
    assert not np.allclose(*other)


@pytest.mark.parametrize("floor", [None, 1e-9])
def test_blocks_give_the_whole_answer(monkeypatch, population, floor):
    x, g = population
    args = (jax.random.key(0), f32(x), f32(np.log(g)), 0.5, 0.6)
    whole = denoise(*args, floor=floor)
    monkeypatch.setattr(denoising, "BLOCK_ROWS", 5)  # 12 rows: two blocks and a rest
    np.testing.assert_allclose(denoise(*args, floor=floor), whole, rtol=1e-5, atol=1e-6)


def test_noise_scale_above_one_is_refused(population):
    x, g = population
    with pytest.raises(ValueError, match=r"got 1.2: above 1 the step variance"):
        denoise(jax.random.key(0), f32(x), f32(g), 0.5, 0.6, noise_scale=1.2)
