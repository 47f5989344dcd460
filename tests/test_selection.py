"""Equation (10): elitism, diversity, roulette, each against plain loops and its statistics."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest

import ednag_jax as ed
from ednag_jax.selection import (
    distance_sums,
    diverse,
    elite,
    roulette_rank,
    select,
    walk,
    walk_weights,
)

CONFIG = ed.EvolveConfig(population_size=10, elite_rate=0.1, diversity_rate=0.2)
PAPER = ed.EvolveConfig.preset("paper").replace(population_size=10)


def f32(values):
    return jnp.asarray(values, jnp.float32)


def test_distance_sums_equal_the_oracle():
    x = np.random.default_rng(0).normal(size=(20, 6))
    np.testing.assert_allclose(distance_sums(f32(x)), oracle.distance_sums(x), rtol=1e-4)


def test_identical_individuals_have_no_distance():
    np.testing.assert_allclose(distance_sums(jnp.full((6, 4), 3.3)), 0, atol=2e-2)


@pytest.mark.parametrize("fitness", [[3, 1, 3, 2, 0], [1, 1, 1, 1, 1], [-5, -np.inf, -5, -7, -6]])
@pytest.mark.parametrize("num", [1, 2, 3, 5])
def test_elites_differ_in_fitness_and_repeats_fill_up(fitness, num):
    assert elite(f32(fitness), num).tolist() == oracle.elite(fitness, num)


def test_diverse_takes_the_most_distinct_of_the_eligible_first():
    diversity = f32([5, 4, 3, 2, 1])
    eligible = jnp.array([False, True, True, True, False])
    taken = jnp.array([False, False, True, False, False])
    assert diverse(diversity, eligible, taken, 3).tolist() == [1, 3, 0]


def test_walk_equals_the_spin_by_spin_loop():
    rng, jitted = np.random.default_rng(0), jax.jit(walk)
    for _ in range(300):
        size, num_taken, num_spins = [(3, 0, 2), (8, 3, 4), (12, 2, 9), (12, 9, 2)][rng.integers(4)]
        taken = rng.permutation(np.arange(size) < num_taken)
        spins, weights = rng.random(num_spins), rng.uniform(0.1, 1, size)
        ours = jitted(f32(spins), f32(weights), jnp.asarray(taken))
        assert ours.tolist() == [bool(t) for t in oracle.walk(spins, weights, taken)]


def test_walk_goes_on_past_the_end():
    """Both spins stop at the last slot, which is taken: slots 0 and 1 follow."""
    taken = jnp.array([False, False, False, True])
    assert walk(f32([0.99, 0.98]), f32([1, 1, 1, 100]), taken).tolist() == [True, True, False, True]


def test_walk_survives_rounding_at_the_end_of_the_wheel():
    """float32 sums of 0.1 fall short of the total; a spin next to 1 must still stop somewhere."""
    out = walk(f32([1 - 6e-8] * 3), f32([0.1] * 60), jnp.zeros(60, bool))
    assert int(out.sum()) == 3


def test_walk_weights_lie_in_a_tenth_to_one():
    weights = walk_weights(f32([0, 5, 10, -jnp.inf]), f32([1, 2, 3, 4]))
    assert float(weights.min()) == pytest.approx(0.1)
    assert float(weights.max()) == pytest.approx(1.0)
    np.testing.assert_allclose(walk_weights(f32([2, 2]), f32([3, 3])), 0.1)
    np.testing.assert_allclose(walk_weights(jnp.full(3, -jnp.inf), jnp.ones(3)), 0.1)


def test_rank_roulette_draws_with_the_probabilities_it_states():
    """Two of three drawn without replacement, weights 1, 2, 3: P(pair) from the urn's closed form."""
    trials = 20_000
    draw = jax.vmap(lambda key: roulette_rank(key, f32([0.1, 7, 90]), jnp.zeros(3, bool), 2, 1.0))
    drawn = np.sort(np.asarray(draw(jax.random.split(jax.random.key(0), trials))), axis=1)
    w = np.array([1, 2, 3]) / 6
    for a, b in itertools.combinations(range(3), 2):
        expected = w[a] * w[b] / (1 - w[a]) + w[b] * w[a] / (1 - w[b])
        found = np.mean((drawn == [a, b]).all(axis=1))
        assert abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / trials)


def test_rank_roulette_without_pressure_is_uniform():
    draw = jax.vmap(lambda key: roulette_rank(key, f32([0, 1, 2, 3]), jnp.zeros(4, bool), 1, 0.0))
    drawn = np.asarray(draw(jax.random.split(jax.random.key(1), 8000)))[:, 0]
    shares = np.bincount(drawn, minlength=4) / 8000
    assert np.all(np.abs(shares - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 8000))


@pytest.mark.parametrize("config", [CONFIG, PAPER], ids=["rank", "walk"])
@pytest.mark.parametrize("kind", ["plain", "equal", "failed", "all_failed", "duplicates", "negative"])
def test_survivors_are_n_different_and_hold_the_best(config, kind):
    rng = np.random.default_rng(3)
    x, fitness = rng.normal(size=(20, 4)), rng.normal(50, 10, 20)
    if kind == "equal":
        fitness[:] = 3
    elif kind == "failed":
        fitness[::2] = -np.inf
    elif kind == "all_failed":
        fitness[:] = -np.inf
    elif kind == "duplicates":
        x[10:], fitness[10:] = x[:10], fitness[:10]
    elif kind == "negative":
        fitness -= 500
    for seed in range(20):
        index = np.asarray(select(jax.random.key(seed), f32(x), f32(fitness), config=config))
        assert len(set(index.tolist())) == 10
        assert index.min() >= 0
        assert index.max() < 20
        assert fitness[index[0]] == fitness.max()


def test_paper_selection_equals_the_oracle():
    rng = np.random.default_rng(5)
    for seed in range(30):
        x, fitness = rng.normal(size=(20, 6)), rng.uniform(0, 100, 20)
        key = jax.random.key(seed)
        uniform = np.asarray(jax.random.uniform(key, (7,)), np.float64)
        ours = select(key, f32(x), f32(fitness), config=PAPER)
        assert set(ours.tolist()) == oracle.select(uniform, x, fitness, 1, 2)


@pytest.mark.parametrize("elite_rate, diversity_rate", [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])
@pytest.mark.parametrize("roulette", ["rank", "walk"])
def test_every_split_of_the_rates_works(elite_rate, diversity_rate, roulette):
    config = CONFIG.replace(elite_rate=elite_rate, diversity_rate=diversity_rate, roulette=roulette)
    x = jax.random.normal(jax.random.key(0), (20, 4))
    index = select(jax.random.key(1), x, jnp.arange(20.0), config=config)
    assert len(set(index.tolist())) == 10
    if elite_rate == 1.0:
        assert index.tolist() == list(range(19, 9, -1))


def test_survivors_do_not_depend_on_the_scale_of_fitness_under_rank():
    x = jax.random.normal(jax.random.key(0), (20, 4))
    fitness = jax.random.normal(jax.random.key(1), (20,))
    a = select(jax.random.key(2), x, fitness, config=CONFIG)
    b = select(jax.random.key(2), x, jnp.exp(3 * fitness) - 100, config=CONFIG)
    np.testing.assert_array_equal(a, b)
