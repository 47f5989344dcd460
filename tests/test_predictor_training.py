"""Training of the predictor: it learns what tasks like, resumes bitwise, keeps the best weights and stops."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_tasks import LEARNING, SHORT, SMALL, SPACE, TABLE, known_table, trained
from scipy.stats import spearmanr

import ednag_jax as ed
from ednag_jax.config import PredictorConfig, PredictorTrainingConfig
from ednag_jax.predictor import TaskTable, encode_dataset, score, task_quality, train_predictor
from ednag_jax.predictor.epochs import draw_batch, recipe_for, task_batches
from ednag_jax.predictor.examples import examples_of, fit_standards
from ednag_jax.predictor.losses import standardised_error
from ednag_jax.predictor.model import PredictorNetwork

pytestmark = pytest.mark.optimised

TASKS_UNSEEN = known_table(12, seed=1)


def test_steps_take_every_task_in_turn_and_only_architectures_that_were_run():
    rows = np.asarray(task_batches(jax.random.key(0), 6, steps=5, size=3))
    assert rows.shape == (5, 3)
    assert sorted(rows[:2].ravel()) == sorted(rows[2:4].ravel()) == list(range(6))
    accuracy = TABLE.accuracy.copy()
    accuracy[:, ::2] = np.nan
    table = TABLE._replace(accuracy=accuracy)
    examples = examples_of(table, fit_standards(table, 8))
    batch = draw_batch(jax.random.key(0), examples, jnp.array([3, 5]), 8, 0.5)
    assert batch.was_run.all()
    for task, row in enumerate((3, 5)):
        drawn = zip(batch.phenotype[task].tolist(), batch.target[task].tolist(), strict=True)
        known = list(zip(examples.phenotype[row].tolist(), examples.target[row].tolist(), strict=True))
        assert all(pair in known for pair in drawn)
    assert 0.3 < batch.mask.mean() < 0.7
    assert not (batch.mask & ~examples.mask[jnp.array([3, 5])]).any()


def test_an_epoch_is_as_long_as_there_are_runs():
    network = PredictorNetwork(SPACE, SMALL)
    assert recipe_for(TABLE, network, replace(SHORT, archs_per_task=12)).steps_per_epoch == 15
    one = TABLE.take([0])
    assert recipe_for(one, network, replace(SHORT, archs_per_task=6)).steps_per_epoch == 4
    assert recipe_for(one, network, SHORT).archs_per_task == 24


@pytest.mark.slow
def test_it_learns_which_architectures_a_task_likes():
    predictor, history = trained()
    assert task_quality(predictor, TASKS_UNSEEN).spearman.mean() > 0.75
    assert (history.held_out_error[:, -1] < 0.5 * history.held_out_error[:, 0]).all()
    assert (history.held_out_spearman[:, -1] > 0.75).all()
    levels = np.abs(TASKS_UNSEEN.accuracy.mean(axis=1) - TABLE.accuracy.mean()).mean()
    assert task_quality(predictor, TASKS_UNSEEN).rmse.mean() < levels


@pytest.mark.slow
def test_without_the_data_set_it_cannot_know():
    blind, _ = train_predictor(TABLE, **{**LEARNING, "config": replace(SMALL, blind=True)})
    seeing = task_quality(trained()[0], TASKS_UNSEEN).spearman.mean()
    assert task_quality(blind, TASKS_UNSEEN).spearman.mean() < seeing - 0.2


class Cut(Exception):
    """Stands for the end of a process."""


@pytest.mark.slow
def test_an_interrupted_training_ends_bitwise_as_one_that_was_not(tmp_path):
    arguments = {**LEARNING, "directory": tmp_path / "run"}
    reported = []

    def cut(epoch, so_far):
        reported.append((epoch, so_far.loss.shape))
        if len(reported) == 2:
            raise Cut

    with pytest.raises(Cut):
        train_predictor(TABLE, report=cut, **arguments)
    resumed, history = train_predictor(TABLE, report=cut, **arguments)
    assert reported == [(20, (2, 20)), (40, (2, 40)), (60, (2, 60))]
    whole, expected = trained()
    for ours, theirs in zip(jax.tree.leaves(resumed.weights), jax.tree.leaves(whole.weights), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(history, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match=r"another training: training.learning_rate was .*, now 0.1"):
        train_predictor(TABLE, **{**arguments, "training": replace(SHORT, learning_rate=0.1)})


KILLED = """
import os, signal, sys
from known_tasks import LEARNING, TABLE
from ednag_jax.predictor import train_predictor
end = lambda epoch, so_far: epoch == 40 and os.kill(os.getpid(), signal.SIGKILL)
train_predictor(TABLE, directory=sys.argv[1], report=end, **LEARNING)
"""


@pytest.mark.slow
def test_a_training_whose_process_was_killed_ends_bitwise_as_one_that_was_not(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    assert subprocess.run(command, cwd=Path(__file__).parent, check=False).returncode == -signal.SIGKILL
    reported = []
    resumed, _ = train_predictor(
        TABLE, directory=tmp_path, report=lambda epoch, _: reported.append(epoch), **LEARNING
    )
    assert reported == [60]
    for ours, theirs in zip(
        jax.tree.leaves(resumed.weights), jax.tree.leaves(trained()[0].weights), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_a_member_is_the_same_in_any_ensemble():
    """Up to rounding, which 420 steps amplify: so the first epochs are compared."""
    _, history = train_predictor(TABLE, **{**LEARNING, "training": replace(SHORT, num_members=1)})
    np.testing.assert_allclose(history.loss[0, :10], trained()[1].loss[0, :10], rtol=1e-3)


@pytest.mark.slow
def test_the_weights_of_the_best_epoch_are_kept_and_patience_ends_the_training():
    training = replace(SHORT, patience=3, learning_rate=0.5)
    predictor, history = train_predictor(TABLE, held_out=["images 2"], **{**LEARNING, "training": training})
    errors = np.asarray(history.held_out_error)
    assert errors.shape[1] < 60
    kept = examples_of(TABLE.split(["images 2"])[1], predictor.standards)
    apply = jax.jit(predictor.network.apply)
    for member, error in enumerate(errors):
        until = next(e for e in range(3, len(error)) if error[: e + 1].argmin() <= e - 3)
        weights = jax.tree.map(lambda leaf, member=member: leaf[member], predictor.weights)
        z, _ = apply(weights, *kept[:3])
        assert standardised_error(z, kept) == pytest.approx(error[: until + 1].min(), rel=1e-3)


@pytest.mark.slow
def test_without_held_out_tasks_all_epochs_run_and_the_last_weights_are_kept():
    _, history = train_predictor(
        TABLE, held_out=(), **{**LEARNING, "training": replace(SHORT, patience=1, num_epochs=20)}
    )
    assert history.loss.shape == (2, 20)
    assert np.isfinite(history.loss).all()
    assert np.isnan(history.held_out_error).all()


@pytest.mark.slow
def test_rates_and_weights_change_without_compiling_anew(compilations):
    trained()
    training = replace(SHORT, learning_rate=1e-3, weight_decay=0.0, ranking_weight=0.5)
    before = compilations.count
    _, history = train_predictor(TABLE, **{**LEARNING, "training": training})
    assert compilations.count == before
    assert (history.loss[:, 0] > trained()[1].loss[:, 0] + 0.2).all()


def test_settings_are_checked():
    with pytest.raises(ValueError, match="set_width must be a multiple of num_heads 3, got 16"):
        PredictorConfig(set_width=16, num_heads=3)
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 0.9\], got 1"):
        PredictorConfig(dropout=1.0)
    with pytest.raises(ValueError, match="num_members must be at least 1"):
        PredictorTrainingConfig(num_members=0)


@pytest.mark.slow
def test_500_cells_of_nasbench201_order_all_the_others(data_dir):
    """One task: what the graph encoder alone can do. 100 epochs of 5 networks gave 0.971."""
    accuracy = np.asarray(ed.load_benchmark("nasbench201", dataset="cifar100", data_dir=data_dir).params)
    order = np.random.default_rng(0).permutation(SPACE.size)
    archs = np.asarray(SPACE.from_index(jnp.arange(SPACE.size)))
    table = TaskTable(
        TABLE.features[:1],
        TABLE.mask[:1],
        archs[None, order[:500]],
        accuracy[None, order[:500]],
        ("cifar100",),
        ("cifar100",),
    )
    training = PredictorTrainingConfig(num_members=2, num_epochs=60)
    predictor, _ = train_predictor(table, space=SPACE, backbone="none", training=training, held_out=())
    target = encode_dataset(predictor, table.features[0], table.mask[0])
    predicted = np.asarray(score(predictor, target, archs).mean)
    assert spearmanr(predicted[order[500:]], accuracy[order[500:]]).statistic > 0.94
