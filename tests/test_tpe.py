"""The Parzen estimator against plain NumPy: densities, split, proposal; what it learns; another's figures."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import fewer_is_better

import ednag_jax as ed
from ednag_jax.fitness import evaluate
from ednag_jax.strategies.archive import begun
from ednag_jax.strategies.choices import draw, marks
from ednag_jax.strategies.tpe import TPEState, good_counts, log_density, propose

MIXED = ed.CategoricalSpace("mixed", choices=(2, 4, 3))
STRATEGY = ed.STRATEGIES["tpe"].strategy
SHORT = ed.TPEConfig(num_steps=6, num_initial=6, num_candidates=8)
OPTUNA = {"cifar10": (0.071, 0.106), "cifar100": (0.302, 0.372)}
"""Regret after 100 queries, mean and standard deviation over 100 runs of Optuna 5.0.0, its defaults."""


def state_of(space, phenotype, fitness, size):
    """Returns the state after those queries, with room for `size`."""
    benchmark = ed.Problem(space, lambda params, key, _: params)
    fitness = jnp.asarray(fitness, jnp.float32)
    asked = evaluate(jax.random.key(0), fitness, jnp.asarray(phenotype), problem=benchmark)
    return TPEState(begun(asked, size), jnp.sum(marks(asked.phenotype, space), axis=0), asked)


def plain_counts(phenotype, choices):
    """Returns how often each value of each choice occurs."""
    return [
        np.bincount(column, minlength=n) for column, n in zip(np.asarray(phenotype).T, choices, strict=True)
    ]


def plain_split(phenotype, fitness, gamma):
    """Returns good and other architectures: a stable sort, the fittest first, failures never good."""
    fitness = np.where(np.isfinite(fitness), fitness, -np.inf)
    order = np.argsort(-fitness, kind="stable")
    num_good = math.ceil(round(gamma * len(fitness), 6))
    good = [i for i in order[:num_good] if fitness[i] > -np.inf]
    return phenotype[good], phenotype[[i for i in range(len(fitness)) if i not in good]]


def padded(rows, width=4):
    return np.array([[*row, *[0] * (width - len(row))] for row in rows])


def test_density_is_the_share_of_the_counts_with_the_prior():
    """N p + C of the paper: with a uniform prior one is added to each count; here two."""
    counts = jnp.array([[3.0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 4, 0]])
    found = np.exp(log_density(counts, 2.0, space=MIXED))
    expected = [[5 / 8, 3 / 8, 0, 0], [1 / 4, 1 / 4, 1 / 4, 1 / 4], [3 / 11, 2 / 11, 6 / 11, 0]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("used", [1, 20, 33, *(pytest.param(num, marks=pytest.mark.slow) for num in (7, 40))])
def test_good_are_the_fittest_share_the_older_of_equals(used):
    rng = np.random.default_rng(used)
    phenotype, fitness = np.asarray(MIXED.random(jax.random.key(used), used)), rng.integers(0, 6, used) * 1.0
    fitness[rng.random(used) < 0.2] = np.nan
    config = ed.TPEConfig(num_steps=20, num_initial=20)
    state = state_of(MIXED, phenotype, fitness, config.num_queries)
    found = good_counts(state.evaluation, jnp.int32(used), space=MIXED, config=config)
    good, others = plain_split(phenotype, fitness, config.gamma)
    np.testing.assert_array_equal(found, padded(plain_counts(good, MIXED.choices)))
    np.testing.assert_array_equal(state.counts - found, padded(plain_counts(others, MIXED.choices)))


def test_where_nearly_all_failed_no_failure_is_good():
    phenotype = np.asarray(MIXED.random(jax.random.key(0), 20))
    config = ed.TPEConfig(num_steps=20, num_initial=20)
    state = state_of(MIXED, phenotype, [5.0] + [np.nan] * 19, config.num_queries)
    found = good_counts(state.evaluation, jnp.int32(20), space=MIXED, config=config)
    np.testing.assert_array_equal(found, padded(plain_counts(phenotype[:1], MIXED.choices)))


def test_of_the_candidates_the_greatest_ratio_is_proposed():
    """The same candidates weighed in NumPy; what was asked before is passed over."""
    space, config = ed.SPACES["nasbench201"], ed.TPEConfig(num_steps=20, num_initial=20, num_candidates=12)
    for seed in range(5):
        key, rng = jax.random.key(seed), np.random.default_rng(seed)
        phenotype, fitness = np.asarray(space.random(key, 30)), rng.normal(size=30)
        state = state_of(space, phenotype, fitness, config.num_queries)
        proposed = propose(key, state, jnp.int32(30), space=space, config=config)
        good, others = plain_split(phenotype, fitness, config.gamma)
        p, q = ([(c + 1) / (c + 1).sum() for c in plain_counts(part, space.choices)] for part in (good, others))
        log_p = jnp.asarray(np.log(p), jnp.float32)
        candidates = np.asarray(draw(jax.random.split(key)[0], log_p, config.num_candidates, space=space))
        ratio = [np.prod([p[j][v] / q[j][v] for j, v in enumerate(row)]) for row in candidates]
        known = (candidates[:, None] == phenotype).all(axis=2).any(axis=1)
        np.testing.assert_array_equal(proposed[0], candidates[np.argmax(np.where(known, 0, ratio))])


def test_what_was_asked_before_is_passed_over_however_good():
    space, config = ed.CategoricalSpace("three", choices=(3,)), ed.TPEConfig(num_steps=4, num_initial=2)
    state = state_of(space, np.array([[0], [1]]), [9.0, 1.0], config.num_queries)
    for seed in range(10):
        proposed = propose(jax.random.key(seed), state, jnp.int32(2), space=space, config=config)
        assert proposed.tolist() == [[2]]


@pytest.mark.slow
def test_where_all_candidates_were_asked_before_one_is_drawn_uniformly():
    space, config = ed.CategoricalSpace("three", choices=(3,)), ed.TPEConfig(num_steps=4, num_initial=3)
    state = state_of(space, np.array([[0], [1], [2]]), [9.0, 1.0, 1.0], config.num_queries)
    keys = ed.seed_keys(300)
    proposed = jax.vmap(lambda key: propose(key, state, jnp.int32(3), space=space, config=config))(keys)
    counts = np.bincount(np.asarray(proposed).ravel(), minlength=3)
    assert np.all(np.abs(counts - 100) < 5 * 10)


def test_choices_that_did_not_matter_are_not_counted():
    """Only deep networks have a third and fourth block: the kinds of these are counted in them alone."""
    space = ed.SPACES["mobilenetv3"]
    problem = ed.Problem(space, lambda params, key, phenotype: jnp.sum(phenotype, axis=-1) / 9.0)
    state, _ = ed.evolve_seeds(ed.seed_keys(2), None, problem=problem, config=SHORT, strategy=STRATEGY)
    for seed in range(2):
        phenotype = state.evaluation.phenotype[seed]
        matters = np.asarray(space.matters(phenotype)).sum(axis=0)
        np.testing.assert_array_equal(state.counts[seed].sum(axis=1), matters)
        assert matters.min() < SHORT.num_queries


@pytest.mark.slow
@pytest.mark.optimised
def test_it_finds_the_best_of_independent_choices():
    """Accuracy adds up over 8 choices of 4 values: one of 65,536 is the best, and random search finds none."""
    space = ed.CategoricalSpace("bandits", choices=(4,) * 8)
    best = jnp.array([2, 0, 3, 1, 1, 0, 2, 3])
    problem = ed.Problem(space, lambda params, key, phenotype: jnp.sum(phenotype == best, axis=-1) * 1.0)
    state, trace = ed.evolve_seeds(
        ed.seed_keys(20), None, problem=problem, config=ed.TPEConfig(num_steps=200), strategy=STRATEGY
    )
    assert np.mean(np.asarray(state.best.accuracy) == 8) > 0.9
    assert np.mean(trace.steps.evaluation.accuracy) > np.mean(trace.initial.accuracy) + 2


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ed.SPACES))
def test_every_space_can_be_searched(name):
    problem = fewer_is_better(ed.SPACES[name])
    state, trace = ed.evolve_seeds(ed.seed_keys(3), None, problem=problem, config=SHORT, strategy=STRATEGY)
    assert np.all(trace.steps.evaluation.queried)
    assert np.all(state.best.accuracy >= np.max(trace.initial.accuracy, axis=1))
    ids = np.asarray(state.evaluation.arch_id).reshape(3, SHORT.num_queries, -1)
    for seed in range(3):  # all that was proposed is new, whatever the first, uniform draws repeat
        _, first = np.unique(ids[seed], axis=0, return_index=True)
        assert set(range(SHORT.num_initial, SHORT.num_queries)) <= set(first.tolist())


@pytest.mark.slow
@pytest.mark.optimised
@pytest.mark.parametrize("dataset", sorted(OPTUNA))
def test_nasbench201_comes_out_as_with_another_implementation(dataset):
    """And well ahead of random search, with which it is level in the first queries."""
    benchmark = ed.load_benchmark("nasbench201", dataset=dataset)
    found, drawn = (ed.search(name, benchmark, seeds=100, queries=100) for name in ("tpe", "random_search"))
    mean, deviation = OPTUNA[dataset]
    regret, others = (benchmark.optimum - result.best_after(100) for result in (found, drawn))
    assert abs(regret.mean() - mean) < 4 * np.hypot(regret.std(), deviation) / 10
    assert regret.mean() < 0.5 * others.mean()
    first = found.best_after(20) - drawn.best_after(20)
    assert abs(first.mean()) < 4 * first.std() / 10
