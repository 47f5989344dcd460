"""Images and meta-training data as the predictor reads them."""

import jax
import numpy as np
import pytest
from known_tasks import TABLE

from ednag_jax.config import MetaConfig
from ednag_jax.features import features_of
from ednag_jax.images import ImageSet, load_images
from ednag_jax.meta.table import MetaTable
from ednag_jax.meta.tasks import meta_tasks, task_images
from ednag_jax.predictor import data_set_of, joined, task_table_of
from ednag_jax.predictor.data_sets import MOST_PER_CLASS, _some_of_each_class

KEY = jax.random.key(0)
pytest.importorskip("sklearn.datasets")


@pytest.mark.parametrize("selection", ["coreset", "random"])
def test_a_data_set_is_the_features_of_images_of_each_class(selection):
    digits = load_images("digits", size=8)
    few = ImageSet("few", digits.images[:60], digits.labels[:60], digits.classes)
    features, mask = data_set_of(few, "untrained", key=KEY, images_per_class=7, selection=selection)
    count = np.bincount(few.labels, minlength=10)
    assert mask.sum(axis=1).tolist() == np.minimum(count, 7).tolist()
    everything = features_of(few.images, "untrained")
    for label in range(10):
        own = {row.tobytes() for row in everything[few.labels == label]}
        assert {row.tobytes() for row in features[label][mask[label]]} <= own
    assert not features[~mask].any()


def test_of_a_large_class_only_some_images_are_looked_at():
    labels = np.repeat(np.arange(2, dtype=np.int32), [MOST_PER_CLASS + 50, 30])
    images = ImageSet("large", np.zeros((len(labels), 1, 1, 3), np.uint8), labels, ("a", "b"))
    rows = _some_of_each_class(images, KEY)
    assert np.bincount(labels[rows]).tolist() == [MOST_PER_CLASS, 30]
    assert (np.diff(rows) > 0).all()
    assert not np.array_equal(rows, _some_of_each_class(images, jax.random.key(1)))


def test_an_unknown_selection_is_an_error():
    digits = load_images("digits", size=8)
    with pytest.raises(ValueError, match="selection must be one of coreset, random, got 'best'"):
        data_set_of(digits, "untrained", key=KEY, selection="best")


def test_meta_training_data_become_tasks_by_the_coresets_of_their_images():
    config = MetaConfig(num_tasks=40, num_cells_drawn=2, num_cells_shared=1, num_repeats=2)
    tasks = tuple(task for task in meta_tasks(40) if task.source == "digits")[:3]
    cells = np.random.default_rng(0).integers(0, 5, (3, 3, 6)).astype(np.int8)
    accuracy = np.random.default_rng(1).uniform(10, 90, (3, 3, 2)).astype(np.float32)
    accuracy[0, 1, 0] = np.nan
    meta = MetaTable(cells, accuracy, np.zeros(3, np.float32), tasks, config, {})
    seen = []
    table = task_table_of(meta, "untrained", key=KEY, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    np.testing.assert_array_equal(table.phenotype, cells)
    np.testing.assert_allclose(table.accuracy, accuracy.mean(axis=-1))
    assert table.groups == tuple(task.group for task in tasks)
    assert table.mask.shape[1] == max(len(task.classes) for task in tasks)
    for row, task in enumerate(tasks):
        alone = data_set_of(task_images(task), "untrained", key=jax.random.fold_in(KEY, task.index))
        num = len(task.classes)
        np.testing.assert_array_equal(table.features[row, :num], alone.features)
        assert not table.mask[row, num:].any()


def test_joined_tables_keep_every_task_as_it_was():
    small = TABLE.take([0, 1])
    small = small._replace(
        features=small.features[:, :2, :4], mask=small.mask[:, :2, :4], accuracy=small.accuracy[:, :9],
        phenotype=small.phenotype[:, :9],
    )  # fmt: skip
    both = joined([TABLE, small])
    assert both.tasks == TABLE.tasks + small.tasks
    for ours, theirs in zip(both[:4], TABLE[:4], strict=True):
        np.testing.assert_array_equal(ours[: len(TABLE.tasks)], theirs)
    np.testing.assert_array_equal(both.features[-2:, :2, :4], small.features)
    assert both.mask[-2:].sum() == small.mask.sum()
    np.testing.assert_array_equal(both.accuracy[-2:, :9], small.accuracy)
    assert np.isnan(both.accuracy[-2:, 9:]).all()
    assert (both.phenotype >= 0).all()


def test_tables_of_other_features_do_not_join():
    with pytest.raises(ValueError, match=r"tables must agree .* got \[\(9, 6\), \(10, 6\)\]"):
        joined([TABLE, TABLE._replace(features=TABLE.features[..., :9])])
