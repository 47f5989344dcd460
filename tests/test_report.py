"""Numbers and tables of results, and the pictures."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import ednag_jax as ed
from ednag_jax import plots, report

FAST = ed.EvolveConfig(num_steps=12, population_size=8)


@pytest.fixture(scope="module")
def results(bumpy):
    return {
        "EDNAG": ed.search("ednag", bumpy, seeds=6, queries=30, config=FAST),
        "local search": ed.search("local_search", bumpy, seeds=6, queries=30),
    }


def test_summary_is_over_all_seeds_with_a_t_interval():
    values = np.array([1.0, 2.0, 4.0, 9.0])
    summary = report.summarise(values)
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert summary.mean == 4.0
    assert summary.std == pytest.approx(np.std(values, ddof=1))
    assert (4 - summary.ci95, 4 + summary.ci95) == pytest.approx((low, high))
    assert (summary.best, summary.worst) == (9, 1)


def test_one_seed_has_no_interval():
    assert np.isnan(report.summarise(np.array([3.0])).ci95)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_corrects_upwards_and_keeps_the_order(p_values):
    corrected = report.holm(p_values)
    assert all(0 <= p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    assert max(corrected) >= min(1, min(p_values) * len(p_values))
    for i, p in enumerate(p_values):
        for j, q in enumerate(p_values):
            assert not (p < q and corrected[i] > corrected[j])


def test_paired_test_of_equals_is_one_and_of_a_shift_is_small():
    a = np.arange(20.0)
    assert report.wilcoxon(a, a) == 1.0
    assert report.wilcoxon(a + 1, a) < 1e-4


@given(*(st.lists(st.integers(0, 6), min_size=1, max_size=9) for _ in range(2)))
def test_cliffs_delta_counts_pairs_and_is_mann_whitneys_u(a, b):
    delta = report.cliffs_delta(np.array(a, float), np.array(b, float))
    above = sum(x > y for x in a for y in b)
    below = sum(x < y for x in a for y in b)
    assert delta == pytest.approx((above - below) / (len(a) * len(b)))
    u = stats.mannwhitneyu(a, b).statistic  # pairs above, and half of the equal ones
    assert (1 + delta) / 2 == pytest.approx(u / (len(a) * len(b)))
    assert report.cliffs_delta(np.array(b, float), np.array(a, float)) == pytest.approx(-delta)


def test_cliffs_delta_of_disjoint_groups_is_one_and_of_a_group_with_itself_zero():
    a = np.arange(5.0)
    assert report.cliffs_delta(a + 5, a) == 1
    assert report.cliffs_delta(a, a) == 0


@pytest.mark.slow
def test_effects_are_above_zero_where_the_first_is_better(results):
    at = [result.curve[:, 4] for result in results.values()]
    first, second = results.values()
    assert report.effects_at([first, second], 5) == [report.cliffs_delta(*at)]
    worse = dataclasses.replace(first, curve=first.curve - 1000)
    assert report.effects_at([first, worse, first], 5) == [1.0, 0.0]


def test_rows_have_the_headers_columns(results):
    rows = [report.result_row(label, result) for label, result in results.items()]
    assert all(len(row) == len(report.RESULT_HEADER) for row in rows)
    table = report.markdown_table(report.RESULT_HEADER, rows)
    assert table.count("\n") == 4
    assert "EDNAG" in table
    assert set(report.TERMINAL_COLUMNS) <= set(report.RESULT_HEADER)


def test_missing_test_accuracy_is_said_and_not_made_up():
    benchmark = ed.load_benchmark("nasbench201", dataset="cifar10", data_dir="/nowhere")
    result = ed.search("random_search", benchmark, seeds=2, queries=10)
    assert "not available" in report.result_row("r", result)
    assert "test: not available, see ednag data --help" in report.footnotes([result])


def test_test_accuracy_as_oracle_is_said(bumpy):
    from dataclasses import replace

    result = ed.search("random_search", replace(bumpy, metric="test"), seeds=2, queries=5)
    assert "oracle: test accuracy" in report.footnotes([result])
    assert "not available" not in report.footnotes([result])


def test_comparison_is_against_the_first(results):
    p_values = report.compare_at([results["EDNAG"], results["local search"]], 10)
    at = [result.curve[:, 9] for result in results.values()]
    assert p_values == [report.wilcoxon(*at)]


def test_paired_t_is_that_of_scipy_and_equal_columns_do_not_differ():
    a, b = np.random.default_rng(0).normal(0, 1, (2, 12))
    np.testing.assert_allclose(report.paired_t(a, b + 1), stats.ttest_rel(a, b + 1).pvalue)
    assert report.paired_t(a, a) == 1.0


def test_cohens_d_in_closed_form_and_without_spread():
    a, b = np.array([1.0, 3.0]), np.array([4.0, 8.0])  # variances 2 and 8, pooled 5
    np.testing.assert_allclose(report.cohens_d(a, b), -4 / np.sqrt(5))
    same = np.ones(3)
    assert report.cohens_d(same, same) == 0.0
    assert report.cohens_d(same, 2 * same) == -np.inf


def test_result_file_holds_provenance_and_every_seed(results, tmp_path):
    path = report.write_results(tmp_path / "results.json", report.provenance("a command"), results)
    stored = json.loads(path.read_text())
    assert {"date", "command", "environment", "results"} <= set(stored)
    assert len(stored["results"]["EDNAG"]["best_accuracy"]) == 6


def is_png_with_content(path):
    import matplotlib.image

    return matplotlib.image.imread(path)[..., :3].std() > 0.01


def test_plots_show_what_they_are_given(results, tmp_path, bumpy):
    figure = plots.progress_by_queries({"noise": results})
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert labels == list(results)
    line = figure.axes[0].lines[0].get_ydata()
    regret = np.maximum(bumpy.optimum - results["EDNAG"].curve, 1e-3).mean(axis=0)
    np.testing.assert_allclose(line, regret)
    accuracy = np.random.default_rng(0).normal(50, 5, (4, 7, 3))
    accuracy[:, 0] = np.nan  # a step without any valid child
    trajectory = plots.denoising_trajectory({"x": accuracy[:, 1:]}, np.linspace(0, 1, 6), 60.0)
    seconds = plots.seeds_against_seconds((1, 10), {"one call": [0.1, 0.3]}, 2.0)
    generations = plots.generations({"x": accuracy}, 60.0)
    means = generations.axes[0].lines[0].get_ydata()
    assert np.isnan(means[0])
    np.testing.assert_allclose(means[1:], accuracy[:, 1:].mean(axis=(0, 2)))
    for name, drawn in (("r", figure), ("t", trajectory), ("s", seconds), ("g", generations)):
        assert is_png_with_content(plots.save(drawn, tmp_path / f"{name}.png"))
