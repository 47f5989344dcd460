"""Tasks of the meta-training data: what corruptions do, which images a task has, which cells it trains."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from ednag_jax.config import MetaConfig
from ednag_jax.images import ImageSet
from ednag_jax.meta import tasks as tasks_module
from ednag_jax.meta.cells import cells_of, distinct_cells
from ednag_jax.meta.corruptions import COLOUR_ONLY, CORRUPTIONS, corrupted
from ednag_jax.meta.sources import CLASSES_OF_CIFAR10, SOURCES, SUPERCLASSES, classes_of
from ednag_jax.meta.table import task_of
from ednag_jax.meta.tasks import HELD_OUT_IMAGES, MAX_TRAIN, Task, held_out_images, meta_tasks, task_images
from ednag_jax.networks.nasbench201 import multiply_add_count
from ednag_jax.spaces import SPACES

SPACE = SPACES["nasbench201"]
EACH = 150
"""Images of a class of the stand-in sources; 30 of CIFAR-100."""


def stand_in(source, size, directory=None):
    """Images of which no two are the same: the first two pixels count them; the rest is noise."""
    names = sum(SUPERCLASSES.values(), ()) if source == "cifar100" else CLASSES_OF_CIFAR10
    names = names if SOURCES[source].is_coloured else tuple(str(digit) for digit in range(10))
    each = EACH // 5 if source == "cifar100" else EACH
    labels = np.tile(np.arange(len(names), dtype=np.int32), each)
    images = np.random.default_rng(len(names)).integers(0, 256, (len(labels), size, size, 3), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 1, 0] = np.divmod(np.arange(len(labels)), 256)
    return ImageSet(source, images, labels, names)


@pytest.fixture
def stand_ins(monkeypatch):
    monkeypatch.setattr(tasks_module, "source_images", stand_in)
    tasks_module._divided.cache_clear()
    yield
    tasks_module._divided.cache_clear()


def plain(**changes):
    made = Task(0, "cifar10", 0, classes_of("cifar10", 0), 12, 240, (), 0)
    return dataclasses.replace(made, **changes)


def coloured(size=12, num=20):
    return np.random.default_rng(3).integers(0, 256, (num, size, size, 3), np.uint8)


def done(name, images, seed=0):
    return corrupted(images, [name], np.random.default_rng(seed))


@pytest.mark.parametrize("size", [8, 12])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_changes_images_the_same_way_each_time(name, size):
    images = coloured(size)
    before = images.copy()
    changed = done(name, images)
    assert changed.shape == images.shape
    assert changed.dtype == np.uint8
    assert np.mean(changed != images) > 0.2
    np.testing.assert_array_equal(changed, done(name, images))
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("name", COLOUR_ONLY)
def test_corruptions_of_colour_leave_grey_images_as_they_are(name):
    images = np.repeat(coloured()[..., :1], 3, axis=-1)
    np.testing.assert_allclose(done(name, images), images, atol=1)


def test_corruptions_are_done_in_their_order_and_clipped():
    images = coloured()
    both = corrupted(images, ["noise", "invert"], np.random.default_rng(0))
    np.testing.assert_allclose(both, 255 - done("noise", images).astype(int), atol=1)
    assert done("noise", np.full_like(images, 250)).max() == 255


def test_permuted_pixels_are_the_same_ones_in_one_order_for_all():
    images = coloured()
    images[:] = np.arange(144, dtype=np.uint8).reshape(1, 12, 12, 1)
    changed = done("permute_pixels", images)
    assert (changed == changed[:1]).all()
    np.testing.assert_array_equal(np.sort(changed[0, ..., 0].ravel()), np.arange(144))


def test_blur_is_two_means_of_nine_pixels():
    images = coloured()
    expected = images.astype(float)
    for _ in range(2):
        expected = uniform_filter(expected, (0, 3, 3, 0), mode="nearest")
    np.testing.assert_allclose(done("blur", images), expected, atol=0.51)


def test_rotated_images_are_turned_by_quarters_and_not_all_alike():
    images = coloured(num=60)
    turned = [np.rot90(images, number, (1, 2)) for number in range(4)]
    changed = done("rotate", images)
    which = np.array([[(c == t[i]).all() for t in turned] for i, c in enumerate(changed)])
    assert (which.sum(axis=1) == 1).all()
    assert (which.sum(axis=0) > 5).all()


def test_shuffled_patches_are_the_same_patches():
    def patches(image):
        return sorted(image[i : i + 4, j : j + 4].tobytes() for i in (0, 4, 8) for j in (0, 4, 8))

    images = coloured()
    for image, changed in zip(images, done("shuffle_patches", images), strict=True):
        assert patches(image) == patches(changed)


def test_an_occlusion_is_one_square_of_one_grey():
    images = np.full((30, 12, 12, 3), 7, np.uint8)
    for changed in done("occlude", images):
        rows, columns = np.where((changed != 7).any(axis=-1))
        assert len(rows) == 36
        assert np.ptp(rows) == np.ptp(columns) == 5
        assert len(np.unique(changed[rows, columns])) == 1


def test_closed_forms_of_pixelwise_corruptions():
    images = coloured()
    pixels = images.astype(float)
    np.testing.assert_array_equal(done("invert", images), 255 - images)
    luminance = pixels @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(done("grey", images), np.repeat(luminance[..., None], 3, -1), atol=0.51)
    bright = luminance > luminance.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_array_equal(done("threshold", images)[..., 1], 255 * bright)
    blocks = pixels.reshape(-1, 6, 2, 6, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(done("pixelate", images)[:, 1::2, ::2], blocks, atol=0.51)
    differences = np.abs(np.diff(pixels, axis=1))[:, :, :-1] + np.abs(np.diff(pixels, axis=2))[:, :-1]
    np.testing.assert_allclose(done("edges", images)[:, :-1, :-1], np.minimum(differences, 255), atol=0.51)
    np.testing.assert_array_equal(np.sort(done("shuffle_colours", images), axis=-1), np.sort(images, axis=-1))


def test_a_longer_list_of_tasks_begins_like_a_shorter_one():
    tasks = meta_tasks(160)
    assert tasks[:30] == meta_tasks(30)
    assert tasks[:5] != meta_tasks(5, seed=1)
    assert len({task.name for task in tasks}) == 160
    assert {task.source for task in tasks[:7]} == set(SOURCES)
    assert {len(task.classes) for task in tasks} == set(range(2, 11))
    assert {name for task in tasks for name in task.corruptions} == set(CORRUPTIONS)


def test_a_task_survives_json():
    for task in meta_tasks(10):
        assert task_of(json.loads(json.dumps(dataclasses.asdict(task)))) == task


@pytest.mark.usefixtures("stand_ins")
def test_the_images_of_every_task_fit_the_program_and_are_balanced():
    for task in meta_tasks(40):
        train, held_out = task_images(task), held_out_images(task)
        assert len(train) <= min(task.max_train, MAX_TRAIN)
        assert len(held_out) <= HELD_OUT_IMAGES
        for part in (train, held_out):
            assert part.images.shape[1:] == (task.size, task.size, 3)
            counts = np.bincount(part.labels, minlength=len(task.classes))
            assert counts.min() == counts.max() > 5


@pytest.mark.usefixtures("stand_ins")
def test_images_are_made_again_from_the_recipe():
    task = meta_tasks(1)[0]
    first = task_images(task).fingerprint
    tasks_module._divided.cache_clear()
    assert task_images(task).fingerprint == first
    assert task_images(dataclasses.replace(task, seed=9)).fingerprint != first


def numbers(images):
    """Returns which images of a stand-in source these are."""
    return set((256 * images.images[:, 0, 0, 0].astype(int) + images.images[:, 0, 1, 0]).tolist())


@pytest.mark.usefixtures("stand_ins")
@pytest.mark.parametrize("source", SOURCES)
def test_no_image_is_in_two_groups_or_both_trained_on_and_held_out(source):
    seen = []
    for block in range(SOURCES[source].num_blocks):
        task = plain(source=source, block=block, classes=classes_of(source, block))
        train, held_out = numbers(task_images(task)), numbers(held_out_images(task))
        assert len(train) == len(task_images(task))
        assert not train & held_out
        assert not (train | held_out) & set().union(*seen)
        seen.append(train | held_out)


@pytest.mark.usefixtures("stand_ins")
def test_labels_say_which_source_classes_an_image_is_of():
    united = (("cat", "dog"), ("ship", "airplane", "truck"))
    task = plain(classes=united)
    images, source = task_images(task), stand_in("cifar10", 12)
    counted = 256 * images.images[:, 0, 0, 0].astype(int) + images.images[:, 0, 1, 0]
    for label, number in zip(images.labels, counted, strict=True):
        assert source.classes[source.labels[number]] in united[label]
    assert images.classes == ("cat or dog", "ship or airplane or truck")


def test_coarse_classes_are_all_of_cifar100_once():
    assert len({name for names in SUPERCLASSES.values() for name in names}) == 100
    assert {len(names) for names in SUPERCLASSES.values()} == {5}


def test_only_photographs_with_neighbours_in_place_are_mirrored():
    assert plain().flips
    assert plain().max_shift == 1
    assert not plain(source="mnist").flips
    assert not plain(corruptions=("permute_pixels",)).flips
    assert plain(corruptions=("permute_pixels",)).max_shift == 0


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"source": "svhn"}, "source must be one of digits, mnist"),
        ({"block": 2}, "block must be in"),
        ({"classes": (("cat",),)}, "number of classes must be in"),
        ({"corruptions": ("rain",)}, "corruption must be one of noise"),
    ],
)
def test_a_wrong_recipe_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        plain(**changes)


@pytest.mark.slow
def test_real_sources_have_the_classes_that_tasks_name(data_dir):
    for task in {task.group: task for task in meta_tasks(60)}.values():
        assert len(task_images(task, data_dir)) > 100
    cifar = tasks_module.source_images("cifar100", 8, data_dir)
    assert len(cifar) == 3000
    assert set(cifar.classes) == {name for names in SUPERCLASSES.values() for name in names}


def test_there_is_one_cell_for_each_structure_and_the_cheapest():
    cells = distinct_cells()
    every = SPACE.from_index(jnp.arange(SPACE.size))
    structure, cost = (
        np.asarray(SPACE.canonical_id(every)),
        np.asarray(multiply_add_count(every, num_classes=10)),
    )
    least = {s: cost[structure == s].min() for s in np.unique(structure)}
    ids = np.asarray(SPACE.canonical_id(jnp.asarray(cells)))
    found = np.asarray(multiply_add_count(jnp.asarray(cells), num_classes=10))
    assert len(cells) == len(set(ids.tolist())) == 6466
    assert all(least[s] == c for s, c in zip(ids, found, strict=True))
    assert (np.diff(found) >= 0).all()


def test_cells_of_a_task_differ_and_some_are_in_every_task():
    config = MetaConfig(num_cells_drawn=7, num_cells_shared=3)
    drawn = [{tuple(cell) for cell in cells_of(index, config).tolist()} for index in range(20)]
    assert all(len(cells) == 10 for cells in drawn)
    assert len(set.intersection(*drawn)) == 3
    assert len(set.union(*drawn)) > 3 + 100
    np.testing.assert_array_equal(cells_of(4, config), cells_of(4, config))


def test_cells_are_drawn_from_the_cheapest_to_the_most_expensive():
    place = {tuple(cell): at for at, cell in enumerate(distinct_cells().tolist())}
    cells = cells_of(0, MetaConfig(num_cells_drawn=10, num_cells_shared=0)).tolist()
    assert [10 * place[tuple(cell)] // len(place) for cell in cells] == list(range(10))


def test_a_task_may_have_only_drawn_or_only_shared_cells():
    only_shared = MetaConfig(num_cells_drawn=0, num_cells_shared=4)
    np.testing.assert_array_equal(cells_of(0, only_shared), cells_of(1, only_shared))
    with pytest.raises(ValueError, match="a task needs an architecture"):
        MetaConfig(num_cells_drawn=0, num_cells_shared=0)
