"""Accuracy -> fitness -> log weight."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest

import ednag_jax as ed
from ednag_jax.config import MAPPINGS
from ednag_jax.fitness import best_of, better_of, evaluate, fitness_of, log_weights, mean_ranks, rescale

CONFIG = ed.EvolveConfig()


def f32(values):
    return jnp.asarray(values, jnp.float32)


def test_rescale_equals_the_oracle_and_its_stated_slopes():
    accuracy = np.linspace(0, 120, 500)
    np.testing.assert_allclose(rescale(f32(accuracy)), oracle.rescale(accuracy), rtol=1e-4, atol=1e-3)
    slopes = [float(rescale(f32(a + 1)) - rescale(f32(a))) for a in (10, 40, 60, 72, 77, 82, 87, 92, 97)]
    np.testing.assert_allclose(slopes, [0.1, 1, 2, 3, 5, 10, 30, 40, 50], rtol=1e-3)


def test_failed_accuracy_is_worst_under_both_objectives():
    accuracy = f32([50.0, np.nan, -3.0])
    assert fitness_of(accuracy, CONFIG).tolist() == [50, -np.inf, -3]
    paper = ed.EvolveConfig.preset("paper", dataset="cifar100")
    np.testing.assert_allclose(fitness_of(accuracy, paper), [rescale(f32(60.0)), 0, 0], rtol=1e-6)


def test_ranks_share_their_mean_at_ties():
    assert mean_ranks(f32([5, 1, 5, -jnp.inf])).tolist() == [2.5, 1, 2.5, 0]


def test_mappings_in_closed_form():
    f = f32([1.0, 2.0, 4.0])
    log_g = {m: log_weights(f, CONFIG.replace(mapping=m, temperature=0.5, power=3.0)) for m in MAPPINGS}
    np.testing.assert_allclose(log_g["identity"], np.log([1, 2, 4]), rtol=1e-6)
    np.testing.assert_allclose(log_g["power"], 3 * np.log([2, 4, 8]), rtol=1e-6)
    np.testing.assert_allclose(log_g["energy"], [-6, -4, 0], rtol=1e-6)
    np.testing.assert_allclose(log_g["rank"], [0, 1, 2], rtol=1e-6)
    z = (np.array([1, 2, 4]) - 7 / 3) / np.std([1, 2, 4])
    np.testing.assert_allclose(log_g["standardised"], z / 0.5, rtol=1e-5)


@pytest.mark.parametrize("mapping", ["rank", "standardised"])
def test_mappings_without_a_scale_ignore_it(mapping):
    config, f = CONFIG.replace(mapping=mapping), jax.random.normal(jax.random.key(0), (20,))
    np.testing.assert_allclose(log_weights(f, config), log_weights(1e3 * f - 7, config), atol=1e-4)


def test_constant_mapping_gives_fitness_no_say():
    log_g = log_weights(f32([3, -np.inf, 5]), CONFIG.replace(mapping="constant", temperature=0.5))
    np.testing.assert_array_equal(log_g, np.zeros(3))


@pytest.mark.parametrize("mapping", [name for name in MAPPINGS if name != "constant"])
@pytest.mark.parametrize("fitness", [[3, 3, 3], [-1, -2, 0], [-np.inf, 1, 2], [-np.inf] * 3, [7]])
def test_no_mapping_makes_nan_and_failures_weigh_nothing(mapping, fitness):
    log_g = np.asarray(log_weights(f32(fitness), CONFIG.replace(mapping=mapping)))
    assert not np.any(np.isnan(log_g))
    assert np.all(log_g[np.isneginf(fitness)] == -np.inf)
    x0 = ed.estimate_x0(jnp.ones((len(fitness), 2)), jnp.asarray(log_g), 0.5)
    np.testing.assert_allclose(x0, 1.0, rtol=1e-6)


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_fitter_never_weighs_less(mapping):
    log_g = log_weights(f32([0.5, 1, 1, 2, 9]), CONFIG.replace(mapping=mapping))
    assert np.all(np.diff(log_g) >= 0)


def broken_fitness(params, key, phenotype):
    value = params[phenotype[:, 0]]
    return value


def test_what_is_not_finite_failed_and_what_is_invalid_is_not_asked():
    space = ed.CategoricalSpace("small", choices=(3, 3))
    problem = ed.Problem(space, broken_fitness)
    phenotype = jnp.array([[0, 0], [1, 0], [2, 0], [0, -1]])
    out = evaluate(jax.random.key(0), f32([4, jnp.nan, jnp.inf]), phenotype, problem=problem)
    assert out.queried.tolist() == [True, True, True, False]
    np.testing.assert_array_equal(out.accuracy, [4, np.nan, np.nan, np.nan])
    assert out.fitness.tolist() == [4, -np.inf, -np.inf, -np.inf]
    best = best_of(out)
    assert best.phenotype.tolist() == [0, 0]
    assert better_of(best, best_of(out)).fitness == 4
