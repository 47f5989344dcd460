"""The predictor: what it learns of, its network, file and checkpoints, and searches that use it."""

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_tasks import SMALL, SPACE, TABLE, drawn_weights
from scipy.stats import spearmanr

import ednag_jax as ed
from ednag_jax.config import PredictorConfig, PredictorTrainingConfig
from ednag_jax.predictor import (
    encode_dataset,
    load_predictor,
    nearest_tasks,
    predicted_benchmark,
    save_predictor,
    score,
)
from ednag_jax.predictor.checkpoint import run_folder
from ednag_jax.predictor.examples import (
    check_table,
    draw_groups,
    examples_of,
    fit_standards,
    task_levels,
)
from ednag_jax.predictor.losses import ranking_loss, spearman, standardised_error
from ednag_jax.predictor.model import (
    CHUNK,
    Predictor,
    PredictorNetwork,
    dataset_vectors,
    member_accuracies,
    smallest_inputs,
)
from ednag_jax.storage import DataError

pytestmark = pytest.mark.optimised

KEY = jax.random.key(0)
TMP_DIR_SUFFIX = ".orbax-checkpoint-tmp-"
"""Behind the number of a checkpoint that is being written."""


@cache
def untrained(config=SMALL, members=3, seed=0):
    """Returns a predictor with first weights, for what does not need it to know anything."""
    standards, network = fit_standards(TABLE, config.components), PredictorNetwork(SPACE, config)
    inputs = smallest_inputs(network)
    drawn = [drawn_weights(network.init, *inputs, seed=seed + member) for member in range(members)]
    weights = jax.tree.map(lambda *leaves: jnp.stack(leaves), *drawn)
    examples = examples_of(TABLE, standards)
    vectors = dataset_vectors(weights, examples.features, examples.mask, network=network)
    return Predictor(weights, standards, SPACE, config, "made up", TABLE.tasks, vectors, TABLE.table_hash)


def _first_member(predictor):
    return jax.tree.map(lambda leaf: leaf[0], predictor.weights)


# What it learns of


def test_targets_are_standardised_within_a_task_and_levels_say_accuracies_back():
    accuracy = TABLE.accuracy.copy()
    accuracy[::2, 10:] = np.nan
    table = TABLE._replace(accuracy=accuracy)
    standards = fit_standards(table, 8)
    examples = examples_of(table, standards)
    np.testing.assert_array_equal(examples.was_run, np.isfinite(accuracy))
    z = np.where(examples.was_run, examples.target, np.nan)
    np.testing.assert_allclose(np.nanmean(z, axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(np.nanstd(z, axis=1), 1, atol=1e-3)
    said = standards.accuracy(examples.level, examples.target)
    np.testing.assert_allclose(np.where(examples.was_run, said, np.nan), accuracy, rtol=1e-4)
    np.testing.assert_allclose(np.asarray(examples.level).std(axis=0), 1, atol=1e-3)


def test_a_task_without_differences_is_divided_by_the_least_deviation():
    levels = task_levels(np.full((1, 4), 10.0))
    np.testing.assert_allclose(levels, [[10, np.log(0.1)]])


def test_components_are_those_of_a_singular_value_decomposition():
    standards = fit_standards(TABLE, 12)
    images = TABLE.features.reshape(-1, 10).astype(float)
    left, values, _ = np.linalg.svd(images - images.mean(axis=0), full_matrices=False)
    expected = left * values / (values[0] / np.sqrt(len(images)))
    found = np.asarray(standards.project(jnp.asarray(images, jnp.float32)))
    np.testing.assert_allclose(np.abs(found[:, :10]), np.abs(expected), atol=1e-3)
    assert not found[:, 10:].any()


def test_masked_images_are_no_part_of_the_scales():
    wide = np.pad(TABLE.features, ((0, 0), (0, 1), (0, 2), (0, 0)), constant_values=np.nan)
    mask = np.pad(TABLE.mask, ((0, 0), (0, 1), (0, 2)))
    table = check_table(TABLE._replace(features=wide, mask=mask))
    for ours, theirs in zip(fit_standards(table, 8), fit_standards(TABLE, 8), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.isfinite(examples_of(table, fit_standards(table, 8)).features).all()


@pytest.mark.slow
def test_a_task_without_images_teaches_all_the_same_but_not_alone():
    mask = TABLE.mask.copy()
    mask[:7] = False
    table = check_table(TABLE._replace(mask=mask))
    standards = fit_standards(table, 8)
    z, _ = jax.jit(untrained().network.apply)(_first_member(untrained()), *examples_of(table, standards)[:3])
    assert np.isfinite(z).all()
    assert np.unique(z[0]).size > 5
    with pytest.raises(ValueError, match="none of the tasks to learn from has an image"):
        fit_standards(table.take([0, 1]), 8)


def test_whole_groups_are_held_out():
    learnt, kept = TABLE.split(["images 1", "images 4"])
    assert set(kept.groups) == {"images 1", "images 4"}
    assert not set(kept.groups) & set(learnt.groups)
    assert sorted(learnt.tasks + kept.tasks) == sorted(TABLE.tasks)
    row = TABLE.tasks.index(kept.tasks[3])
    np.testing.assert_array_equal(kept.accuracy[3], TABLE.accuracy[row])
    drawn = draw_groups(TABLE.groups, 0.3, seed=1)
    assert len(drawn) == 2
    assert drawn == draw_groups(TABLE.groups, 0.3, seed=1)
    assert len({draw_groups(TABLE.groups, 0.3, seed=seed) for seed in range(9)}) > 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask": TABLE.mask[:, :2]}, r"a table must be \[t c k f\]"),
        ({"tasks": TABLE.tasks[1:]}, "t names and t groups"),
        ({"features": np.where(np.arange(10) == 3, np.nan, TABLE.features)}, "features of chosen images"),
        ({"accuracy": TABLE.accuracy * 2}, r"percent in \[0, 100\]"),
        ({"accuracy": np.where(np.arange(24) > 0, np.nan, TABLE.accuracy)}, "fewer than 2 architectures"),
    ],
)
def test_a_table_whose_parts_do_not_fit_is_an_error(changes, message):
    with pytest.raises(ValueError, match=message):
        check_table(TABLE._replace(**changes))


def test_groups_that_cannot_be_held_out_are_an_error():
    with pytest.raises(ValueError, match=r"no task is of groups \['moon'\]"):
        TABLE.split(["moon"])
    with pytest.raises(ValueError, match="leave one to learn from"):
        TABLE.split(sorted(set(TABLE.groups)))
    with pytest.raises(ValueError, match=r"pass held_out=\(\)"):
        draw_groups(("a", "a"), 0.5, seed=0)


# Losses


def test_rank_correlation_is_scipys_with_ties_and_gaps():
    rng = np.random.default_rng(0)
    for seed in range(5):
        a, b = rng.integers(0, 6, 20).astype(float), rng.normal(size=20)
        chosen = rng.random(20) < 0.7
        found = spearman(*(jnp.asarray(x, jnp.float32) for x in (a, b)), jnp.asarray(chosen))
        assert found == pytest.approx(spearmanr(a[chosen], b[chosen]).statistic, abs=1e-5), seed
    assert spearman(jnp.ones(4), jnp.arange(4.0), jnp.ones(4, bool)) == 0


def test_errors_and_ranking_losses_are_means_over_what_was_run():
    examples = examples_of(TABLE, fit_standards(TABLE, 8))
    target, z = np.array([[1.0, 0.0, 3.0]]), np.array([[0.5, 2.0, 1.0]])
    own = examples._replace(target=jnp.asarray(target), was_run=jnp.array([[True, True, False]]))
    assert standardised_error(jnp.asarray(z), own) == pytest.approx((0.25 + 4) / 2)
    assert ranking_loss(jnp.asarray(z), own) == pytest.approx(np.log1p(np.exp(1.5)), rel=1e-5)


# The network


@pytest.mark.slow
def test_parts_apart_say_what_the_network_says_as_a_whole():
    predictor, archs = untrained(), SPACE.random(jax.random.key(1), 8)
    target = encode_dataset(predictor, TABLE.features[2], TABLE.mask[2])
    features, mask = predictor.standards.project(jnp.asarray(TABLE.features[2])), jnp.asarray(TABLE.mask[2])
    whole = jax.jit(predictor.network.apply)
    for member in range(3):
        weights = jax.tree.map(lambda leaf, member=member: leaf[member], predictor.weights)
        z, level = whole(weights, features, mask, archs)
        said = member_accuracies(target, archs, network=predictor.network)[member]
        np.testing.assert_allclose(said, predictor.standards.accuracy(level, z), rtol=1e-4)


@pytest.mark.slow
def test_many_architectures_score_as_each_alone():
    predictor = untrained()
    target = encode_dataset(predictor, TABLE.features[0], TABLE.mask[0])
    archs = SPACE.random(jax.random.key(2), CHUNK + 9)
    whole = score(predictor, target, archs)
    parts = [score(predictor, target, archs[rows]) for rows in (slice(0, 5), slice(CHUNK - 5, None))]
    for ours, *theirs in zip(whole, *parts, strict=True):
        np.testing.assert_allclose(ours[:5], theirs[0], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(ours[CHUNK - 5 :], theirs[1], rtol=1e-4, atol=1e-4)
    said = np.asarray(member_accuracies(target, archs, network=predictor.network))
    np.testing.assert_allclose(whole.mean, said.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(whole.deviation, said.std(axis=0), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_order_of_images_and_classes_changes_no_score():
    predictor, archs = untrained(), SPACE.random(jax.random.key(1), 8)
    features, mask = TABLE.features[4], TABLE.mask[4]
    scores = score(predictor, encode_dataset(predictor, features, mask), archs).mean
    turned = features[::-1, [3, 1, 4, 0, 2]]
    np.testing.assert_allclose(
        score(predictor, encode_dataset(predictor, turned, mask), archs).mean, scores, rtol=1e-4
    )
    wide, there = np.pad(features, ((0, 2), (0, 1), (0, 0)), constant_values=7), np.pad(mask, ((0, 2), (0, 1)))
    np.testing.assert_allclose(
        score(predictor, encode_dataset(predictor, wide, there), archs).mean, scores, rtol=1e-4
    )


@pytest.mark.slow
def test_a_blind_predictor_says_the_same_of_every_data_set():
    predictor, archs = untrained(replace(SMALL, blind=True)), SPACE.random(jax.random.key(1), 8)
    one, other = (encode_dataset(predictor, TABLE.features[row], TABLE.mask[row]) for row in (0, 1))
    np.testing.assert_array_equal(score(predictor, one, archs).mean, score(predictor, other, archs).mean)
    sighted = untrained()
    one, other = (encode_dataset(sighted, TABLE.features[row], TABLE.mask[row]) for row in (0, 1))
    assert np.abs(score(sighted, one, archs).mean - score(sighted, other, archs).mean).max() > 0.01


@pytest.mark.parametrize(
    ("features", "mask", "message"),
    [
        (np.zeros((2, 3, 9)), np.ones((2, 3)), r"features must be \[c k 10\] as 'made up' gives them"),
        (np.zeros((2, 3, 10)), np.ones((2, 2)), "mask"),
        (np.zeros((2, 3, 10)), np.zeros((2, 3)), "at least one image"),
        (np.full((2, 3, 10), np.inf), np.ones((2, 3)), "features that are finite"),
    ],
)
def test_what_is_no_coreset_is_an_error(features, mask, message):
    with pytest.raises(ValueError, match=message):
        encode_dataset(untrained(), features, mask)


@pytest.mark.parametrize("name", sorted(ed.SPACES))
def test_every_space_has_a_network(name):
    network = PredictorNetwork(ed.SPACES[name], SMALL)
    z, level = jax.eval_shape(lambda key: network.init_with_output(key, *smallest_inputs(network))[0], KEY)
    assert (z.shape, level.shape) == ((1, 1), (1, 2))


# Files


def test_a_predictor_is_read_back_as_it_was_written(tmp_path):
    predictor = untrained()
    read = load_predictor(save_predictor(predictor, tmp_path / "predictor.npz"))
    for ours, theirs in zip(jax.tree.leaves(read.weights), jax.tree.leaves(predictor.weights), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (read.config, read.space, read.backbone) == (predictor.config, predictor.space, "made up")
    assert (read.tasks, read.table_hash) == (predictor.tasks, TABLE.table_hash)
    archs = SPACE.random(jax.random.key(0), 8)
    scores = [
        score(p, encode_dataset(p, TABLE.features[0], TABLE.mask[0]), archs).mean for p in (read, predictor)
    ]
    np.testing.assert_array_equal(*scores)


@pytest.mark.slow
def test_a_predictor_of_the_default_shape_is_a_file_below_10_megabytes(tmp_path):
    predictor = untrained(PredictorConfig(), members=PredictorTrainingConfig().num_members)
    wide = predictor.standards._replace(feature_mean=jnp.zeros(1280), basis=jnp.ones((1280, 64)))
    path = save_predictor(replace(predictor, standards=wide), tmp_path / "predictor.npz")
    assert path.stat().st_size < 10e6


def rewritten(path, change):
    """Writes a predictor's file anew after a change of its arrays and header."""
    arrays = dict(np.load(path))
    header = json.loads(str(arrays.pop("header")))
    change(arrays, header)
    from ednag_jax.predictor.saved import _digest

    if "digest" in header:
        header["digest"] = _digest(arrays)
    np.savez(path, header=np.array(json.dumps(header)), **arrays)


def broken_weight(arrays, header):
    arrays["weights/params/last/kernel"] = arrays["weights/params/last/kernel"] * np.nan


def lost_weight(arrays, header):
    del arrays["weights/params/last/kernel"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (broken_weight, "not finite in weights/params/last/kernel"),
        (lost_weight, "other arrays than its network: weights/params/last/kernel"),
        (lambda arrays, header: header.update(format=0), "has format 0, this program reads 1"),
        (lambda arrays, header: header.update(space="moon"), "for space 'moon', which is not known"),
        (lambda arrays, header: header.update(space="darts"), "for another space"),
        (lambda arrays, header: header.clear(), "no predictor file: it has no header"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_an_error(change, message, tmp_path):
    path = save_predictor(untrained(), tmp_path / "predictor.npz")
    rewritten(path, change)
    with pytest.raises(DataError, match=message):
        load_predictor(path)


def test_a_file_that_is_missing_cut_or_altered_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"'.*none.npz' is missing"):
        load_predictor(tmp_path / "none.npz")
    path = save_predictor(untrained(), tmp_path / "predictor.npz")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"no whole \.npz"):
        load_predictor(path)
    arrays = dict(np.load(save_predictor(untrained(), path)))
    arrays["task_vectors"] = arrays["task_vectors"] + 1
    np.savez(path, **arrays)
    with pytest.raises(DataError, match="does not match its digest"):
        load_predictor(path)


# Checkpoints of a training

STATE = {"weights": np.linspace(0, 1, 5000, dtype=np.float32), "stopped": np.zeros(3, bool)}
ABOUT = {"table": "a hash", "shape": (2, 3)}


def checkpoint(folder):
    """Returns the folder of the checkpoint written."""
    with run_folder(folder, ABOUT) as kept:
        kept.save(jax.tree.map(jnp.asarray, STATE), 3)
    return folder / "3"


def latest(folder, about=ABOUT):
    with run_folder(folder, about) as kept:
        return kept.latest(jax.tree.map(jnp.zeros_like, STATE))


def test_a_checkpoint_is_read_back_bitwise_and_a_save_that_was_killed_is_passed_over(tmp_path):
    nothing, epoch = latest(tmp_path)
    assert epoch == 0
    assert not nothing["weights"].any()
    unfinished = tmp_path / f"4{TMP_DIR_SUFFIX}7"
    shutil.copytree(checkpoint(tmp_path), unfinished)
    (unfinished / "state" / "manifest.ocdbt").unlink()
    state, epoch = latest(tmp_path)
    assert epoch == 3
    for name, array in STATE.items():
        np.testing.assert_array_equal(state[name], array)
    with pytest.raises(
        ValueError, match=r"another training: shape was \[2, 3\], now \[2, 4\]\. Choose another folder"
    ):
        latest(tmp_path, {**ABOUT, "shape": (2, 4)})


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def altered(path):
    """Orbax alone reads the file of the weights so without a word."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(bytes(content))


def damage(folder, change, name):
    files = [path for path in folder.rglob("*") if path.is_file()]
    change(max(files, key=lambda path: path.stat().st_size) if name == "largest" else folder / name)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (altered, "largest"),
        (altered, "state/manifest.ocdbt"),
        (cut, "largest"),
        (Path.unlink, "state/manifest.ocdbt"),
    ],
)
def test_a_damaged_checkpoint_is_an_error(change, name, tmp_path):
    damage(checkpoint(tmp_path), change, name)
    with pytest.raises(DataError, match=r"checkpoint 3 in .* does not match its digest.* starts anew"):
        latest(tmp_path)


# Searches


@pytest.mark.slow
def test_a_search_over_predictions_finds_the_best_predicted():
    predictor = untrained()
    target = encode_dataset(predictor, TABLE.features[0], TABLE.mask[0])
    benchmark = predicted_benchmark(predictor, target, dataset="made up")
    result = ed.search("random_search", benchmark, seeds=2, queries=300)
    archs = jnp.stack([SPACE.from_str(text) for text in result.best_arch])
    np.testing.assert_allclose(result.best_accuracy, score(predictor, target, archs).mean, rtol=1e-4)
    everything = SPACE.from_index(jnp.arange(SPACE.size))
    scores = score(predictor, target, everything).mean
    assert (result.best_accuracy >= np.quantile(scores, 0.98)).all()
    assert benchmark.oracle == "predicted accuracy"


@pytest.mark.slow
def test_predictions_for_another_data_set_compile_nothing(compilations):
    predictor = untrained()
    benchmarks = [
        predicted_benchmark(
            predictor, encode_dataset(predictor, TABLE.features[row], TABLE.mask[row]), dataset="d"
        )
        for row in (0, 1)
    ]
    keys, config = ed.seed_keys(2), ed.EvolveConfig(num_steps=4, population_size=4)
    traces = []
    for benchmark in benchmarks:
        before = compilations.count
        traces.append(ed.evolve_seeds(keys, benchmark.params, problem=benchmark.problem, config=config)[1])
    assert compilations.count == before
    assert not np.array_equal(traces[0].initial.accuracy, traces[1].initial.accuracy)


def test_nearest_tasks_are_those_with_like_images():
    predictor = untrained()
    row = TABLE.tasks.index(predictor.tasks[3])
    named = nearest_tasks(predictor, encode_dataset(predictor, TABLE.features[row], TABLE.mask[row]))
    assert named[0][0] == predictor.tasks[3]
    assert named[0][1] == pytest.approx(0, abs=1e-3)
    assert 0 < named[1][1] <= named[2][1]
