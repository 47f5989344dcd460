"""Published tables as tasks: which architectures and images each has, and the predictors made of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_tasks import SMALL

import ednag_jax as ed
from ednag_jax.config import PredictorTrainingConfig
from ednag_jax.meta import MetaTable, meta_tasks
from ednag_jax.meta.cells import cells_of
from ednag_jax.predictor import learning_table, load_predictor, make_predictor, space_table, tables
from ednag_jax.predictor.examples import check_table

pytestmark = pytest.mark.optimised

KEY = jax.random.key(0)
GROUPS = ("nasbench201/cifar10", "nasbench201/cifar100", "nasbench201/ImageNet16-120")
ONCE = PredictorTrainingConfig(num_members=1, num_epochs=1, epochs_per_call=1, tasks_per_step=4)


@pytest.fixture
def short(monkeypatch):
    """Two tasks of 40 architectures for each table."""
    monkeypatch.setattr(tables, "ARCHS_PER_TASK", 40)
    monkeypatch.setattr(tables, "MOST_TASKS", 2)


@pytest.fixture
def without_images(short, monkeypatch):
    monkeypatch.delenv("EDNAG_DATA_DIR", raising=False)


def test_a_table_becomes_tasks_that_share_no_architecture(without_images):
    table = check_table(space_table("nasbench201", "untrained", key=KEY))
    assert table.tasks == tuple(f"{group} #{number}" for group in GROUPS for number in range(2))
    assert table.groups == tuple(group for group in GROUPS for _ in range(2))
    assert not table.mask.any()
    space = ed.SPACES["nasbench201"]
    for row, group in enumerate(table.groups):
        benchmark = ed.load_benchmark("nasbench201", dataset=group.split("/")[1])
        expected = benchmark.lookup(jnp.asarray(table.phenotype[row]))
        np.testing.assert_allclose(table.accuracy[row], expected, rtol=1e-6)
    ids = np.asarray(space.arch_index(jnp.asarray(table.phenotype))).reshape(3, -1)
    assert all(len(set(row.tolist())) == 80 for row in ids)


def test_groups_left_out_are_not_there_and_one_must_be_left(without_images):
    assert set(space_table("nasbench201", "untrained", key=KEY, without=GROUPS[:2]).groups) == {GROUPS[2]}
    with pytest.raises(ValueError, match="no table of 'nasbench201' is left without nasbench201/cifar10"):
        space_table("nasbench201", "untrained", key=KEY, without=GROUPS)


def test_a_space_without_tables_is_refused():
    with pytest.raises(ValueError, match="space of a predictor must be one of nasbench201, darts"):
        space_table("autoformer_tiny", "untrained", key=KEY)


@pytest.mark.slow
def test_tasks_of_a_table_have_coresets_of_their_own(short, data_dir):
    table = space_table("nasbench201", "untrained", key=KEY, directory=data_dir)
    seen = dict(zip(table.tasks, table.mask.sum(axis=(1, 2)), strict=True))
    assert [seen[f"{group} #0"] for group in GROUPS] == [200, 200, 0]  # of ten classes, also of the hundred
    assert (table.features[0] != table.features[1]).any()


def test_cells_of_darts_are_all_there_and_missing_runs_are_nan(monkeypatch, data_dir):
    monkeypatch.setattr(tables, "_images", lambda column, directory: None)
    table = check_table(space_table("darts", "untrained", key=KEY, directory=data_dir))
    runs = np.isfinite(table.accuracy).sum(axis=1)
    assert dict(zip(table.tasks, runs.tolist(), strict=True)) == {
        "darts/svhn #0": 199,
        "darts/scifar100 #0": 199,
        "darts/ninapro #0": 199,
        "darts/cifar10 #0": 500,
        "darts/cifar10 #1": 225,
    }


def test_metrics_that_are_no_percent_become_the_share_beaten(short, data_dir):
    table = check_table(space_table("transnas101_micro", "untrained", key=KEY, directory=data_dir))
    assert len(set(table.groups)) == 7
    row = table.groups.index("transnas101_micro/room_layout")
    benchmark = ed.load_benchmark("transnas101_micro", dataset="room_layout", data_dir=data_dir)
    metric = np.asarray(benchmark.lookup(jnp.asarray(table.phenotype[row])))
    everything = np.asarray(benchmark.params)
    for value, share in zip(metric, table.accuracy[row], strict=True):
        below, ties = (everything < value).sum(), (everything == value).sum()
        np.testing.assert_allclose(share, 100 * (below + (ties - 1) / 2) / (len(everything) - 1), rtol=1e-6)


def small_meta():
    """Two tasks of digits, whose images come with a package, with made-up accuracies."""
    config = ed.config.MetaConfig(num_tasks=14, num_cells_drawn=4, num_cells_shared=0, num_repeats=1)
    tasks = tuple(task for task in meta_tasks(14) if task.source == "digits")
    cells = np.stack([cells_of(task.index, config) for task in tasks]).astype(np.int8)
    accuracy = np.random.default_rng(0).uniform(20, 90, (len(tasks), 4, 1)).astype(np.float32)
    return MetaTable(cells, accuracy, np.ones(len(tasks), np.float32), tasks, config, {})


def test_a_meta_table_without_a_group_has_the_others():
    meta = small_meta()
    groups = sorted(set(meta.groups))
    left = meta.without(groups[:1])
    assert set(left.groups) == set(groups[1:])
    kept = [row for row, group in enumerate(meta.groups) if group != groups[0]]
    np.testing.assert_array_equal(left.accuracy, meta.accuracy[kept])
    assert left.tasks == tuple(meta.tasks[row] for row in kept)
    assert not meta.without(groups).tasks


def test_the_learning_table_joins_both_and_leaves_out_groups_of_both(without_images):
    meta = small_meta()
    table = check_table(learning_table(meta=meta, backbone="untrained", without=GROUPS[:1]))
    assert set(table.groups) == {*GROUPS[1:], *meta.groups}
    assert table.mask[-len(meta.tasks) :].any(axis=(1, 2)).all()
    np.testing.assert_allclose(table.accuracy[-len(meta.tasks) :, :4], meta.accuracy[..., 0])
    fewer = learning_table(meta=meta, backbone="untrained", without=meta.groups)
    assert set(fewer.groups) == set(GROUPS)


@pytest.mark.slow
def test_of_darts_two_groups_are_learnt_from_and_any_can_be_left_out(data_dir):
    cheap = {"backbone": "untrained", "directory": data_dir}
    assert set(learning_table("darts", **cheap).groups) == {"darts/cifar10", "darts/svhn"}
    assert set(learning_table("darts", without=["darts/svhn"], **cheap).groups) == {"darts/cifar10"}
    assert make_predictor("darts", training=ONCE, **cheap).config.blind


@pytest.mark.slow
def test_a_predictor_is_made_written_and_goes_on(without_images, tmp_path):
    """Blind without an image; with meta-training data it sees. A second epoch goes on from the first."""
    cheap = {"training": ONCE, "backbone": "untrained"}
    chosen = {**cheap, "out": tmp_path / "made.npz"}
    blind = make_predictor(meta=small_meta().without(small_meta().groups), **chosen)
    assert blind.config.blind
    assert load_predictor(tmp_path / "made.npz").tasks == blind.tasks
    assert (tmp_path / "made.png").is_file()
    assert list((tmp_path / "made").iterdir())
    seen = []
    make_predictor(meta=small_meta(), **cheap, config=SMALL, report=lambda *args: seen.append(args[0]))
    assert seen == [1]
    with pytest.raises(ValueError, match="checkpoints of another training: table"):
        make_predictor(meta=small_meta(), **chosen)
    nothing = small_meta().without(small_meta().groups)
    with pytest.raises(ValueError, match="none of the tasks to learn from has an image; only a blind"):
        make_predictor(meta=nothing, **cheap, config=SMALL)
