"""The examples of parallel evaluation: workers die, drivers are killed, and each architecture counts once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from expensive import EXAMPLES, FAILING, KILLER, new_run, value

import ednag_jax as ed

SPACE = ed.CategoricalSpace("bumpy", choices=(3,) * 4)
DRIVER = Path(__file__).with_name("expensive.py")
PATIENCE = 300
"""Seconds after which something hangs."""


def drive(kind, out, kill_after=None):
    """Runs a driver to its end, or kills it as soon as so many results are there; returns what it left."""
    flags = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    driver = subprocess.Popen([sys.executable, DRIVER, kind, out], env={**os.environ, "XLA_FLAGS": flags})
    try:
        deadline = time.monotonic() + PATIENCE
        while kill_after is None or len(results(out)) < kill_after:
            if driver.poll() is not None:
                break
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        driver.kill()
    assert driver.wait() == (0 if kill_after is None else -signal.SIGKILL)
    assert all(is_gone(int(line.split()[1])) for line in begun(out))
    return results(out)


def is_gone(process):
    """Whether a process ends by itself."""
    for _ in range(100 * PATIENCE):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def begun(out):
    return (out / "begun.txt").read_text().splitlines()


def results(out):
    """What is kept of finished evaluations: file -> when it was written, and content."""
    return {path.name: (path.stat().st_mtime_ns, path.read_text()) for path in out.glob("results/*.json")}


@pytest.fixture(scope="module")
def wanted():
    """What the run asks for, in its order."""
    run, asked = new_run(), []
    while not run.done:
        batch = run.ask()
        asked += [proposal.arch for proposal in batch]
        run.tell(batch, [value(arch) for arch in asked[-len(batch) :]])
    assert {KILLER, FAILING} <= set(asked)
    return asked


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "kills"), [("workers", (5,)), ("cluster", (12,))])
def test_killed_workers_and_drivers_lose_nothing_and_count_nothing_twice(kind, kills, wanted, tmp_path):
    before = {}
    for kill_after in (*kills, None):
        after = drive(kind, tmp_path, kill_after)
        assert before.items() <= after.items()  # what was finished was not evaluated again
        before = after
    run = ed.AskTell.load(tmp_path / "run.npz", space=SPACE)
    assert run.done
    told = {result.arch: result.accuracy for result in run.told}
    assert sorted(told) == sorted(wanted)
    assert run.queries == len(wanted) == len(before) + 1
    truth = [np.nan if arch == FAILING else value(arch) for arch in wanted]
    np.testing.assert_array_equal([told[arch] for arch in wanted], truth)
    began = [line.split()[0] for line in begun(tmp_path)]
    assert began.count(KILLER) >= 2
    # Begun twice is only what a death cut: the killer's own, and what two workers had when a driver was killed.
    again = len(began) - len(set(began))
    assert again <= 1 + 2 * len(kills) + len(kills)  # the last: what always fails leaves no file to be found


def test_the_examples_train_cells_on_digits(monkeypatch):
    """The training itself is `meta.training`'s, and tested there."""
    monkeypatch.syspath_prepend(EXAMPLES)
    import digits

    seen = []

    def trained(cells, arrays, *, seed, config):
        seen.append((cells.tolist(), int(arrays.num_classes), len(arrays.images), config))
        return np.array([61.5], np.float32)

    monkeypatch.setattr(digits, "train_cells", trained)
    arch = "|nor_conv_1x1~0|+|skip_connect~0|none~1|+|none~0|none~1|skip_connect~2|"
    assert digits.train(arch) == 61.5
    assert seen == [([[2, 1, 0, 0, 0, 1]], 10, 900, digits.RECIPE)]
