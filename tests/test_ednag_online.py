"""EDNAG with an online predictor: what it proposes, and that it finds the best with few queries."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.strategies.ednag_online import (
    EDNAG_ONLINE,
    Fit,
    _observe,
    acquisition,
    propose,
    recommend,
)
from ednag_jax.strategies.gaussian_process import (
    log_evidence,
    log_expected_improvement,
    normal_scores,
)

SPACE = ed.SPACES["nasbench201"]


@pytest.mark.slow
def test_no_architecture_is_queried_twice(bumpy):
    config = ed.OnlineConfig(num_steps=40, num_initial=1, num_mutants=16, num_random=64, population_size=8)
    result = ed.search("ednag_online", bumpy, seeds=4, config=config)
    np.testing.assert_array_equal(result.queries, 41)


@pytest.mark.slow
def test_a_whole_space_can_be_asked_and_the_search_goes_on():
    space = ed.CategoricalSpace("tiny", choices=(2, 2))
    table = ed.Benchmark.from_table(space, [1.0, 2.0, 4.0, 3.0], name="tiny")
    result = ed.search("ednag_online", table, seeds=3, config=ed.OnlineConfig(num_steps=12, num_initial=2))
    assert result.best_accuracy.tolist() == [4.0] * 3
    assert result.queries.tolist() == [4] * 3


@pytest.mark.slow
def test_budget_is_spent_exactly_apart_from_first_draws_that_repeat(bumpy):
    config = ed.OnlineConfig.for_budget(25, bumpy.space.size)
    result = ed.search("ednag_online", bumpy, seeds=6, queries=25)
    assert config.num_queries == 25
    assert (result.queries >= 25 - config.num_initial).all()
    assert (result.queries <= 25).all()


def test_denoised_proposals_lean_to_the_fittest_of_the_archive():
    config = ed.OnlineConfig(num_mutants=0, num_random=0, noise_scale=0.0, temperature=0.001)
    archive = SPACE.random(jax.random.key(0), 20)
    fitness = jnp.where(jnp.arange(20) < 12, jnp.arange(20.0), -jnp.inf)
    proposed = propose(jax.random.key(1), archive, fitness, space=SPACE, config=config)
    last = proposed.reshape(config.num_denoising, config.population_size, -1)[-1]
    np.testing.assert_array_equal(last, np.broadcast_to(archive[11], last.shape))


def test_rows_not_in_use_draw_no_sample():
    """At a high temperature all rows in use weigh the same; what lies in the others is never proposed."""
    config = ed.OnlineConfig(num_mutants=0, num_random=0, noise_scale=0.0, temperature=1e6)
    used, unused = jnp.full(6, 3), jnp.full(6, 1)
    archive = jnp.where(jnp.arange(20)[:, None] < 12, used, unused)
    fitness = jnp.where(jnp.arange(20) < 12, 1.0, -jnp.inf)
    proposed = propose(jax.random.key(1), archive, fitness, space=SPACE, config=config)
    np.testing.assert_array_equal(proposed[-config.population_size :], np.full((config.population_size, 6), 3))


@pytest.mark.parametrize("used", range(10, 16))
def test_queries_take_turns_in_what_they_go_to(used):
    """Every third to the upper bound, without the noise; the others to improvement that counts it."""
    config = ed.OnlineConfig(explore_every=3, explore_width=2.0)
    mean, deviation, best = jnp.array([0.0, 1.0, -1.0]), jnp.array([1.0, 0.1, 2.0]), jnp.float32(1.2)
    value = acquisition(mean, deviation, best, jnp.int32(used), noise=jnp.float32(0.3), config=config)
    improvement = log_expected_improvement(mean, jnp.sqrt(deviation**2 + 0.3), best)
    expected = [2.0, 1.2, 3.0] if used in (12, 15) else improvement
    np.testing.assert_allclose(value, expected, rtol=1e-6)


@pytest.mark.slow
def test_noise_levels_are_chosen_by_what_they_explain():
    """Where neighbours share nothing, much noise explains the archive; where they share all, little."""
    space = ed.CategoricalSpace("line", choices=(4,) * 4)
    phenotype = space.random(jax.random.key(0), 40)
    alike = jnp.sum(phenotype, axis=-1).astype(jnp.float32)
    chance = jax.random.normal(jax.random.key(1), (40,))
    config, traits = ed.OnlineConfig(noise_levels=(0.01, 4.0)), space.traits(phenotype)
    fit = Fit(jnp.zeros((2, 40, 40)), jnp.zeros(2))
    for row in range(40):
        fit = _observe(fit, traits, jnp.int32(row), config)
    for fitness, expected in ((alike, 0), (chance, 1)):
        target = normal_scores(fitness, jnp.ones(40, bool))
        assert jnp.argmax(jax.vmap(log_evidence, (0, 0, None))(*fit, target)) == expected


class Holes(ed.CategoricalSpace):
    """Where half of the architectures, the neighbours of the others, are not valid."""

    def is_valid(self, phenotype):
        return super().is_valid(phenotype) & (jnp.sum(phenotype, axis=-1) % 2 == 0)


@pytest.mark.slow
def test_no_invalid_architecture_is_asked_though_most_proposals_are():
    space = Holes("holes", choices=(4,) * 6)
    benchmark = ed.Benchmark.from_function(space, lambda p, key, a: 1.0 * jnp.sum(a, axis=-1), None, name="sum")
    config = ed.OnlineConfig(num_steps=20, num_initial=6, num_mutants=16, num_random=16, population_size=8)
    keys, strategy = ed.seed_keys(3), ed.STRATEGIES["ednag_online"].strategy
    _, trace = ed.evolve_seeds(keys, None, problem=benchmark.problem, config=config, strategy=strategy)
    assert not trace.initial.queried.all()
    assert trace.steps.evaluation.queried.all()


def test_mutants_are_neighbours_of_the_fittest():
    config = ed.OnlineConfig(denoising=False, num_random=0, num_parents=2, num_mutants=9)
    archive = SPACE.random(jax.random.key(0), 8)
    proposed = propose(jax.random.key(1), archive, jnp.arange(8.0), space=SPACE, config=config)
    distance = np.sum(np.asarray(proposed)[:, None] != np.asarray(archive[:5:-1])[None], axis=-1)
    np.testing.assert_array_equal(distance[np.arange(9), np.arange(9) % 2], 1)


@pytest.mark.parametrize("levels", [(), (0.1, 0.0)])
def test_noise_levels_must_be_above_zero(levels):
    with pytest.raises(ValueError, match="noise_levels must"):
        ed.OnlineConfig(noise_levels=levels)


def test_shares_must_leave_none_below_zero():
    with pytest.raises(ValueError, match=r"rough_share \+ coarse_share must be in \[0, 1\], got 1.2"):
        ed.OnlineConfig(rough_share=0.7, coarse_share=0.5)
    with pytest.raises(ValueError, match=r"own_share must be in \[0, 1\], got 1.2"):
        ed.OnlineConfig(own_share=1.2)


def test_settings_that_propose_nothing_are_refused():
    with pytest.raises(ValueError, match="nothing proposes"):
        ed.OnlineConfig(denoising=False, num_mutants=0, num_random=0)


@pytest.mark.slow
@pytest.mark.optimised
def test_without_its_predictor_it_finds_less_but_repeats_no_query():
    worth = np.random.default_rng(0).normal(size=(5, 4))
    values = sum(np.ix_(*worth)).ravel()
    smooth = ed.Benchmark.from_table(ed.CategoricalSpace("smooth", choices=(4,) * 5), values, name="smooth")
    config = ed.OnlineConfig(num_steps=30, num_initial=4, num_mutants=16, num_random=64, population_size=8)
    full = ed.search("ednag_online", smooth, seeds=12, config=config)
    blind = ed.search("ednag_online", smooth, seeds=12, config=dataclasses.replace(config, predictor=False))
    assert blind.best_accuracy.mean() < full.best_accuracy.mean()
    assert (blind.queries >= 31).all()


@pytest.mark.slow
@pytest.mark.optimised
def test_it_needs_few_queries_on_nasbench201():
    """Seeds apart from those that its settings were chosen on: CIFAR-100 was not looked at for them."""
    benchmark = ed.load_benchmark("nasbench201", dataset="cifar100")
    result = ed.search("ednag_online", benchmark, seeds=range(300, 330), queries=150)
    assert result.share_at_optimum() >= 0.9


@pytest.mark.slow
def test_given_architectures_are_queried_first_and_in_their_order(bumpy):
    """They take the place of as many random ones, and every seed asks them."""
    first = jnp.array([[2, 1, 0, 1], [0, 0, 2, 2]])
    config = ed.OnlineConfig(num_steps=1, num_initial=3, first=first)
    _, trace = ed.evolve_seeds(
        ed.seed_keys(3), bumpy.params, problem=bumpy.problem, config=config, strategy=EDNAG_ONLINE
    )
    np.testing.assert_array_equal(trace.initial.phenotype[:, :2], jnp.broadcast_to(first, (3, 2, 4)))
    assert len({tuple(row) for row in np.asarray(trace.initial.phenotype[:, 2]).tolist()}) > 1
    result = ed.search("ednag_online", bumpy, seeds=2, queries=4, config=config)
    assert result.config["first"].shape == (2, 4)
    for wrong, said in (
        (first[0], r"first must be architectures \[k e\]"),
        (first[jnp.arange(4) % 2], "must be in"),
    ):
        with pytest.raises(ValueError, match=said):
            ed.OnlineConfig(num_initial=3, first=wrong)


@pytest.mark.parametrize(("queries", "given", "asked"), [(300, 8, 8), (300, 2, 2), (6, 8, 5)])
def test_settings_that_start_with_architectures_ask_as_often(queries, given, asked):
    config = ed.OnlineConfig.for_budget(queries, SPACE.size)
    first = jnp.arange(6 * given).reshape(given, 6) % 5
    begun = config.starting_with(first)
    assert begun.num_queries == config.num_queries == queries
    assert begun.num_initial == max(asked, config.num_initial)
    np.testing.assert_array_equal(begun.first, first[:asked])


def plain_recommendations(phenotype, told, config):
    """Plain NumPy: a process fitted anew after every query, at each level of noise."""
    traits = [np.asarray(numbers, np.float64) for numbers in SPACE.traits(jnp.asarray(phenotype))]
    shares = (config.rough_share, config.coarse_share, 1 - config.rough_share - config.coarse_share)
    covariance = sum(
        share * np.exp(-config.rate * np.sum((numbers[:, None] - numbers) ** 2, axis=-1) / 2)
        for share, numbers in zip(shares, traits, strict=True)
    )
    rows = []
    for used in range(1, len(told) + 1):
        target = np.asarray(normal_scores(jnp.asarray(told[:used]), jnp.ones(used, bool)), np.float64)
        evidence, expected = [], []
        for level in config.noise_levels:
            noisy = covariance[:used, :used] + level * np.eye(used)
            weights = np.linalg.solve(noisy, target)
            evidence.append(-(target @ weights + np.linalg.slogdet(noisy)[1]) / 2)
            expected.append(covariance[:used, :used] @ weights)
        shares_of = np.exp(np.array(evidence) - max(evidence))
        mean = shares_of @ np.array(expected) / shares_of.sum()
        believed = mean + config.own_share * (target - mean)
        rows.append(np.argmax(np.where(np.isfinite(told[:used]), believed, -np.inf)))
    return rows


@pytest.mark.parametrize("own_share", [0.0, 0.1])
def test_recommended_is_what_the_process_believes_most_of(own_share):
    config = ed.OnlineConfig(noise_levels=(0.02, 0.4, 2.0), own_share=own_share)
    phenotype = 1 + 2 * jax.random.bernoulli(jax.random.key(0), shape=(40, 6)).astype(jnp.int32)  # all alike
    told = np.array(jnp.sum(phenotype == 3, axis=-1) + 3 * jax.random.normal(jax.random.key(1), (40,)))
    told[[3, 20]] = -np.inf  # failed
    rows = recommend(phenotype, jnp.asarray(told), space=SPACE, config=config)
    assert rows.tolist() == plain_recommendations(phenotype, told, config)
    best_told = np.array([np.argmax(told[: used + 1]) for used in range(40)])
    assert (rows != best_told).any()
    plain = dataclasses.replace(config, own_share=1.0)
    np.testing.assert_array_equal(recommend(phenotype, jnp.asarray(told), space=SPACE, config=plain), best_told)
