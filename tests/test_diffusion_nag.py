"""DiffusionNAG and EDNAG on a predictor keep the contract, and query what they generated in its order.

Its score is the exact one of all cells and its guide knows nothing: nothing here depends on a training.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_tasks import TABLE
from test_score_networks import QUICK, TINY, drawn, predictor, target

import ednag_jax as ed
from ednag_jax.config import (
    SCORE_PRESETS,
    DiffusionNAGConfig,
    EvolveConfig,
    PredictedConfig,
    SamplingConfig,
    ScorePreset,
)
from ednag_jax.evolve import evolve
from ednag_jax.predictor import PredictedAccuracy
from ednag_jax.problem import Problem
from ednag_jax.queries import best_so_far, flatten_trace, query_log
from ednag_jax.score import GuidedParams, GuideNetwork, carrying, generator_in
from ednag_jax.score.cells import uniform_score
from ednag_jax.score.generator import Generator
from ednag_jax.strategies import GUIDED_STRATEGIES, METHODS
from ednag_jax.strategies.ednag_predicted import best_expected

SPACE = ed.SPACES["nasbench201"]
SEEDS = 3
CONFIG = DiffusionNAGConfig(
    num_steps=7, num_samples=6, sampling=SamplingConfig(num_scales=20, guidance_scale=0.0)
)
PREDICTED = PredictedConfig(num_steps=7, num_samples=6, denoising=EvolveConfig(num_steps=3, population_size=8))
"""Both have one query more than there are samples."""
SETTINGS = {
    "diffusion_nag": (CONFIG, CONFIG.replace(sampling=replace(CONFIG.sampling, guidance_scale=0.5, snr=0.1))),
    "ednag_predicted": (PREDICTED, PREDICTED.replace(denoising=replace(PREDICTED.denoising, temperature=3.0))),
}
"""Strategy -> settings, and others that share their program."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Exact(Generator):
    """A generator whose score is known."""

    def score_of(self, x, sigma):
        return uniform_score(x, sigma)


@pytest.fixture(scope="module")
def table():
    values = np.random.default_rng(0).normal(50, 10, SPACE.size)
    return ed.Benchmark.from_table(SPACE, values, values - 1, name="made up", dataset="noise")


@pytest.fixture(scope="module")
def generator():
    guide = drawn(GuideNetwork(TINY, 1), jnp.zeros((1, 1)))
    return Exact({}, guide, jnp.zeros(1), jnp.float32(1.0), target(), TINY, TINY, predictor().config)


@pytest.fixture(scope="module")
def benchmark(table, generator):
    return carrying(table, generator)


@pytest.fixture(
    scope="module", params=["diffusion_nag", pytest.param("ednag_predicted", marks=pytest.mark.slow)]
)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def arguments(benchmark, name):
    strategy = GUIDED_STRATEGIES[name].strategy
    return {"problem": benchmark.problem, "config": SETTINGS[name][0], "strategy": strategy}


@pytest.fixture(scope="module")
def found(benchmark, arguments):
    return ed.evolve_seeds(ed.seed_keys(SEEDS), benchmark.params, **arguments)


def assert_same(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


# The contract


def test_it_is_a_method_of_search_and_not_among_those_that_need_a_table_alone():
    assert set(SETTINGS) == set(GUIDED_STRATEGIES)
    assert set(GUIDED_STRATEGIES) <= set(METHODS)
    assert not set(GUIDED_STRATEGIES) & set(ed.STRATEGIES)


def test_same_keys_give_the_same_and_other_numbers_compile_nothing(
    benchmark, arguments, found, name, compilations
):
    keys, params = ed.seed_keys(SEEDS), benchmark.params
    doubled = replace(params, oracle=2 * params.oracle)
    compilations.count = 0
    assert_same(found, ed.evolve_seeds(keys, params, **arguments))
    ed.evolve_seeds(keys, doubled, **{**arguments, "config": SETTINGS[name][1]})
    assert compilations.count == 0


@pytest.mark.slow
def test_a_seed_is_the_same_alone_and_in_any_batch(benchmark, arguments, found):
    _, alone = jax.jit(lambda key, params: evolve(key, params, **arguments))(
        ed.seed_keys(SEEDS)[2], benchmark.params
    )
    np.testing.assert_array_equal(found[1].steps.evaluation.arch_id[2], alone.steps.evaluation.arch_id)
    np.testing.assert_array_equal(found[1].initial.arch_id[2], alone.initial.arch_id)


def test_a_changed_key_changes_its_own_seed_only(benchmark, arguments, found):
    keys = ed.seed_keys(SEEDS).at[1].set(jax.random.key(99))
    other = ed.evolve_seeds(keys, benchmark.params, **arguments)
    rest = np.array([0, 2])
    assert_same(*(jax.tree.map(lambda leaf: leaf[rest], tree) for tree in (found, other)))
    assert not np.array_equal(found[1].steps.evaluation.arch_id[1], other[1].steps.evaluation.arch_id[1])


def test_best_is_the_best_of_all_evaluated_and_never_falls(found):
    state, trace = found
    evaluation = flatten_trace(trace)
    for seed in range(SEEDS):
        assert state.best.accuracy[seed] == evaluation.accuracy[seed][evaluation.queried[seed]].max()
        assert np.all(np.diff(best_so_far(query_log(evaluation, seed).accuracy, 8)) >= 0)


def test_trace_says_what_the_table_says(table, found):
    evaluation = flatten_trace(found[1])
    asked = evaluation.queried
    rows = np.asarray(SPACE.arch_index(jnp.asarray(evaluation.phenotype[asked])))
    np.testing.assert_array_equal(evaluation.arch_id[asked], rows)
    np.testing.assert_array_equal(evaluation.accuracy[asked], np.asarray(table.params)[rows])


@dataclass(frozen=True)
class Flaky:
    """Fails for a third of the cells: NaN, and inf, which must not win."""

    def __call__(self, params, key, phenotype):
        total = jnp.sum(phenotype, axis=-1)
        failed = jnp.where(total % 2 == 0, jnp.nan, jnp.inf)
        return jnp.where(total % 3 == 0, failed, 1.0 * total)


@pytest.mark.slow
def test_failed_evaluations_rank_last_are_counted_and_the_search_goes_on(benchmark, arguments):
    flaky = Problem(SPACE, Flaky())
    state, trace = ed.evolve_seeds(ed.seed_keys(SEEDS), benchmark.params, **{**arguments, "problem": flaky})
    assert np.all(state.best.phenotype.sum(axis=-1) % 3 != 0)
    failed = trace.steps.evaluation.queried & ~jnp.isfinite(trace.steps.evaluation.accuracy)
    np.testing.assert_array_equal(trace.steps.num_failed, failed.sum(axis=-1))
    assert np.sum(trace.steps.num_failed) > 0


# Its own


def test_it_asks_about_each_cell_once_the_best_predicted_first(found, generator):
    evaluation, generated = flatten_trace(found[1]), np.asarray(found[0].generated)
    for seed in range(SEEDS):
        # The last of 8 questions are past the last of 6 cells.
        np.testing.assert_array_equal(evaluation.phenotype[seed], generated[seed][[0, 1, 2, 3, 4, 5, 5, 5]])
        log = query_log(evaluation, seed)
        assert len(log.accuracy) <= CONFIG.num_samples  # the last of 8 questions repeats one
        said = np.asarray(generator.predicted(jnp.asarray(log.phenotype)))
        assert np.all(np.diff(said) <= 1e-4)


def test_search_keeps_to_the_budget_and_looks_test_accuracy_up(benchmark, name):
    result = ed.search(name, benchmark, seeds=SEEDS, queries=4, config=SETTINGS[name][0])
    assert np.all(result.queries == 4)
    np.testing.assert_allclose(result.test_accuracy, result.best_accuracy - 1, rtol=1e-5)
    assert result.benchmark["table_hash"] == benchmark.table_hash


@pytest.mark.slow
def test_to_other_strategies_a_benchmark_with_a_generator_is_the_same(table, benchmark):
    settings = {"seeds": 2, "queries": 5, "config": ed.RandomSearchConfig(num_steps=1)}
    plain, carried = (ed.search("random_search", one, **settings) for one in (table, benchmark))
    assert plain.best_arch == carried.best_arch
    np.testing.assert_array_equal(plain.curve, carried.curve)


def test_a_budget_names_queries_and_samples():
    config = DiffusionNAGConfig.for_budget(10, SPACE.size)
    assert (config.num_steps, config.num_samples) == (9, 20)
    predicted = PredictedConfig.for_budget(10, SPACE.size)
    assert (predicted.num_steps, predicted.num_samples) == (9, 10)
    assert len(config.rows().step) == len(predicted.rows().step) == 9


@pytest.mark.slow
@pytest.mark.parametrize("num_samples", [6, 60])
def test_ednag_asks_about_the_best_expected_of_all_that_its_denoising_met(generator, num_samples):
    """Beside the plain run on predictions; of 60 it has not met so many, and repeats the best."""
    key, config = jax.random.key(5), PREDICTED.replace(num_samples=num_samples)
    cells = np.asarray(jax.jit(best_expected)(key, generator, config))
    problem = Problem(SPACE, PredictedAccuracy(SPACE, generator.predictor_config))
    _, trace = jax.jit(lambda key: evolve(key, generator.target, problem=problem, config=config.denoising))(key)
    evaluation = jax.tree.map(lambda leaf: leaf[0], flatten_trace(jax.tree.map(lambda leaf: leaf[None], trace)))
    met = {
        tuple(cell): float(said)
        for cell, said in zip(evaluation.phenotype.tolist(), evaluation.accuracy.tolist(), strict=True)
    }
    expected = sorted(met.values(), reverse=True)[:num_samples]
    assert len(met) < 60
    found = [met[tuple(cell)] for cell in cells.tolist()]
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-5)
    assert all(tuple(cell) == tuple(cells[0]) for cell in cells[len(expected) :].tolist())


@pytest.mark.parametrize("strategy", GUIDED_STRATEGIES)
def test_without_a_generator_it_says_how_to_get_one(table, strategy):
    with pytest.raises(ValueError, match=r"diffusion_nag and ednag_predicted need a generator .* carries none"):
        ed.search(strategy, table, seeds=1, queries=2)


@pytest.mark.parametrize("strategy", GUIDED_STRATEGIES)
def test_another_space_is_refused(bumpy, generator, strategy):
    with pytest.raises(ValueError, match="cells of nasbench201 alone, got space 'bumpy'"):
        carrying(bumpy, generator)
    with pytest.raises(ValueError, match="cells of nasbench201 alone, got space 'bumpy'"):
        ed.search(strategy, bumpy, seeds=1, queries=2)


def test_params_with_costs_carry_the_generator_too(generator):
    from ednag_jax.objectives import CostedParams

    params = CostedParams(GuidedParams(jnp.zeros(3), generator), (), jnp.zeros(0))
    assert generator_in(params) is generator


@pytest.mark.slow
def test_the_page_s_example_runs_as_printed(tmp_path, monkeypatch):
    """With trainings of a few steps, the exact score in their place, and a predictor that knows nothing."""
    page = Path(__file__).parents[1] / "docs" / "diffusion-nag.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    monkeypatch.setitem(SCORE_PRESETS, "cpu", ScorePreset(TINY, QUICK, TINY, QUICK))
    monkeypatch.setattr("ednag_jax.predictor.packaged_predictor", lambda space: predictor())
    features = (TABLE.features[0], TABLE.mask[0])
    monkeypatch.setattr("ednag_jax.predictor.data_sets.data_set_of", lambda *_, **__: features)
    monkeypatch.setattr(Generator, "score_of", Exact.score_of)
    asked = []

    def search(strategy, benchmark, **settings):
        asked.append((strategy, settings))
        return ed_search(strategy, benchmark, config=CONFIG, **settings)

    ed_search = ed.search
    monkeypatch.setattr(ed, "search", search)
    monkeypatch.chdir(tmp_path)
    namespace = {}
    exec(example, namespace)
    assert asked == [("diffusion_nag", {"seeds": 10, "queries": 10})]
    assert {path.name for path in (tmp_path / "results" / "diffusion_nag").iterdir()} == {"score", "guide"}
