"""Noise schedules: their ends, their order, their closed forms."""

import numpy as np
import pytest

from ednag_jax.schedules import SCHEDULES, alpha_bar_values, make_schedule


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("num_steps", [2, 3, 100, 1001])
def test_falls_strictly_from_one_to_zero(name, num_steps):
    values = alpha_bar_values(name, num_steps)
    assert values[0] == 1
    assert values[-1] == 0
    assert np.all(np.diff(values) < 0)


def test_cosine_is_the_papers():
    i = np.arange(100)
    np.testing.assert_allclose(alpha_bar_values("cosine", 100), (np.cos(np.pi * i / 99) + 1) / 2, atol=1e-12)


def test_linear_is_linear():
    np.testing.assert_allclose(alpha_bar_values("linear", 5), [1, 0.75, 0.5, 0.25, 0])


def test_ddpm_follows_the_product_of_one_minus_beta():
    product = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    values = alpha_bar_values("ddpm", 1000)
    # Only the ends are moved, and little: sqrt(alpha_bar) at the end of the published schedule is 0.0063.
    assert np.max(np.abs(np.sqrt(values) - np.sqrt(product))) < 0.0065


def test_geometric_falls_by_the_same_factor_each_step():
    values = alpha_bar_values("geometric", 100)[1:-1]
    noise = np.sqrt((1 - values) / values)
    np.testing.assert_allclose(noise[[0, -1]], [1e-3, 30], rtol=1e-6)
    np.testing.assert_allclose(noise[1:] / noise[:-1], 30_000 ** (1 / 97), rtol=1e-6)


def test_geometric_is_told_apart_from_no_noise_in_float32():
    rows = make_schedule("geometric", 2000)
    assert np.all(rows.alpha_bar < 1)
    assert np.all(np.diff(rows.alpha_bar) >= 0)


@pytest.mark.parametrize("name", SCHEDULES)
def test_rows_run_from_noise_to_data(name):
    rows = make_schedule(name, 10)
    values = alpha_bar_values(name, 10)
    assert rows.step.tolist() == list(range(9))
    np.testing.assert_allclose(rows.alpha_bar, values[:0:-1], rtol=1e-6)
    np.testing.assert_allclose(rows.alpha_bar_prev, values[-2::-1], rtol=1e-6)
    assert rows.alpha_bar[0] == 0
    assert rows.alpha_bar_prev[-1] == 1


def test_errors_name_what_is_allowed():
    with pytest.raises(ValueError, match=r"cosine, linear, ddpm, geometric, got 'sigmoid'"):
        make_schedule("sigmoid", 10)
    with pytest.raises(ValueError, match="at least 2, got 1"):
        make_schedule("cosine", 1)
