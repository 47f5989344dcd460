"""Noisy oracles: one training of each architecture, drawn once a run; results judged by the truth."""

import dataclasses
import json
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import EVERY_STRATEGY

import ednag_jax as ed
from ednag_jax import report
from ednag_jax.benchmarks.noisy_table import NoisyLookup, draw, with_trainings
from ednag_jax.problem import TableLookup
from ednag_jax.queries import flatten_trace, packed_ids, query_log
from ednag_jax.strategies.ednag_online import recommend

SPACE = ed.CategoricalSpace("noisy", choices=(3,) * 4)
NAN = float("nan")
FAST = {
    "ednag": ed.EvolveConfig(num_steps=12, population_size=8),
    "local_search": ed.LocalSearchConfig(num_steps=6),
}
SEEDS = 6


@pytest.fixture(scope="module")
def trainings():
    """Three trainings of each architecture, all numbers different; the last was not run for every other."""
    random = np.random.default_rng(0)
    table = random.normal(50, 4, (SPACE.size, 1)) + random.normal(0, 4, (SPACE.size, 3))
    table[::2, 2] = NAN
    return table.astype(np.float32)


@pytest.fixture(scope="module")
def noisy(trainings):
    mean = np.nanmean(trainings, axis=1)
    table = ed.Benchmark.from_table(SPACE, mean, mean + 100, name="noisy", dataset="n", metric="noisy")
    return with_trainings(table, trainings)


def trace_of(noisy, name):
    config = FAST.get(name) or ed.STRATEGIES[name].config.for_budget(40, SPACE.size)
    arguments = {"problem": noisy.problem, "config": config, "strategy": ed.STRATEGIES[name].strategy}
    _, trace = ed.evolve_seeds(ed.seed_keys(SEEDS), noisy.params, **arguments)
    return flatten_trace(trace)


def test_draws_are_among_the_trainings_that_were_run_and_all_equally_likely():
    rows = jnp.array([[1.0, 2.0, 3.0], [4.0, NAN, 5.0], [NAN, NAN, 6.0]])
    keys = jax.random.split(jax.random.key(0), 6000)
    drawn = np.asarray(jax.vmap(draw, in_axes=(0, None))(keys, rows))
    for row, allowed in enumerate(([1, 2, 3], [4, 5], [6])):
        values, counts = np.unique(drawn[:, row], return_counts=True)
        assert values.tolist() == allowed
        share = 1 / len(allowed)
        error = np.sqrt(share * (1 - share) / len(keys))
        assert np.all(np.abs(counts / len(keys) - share) <= 4 * error)
    np.testing.assert_allclose(drawn[:, :2].mean(axis=0), [2.0, 4.5], atol=0.05)
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 4 / np.sqrt(len(keys))  # rows draw for themselves


def test_trainings_asked_directly_draw_anew_and_a_column_of_one_value_does_not(noisy, trainings):
    arch = SPACE.from_index(jnp.full(60, 7))
    told = np.asarray(noisy.fitness_fn(noisy.params, jax.random.key(1), arch))
    assert set(told.tolist()) == set(trainings[7].tolist())
    assert set(noisy.lookup(arch, "true").tolist()) == {float(np.nanmean(trainings[7]))}
    assert len(set(noisy.lookup(arch, "test").tolist())) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_STRATEGY)
def test_a_run_is_told_one_training_of_each_architecture_however_often_it_asks(noisy, trainings, name):
    evaluation = trace_of(noisy, name)
    repeats, told = 0, []
    for seed in range(SEEDS):
        answers = {}
        ids = packed_ids(evaluation.arch_id[seed])
        for arch, answer in zip(ids.tolist(), evaluation.accuracy[seed].tolist(), strict=True):
            repeats += arch in answers
            assert answers.setdefault(arch, answer) == answer
            assert answer in trainings[arch]
        told.append(answers)
    assert repeats or name not in FAST  # those do ask again
    shared = [(a[arch], b[arch]) for a, b in pairwise(told) for arch in a if arch in b]
    assert len({a == b for a, b in shared}) == 2  # seeds draw for themselves, so some agree and some do not


@pytest.mark.parametrize("name", ["ednag", "local_search"])
def test_result_is_the_true_accuracy_of_the_incumbent(noisy, trainings, name):
    """Plain Python: walk through the log, keep the first best answer, look its mean up."""
    result = ed.search(name, noisy, seeds=SEEDS, queries=30, config=FAST[name])
    evaluation, mean = trace_of(noisy, name), np.nanmean(trainings, axis=1)
    falls = 0
    for seed in range(SEEDS):
        log, best, curve = query_log(evaluation, seed, 30), -np.inf, []
        for phenotype, answer in zip(log.phenotype, log.accuracy, strict=True):
            if answer > best:
                best, row = answer, int(SPACE.arch_index(jnp.asarray(phenotype)))
            curve.append(mean[row])
        curve += [curve[-1]] * (30 - len(curve))
        np.testing.assert_allclose(result.curve[seed], curve, rtol=1e-6)
        assert result.observed_accuracy[seed] == np.float32(best)
        assert result.best_accuracy[seed] == result.curve[seed, -1]
        assert result.best_arch[seed] == SPACE.to_str(np.asarray(SPACE.from_index(jnp.asarray(row))))
        assert result.test_accuracy[seed] == pytest.approx(mean[row] + 100, rel=1e-6)
        falls += np.any(np.diff(curve) < 0)
    assert falls  # praise is no proof
    assert result.observed_accuracy.mean() > result.best_accuracy.mean()
    assert result.benchmark["optimum"] == pytest.approx(mean.max())
    assert result.share_at_optimum() < 1


@pytest.mark.slow
def test_a_strategy_that_recommends_is_judged_by_what_it_recommends(noisy, trainings):
    """Not by the best told, which noise makes worse here; and what it asks is the same."""
    config = ed.OnlineConfig.for_budget(40, SPACE.size)
    told = ed.search("ednag_online", noisy, seeds=40, config=dataclasses.replace(config, own_share=1.0))
    result = ed.search("ednag_online", noisy, seeds=40, config=config)
    np.testing.assert_array_equal(result.queries, told.queries)
    assert (result.observed_accuracy <= told.observed_accuracy).all()
    assert (result.observed_accuracy < told.observed_accuracy).any()
    evaluation, mean = trace_of(noisy, "ednag_online"), np.nanmean(trainings, axis=1)
    for seed in range(SEEDS):
        log = query_log(evaluation, seed, 40)
        for asked in (15, len(log.accuracy)):  # as if the run had ended there
            queries = jnp.asarray(log.phenotype[:asked]), jnp.asarray(log.accuracy[:asked], jnp.float32)
            row = int(recommend(*queries, space=SPACE, config=config)[-1])
            expected = mean[int(SPACE.arch_index(jnp.asarray(log.phenotype[row])))]
            assert result.curve[seed, asked - 1] == pytest.approx(expected, rel=1e-6)
    longer = ed.search("ednag_online", noisy, seeds=SEEDS, queries=45, config=config)
    np.testing.assert_array_equal(longer.curve[:, 40:], np.repeat(longer.curve[:, 39:40], 5, axis=1))
    for arch, true, said in zip(result.best_arch, result.best_accuracy, result.observed_accuracy, strict=True):
        row = int(SPACE.arch_index(SPACE.from_str(arch)))
        assert true == pytest.approx(np.nanmean(trainings[row]), rel=1e-6)
        assert said in trainings[row]


@pytest.mark.slow
def test_a_noisy_result_survives_its_file_and_the_report_says_how_it_is_judged(noisy, bumpy, tmp_path):
    result = ed.search("random_search", noisy, seeds=2, queries=9)
    stored = json.loads(result.to_json(tmp_path / "r.json").read_text())
    assert ed.Result.from_dict(stored).to_dict() == result.to_dict()
    assert report.NOISY_ORACLE in report.footnotes([result])
    exact = ed.search("random_search", bumpy, seeds=2, queries=9)
    assert exact.observed_accuracy is None
    assert report.NOISY_ORACLE not in report.footnotes([exact])
    del stored["observed_accuracy"]  # a file written before there was any
    assert ed.Result.from_dict(stored).observed_accuracy is None


@pytest.mark.slow
def test_without_noise_it_is_the_table(bumpy):
    """Trainings that agree change nothing, and what a run draws for its oracle changes no other draw."""
    repeated = with_trainings(bumpy, np.repeat(np.asarray(bumpy.params)[:, None], 3, axis=1))
    assert repeated.fitness_fn == NoisyLookup(bumpy.space)
    assert bumpy.fitness_fn == TableLookup(bumpy.space)
    a, b = (ed.search("local_search", table, seeds=3, queries=30) for table in (bumpy, repeated))
    assert a.best_arch == b.best_arch
    np.testing.assert_allclose(a.curve, b.curve, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["cifar10", "cifar100", "ImageNet16-120"])
def test_nasbench201_has_trainings_around_its_validation_accuracy(dataset):
    noisy = ed.load_benchmark("nasbench201", dataset=dataset, metric="noisy")
    exact = ed.load_benchmark("nasbench201", dataset=dataset)
    np.testing.assert_array_equal(noisy.columns["true"], exact.params)
    assert noisy.optimum == exact.optimum
    assert noisy.table_hash != exact.table_hash
    assert noisy.is_noisy
    assert not exact.is_noisy
    assert noisy.params.shape == (15_625, 3)
    assert set(np.isfinite(noisy.params).sum(axis=1).tolist()) == {2, 3}
    keys = ed.seed_keys(400)
    answers = np.asarray(jax.vmap(noisy.fitness_fn.for_run, in_axes=(0, None))(keys, noisy.params))
    trainings = np.asarray(noisy.params)
    deviation = np.nanstd(trainings, axis=1)  # of one draw; of the mean of 400, a twentieth
    error = np.abs(answers.mean(axis=0) - np.asarray(exact.params))
    assert np.all(error <= 6 * deviation / 20 + 1e-3)


@pytest.mark.slow
def test_two_runs_of_nasbench201_are_told_different_numbers():
    noisy = ed.load_benchmark("nasbench201", dataset="cifar10", metric="noisy")
    result = ed.search("local_search", noisy, seeds=4, queries=60)
    assert noisy.oracle in result.benchmark["oracle"]
    assert result.observed_accuracy.mean() > result.best_accuracy.mean()
    assert result.best_accuracy.max() <= noisy.optimum


@pytest.mark.parametrize(
    "trainings, message",
    [
        (np.ones(81), r"trainings must be \[81 k\], as benchmark 'bumpy' is, got \(81,\)"),
        (np.ones((80, 3)), r"got \(80, 3\)"),
        (np.where(np.arange(81)[:, None] % 40 == 3, NAN, np.ones((81, 2))), "none for 2, first in row 3"),
    ],
)
def test_trainings_that_do_not_fit_are_refused(bumpy, trainings, message):
    with pytest.raises(ValueError, match=message):
        with_trainings(bumpy, trainings)
