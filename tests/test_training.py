"""Training of one network: the recipe's formulas, exact resume after a kill, what is read back or refused."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from PIL import Image

import ednag_jax as ed
from ednag_jax.config import TrainingConfig
from ednag_jax.images import ImageSet
from ednag_jax.training import SMALL, classify, classify_folder, load_trained, train_network
from ednag_jax.training.batches import (
    TrainingData,
    augmented,
    epoch_order,
    normalisation_of,
    normalised,
    stratified_split,
)
from ednag_jax.training.description import normalisation_in
from ednag_jax.training.saved import CHECKPOINT
from ednag_jax.training.steps import Rates, first_state, probabilities, train_step

pytestmark = pytest.mark.optimised

SPACE, CELL = "nasbench201", (2, 1, 0, 1, 4, 2)
TINY = {"channels": 4}
SHORT = TrainingConfig(budget=0.03, batch_size=16, flip_rate=0.0, padding=1, held_out=0.25)
"""6 epochs of 5 steps."""


def bright_corners(counts=(36, 36, 36), size=8, seed=0, name="corners"):
    """Images of noise with one of their corners bright: the class says which."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    images = rng.integers(0, 120, (len(labels), size, size, 3))
    half = size // 2
    for image, label in zip(images, labels, strict=True):
        image[label // 2 * half :, label % 2 * half :][:half, :half] += 110
    return ImageSet(name, images.astype(np.uint8), labels, ("left", "right", "low", "deep")[: len(counts)])


CORNERS = bright_corners()


def bits_of(variables):
    return {jax.tree_util.keystr(path): leaf.tobytes() for path, leaf in jax.tree.leaves_with_path(variables)}


def rows_of(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def reports():
    return []


@pytest.fixture(scope="module")
def folder(tmp_path_factory, reports):
    """A finished training that nothing interrupted; not to be changed."""
    out = tmp_path_factory.mktemp("training") / "whole"
    train_network(
        SPACE, CELL, CORNERS, out, network=TINY, config=SHORT, report=lambda *row: reports.append(row)
    )
    return out


@pytest.fixture
def copied(folder, tmp_path):
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def edit(folder, **changes):
    path = folder / "architecture.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# ------------------------------------------------------------------------------------------- the recipe's parts


def test_settings_follow_the_published_recipe():
    published = TrainingConfig(budget=1.0)
    assert published.num_epochs == 200
    assert published.batch_for(50_000) == 256
    assert [published.padding_for(size) for size in (32, 16, 8, 6)] == [4, 2, 1, 0]
    assert replace(published, padding=3).padding_for(32) == 3
    assert replace(published, batch_size=100).batch_for(120) == 100
    assert TrainingConfig(budget=1e-3).num_epochs == 1
    with pytest.raises(ValueError, match=r"flip_rate must be in \[0, 1\], got 2"):
        TrainingConfig(flip_rate=2.0)
    with pytest.raises(ValueError, match="budget must be at least 1e-06, got 0"):
        TrainingConfig(budget=0.0)
    with pytest.raises(ValueError, match="batch_size must be at least 2, got 1"):
        TrainingConfig(batch_size=1)


def test_every_class_is_held_out_in_proportion_and_always_the_same():
    labels = np.repeat([0, 1, 2, 3], [40, 10, 2, 1])[np.random.default_rng(0).permutation(53)].astype(np.int32)
    split = stratified_split(labels, share=0.2, seed=3)
    assert sorted([*split.train, *split.held_out]) == list(range(53))
    assert np.bincount(labels[split.held_out], minlength=4).tolist() == [8, 2, 1, 0]
    again = stratified_split(labels, share=0.2, seed=3)
    assert (again.held_out == split.held_out).all()
    assert set(stratified_split(labels, share=0.2, seed=4).held_out) != set(split.held_out)
    assert np.bincount(labels[stratified_split(labels, share=0.9, seed=0).train]).min() >= 1
    assert len(stratified_split(labels, share=0.0, seed=0).held_out) == 0


def test_images_are_normalised_by_their_own_mean_and_deviation():
    images = np.random.default_rng(0).integers(0, 200, (7, 5, 6, 3)).astype(np.uint8)
    images[..., 2] = 51
    norm = normalisation_of(images)
    pixels = images / 255
    np.testing.assert_allclose(norm.mean, pixels.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(norm.std[:2], pixels.std((0, 1, 2))[:2], rtol=1e-6)
    said = np.asarray(normalised(jnp.asarray(images), norm))
    np.testing.assert_allclose(said.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(said.std((0, 1, 2)), [1, 1, 0], atol=1e-4)


@pytest.mark.parametrize(("num", "batch"), [(50, 16), (48, 16), (16, 16)])
def test_an_epoch_sees_every_image_and_none_twice_in_a_batch(num, batch):
    order = epoch_order(num, batch, seed=0, epoch=4)
    assert order.shape == (-(-num // batch), batch)
    times = np.bincount(order.ravel(), minlength=num)
    assert times.min() == 1
    assert times.max() <= 2
    assert all(len(set(rows)) == batch for rows in order.tolist())
    assert (order == epoch_order(num, batch, seed=0, epoch=4)).all()
    assert (order != epoch_order(num, batch, seed=0, epoch=5)).any()
    assert (order != epoch_order(num, batch, seed=1, epoch=4)).any()


def test_images_move_by_the_padding_over_black_and_are_mirrored_at_the_rate():
    image = np.arange(1, 49, dtype=np.uint8).reshape(1, 4, 4, 3)
    copies, black = jnp.asarray(np.repeat(image, 400, axis=0)), np.zeros((6, 6, 3), np.uint8)
    black[1:5, 1:5] = image[0]
    moved = {black[i : i + 4, j : j + 4].tobytes() for i in range(3) for j in range(3)}
    key = jax.random.key(0)
    assert {cut.tobytes() for cut in np.asarray(augmented(key, copies, 0.0, 1))} == moved
    mirrored = np.asarray(augmented(key, copies, 1.0, 1))[:, :, ::-1]
    assert {cut.tobytes() for cut in mirrored} == moved
    np.testing.assert_array_equal(augmented(key, copies, 0.0, 0), copies)
    flipped = (np.asarray(augmented(key, copies, 0.3, 0)) != copies).any((1, 2, 3)).mean()
    assert abs(flipped - 0.3) < 4 * (0.3 * 0.7 / 400) ** 0.5


class Linear(nn.Module):
    """Softmax regression, so that gradients are known in closed form."""

    @nn.compact
    def __call__(self, images, *, train=False):
        del train
        return nn.Dense(3, name="linear")(images.reshape(len(images), -1))


def test_steps_are_those_of_torch_with_nesterov_momentum_and_decay_on_all_parameters():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (6, 2, 2, 3)).astype(np.uint8), np.array([0, 1, 2, 2, 1, 0], np.int32)
    norm = normalisation_of(images)
    data = TrainingData(jnp.asarray(images), jnp.asarray(labels), norm)
    module, rates = Linear(), Rates(0.1, 0.9, 0.05, 0.0)
    state = first_state(module.init(jax.random.key(0), jnp.zeros((1, 2, 2, 3))))
    x = ((images / 255 - norm.mean) / norm.std).reshape(6, -1)
    x = np.concatenate([x, np.ones((6, 1))], axis=1)  # the last row of the weights is the bias
    linear = state.variables["params"]["linear"]
    w = np.concatenate([np.asarray(linear["kernel"]), np.asarray(linear["bias"])[None] + 0.5])
    state.variables["params"]["linear"]["bias"] = linear["bias"] + 0.5  # so that its decay shows
    buffer = 0
    for rows in ([0, 1, 2, 3], [5, 4, 3, 2], [1, 1, 0, 5]):
        state, tally = train_step(
            state, data, jnp.array(rows), jax.random.key(1), rates, module=module, padding=0
        )
        said = np.exp(x[rows] @ w) / np.exp(x[rows] @ w).sum(axis=1, keepdims=True)
        assert float(tally.loss) == pytest.approx(-np.log(said[range(4), labels[rows]]).mean(), rel=1e-5)
        assert float(tally.right) == (said.argmax(axis=1) == labels[rows]).mean()
        gradient = x[rows].T @ (said - np.eye(3)[labels[rows]]) / 4 + 0.05 * w
        buffer = 0.9 * buffer + gradient
        w = w - 0.1 * (gradient + 0.9 * buffer)
        linear = state.variables["params"]["linear"]
        np.testing.assert_allclose(linear["kernel"], w[:-1], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(linear["bias"], w[-1], rtol=1e-4, atol=1e-6)


def test_probabilities_do_not_depend_on_the_batch():
    module = Linear()
    variables = module.init(jax.random.key(0), jnp.zeros((1, 2, 2, 3)))
    images = np.random.default_rng(1).integers(0, 255, (300, 2, 2, 3)).astype(np.uint8)
    norm, done = normalisation_of(images), []
    said = probabilities(variables, images, norm, module=module, report=lambda *at: done.append(at))
    expected = nn.softmax(module.apply(variables, normalised(jnp.asarray(images), norm)))
    np.testing.assert_allclose(said, expected, atol=1e-6)
    assert done == [(256, 300), (300, 300)]
    assert probabilities(variables, images[:0], norm, module=module).shape == (0, 3)


# -------------------------------------------------------------------------------------------- a whole training


@pytest.mark.slow
def test_a_network_learns_and_its_folder_says_all_about_it(folder, reports):
    assert {path.name for path in folder.iterdir()} == {
        "architecture.json",
        "checkpoint",
        "metrics.jsonl",
        "curves.png",
    }
    trained = load_trained(folder)
    about = trained.description
    assert about["arch"] == ed.SPACES[SPACE].to_str(CELL)
    assert (about["num_classes"], about["classes"]) == (3, ["left", "right", "low"])
    assert about["image_shape"] == [8, 8, 3]
    assert about["network"] == {"channels": 4, "num_cells": 1}
    assert about["recipe"] == asdict(SHORT)
    assert about["images"]["fingerprint"] == CORNERS.fingerprint
    assert {"ednag-jax", "jax", "flax", "device"} <= set(about["versions"])
    assert [(row.epoch, total) for row, total in reports] == [(epoch, 6) for epoch in range(1, 7)]
    rates = [0.05 * (1 + np.cos(np.pi * epoch / 6)) for epoch in range(6)]
    np.testing.assert_allclose([row.learning_rate for row, _ in reports], rates)
    assert rows_of(folder) == [{k: v for k, v in row._asdict().items() if k != "seconds"} for row, _ in reports]
    assert reports[-1][0].loss < 0.5 * reports[0][0].loss
    assert about["result"]["held_out_accuracy"] == reports[-1][0].held_out_accuracy >= 90
    split = stratified_split(CORNERS.labels, share=0.25, seed=0)
    expected = normalisation_of(CORNERS.images[split.train])
    np.testing.assert_allclose(normalisation_in(about).std, expected.std, rtol=1e-6)
    said = classify(folder, CORNERS.images[split.held_out]).argmax(axis=1)
    assert 100 * (said == CORNERS.labels[split.held_out]).mean() == about["result"]["held_out_accuracy"]


def test_another_seed_or_rate_compiles_nothing_and_gives_another_network(folder, tmp_path, compilations):
    config = replace(SHORT, seed=1, learning_rate=0.03, weight_decay=1e-3, budget=0.01)
    trained = train_network(SPACE, CELL, CORNERS, tmp_path / "other", network=TINY, config=config)
    assert compilations.count == 0
    assert bits_of(trained.variables) != bits_of(load_trained(folder).variables)


RUN = """
import os, signal, sys
import orbax.checkpoint as ocp
sys.path.insert(0, {tests!r})
from test_training import CELL, CORNERS, SHORT, SPACE, TINY, replace, train_network

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def report(row, total):
    if row.epoch == 3 and {where!r} == "between":
        kill()
    if row.epoch == 3 and {where!r} == "while writing":
        ocp.CheckpointManager.wait_until_finished = kill

train_network(
    SPACE, CELL, CORNERS, {out!r}, network=TINY, config=replace(SHORT, checkpoint_every=2), report=report
)
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["between", "while writing"])
def test_a_killed_training_goes_on_and_ends_bitwise_as_one_that_was_not(where, folder, tmp_path):
    out = tmp_path / "killed"
    script = RUN.format(tests=str(Path(__file__).parent), out=str(out), where=where)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not (out / "curves.png").exists()
    seen = []
    again = train_network(
        SPACE, CELL, CORNERS, out, network=TINY, config=SHORT, report=lambda row, _: seen.append(row.epoch)
    )
    assert seen in ([3, 4, 5, 6], [5, 6])
    assert seen == [3, 4, 5, 6] or where == "while writing"
    assert bits_of(again.variables) == bits_of(load_trained(folder).variables)
    assert rows_of(out) == rows_of(folder)


def test_a_finished_training_is_read_and_another_one_refused(copied):
    def never(*_):
        raise AssertionError("trained again")

    train_network(SPACE, CELL, CORNERS, copied, network=TINY, config=SHORT, report=never)
    with pytest.raises(ValueError, match="has another training: recipe differ; choose another folder"):
        train_network(SPACE, CELL, CORNERS, copied, network=TINY, config=replace(SHORT, seed=2))
    with pytest.raises(ValueError, match="has another training: phenotype differ"):
        train_network(SPACE, (2, 1, 0, 1, 4, 1), CORNERS, copied, network=TINY, config=SHORT)
    with pytest.raises(ValueError, match="has another training: images differ"):
        train_network(SPACE, CELL, bright_corners(seed=1), copied, network=TINY, config=SHORT)


def test_uneven_classes_are_trained(tmp_path):
    images = bright_corners((100, 7, 1))  # of which 81 are trained on, as elsewhere: nothing is compiled anew
    config = replace(SHORT, budget=0.01)
    result = train_network(SPACE, CELL, images, tmp_path / "out", network=TINY, config=config).description[
        "result"
    ]
    assert result["epoch"] == 2
    assert result["held_out_accuracy"] in 100 * np.arange(28) / 27


@pytest.mark.slow
def test_the_smallest_sets_are_trained(tmp_path):
    config = replace(SHORT, budget=0.01, batch_size=None)
    two = train_network(SPACE, CELL, bright_corners((2, 2)), tmp_path / "two", network=TINY, config=config)
    assert two.description["result"]["train_accuracy"] in (0, 50, 100)
    whole = replace(config, held_out=0.0)
    alone = train_network(SPACE, CELL, bright_corners((1, 1)), tmp_path / "alone", network=TINY, config=whole)
    assert alone.description["result"]["held_out_accuracy"] is None


def test_a_set_of_its_own_can_be_held_out(tmp_path):
    images, test = bright_corners((27, 27, 27)), bright_corners((9, 8, 10), seed=9, name="test")
    config = replace(SHORT, budget=0.01)
    out = tmp_path / "out"
    trained = train_network(SPACE, CELL, images, out, held_out=test, network=TINY, config=config)
    right = classify(trained, test.images).argmax(axis=1) == test.labels
    assert trained.description["result"]["held_out_accuracy"] == pytest.approx(100 * right.mean())
    expected = normalisation_of(images.images)
    np.testing.assert_allclose(normalisation_in(trained.description).mean, expected.mean)
    with pytest.raises(ValueError, match="'test' has the classes left, right, expected those of 'corners'"):
        train_network(SPACE, CELL, CORNERS, out, held_out=bright_corners((3, 3), name="test"))
    with pytest.raises(ValueError, match=r"'test' has images of \(16, 16\) pixels, expected \(8, 8\)"):
        train_network(SPACE, CELL, CORNERS, out, held_out=bright_corners(size=16, name="test"))


SLOW_SPACES = [pytest.param(name, marks=pytest.mark.slow) for name in sorted(set(SMALL) - {SPACE})]


@pytest.mark.parametrize("name", SLOW_SPACES)
def test_every_space_with_a_small_size_is_trained(name, tmp_path):
    space = ed.SPACES[name]
    config = TrainingConfig(budget=0.01, flip_rate=0.0)
    arch = np.asarray(space.random(jax.random.key(4), 1)[0])
    trained = train_network(name, arch, bright_corners((20, 20, 20)), tmp_path / "out", config=config)
    assert space.from_str(trained.description["arch"]).tolist() == space.from_str(space.to_str(arch)).tolist()
    assert classify(tmp_path / "out", CORNERS.images[:2]).shape == (2, 3)


# ---------------------------------------------------------------------------------------------- what goes wrong


def test_a_training_that_diverges_says_what_to_lower(tmp_path):
    config = replace(SHORT, learning_rate=1e20, checkpoint_every=1)
    with pytest.raises(FloatingPointError, match=r"diverged in epoch \d of 6 .* lower learning_rate, now 1e"):
        train_network(SPACE, CELL, CORNERS, tmp_path / "out", network=TINY, config=config)
    with pytest.raises(ed.DataError, match="is not finished"):
        load_trained(tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_said_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"output directory .*file/out.* cannot be written"):
        train_network(SPACE, CELL, CORNERS, tmp_path / "file" / "out", network=TINY, config=SHORT)


@pytest.mark.slow
def test_a_full_disk_is_said_and_the_training_goes_on_afterwards(folder, tmp_path, monkeypatch):
    out, saves = tmp_path / "out", []
    save = ocp.CheckpointManager.save

    def full(manager, step, *args, **kwargs):
        saves.append(step)
        if step == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return save(manager, step, *args, **kwargs)

    monkeypatch.setattr(ocp.CheckpointManager, "save", full)
    config = replace(SHORT, checkpoint_every=2)
    with pytest.raises(OSError, match=r"checkpoint 4 cannot be written in .*No space left.*make room"):
        train_network(SPACE, CELL, CORNERS, out, network=TINY, config=config)
    monkeypatch.undo()
    again = train_network(SPACE, CELL, CORNERS, out, network=TINY, config=config)
    assert saves == [2, 4]
    assert bits_of(again.variables) == bits_of(load_trained(folder).variables)


def test_a_disk_that_fills_up_with_metrics_is_said(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def report(*_):
        monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match=r"folder '.*out' cannot be written \(No space left.*\): make room"):
        train_network(SPACE, CELL, CORNERS, tmp_path / "out", network=TINY, config=SHORT, report=report)
    assert [row["epoch"] for row in rows_of(tmp_path / "out")] == [1]


def test_settings_that_a_network_does_not_have_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"'nasbench201' cannot be built with .*'width': 2.*'width'"):
        train_network(SPACE, CELL, CORNERS, tmp_path / "out", network={"width": 2}, config=SHORT)
    with pytest.raises(ValueError, match="space must be one of"):
        train_network("unknown", CELL, CORNERS, tmp_path / "out", config=SHORT)
    with pytest.raises(ValueError, match="'corners' has one image a class, so none can be held out"):
        train_network(SPACE, CELL, bright_corners((1, 1)), tmp_path / "out", config=SHORT)
    with pytest.raises(ValueError, match="is no architecture of space 'nasbench201'"):
        train_network(SPACE, (9,) * 6, CORNERS, tmp_path / "out", config=SHORT)
    tiny = ed.SPACES["autoformer_tiny"]
    with pytest.raises(ValueError, match="build the network with another patch_size"):
        train_network(tiny.name, tiny.random(jax.random.key(0), 1)[0], CORNERS, tmp_path / "out", config=SHORT)
    assert not (tmp_path / "out").exists()


DAMAGE = {
    "no whole JSON": lambda folder: (folder / "architecture.json").write_text('{"format": 1'),
    "has format 2, this program reads 1": lambda folder: edit(folder, format=2),
    "'classes' is missing": lambda folder: (folder / "architecture.json").write_text(
        '{"format": 1, "space": "nasbench201", "phenotype": [1, 1, 1, 1, 1, 1]}'
    ),
    "is none of": lambda folder: edit(folder, space="nasbench301"),
    "is no architecture of space": lambda folder: edit(folder, phenotype=[7] * 6),
    "phenotype .* is not '": lambda folder: edit(folder, phenotype=[1] * 6),
    "2 classes are named, num_classes is 3": lambda folder: edit(folder, classes=["a", "b"]),
    "std .* must be above 0": lambda folder: edit(folder, normalisation={"mean": [0] * 3, "std": [0, 1, 1]}),
    "three numbers each": lambda folder: edit(folder, normalisation={"mean": [0, 0], "std": [1, 1]}),
    "cannot be built with": lambda folder: edit(folder, network={"chanels": 3}),
    "is of other shapes": lambda folder: edit(folder, network={"channels": 6, "num_cells": 1}),
    "is not finished": lambda folder: edit(folder, result=None),
    "checkpoint folder .* is missing": lambda folder: shutil.rmtree(folder / CHECKPOINT),
    "no whole checkpoint": lambda folder: shutil.rmtree(folder / CHECKPOINT / "6"),
    "has no architecture.json": lambda folder: (folder / "architecture.json").unlink(),
}


@pytest.mark.parametrize("text", DAMAGE)
def test_a_damaged_folder_is_refused(text, copied):
    DAMAGE[text](copied)
    with pytest.raises(ed.DataError, match=text):
        load_trained(copied)


def damage_weights(folder):
    for path in (folder / CHECKPOINT).rglob("d/*"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 255
        path.write_bytes(content)


def test_damaged_weights_are_refused(copied):
    damage_weights(copied)
    with pytest.raises(ed.DataError, match="does not match its digest: it was altered"):
        load_trained(copied)


def test_a_damaged_checkpoint_is_not_gone_on_from(copied):
    edit(copied, result=None)
    damage_weights(copied)
    with pytest.raises(ed.DataError, match=r"checkpoint 6 in .* does not match its digest.* train anew"):
        train_network(SPACE, CELL, CORNERS, copied, network=TINY, config=SHORT)


def test_lost_metrics_are_not_made_up(copied):
    edit(copied, result=None)
    lines = (copied / "metrics.jsonl").read_text().splitlines()
    (copied / "metrics.jsonl").write_text("\n".join(lines[:4]))
    with pytest.raises(ed.DataError, match="4 of the 6 epochs of the checkpoint"):
        train_network(SPACE, CELL, CORNERS, copied, network=TINY, config=SHORT)
    (copied / "metrics.jsonl").write_text("\n".join([*lines[:5], "{"]))
    with pytest.raises(ed.DataError, match=r"metrics.jsonl' is damaged"):
        train_network(SPACE, CELL, CORNERS, copied, network=TINY, config=SHORT)


# -------------------------------------------------------------------------------------------------- classifying


def test_images_of_another_size_are_brought_to_that_of_the_training(folder):
    images = CORNERS.images[::5]
    larger = images.repeat(4, axis=1).repeat(4, axis=2)
    small, large = classify(folder, images), classify(load_trained(folder), larger)
    np.testing.assert_allclose(small.sum(axis=1), 1, rtol=1e-5)
    assert (small.argmax(axis=1) == large.argmax(axis=1)).mean() > 0.9


def test_images_that_do_not_fit_are_refused(folder, tmp_path):
    trained = load_trained(folder)
    with pytest.raises(ValueError, match=r"images must be uint8 \[n h w 3\], got float64 \(108, 8, 8, 3\)"):
        classify(trained, CORNERS.images / 255)
    wide = trained._replace(description={**trained.description, "image_shape": [8, 10, 3]})
    with pytest.raises(ValueError, match="images are 8 x 8 pixels; the network was trained on 8 x 10"):
        classify(wide, CORNERS.images)
    with pytest.raises(ValueError, match="trained on 8 x 10 pixels; image files are read as squares"):
        classify_folder(wide, tmp_path)


@pytest.mark.slow
def test_a_folder_of_files_is_classified_at_any_depth(folder, tmp_path):
    place = tmp_path / "loose"
    (place / "deep" / "deeper").mkdir(parents=True)
    (place / ".hidden").mkdir()
    names = ["b.png", "deep/a.bmp", "deep/deeper/c.png"]
    for name, image in zip(names, CORNERS.images[[0, 40, 80]], strict=True):
        Image.fromarray(image).save(place / name)
    Image.fromarray(CORNERS.images[0]).save(place / ".hidden" / "no.png")
    (place / "notes.txt").write_text("no image")
    done = []
    found = classify_folder(folder, place, progress=lambda *at: done.append(at))
    assert [row.file for row in found] == [place / name for name in names]
    said = classify(folder, CORNERS.images[[0, 40, 80]])
    classes = load_trained(folder).description["classes"]
    assert [row.label for row in found] == [classes[label] for label in said.argmax(axis=1)]
    np.testing.assert_allclose([row.probability for row in found], said.max(axis=1), rtol=1e-5)
    assert done == [(3, 3)]
    (place / "deep" / "broken.jpg").write_bytes(b"no jpeg")
    with pytest.warns(UserWarning, match=r"1 files \(deep/broken.jpg .*\) cannot be read and are left out"):
        assert classify_folder(folder, place) == found


def test_a_folder_without_images_is_refused(folder, tmp_path):
    with pytest.raises(ed.DataError, match="is missing; give a folder of images"):
        classify_folder(folder, tmp_path / "nowhere")
    with pytest.raises(ed.DataError, match="has no image file"):
        classify_folder(folder, tmp_path)
    (tmp_path / "broken.png").write_bytes(b"")
    with pytest.raises(ed.DataError, match="no image that can be read: 1 files"):
        classify_folder(folder, tmp_path)
