"""Mutation and normalisation of children."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest

import ednag_jax as ed
from ednag_jax.variation import min_max_normalise, polynomial_mutation, reset_mutation, vary


@pytest.fixture(scope="module")
def genotypes():
    return np.random.default_rng(0).uniform(-1, 1, (9, 56))


def test_normalised_individuals_span_minus_one_to_one(genotypes):
    out = np.asarray(min_max_normalise(jnp.asarray(3 * genotypes + 5, jnp.float32)))
    np.testing.assert_allclose(out.min(axis=1), -1, atol=1e-6)
    np.testing.assert_allclose(out.max(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(out, oracle.normalise(genotypes), atol=1e-5)


def test_constant_individual_is_normalised_to_a_constant():
    np.testing.assert_array_equal(min_max_normalise(jnp.full((2, 3), 7.0)), -jnp.ones((2, 3)))


@pytest.mark.parametrize("u", [0.0, 0.2, 0.5, 0.7, 0.999])
@pytest.mark.parametrize("index", [0.0, 5.0, 8.0])
def test_polynomial_mutation_equals_the_oracle(genotypes, u, index):
    ours = polynomial_mutation(jnp.asarray(genotypes, jnp.float32), jnp.full((9, 1), u), index)
    expected = np.stack([oracle.polynomial_mutation(x, u, index) for x in genotypes])
    np.testing.assert_allclose(ours, expected, atol=2e-5)


def test_polynomial_mutation_in_closed_form():
    """From 0 with index 0: u <= 1/2 falls by 1 - (2u + (1 - 2u) / 2) = 1/2 - u of the range 2."""
    moved = polynomial_mutation(jnp.zeros((3, 1)), jnp.array([[0.0], [0.5], [1.0 - 1e-7]]), 0.0)
    np.testing.assert_allclose(moved[:, 0], [-1, 0, 1], atol=1e-5)


def test_polynomial_mutation_stays_in_bounds(genotypes):
    u = jax.random.uniform(jax.random.key(0), (9, 56))
    out = np.asarray(polynomial_mutation(jnp.asarray(genotypes, jnp.float32), u, 5.0))
    assert out.min() >= -1 - 1e-6
    assert out.max() <= 1 + 1e-6


def test_one_draw_for_all_coordinates_never_changes_the_phenotype():
    """The published mutation reshapes a genotype but keeps the order of its numbers."""
    space = ed.SPACES["nasbench201"].with_encoding("padded")
    genotype = min_max_normalise(jax.random.normal(jax.random.key(0), (500, 56)))
    u = jax.random.uniform(jax.random.key(1), (500, 1))
    mutated = polynomial_mutation(genotype, u, 5.0)
    assert np.abs(mutated - genotype).max() > 0.1
    np.testing.assert_array_equal(space.decode(mutated), space.decode(genotype))


@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
def test_reset_mutation_redraws_that_share_inside_the_individuals_range(rate):
    x = jax.random.normal(jax.random.key(0), (400, 50))
    out = reset_mutation(jax.random.key(1), x, rate)
    changed = np.asarray(out != x)
    assert abs(changed.mean() - rate) <= 4 * np.sqrt(rate * (1 - rate) / x.size)
    assert np.all(out >= x.min(axis=1, keepdims=True))
    assert np.all(out <= x.max(axis=1, keepdims=True))


def test_first_step_has_an_index_of_its_own():
    config = ed.EvolveConfig.preset("paper").replace(mutation_rate=1.0)
    x = jax.random.normal(jax.random.key(0), (30, 56))
    first, later, much_later = (
        vary(jax.random.key(1), x, jnp.int32(step), config=config) for step in (0, 1, 50)
    )
    assert not np.allclose(first, later)
    np.testing.assert_array_equal(later, much_later)


def test_without_variation_children_stay():
    x = jax.random.normal(jax.random.key(0), (4, 5))
    config = ed.EvolveConfig(variation="none")
    np.testing.assert_array_equal(vary(jax.random.key(1), x, jnp.int32(0), config=config), x)


def test_mutation_rate_is_a_share_of_individuals_in_the_paper_preset():
    x = min_max_normalise(jax.random.normal(jax.random.key(0), (2000, 56)))
    out = vary(jax.random.key(1), x, jnp.int32(3), config=ed.EvolveConfig.preset("paper"))
    share = np.mean(np.abs(out - x).max(axis=1) > 1e-4)
    # A draw of u next to 1/2 moves nobody, hence a share a little below the rate.
    assert 0.6 - 4 * np.sqrt(0.24 / 2000) - 0.01 < share < 0.6 + 4 * np.sqrt(0.24 / 2000)
