"""The study of chance, and the scores of the sweep, against plain computations."""

import dataclasses
import importlib

import numpy as np
import pytest

import ednag_jax as ed


@pytest.fixture(scope="module")
def study():
    return importlib.import_module("ednag_jax.experiments.study_chance")


@pytest.fixture(scope="module")
def sweep():
    return importlib.import_module("ednag_jax.experiments.sweep_online")


def test_left_out_is_the_process_fitted_without_each(study):
    """At the noise of the grid under which what was left out was likeliest."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(9, 2)), random.normal(size=9)
    covariance = np.exp(-((x[:, None] - x) ** 2).sum(axis=-1))
    found = {}
    for noise in (0.02, 0.1, 0.4):
        mean, likelihood = np.empty(9), 0.0
        for i in range(9):
            others = np.arange(9) != i
            weights = np.linalg.solve(covariance[others][:, others] + noise * np.eye(8), covariance[others, i])
            variance = 1 + noise - covariance[others, i] @ weights
            mean[i] = weights @ y[others]
            likelihood -= (y[i] - mean[i]) ** 2 / variance + np.log(variance)
        found[likelihood] = mean
    np.testing.assert_allclose(study.left_out(covariance, y), found[max(found)], rtol=1e-6)


def test_chance_is_the_deviation_within_structures(study):
    structure = np.array([0, 0, 1, 1, 1, 2])
    y = np.array([1.0, 3.0, 0.0, 3.0, 6.0, 50.0])  # variances 2 and 9; the last has no other
    everything = np.ones(6, bool)
    assert study.chance(structure, y, everything) == pytest.approx(np.sqrt((2 * 2 + 3 * 9) / 5))
    assert study.chance(structure, y, structure == 0) == pytest.approx(np.sqrt(2))


def test_sweep_scores_regret_as_a_share_of_the_shipped(sweep, bumpy):
    shipped = ed.search("random_search", bumpy, seeds=12, queries=30)
    optimum = shipped.benchmark["optimum"]
    far = optimum - np.linspace(2, 3, 12)[:, None] * np.ones(30)
    far[:, :25] = -100.0  # queries that do not count
    double, half = optimum - 2 * (optimum - far), optimum - (optimum - far) / 2
    results = {
        name: dataclasses.replace(shipped, curve=curve)
        for name, curve in (("double", double), ("shipped", far), ("half", half))
    }
    assert [row[:3] for row in sweep.rows({"table": results})] == [
        ["half", "0.500", "1 / 0 of 1"],
        ["shipped", "1.000", "0 / 0 of 1"],
        ["double", "2.000", "0 / 1 of 1"],
    ]


def test_every_row_of_the_sweep_is_another_search(sweep, bumpy):
    for changed in (sweep.changes(150), sweep.noisy_changes()):
        found = sweep.parts({"bumpy": bumpy}, changed, 150)
        configs = [part.method.config for part in found.values()]
        assert configs[0] == ed.OnlineConfig.for_budget(150, bumpy.space.size)
        assert all(config.num_queries == 150 for config in configs)
        assert all(a != b for i, a in enumerate(configs) for b in configs[:i])
