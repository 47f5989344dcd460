"""Runs that are stopped and go on: killed, interrupted, on a full disk, from damaged checkpoints."""

import errno
import hashlib
import itertools
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import time
import warnings
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

import ednag_jax as ed
from ednag_jax import cli, identity
from ednag_jax.checkpoints import ABOUT, DIGEST
from ednag_jax.evolve import EDNAG
from ednag_jax.resume import Saved, run_folder

CONFIG = ed.RandomSearchConfig(num_steps=10, batch_size=2)
RANDOM = ed.STRATEGIES["random_search"].strategy
EVERY, SEEDS = 3, 4
WHILE_WRITING = ".orbax-checkpoint-tmp"
"""Behind the number of a checkpoint that orbax is writing."""


def table():
    values = np.random.default_rng(0).normal(50, 10, 81)
    return ed.Benchmark.from_table(
        ed.CategoricalSpace("bumpy", choices=(3,) * 4), values, values - 1, name="bumpy"
    )


def run(folder=None, every=EVERY, report=None, *, seeds=SEEDS, benchmark=None, config=CONFIG, strategy=RANDOM):
    benchmark = benchmark or table()
    arguments = {"problem": benchmark.problem, "config": config, "strategy": strategy}
    keys = ed.seed_keys(seeds)
    return ed.evolve_seeds(keys, benchmark.params, **arguments, checkpoint=folder, every=every, report=report)


def bits(tree):
    """Returns everything about the arrays of a result, by the place of each."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    arrays = [(jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in leaves]
    return {path: (array.dtype.str, array.shape, array.tobytes()) for path, array in arrays}


def fingerprint(tree):
    """Returns the same in a line, for a pipe."""
    return hashlib.sha256(repr(bits(tree)).encode()).hexdigest()


def stopped_at(step, folder, **arguments):
    """Runs until so many steps are done and kept, and is then interrupted."""

    def report(done, total):
        if done == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder, report=report, **arguments)


def steps_of(folder, part="state"):
    return sorted(int(path.name) for path in (folder / part).iterdir() if path.name.isdigit())


@pytest.fixture(scope="module")
def whole():
    return bits(run())


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A run interrupted after nine of its ten steps, to copy."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    stopped_at(9, folder)
    return folder


@pytest.fixture
def copied(kept, tmp_path):
    shutil.copytree(kept, tmp_path / "run")
    return tmp_path / "run"


# ------------------------------------------------------------------------------------------ stopped and started


def test_a_run_goes_on_where_it_was_stopped_and_ends_bitwise_as_a_whole_one(copied, whole):
    assert steps_of(copied) == [6, 9]
    assert steps_of(copied, "trace") == [0, 3, 6, 9]
    seen = []
    again = run(copied, report=lambda done, total: seen.append((done, total)))
    assert seen == [(10, 10)]
    assert bits(again) == whole
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(again))


def test_a_finished_run_is_read_and_not_run_again(copied, whole, compilations):
    run(copied)
    compilations.count, seen = 0, []
    assert bits(run(copied, report=lambda *args: seen.append(args))) == whole
    assert (compilations.count, seen) == (0, [])


def test_how_often_a_checkpoint_is_made_changes_nothing(copied, whole):
    shutil.rmtree(copied / "state" / "9")
    with pytest.warns(
        ed.CheckpointWarning, match="checkpoint 9 is half-written. The run goes on from checkpoint 6"
    ):
        assert bits(run(copied, every=2)) == whole
    assert steps_of(copied, "trace") == [0, 3, 6, 8, 10]


@pytest.mark.slow
def test_all_chunks_but_the_last_share_one_program(kept, tmp_path, compilations):
    """Begin, a chunk of three steps, one of one: however many chunks there are, and of any table."""
    config = replace(CONFIG, batch_size=3)
    benchmark, other = table(), replace(table(), params=OTHER)
    compilations.count = 0
    run(tmp_path / "a", benchmark=benchmark, config=config)
    assert compilations.count == 3
    run(tmp_path / "b", benchmark=other, config=config)
    assert compilations.count == 3


def test_a_search_that_was_interrupted_has_the_same_result_and_queries(tmp_path):
    benchmark, config = table(), CONFIG
    expected = ed.search("random_search", benchmark, seeds=SEEDS, queries=15, config=config).to_dict()

    def stop(done, total):
        if done == 6:
            raise KeyboardInterrupt

    arguments = {
        "seeds": SEEDS,
        "queries": 15,
        "config": config,
        "checkpoint": tmp_path / "run",
        "every": EVERY,
    }
    with pytest.raises(KeyboardInterrupt):
        ed.search("random_search", benchmark, **arguments, report=stop)
    found = ed.search("random_search", benchmark, **arguments).to_dict()
    for seconds in ("compile_seconds", "run_seconds"):
        del expected[seconds], found[seconds]
    assert found == expected


class KeyedState(NamedTuple):
    """Of a strategy that keeps a random key and an array of no numbers."""

    evaluation: ed.Evaluation
    key: jax.Array
    nothing: np.ndarray


def test_a_state_may_hold_random_keys_and_empty_arrays(tmp_path):
    evaluation = ed.Evaluation(*(np.arange(4.0).reshape(2, 2) for _ in ed.Evaluation._fields))
    state = KeyedState(evaluation, jax.random.split(jax.random.key(3), 2), np.zeros((2, 0), np.float32))
    with run_folder(tmp_path) as folder:
        folder.save(Saved(0, state, [evaluation]))
    with run_folder(tmp_path) as folder:
        found = folder.latest(lambda: (jax.eval_shape(lambda: state), ed.StepInfo(*ed.StepInfo._fields)))
    assert bits(jax.random.key_data(found.state.key)) == bits(jax.random.key_data(state.key))
    assert bits(found.state._replace(key=0)) == bits(state._replace(key=0))


# --------------------------------------------------------------------------------------------------- killed


KILLS, LONGEST, MOST = 6, 1.5, 4
"""A process compiles for about a second and makes a checkpoint in about a quarter. A kill comes within
`LONGEST` seconds; a process that is faster waits for it after `MOST` checkpoints."""
LONG = ed.RandomSearchConfig(num_steps=KILLS * MOST + 4, batch_size=2)


def ours(folder, **arguments):
    return run(folder, config=LONG, **arguments)


def killable(folder, most, entered, kept, answer):
    """In a process of its own: a checkpoint after each step; says that one is kept, and waits after `most`."""
    steps = itertools.count(1)

    def report(done, total):
        kept.set()
        if next(steps) == most:
            time.sleep(3600)

    entered.set()
    answer.put(fingerprint(ours(folder, every=1, report=report)))


@pytest.fixture(scope="module")
def processes():
    """Forked from one that has imported all, and that has no thread yet."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ednag_jax"])
    return context


@pytest.mark.slow
def test_a_run_killed_at_many_random_moments_ends_bitwise_as_one_that_was_not(tmp_path, processes):
    """Every other kill comes after a first checkpoint, so that it strikes while one is written or dropped."""
    moments, kills, reached = random.Random(0), 0, []
    while True:
        entered, kept, answer = processes.Event(), processes.Event(), processes.SimpleQueue()
        most = MOST if kills < KILLS else None
        process = processes.Process(target=killable, args=(tmp_path / "run", most, entered, kept, answer))
        process.start()
        assert (kept if kills % 2 else entered).wait(120)
        if kills == KILLS:
            break
        process.join(moments.uniform(0, LONGEST))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        kills += 1
        reached.append(
            max(steps_of(tmp_path / "run"), default=0) if (tmp_path / "run" / "state").is_dir() else 0
        )
    process.join(120)
    assert process.exitcode == 0
    assert sorted(reached) == reached
    assert 0 < reached[-1] < LONG.num_steps
    assert answer.get() == fingerprint(ours(None))


# ------------------------------------------------------------------------------------------------ a full disk


def test_a_full_disk_is_said_and_the_last_good_checkpoint_stays(tmp_path, whole, monkeypatch):
    save, folder = ocp.CheckpointManager.save, tmp_path / "run"

    def full(manager, step, *args, **kwargs):
        if step == 9 and manager.directory.name == "state":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return save(manager, step, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(ocp.CheckpointManager, "save", full)
        with pytest.raises(OSError, match=r"checkpoint 9 cannot be written in .*No space left.*: make room"):
            run(folder)
    assert steps_of(folder) == [3, 6]
    with pytest.warns(ed.CheckpointWarning, match="checkpoint 9 is half-written. .* from checkpoint 6"):
        assert bits(run(folder)) == whole


def limited(folder, answer):
    """In a process of its own: after three steps no file can have more than 100 bytes."""

    def report(done, total):
        if done == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))

    try:
        ours(folder, every=1, report=report)
    except OSError as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        answer.put(str(error))


@pytest.mark.slow
def test_files_that_the_system_refuses_to_write_are_like_a_full_disk(tmp_path, processes):
    answer = processes.SimpleQueue()
    process = processes.Process(target=limited, args=(tmp_path / "run", answer))
    process.start()
    process.join(120)
    assert process.exitcode == 0
    assert "checkpoint 4 cannot be written in " in answer.get()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ed.CheckpointWarning)  # whether it left a half is orbax's affair
        assert bits(ours(tmp_path / "run", every=1)) == bits(ours(None))


# ---------------------------------------------------------------------------------------- damaged checkpoints


def largest(folder):
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def alter(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(bytes(content))


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def half_written(folder):
    """What a kill leaves while orbax writes a fourth checkpoint."""
    shutil.copytree(folder / "state" / "9", folder / "state" / f"10{WHILE_WRITING}")
    (folder / "state" / f"10{WHILE_WRITING}" / DIGEST).unlink()


LOST = "does not match its digest"
DAMAGE = {
    "state altered": (lambda run: alter(largest(run / "state" / "9")), f"checkpoint 9 in .*{LOST}", 6),
    "state cut": (lambda run: cut(largest(run / "state" / "9")), f"checkpoint 9 in .*{LOST}", 6),
    "description cut": (lambda run: cut(run / "state" / "9" / "_CHECKPOINT_METADATA"), LOST, 6),
    "digest missing": (lambda run: (run / "state" / "9" / DIGEST).unlink(), "checkpoint 9 is half-written", 6),
    "chunk altered": (lambda run: alter(largest(run / "trace" / "9")), f"checkpoint 9 in .*trace.*{LOST}", 6),
    "chunk missing": (lambda run: shutil.rmtree(run / "trace" / "9"), "9 in .* lacks a chunk of its trace", 6),
    "early chunk missing": (lambda run: shutil.rmtree(run / "trace" / "3"), "6 in .* is of other shapes", 0),
    "initial chunk missing": (lambda run: shutil.rmtree(run / "trace" / "0"), "6 in .* lacks a chunk", 0),
    "both states altered": (
        lambda run: [alter(largest(run / "state" / step)) for step in ("6", "9")],
        "checkpoint 9 in .*checkpoint 6 in .*",
        0,
    ),
    "killed while writing": (half_written, "checkpoint 10 is half-written", 9),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_checkpoint_is_passed_over_and_said(name, copied, whole):
    damage, text, start = DAMAGE[name]
    damage(copied)
    where = f"checkpoint {start}" if start else "the start"
    seen = []
    with pytest.warns(ed.CheckpointWarning, match=rf"{text}.*\. The run goes on from {where}"):
        again = run(copied, report=lambda done, total: seen.append(done))
    assert seen == [step for step in (3, 6, 9, 10) if step > start]
    assert bits(again) == whole
    run(copied)  # without a warning: what was damaged is gone


def test_a_damaged_description_of_the_run_is_refused(copied):
    cut(copied / ABOUT)
    with pytest.raises(ed.DataError, match=r"about.json' is no whole JSON .* empty the folder"):
        run(copied)


def test_checkpoints_that_nothing_describes_are_refused(copied):
    (copied / ABOUT).unlink()
    with pytest.raises(ed.DataError, match=r"has checkpoints but no about\.json"):
        run(copied)


# ------------------------------------------------------------------------------------------- of another run

OTHER = table().params + 1
DIFFERENT = {
    "config.num_steps was 10, now 12": {"config": replace(CONFIG, num_steps=12)},
    "config.batch_size was 2, now 3": {"config": replace(CONFIG, batch_size=3)},
    "strategy was random_search, now ednag; config.kind was RandomSearchConfig, now EvolveConfig\\. Choose": {
        "config": ed.EvolveConfig(),
        "strategy": EDNAG,
    },
    "seeds.number was 4, now 5": {"seeds": 5},
    "seeds.digest was [0-9a-f]{64}, now": {"seeds": range(1, 5)},
    "table was [0-9a-f]{64}, now": {"benchmark": replace(table(), params=OTHER)},
    "problem.space.name was bumpy, now other": {
        "benchmark": ed.Benchmark.from_table(
            ed.CategoricalSpace("other", choices=(3,) * 4), table().params, name="o"
        )
    },
}


@pytest.mark.parametrize("text", DIFFERENT)
def test_a_checkpoint_of_another_run_is_refused_with_the_difference_named(text, copied, whole):
    with pytest.raises(ValueError, match=f"has checkpoints of another run: .*{text}"):
        run(copied, **DIFFERENT[text])
    assert bits(run(copied)) == whole  # nothing was touched


def test_a_checkpoint_of_another_version_is_refused(copied, monkeypatch):
    monkeypatch.setattr(identity, "version", lambda name: "9.9")
    with pytest.raises(ValueError, match=r"another run: versions.ednag-jax was .*, now 9.9; versions.jax was"):
        run(copied)


def scores(params, key, phenotype):
    return params[phenotype[:, 0]]


def test_a_run_is_described_by_names_not_by_addresses():
    """Else no other process could go on."""
    problem = ed.Problem(ed.SPACES["nasbench201"], partial(scores, key=None))
    about = identity.about_run(
        ed.seed_keys(2),
        {"a": jnp.ones(3)},
        problem=problem,
        config=ed.OnlineConfig(first=np.ones((1, 6))),
        strategy=EDNAG,
    )
    text = json.dumps(about)
    assert " at 0x" not in text
    assert about["problem"]["fitness_fn"] == [f"{__name__}.scores", [], {"key": None}]
    assert len(about["config"]["first"]) == 64
    assert about["config"]["kind"] == "OnlineConfig"


@pytest.mark.parametrize("every", [0, -1])
def test_chunks_of_no_steps_are_refused(every, tmp_path):
    with pytest.raises(ValueError, match=f"every must be at least 1, got {every}"):
        run(tmp_path / "run", every=every)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written"):
        run(tmp_path / "file" / "run")


def test_other_folders_and_files_are_left_alone(copied):
    """A folder named like no checkpoint is somebody's, whatever it is doing there."""
    (copied / "state" / "mine").mkdir()
    (copied / "state" / "mine" / "data").write_text("kept")
    (copied / "notes.txt").write_text("kept")
    run(copied)
    assert (copied / "state" / "mine" / "data").read_text() == (copied / "notes.txt").read_text() == "kept"


# ---------------------------------------------------------------------------------------------- command line


@pytest.mark.slow
def test_the_command_goes_on_and_says_what_it_passed_over(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("EDNAG_DATA_DIR", raising=False)
    monkeypatch.setenv("COLUMNS", "140")
    folder = tmp_path / "run"
    command = ["search", "--strategy", "random_search", "--seeds", "2", "--set", "num_steps=6", "batch_size=2"]
    command += ["--checkpoint", str(folder), "--every", "3"]
    assert cli.main(command) == 0
    first = capsys.readouterr()
    assert steps_of(folder) == [3, 6]
    alter(largest(folder / "state" / "6"))
    assert cli.main(command) == 0
    second = capsys.readouterr()
    assert f"ednag: {str(folder)!r}: checkpoint 6 in" in second.err
    assert "The run goes on from checkpoint 3" in second.err
    assert first.out.split("compiled in")[0] == second.out.split("compiled in")[0]
    assert cli.main([*command, "--seeds", "3"]) == cli.USER_ERROR
    assert "ednag: " in (error := capsys.readouterr().err.strip().splitlines()[-1])
    assert "seeds.number was 2, now 3" in error
