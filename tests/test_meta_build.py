"""Building the meta-training data: what a killed run leaves, what is refused, what the table's file keeps."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from ednag_jax.config import MetaConfig
from ednag_jax.meta import MetaTable, build_table, collect_table, meta_tasks, read_table, write_table
from ednag_jax.meta import build as build_module
from ednag_jax.meta.build import Training
from ednag_jax.meta.cells import cells_of
from ednag_jax.meta.table import joined_versions
from ednag_jax.storage import DataError

pytestmark = pytest.mark.optimised

CONFIG = MetaConfig(num_tasks=6, num_cells_drawn=3, num_cells_shared=1, num_repeats=2)
TASKS = meta_tasks(6)
BUILD_SLOWLY = """
import sys, time
import ednag_jax.meta.build as build
import test_meta_build as here

def train(*args, **options):
    time.sleep(0.2)
    return here.formula(*args, **options)

build.train_cells, build.task_arrays = train, lambda task, directory: None
build.build_table(sys.argv[1], config=here.CONFIG, jobs=1, progress=False)
"""


def formula(cells, arrays, *, seed, config):
    """Stands for training: accuracies that depend on all that training depends on; one cell of each fails."""
    del arrays
    accuracy = (cells.sum(axis=1) * 7.3 + seed % 1000 / 30 + config.num_steps) % 100
    return np.where(np.arange(len(cells)) == 1, np.nan, accuracy).astype(np.float32)


@pytest.fixture
def trained(monkeypatch):
    """Tasks that were trained, by `formula`, in their order."""
    seen = []
    monkeypatch.setattr(build_module, "train_cells", formula)
    monkeypatch.setattr(build_module, "task_arrays", lambda task, directory: seen.append(task))
    return seen


def same(one, other):
    for name in ("phenotype", "accuracy"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.tasks, one.config) == (other.tasks, other.config)


def built(folder, **changes):
    return build_table(folder, config=dataclasses.replace(CONFIG, **changes), jobs=1, progress=False)


def test_a_table_has_every_cell_of_every_task_and_failures_as_nan(trained, tmp_path):
    table = built(tmp_path)
    assert trained == [*TASKS, *TASKS]
    assert table.tasks == TASKS
    assert table.accuracy.shape == (6, 4, 2)
    for task, cells, accuracy in zip(TASKS, table.phenotype, table.accuracy, strict=True):
        np.testing.assert_array_equal(cells, cells_of(task.index, CONFIG))
        for repeat in range(2):
            expected = formula(cells, None, seed=Training(task, repeat).seed(CONFIG), config=CONFIG)
            np.testing.assert_array_equal(accuracy[:, repeat], expected)
    assert np.isnan(table.mean_accuracy[:, 1]).all()
    assert np.isfinite(table.mean_accuracy[:, [0, 2, 3]]).all()
    text = Training(TASKS[0], 0).path(tmp_path / "parts").read_text()
    assert json.loads(text)["accuracy"][1] is None
    assert "NaN" not in text  # which is no JSON
    same(read_table(tmp_path / "table.npz"), table)


def test_no_two_trainings_have_the_same_seed():
    tasks = meta_tasks(160)
    assert len({Training(task, repeat).seed(CONFIG) for task in tasks for repeat in range(3)}) == 480


@pytest.mark.slow
def test_a_killed_build_goes_on_and_nothing_differs(trained, tmp_path):
    folder = tmp_path / "killed"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    process = subprocess.Popen([sys.executable, "-c", BUILD_SLOWLY, str(folder)], env=environment)
    try:
        deadline = time.monotonic() + 120
        while len(list(folder.glob("parts/*.json"))) < 2:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = {path.name: path.read_bytes() for path in folder.glob("parts/*.json")}
    assert 2 <= len(kept) < 6
    assert not (folder / "table.npz").exists()
    first = collect_table(folder, config=dataclasses.replace(CONFIG, num_repeats=1))
    assert first.tasks == TASKS[: len(kept)]
    table = built(folder)
    assert trained == [*TASKS, *TASKS][len(kept) :]
    assert all((folder / "parts" / name).read_bytes() == content for name, content in kept.items())
    same(table, built(tmp_path / "whole"))


def test_more_tasks_and_repeats_train_only_the_new_ones(trained, tmp_path):
    once = built(tmp_path, num_tasks=4, num_repeats=1)
    assert trained == list(TASKS[:4])
    fewer = built(tmp_path, num_tasks=4)
    np.testing.assert_array_equal(fewer.accuracy[..., :1], once.accuracy)
    trained.clear()
    more = built(tmp_path)
    assert trained == [*TASKS[4:], *TASKS[4:]]
    np.testing.assert_array_equal(more.accuracy[:4], fewer.accuracy)
    same(collect_table(tmp_path, config=dataclasses.replace(CONFIG, num_tasks=4)), fewer)


def test_a_folder_of_another_recipe_is_refused(trained, tmp_path):
    built(tmp_path)
    with pytest.raises(DataError, match=r"of another recipe \(config\); delete it"):
        built(tmp_path, num_steps=77)
    with pytest.raises(DataError, match=r"of another recipe \(config, cells\)"):
        built(tmp_path, num_cells_drawn=2)
    assert len(trained) == 12


@pytest.mark.parametrize(
    "damage, said",
    [
        (lambda text: text[: len(text) // 2], "no whole part"),
        (lambda text: "", "no whole part"),
        (lambda text: "[]", "no whole part"),
        (lambda text: "{}", "no whole part"),
        (lambda text: text.replace('"seconds": ', '"seconds": 1'), "does not match its digest"),
        (lambda text: text.replace('"accuracy": [', '"accuracy": [1'), "does not match its digest"),
    ],
)
def test_a_damaged_part_is_refused(trained, tmp_path, damage, said):
    built(tmp_path)
    path = Training(TASKS[2], 1).path(tmp_path / "parts")
    path.write_text(damage(path.read_text()))
    for run in (partial(build_table, jobs=1), collect_table):
        with pytest.raises(DataError, match=said):
            run(tmp_path, config=CONFIG)


def test_nothing_to_collect_says_what_to_run(tmp_path):
    with pytest.raises(DataError, match="ednag meta build"):
        collect_table(tmp_path)


def made(**changes):
    arrays = {
        "phenotype": np.stack([cells_of(task.index, CONFIG) for task in TASKS]).astype(np.int8),
        "accuracy": np.random.default_rng(0).uniform(0, 100, (6, 4, 2)).astype(np.float32),
        "seconds": np.arange(6, dtype=np.float32),
    }
    described = {"tasks": TASKS, "config": CONFIG, "versions": {"jax": "1"}}
    return MetaTable(**{**arrays, **described, **changes})


def test_a_table_survives_its_file_and_the_same_one_gives_the_same_bytes(tmp_path):
    table = made()
    table.accuracy[0, 0, 0] = np.nan
    first, second = (write_table(table, tmp_path / name) for name in ("a.npz", "b.npz"))
    assert first.read_bytes() == second.read_bytes()
    same(read_table(first), table)
    assert read_table(first).groups == tuple(f"{task.source}/{task.block}" for task in TASKS)
    with np.load(first) as archive:
        description = json.loads(archive["description"].tobytes())
    assert description["hours"] == pytest.approx(15 / 3600)
    assert description["command"] == "ednag meta build"


def test_the_table_of_the_whole_recipe_is_small(tmp_path):
    config = MetaConfig()
    tasks = meta_tasks(config.num_tasks)
    shape = (len(tasks), config.cells_per_task)
    rng = np.random.default_rng(0)
    table = MetaTable(
        phenotype=rng.integers(0, 5, (*shape, 6)).astype(np.int8),
        accuracy=rng.uniform(0, 100, (*shape, config.num_repeats)).astype(np.float32),
        seconds=rng.uniform(0, 100, len(tasks)).astype(np.float32),
        tasks=tasks,
        config=config,
        versions={},
    )
    assert write_table(table, tmp_path / "table.npz").stat().st_size < 200_000
    assert len(tasks) >= 150
    assert config.cells_per_task >= 20


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"phenotype": np.zeros((6, 4, 5), np.int8)}, "was it cut"),
        ({"tasks": TASKS[:5]}, "was it cut"),
        ({"accuracy": np.zeros((6, 4, 1), np.float32)}, "expected"),
        ({"accuracy": np.full((6, 4, 2), 101, np.float32)}, "not in 0..100"),
        ({"accuracy": np.full((6, 4, 2), np.inf, np.float32)}, "not in 0..100"),
        ({"phenotype": np.full((6, 4, 6), 5, np.int8)}, "op ids 5 to 5"),
    ],
)
def test_arrays_that_are_no_table_are_refused(changes, said):
    with pytest.raises(DataError, match=said):
        made(**changes)


def test_a_missing_cut_or_altered_table_is_refused(tmp_path):
    path = tmp_path / "table.npz"
    with pytest.raises(DataError, match="is missing; make one with"):
        read_table(path)
    write_table(made(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="no whole"):
        read_table(path)
    path.write_bytes(whole)
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **{**arrays, "accuracy": arrays["accuracy"] / 2})
    with pytest.raises(DataError, match="does not match its digest"):
        read_table(path)
    del arrays["seconds"]
    np.savez(path, **arrays)
    with pytest.raises(DataError, match="lacks seconds"):
        read_table(path)


def test_versions_of_several_goes_are_all_named():
    joined = joined_versions([{"jax": "1", "numpy": "2"}, {"jax": "3", "numpy": "2"}])
    assert joined == {"jax": "1, 3", "numpy": "2"}


def test_progress_names_the_task_its_spread_and_its_failures(trained, tmp_path, capsys):
    build_table(tmp_path, config=dataclasses.replace(CONFIG, num_tasks=1, num_repeats=1), jobs=1)
    said = capsys.readouterr().err
    assert TASKS[0].name in said
    assert "1 of 1" in said
    assert "1 failed" in said
    build_table(tmp_path, config=dataclasses.replace(CONFIG, num_tasks=2, num_repeats=1), jobs=1)
    assert "1 of 2 trainings kept from before" in capsys.readouterr().err


@pytest.mark.slow
def test_processes_side_by_side_make_the_table_of_one():
    """Real trainings, of digits alone: they need no data directory."""
    config = MetaConfig(num_tasks=4, num_cells_drawn=2, num_cells_shared=0, num_cells=1, num_steps=3)
    digits = TASKS[3]
    assert digits.source == "digits"
    trainings = [Training(digits, repeat) for repeat in range(2)]
    one, two = (dict(build_module._trained_parts(trainings, config, None, jobs)) for jobs in (1, 2))
    assert set(one) == set(two) == set(trainings)
    for training in trainings:
        assert one[training]["accuracy"] == two[training]["accuracy"]
    assert one[trainings[0]]["accuracy"] != one[trainings[1]]["accuracy"]


@pytest.mark.parametrize("jobs", [0, -1])
def test_no_process_is_too_few(tmp_path, jobs):
    with pytest.raises(ValueError, match="jobs must be at least 1"):
        build_table(tmp_path, config=CONFIG, jobs=jobs)
