"""Surrogates of few measurements: folds hold out, fits are the closed form, the judge sees the other half."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.benchmarks import autoformer_surrogate, darts_tasks
from ednag_jax.benchmarks.cross_validation import cross_validated, mean_quality, quality
from ednag_jax.spaces.autoformer import AutoFormer
from ednag_jax.storage import DataError

TINY = AutoFormer.of_size("tiny")


def test_every_row_is_predicted_from_all_other_folds_and_never_from_itself():
    def predict(fitted, rest):
        assert len(fitted) + len(rest) == 11
        assert set(fitted) | set(rest) == set(range(11))
        return np.full(len(rest), len(fitted), float)

    predicted = cross_validated(predict, 11, folds=5, repeats=3)
    assert predicted.shape == (3, 11)
    assert sorted(predicted[0].tolist()) == [8.0] * 3 + [9.0] * 8


def test_quality_of_known_predictions():
    measured = np.array([1.0, 2.0, 3.0, 4.0])
    assert quality(measured, measured) == (1.0, 1.0, 0.0)
    assert quality(np.full(4, 2.5) + 1e-9 * measured, measured)[:2] == pytest.approx((0.0, 1.0), abs=1e-6)
    mean = mean_quality(np.stack([measured, measured[::-1]]), measured)
    assert mean[:2] == pytest.approx((-1.0, 0.0))


def test_ridge_is_the_minimum_of_its_loss():
    """Of squared errors plus the penalty on weights of standardised features; a constant one is left out."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(3, 2, (30, 3)), np.ones((30, 1))], axis=1)
    y = x @ [1.0, -2.0, 0.5, 9.0] + rng.normal(size=30)
    found = autoformer_surrogate.fit(x, y)
    z = np.concatenate([(x[:, :3] - x[:, :3].mean(0)) / x[:, :3].std(0), np.ones((30, 1))], axis=1)
    rows = np.concatenate([z, np.sqrt(autoformer_surrogate.PENALTY) * np.eye(4)[:3]])
    solution = np.linalg.lstsq(rows, np.concatenate([y, np.zeros(3)]), rcond=None)[0]
    np.testing.assert_allclose(found.offset + x @ np.asarray(found.weights), z @ solution, rtol=1e-4)
    assert found.weights[3] == 0


def test_features_of_an_architecture_by_hand():
    phenotype = TINY.from_str("d216 | m4h3 m4h4 " + " ".join(["m3.5h4"] * 11))
    expected = [0, 1, 0, 0, 1, 0, 2 / 13, 12 / 13]
    np.testing.assert_allclose(autoformer_surrogate.features(TINY, phenotype), expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.optimised
def test_surrogate_of_autoformer_is_as_good_as_its_documentation_says(data_dir):
    found = autoformer_surrogate.held_out(data_dir)
    assert found["all"].r2 > 0.99
    assert 0.5 < found["width 192"].kendall_tau < found["all"].kendall_tau < 0.9
    assert 0.8 < found["width 192"].r2 < 0.95
    benchmark = ed.load_benchmark("autoformer_surrogate", dataset="imagenet", data_dir=data_dir)
    predicted = benchmark.lookup(TINY.random(jax.random.key(0), 50))
    assert 69 < float(predicted.min()) < float(predicted.max()) < 77


@pytest.mark.slow
@pytest.mark.optimised
@pytest.mark.parametrize("task", ["svhn", "scifar100", "cifar10"])
def test_a_judge_knows_nothing_of_the_cells_that_a_search_is_shown(task, data_dir):
    shown, kept = darts_tasks.halves(len(darts_tasks.read_task(task, data_dir).accuracy))
    assert not set(shown) & set(kept)
    assert abs(len(shown) - len(kept)) <= 1
    search, judge = darts_tasks.held_out(task, data_dir)
    for found in (search, judge):
        assert found.r2 > 0.4
        assert found.kendall_tau > 0.45


@pytest.mark.slow
@pytest.mark.optimised
def test_ninapro_is_told_to_be_of_no_use(data_dir):
    assert max(found.r2 for found in darts_tasks.held_out("ninapro", data_dir)) < 0.1


def test_other_names_and_altered_files_are_refused(tmp_path, data_dir):
    with pytest.raises(ValueError, match="dataset must be one of svhn"):
        darts_tasks.load("mnist", directory=data_dir)
    with pytest.raises(ValueError, match="metric must be one of predicted"):
        autoformer_surrogate.load("imagenet", "valid", data_dir)
    table = dict(np.load(data_dir / darts_tasks.darts.FILE, allow_pickle=False))
    table["svhn_val_acc"][3] += 1
    del table["scifar100_arch"]
    (tmp_path / darts_tasks.darts.FILE.parent).mkdir()
    np.savez(tmp_path / darts_tasks.darts.FILE, **table)
    with pytest.raises(DataError, match=r"svhn has least, greatest and mean .* altered"):
        darts_tasks.load("svhn", directory=tmp_path)
    with pytest.raises(DataError, match=r"expected .*scifar100_arch"):
        darts_tasks.load("scifar100", directory=tmp_path)


@pytest.mark.slow
@pytest.mark.optimised
def test_a_search_shows_the_judges_accuracy_as_test_accuracy(data_dir):
    benchmark = ed.load_benchmark("darts_tasks", dataset="svhn", data_dir=data_dir)
    result = ed.search("random_search", benchmark, seeds=2, queries=20)
    archs = jnp.stack([benchmark.space.from_str(text) for text in result.best_arch])
    np.testing.assert_allclose(result.test_accuracy, benchmark.lookup(archs, "test"), rtol=1e-5)
    assert not np.allclose(result.test_accuracy, result.best_accuracy)
