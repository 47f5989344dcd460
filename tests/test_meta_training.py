"""Training many cells at once on a task: what a step sees, and that it is each cell's own training."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ednag_jax.config import MetaConfig
from ednag_jax.meta import tasks as tasks_module
from ednag_jax.meta import training
from ednag_jax.meta.cells import distinct_cells
from ednag_jax.meta.sources import classes_of
from ednag_jax.meta.tasks import HELD_OUT_IMAGES, MAX_TRAIN, Task, held_out_images, task_images
from ednag_jax.meta.training import image_order, moved_images, task_arrays, train_cells

pytestmark = pytest.mark.optimised

CONFIG = MetaConfig(channels=4, num_cells=1, num_steps=40)
TASK = Task(3, "digits", 0, classes_of("digits", 0)[:4], 8, 240, (), 0)
BEST = (3, 3, 3, 3, 3, 3)
NOTHING = (0, 0, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def arrays():
    return task_arrays(TASK)


def test_arrays_have_one_shape_for_all_tasks_of_a_size_and_say_what_is_padding(arrays):
    train, held_out = task_images(TASK), held_out_images(TASK)
    assert arrays.images.shape == (MAX_TRAIN, 8, 8, 3)
    assert arrays.held_out.shape == (HELD_OUT_IMAGES, 8, 8, 3)
    assert int(arrays.num_train) == len(train) < MAX_TRAIN
    np.testing.assert_array_equal(arrays.images[: len(train)], train.images)
    np.testing.assert_array_equal(arrays.held_out_labels[: len(held_out)], held_out.labels)
    assert (np.asarray(arrays.held_out_labels[len(held_out) :]) == -1).all()
    other = task_arrays(dataclasses.replace(TASK, classes=classes_of("digits", 0), max_train=120))
    assert jax.tree.map(jnp.shape, other) == jax.tree.map(jnp.shape, arrays)
    tasks_module._divided.cache_clear()


def test_normalised_images_have_mean_0_and_nearly_unit_variance(arrays):
    pixels = training._normalised(arrays.images[: int(arrays.num_train)], arrays)
    np.testing.assert_allclose(pixels.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(pixels.std((0, 1, 2)), 1, atol=0.02)


@pytest.mark.parametrize("num", [7, 32, 100, 5000])
def test_every_image_is_seen_before_any_is_seen_again(num):
    order = image_order(num, 5, CONFIG)
    assert order.shape == (CONFIG.num_steps, CONFIG.batch_size)
    flat, total = order.ravel(), order.size
    for start in range(0, total - num + 1, num):
        np.testing.assert_array_equal(np.sort(flat[start : start + num]), np.arange(num))
    assert len(set(flat.tolist())) == min(num, total)
    np.testing.assert_array_equal(order, image_order(num, 5, CONFIG))
    assert (order != image_order(num, 6, CONFIG)).any()


def test_images_are_mirrored_then_moved_with_their_border_repeated():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (9, 8, 8, 3), np.uint8)
    flips, shifts = rng.random(9) < 0.5, rng.integers(-2, 3, (2, 9))
    moved = moved_images(jnp.asarray(images), jnp.asarray(flips), jnp.asarray(shifts))
    for image, flip, (down, right), result in zip(images, flips, shifts.T, moved, strict=True):
        mirrored = image[:, ::-1] if flip else image
        wide = np.pad(mirrored, ((2, 2), (2, 2), (0, 0)), mode="edge")
        np.testing.assert_array_equal(result, wide[2 - down : 10 - down, 2 - right : 10 - right])


def test_a_task_without_flips_and_shifts_sees_its_images_as_they_are(arrays):
    still = arrays._replace(flip_rate=jnp.float32(0), max_shift=jnp.int32(0))
    images, labels = training._batch(jax.random.key(0), still, jnp.arange(20))
    np.testing.assert_allclose(images, training._normalised(arrays.images[:20], arrays))
    np.testing.assert_array_equal(labels, arrays.labels[:20])


def test_classes_that_a_task_lacks_get_no_probability():
    probability = jax.nn.softmax(training._masked(jnp.full((2, 10), 3.0), jnp.int32(4)))
    np.testing.assert_allclose(probability, [[0.25] * 4 + [0] * 6] * 2)


def test_the_rate_warms_up_then_falls_to_nothing():
    optimiser = training._optimiser(MetaConfig(num_steps=20, weight_decay=0, momentum=0, warmup=0.2))
    state, sizes = optimiser.init(jnp.zeros(())), []
    for _ in range(21):
        update, state = optimiser.update(jnp.ones(()), state, jnp.zeros(()))
        sizes.append(-float(update))
    assert sizes[0] == 0
    assert sizes[4] == max(sizes) == pytest.approx(MetaConfig().learning_rate)
    assert sizes[20] == pytest.approx(0, abs=1e-6)


@pytest.fixture(scope="module")
def batch():
    cells = distinct_cells()
    return np.stack([BEST, NOTHING, cells[3000], cells[5000]])


@pytest.mark.slow
def test_training_learns_and_a_cell_that_lets_nothing_through_does_not(arrays, batch):
    accuracy = train_cells(batch, arrays, seed=0, config=CONFIG)
    assert accuracy.shape == (4,)
    assert (accuracy[2:] > 60).all()
    assert abs(accuracy[1] - 25) < 10  # of 4 classes
    np.testing.assert_array_equal(accuracy, train_cells(batch, arrays, seed=0, config=CONFIG))
    assert (accuracy != train_cells(batch, arrays, seed=1, config=CONFIG)).any()


@pytest.mark.slow
def test_cells_side_by_side_have_the_gradients_that_each_has_alone(arrays, batch):
    """Gradients are compared: training amplifies the programs' different rounding as it does another seed."""
    module, cells = training.network(CONFIG), jnp.asarray(batch)
    start = training._start(jax.random.key(0), 8, module)
    images = training._batch(jax.random.key(1), arrays, jnp.arange(32))

    def gradient(cell):
        of_loss = jax.grad(training._loss, has_aux=True)
        seen = (*images, arrays.num_classes)
        return of_loss(start["params"], start["batch_stats"], cell, seen, module)

    together, alone = jax.jit(jax.vmap(gradient))(cells), jax.jit(gradient)
    for at, cell in enumerate(cells):
        own = jax.tree.map(lambda leaf, at=at: leaf[at], together)
        chex.assert_trees_all_close(own, alone(cell), atol=1e-4, rtol=1e-3)
    kernels = together[0]["classifier"]["linear"]["kernel"]
    assert (jnp.abs(kernels[2] - kernels[3]) > 1e-3).any()


@pytest.mark.slow
def test_cells_side_by_side_train_as_they_do_alone(arrays, batch):
    """Few steps, so that rounding has little time to grow: at most two of the held-out images differ."""
    short = dataclasses.replace(CONFIG, num_steps=3)
    alone = train_cells(batch, arrays, seed=0, config=short, at_once=1)
    for at_once in (2, 4):
        together = train_cells(batch, arrays, seed=0, config=short, at_once=at_once)
        np.testing.assert_allclose(together, alone, atol=200.1 / int((arrays.held_out_labels >= 0).sum()))


@pytest.mark.slow
def test_a_training_that_diverges_gives_nan(arrays, batch):
    broken = arrays._replace(scale=jnp.full(3, jnp.nan))
    assert np.isnan(train_cells(batch, broken, seed=0, config=CONFIG)).all()
    huge = dataclasses.replace(CONFIG, learning_rate=1e38, warmup=0.0)
    assert np.isnan(train_cells(batch[:1], arrays, seed=0, config=huge)).all()
