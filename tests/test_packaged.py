"""What the package carries: the meta-training data of its own recipe, the predictor that learnt from them."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import spearmanr

import ednag_jax as ed
from ednag_jax.benchmarks import BENCHMARKS
from ednag_jax.config import MetaConfig
from ednag_jax.meta import meta_tasks, read_table
from ednag_jax.meta.cells import cells_of
from ednag_jax.predictor import encode_dataset, packaged, packaged_predictor, score
from ednag_jax.predictor.packaged import FOLDER
from ednag_jax.predictor.recipe import BACKBONE, META_SPACE, TRAINING

TASKS = BENCHMARKS["transnas101_micro"].DATASETS
LARGEST = 10_000_000
"""Bytes of all predictors together."""


def test_the_meta_table_is_that_of_the_default_recipe():
    table, config = read_table(), MetaConfig()
    assert table.config == config
    assert table.tasks == meta_tasks(config.num_tasks)
    assert len(table.tasks) >= 150
    assert table.phenotype.shape[1] >= 20
    for row in (0, 77, len(table.tasks) - 1):
        np.testing.assert_array_equal(table.phenotype[row], cells_of(row, config))
    assert len(set(table.groups)) == 8
    assert table.seconds.min() > 0
    chance = np.array([100 / len(task.classes) for task in table.tasks])
    assert (np.nanmax(table.accuracy, axis=(1, 2)) > chance).all()


def test_the_predictor_learnt_from_the_meta_table_and_published_tables():
    predictor, table = packaged_predictor(META_SPACE), read_table()
    assert predictor.backbone == BACKBONE
    assert not predictor.config.blind
    assert set(predictor.tasks) >= {task.name for task in table.tasks}
    published = {name.split(" ")[0] for name in predictor.tasks if name.startswith("nasbench201/")}
    assert published == {"nasbench201/cifar10", "nasbench201/cifar100", "nasbench201/ImageNet16-120"}
    assert predictor.task_vectors.shape[0] == TRAINING[META_SPACE].num_members


@pytest.mark.parametrize(("space", "groups"), [("darts", ("cifar10", "svhn")), ("transnas101_micro", TASKS)])
def test_predictors_of_other_spaces_learnt_from_all_their_tables_and_are_blind(space, groups):
    predictor = packaged_predictor(space)
    assert predictor.space == ed.SPACES[space]
    assert predictor.config.blind
    assert {name.split(" ")[0] for name in predictor.tasks} == {f"{space}/{group}" for group in groups}
    assert predictor.task_vectors.shape[0] == TRAINING[space].num_members


@pytest.mark.parametrize("space", TRAINING)
def test_a_predictor_that_is_missing_can_be_trained(space, monkeypatch, tmp_path):
    monkeypatch.setattr(packaged, "FOLDER", tmp_path)
    with pytest.raises(ed.DataError, match=f"run `ednag predictor train --space {space} --out FILE`"):
        packaged_predictor(space)


def test_the_predictors_are_small():
    sizes = {path.stem: path.stat().st_size for path in Path(FOLDER).glob("*.npz")}
    assert set(sizes) == set(TRAINING)
    assert sum(sizes.values()) < LARGEST


@pytest.mark.slow
@pytest.mark.optimised
def test_the_predictor_of_transnas_orders_the_architectures_it_learnt_from(data_dir):
    """All seven tasks at once, since it is blind: no proof of what it does elsewhere."""
    predictor = packaged_predictor("transnas101_micro")
    target = encode_dataset(predictor, np.zeros((1, 1, 1280), np.float32), np.ones((1, 1), bool))
    cells = predictor.space.random(jax.random.key(0), 500)
    said = score(predictor, target, cells).mean
    tables = [ed.load_benchmark("transnas101_micro", dataset=name, data_dir=data_dir) for name in TASKS]
    assert np.mean([spearmanr(said, table.lookup(cells)).statistic for table in tables]) > 0.7


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
@pytest.mark.slow
@pytest.mark.optimised
def test_the_predictor_orders_the_cells_it_learnt_from(dataset):
    """Those of NAS-Bench-201, which were learnt: no proof of what it does elsewhere."""
    predictor, space = packaged_predictor(META_SPACE), ed.SPACES[META_SPACE]
    rows = [row for row, name in enumerate(predictor.tasks) if name.startswith(f"nasbench201/{dataset}")]
    target = encode_dataset(predictor, np.zeros((1, 1, 1280), np.float32), np.ones((1, 1), bool))
    target = target._replace(dataset=predictor.task_vectors[:, rows[0]])
    cells = space.random(jax.random.key(0), 500)
    benchmark = ed.load_benchmark("nasbench201", dataset=dataset)
    said, measured = score(predictor, target, cells).mean, benchmark.lookup(jnp.asarray(cells))
    assert np.corrcoef(np.argsort(np.argsort(said)), np.argsort(np.argsort(measured)))[0, 1] > 0.9
