"""What every strategy of the registry promises, and `evolve_seeds` with it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import COSTLY_STRATEGIES

import ednag_jax as ed
from ednag_jax.queries import best_so_far, flatten_trace, query_log

PAPER = ed.EvolveConfig.preset("paper").replace(num_steps=12, population_size=16)
CASES = {
    "ednag-default": ("ednag", ed.EvolveConfig(num_steps=6, population_size=8)),
    "ednag-paper": ("ednag", PAPER),
    "random_search": ("random_search", ed.RandomSearchConfig(num_steps=6)),
    "regularized_evolution": (
        "regularized_evolution",
        ed.RegularizedEvolutionConfig(num_steps=40, population_size=8, sample_size=3),
    ),
    "ednag_online": (
        "ednag_online",
        ed.OnlineConfig(num_steps=12, num_initial=4, num_mutants=8, num_random=8, population_size=4),
    ),
    "reinforce": ("reinforce", ed.ReinforceConfig(num_steps=30, learning_rate=0.1)),
    "tpe": ("tpe", ed.TPEConfig(num_steps=12, num_initial=4, num_candidates=8)),
    "bananas": (
        "bananas",
        ed.BananasConfig(
            num_steps=4, num_initial=4, batch_size=3, num_mutants=8, num_updates=9, num_layers=2, width=4
        ),
    ),
    "gp_bo": ("gp_bo", ed.GPBOConfig(num_steps=12, num_initial=4, num_mutants=8, num_random=8)),
    "local_search": ("local_search", ed.LocalSearchConfig(num_steps=6)),
}
SEEDS = 5


MARKED = [
    pytest.param(case, marks=pytest.mark.slow) if name in COSTLY_STRATEGIES else case
    for case, (name, _) in CASES.items()
]


@pytest.fixture(scope="module", params=MARKED, ids=list(CASES))
def case(request, bumpy):
    name, config = CASES[request.param]
    arguments = {"problem": bumpy.problem, "config": config, "strategy": ed.STRATEGIES[name].strategy}
    return bumpy.params, arguments


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def assert_same(a, b):
    for x, y in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_every_strategy_of_the_registry_is_tested():
    assert {name for name, _ in CASES.values()} == set(ed.STRATEGIES)


def test_same_keys_give_the_same_and_compile_once(case, compilations):
    params, arguments = case
    first = ed.evolve_seeds(ed.seed_keys(SEEDS), params, **arguments)
    keys = ed.seed_keys(SEEDS)
    compilations.count = 0
    second = ed.evolve_seeds(keys, params, **arguments)
    assert compilations.count == 0
    assert_same(first, second)


def test_other_numbers_and_tables_compile_nothing(case, compilations):
    params, arguments = case
    config, keys, doubled = arguments["config"], ed.seed_keys(SEEDS), 2 * params
    ed.evolve_seeds(keys, params, **arguments)
    if isinstance(config, ed.EvolveConfig):
        config = config.replace(noise_scale=0.3, temperature=7.0, mutation_rate=0.9, accuracy_factor=1.1)
    compilations.count = 0
    ed.evolve_seeds(keys, doubled, **{**arguments, "config": config})
    assert compilations.count == 0


def test_a_seed_is_the_same_alone_and_in_any_batch(case):
    params, arguments = case
    _, together = ed.evolve_seeds(ed.seed_keys(SEEDS), params, **arguments)
    _, alone = jax.jit(partial(ed.evolve, **arguments))(ed.seed_keys(SEEDS)[3], params)
    np.testing.assert_array_equal(together.steps.evaluation.arch_id[3], alone.steps.evaluation.arch_id)
    np.testing.assert_array_equal(together.initial.arch_id[3], alone.initial.arch_id)


@pytest.mark.slow
def test_a_run_cut_into_chunks_is_bitwise_the_whole_one(case, tmp_path):
    """Kept on disk between them; what is killed, damaged or refused there is in test_resume.py."""
    params, arguments = case
    num_steps = jax.eval_shape(arguments["config"].rows).step.shape[0]
    every = num_steps // 2  # of an odd number the last chunk is shorter
    whole = ed.evolve_seeds(ed.seed_keys(SEEDS), params, **arguments)
    cut = ed.evolve_seeds(ed.seed_keys(SEEDS), params, **arguments, checkpoint=tmp_path, every=every)
    assert len(list((tmp_path / "trace").iterdir())) == 3 + num_steps % 2  # with the initial population
    assert_same(whole, cut)


def test_a_changed_key_changes_its_own_seed_only(case):
    params, arguments = case
    keys = ed.seed_keys(SEEDS)
    other = keys.at[1].set(jax.random.key(99))
    a = ed.evolve_seeds(keys, params, **arguments)
    b = ed.evolve_seeds(other, params, **arguments)
    rest = np.array([0, 2, 3, 4])
    assert_same(*(jax.tree.map(lambda leaf: leaf[rest], tree) for tree in (a, b)))
    assert not np.array_equal(a[1].steps.evaluation.arch_id[1], b[1].steps.evaluation.arch_id[1])


def test_best_is_the_best_of_all_evaluated_the_initial_included(case):
    params, arguments = case
    state, trace = ed.evolve_seeds(ed.seed_keys(SEEDS), params, **arguments)
    evaluation = flatten_trace(trace)
    for seed in range(SEEDS):
        asked = evaluation.accuracy[seed][evaluation.queried[seed]]
        assert state.best.accuracy[seed] == asked.max()
        curve = best_so_far(query_log(evaluation, seed).accuracy, 30)
        assert np.all(np.diff(curve) >= 0)


def test_trace_says_what_the_table_says(case, bumpy):
    params, arguments = case
    _, trace = ed.evolve_seeds(ed.seed_keys(SEEDS), params, **arguments)
    evaluation = flatten_trace(trace)
    asked = evaluation.queried
    rows = np.asarray(bumpy.space.arch_index(jnp.asarray(evaluation.phenotype[asked])))
    np.testing.assert_array_equal(evaluation.arch_id[asked], rows)
    np.testing.assert_array_equal(evaluation.accuracy[asked], np.asarray(params)[rows])
    assert np.all(np.isnan(evaluation.accuracy[~asked]) | (arguments["strategy"].name == "local_search"))


def flaky(params, key, phenotype):
    """Fails for a third of the architectures: NaN, and inf, which must not win."""
    total = jnp.sum(phenotype, axis=-1)
    failed = jnp.where(total % 2 == 0, jnp.nan, jnp.inf)
    return jnp.where(total % 3 == 0, failed, params[total] - 1000.0)


def test_failed_evaluations_rank_last_are_counted_and_the_search_goes_on(case, bumpy):
    _, arguments = case
    problem = ed.Problem(bumpy.space, flaky)
    state, trace = ed.evolve_seeds(ed.seed_keys(SEEDS), jnp.arange(9.0), **{**arguments, "problem": problem})
    assert np.all(np.isfinite(state.best.accuracy))
    assert np.all(state.best.phenotype.sum(axis=-1) % 3 != 0)
    counted = np.asarray(trace.steps.num_failed)
    failed = trace.steps.evaluation.queried & ~jnp.isfinite(trace.steps.evaluation.accuracy)
    np.testing.assert_array_equal(counted, failed.sum(axis=-1))
    assert counted.sum() > 0
