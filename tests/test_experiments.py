"""Every experiment runs with --smoke and keeps to its form."""

import importlib
import json
from pathlib import Path

import pytest

import ednag_jax as ed
from ednag_jax import compare

FOLDER = Path(__file__).parents[1] / "experiments"
NAMES = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
NASBENCH201 = "reproduce_nb201"
PROMISED = {"results.json", "table.md", "progress.png", "trajectory.png", "seconds.png"}


def experiment(name):
    return importlib.import_module(f"ednag_jax.experiments.{name}")


@pytest.mark.parametrize("name", NAMES)
def test_header_says_command_and_expectation_and_the_file_is_short(name):
    text = (FOLDER / f"{name}.py").read_text()
    header = experiment(name).__doc__
    assert "Command:" in header
    assert "Expected" in header
    assert text.count("\n") <= 150


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != NASBENCH201])
def test_smoke(name, tmp_path, capsys):
    experiment(name).run(out=tmp_path / name, smoke=True)
    assert list((tmp_path / name).iterdir())


@pytest.mark.parametrize("strategy", ["ednag", "ednag_online"])
def test_every_row_of_the_ablation_is_another_search(strategy, bumpy):
    found = experiment("ablate_online").parts(strategy, {"bumpy": bumpy}, 150)
    configs = [part.method.config for part in found.values()]
    assert all(a != b for i, a in enumerate(configs) for b in configs[:i])
    assert configs[0] == ed.STRATEGIES[strategy].config.for_budget(150, bumpy.space.size)
    assert len({part.path(FOLDER) for part in found.values()}) == len(configs) >= 12


def reproduced(out, data_dir=None):
    """Runs the smoke of NAS-Bench-201 and returns its table and its results."""
    experiment(NASBENCH201).run(out=out, smoke=True, data_dir=data_dir)
    assert {path.name for path in out.iterdir() if path.is_file()} == PROMISED
    return (out / "table.md").read_text(), json.loads((out / "results.json").read_text())["results"]


@pytest.mark.slow
def test_reproduction_of_nasbench201_goes_on_where_it_stopped(tmp_path, data_dir, monkeypatch, capsys):
    """The first run is whole and says which oracle it had; the last searches for what is missing alone."""
    table, results = reproduced(tmp_path, data_dir)
    assert results["paper / cifar10"]["benchmark"]["oracle"] == "test accuracy"
    assert "oracle: test accuracy" in table
    assert "94.37 ± 0.00" in table  # the paper's claim stands beside
    assert "part 18 of 18" in capsys.readouterr().out

    searched = []

    def search(strategy, benchmark, **settings):
        searched.append((strategy, benchmark.dataset))
        return compare_search(strategy, benchmark, **settings)

    def never(*_, **__):
        raise AssertionError("searched again")

    compare_search = compare.search
    monkeypatch.setattr(compare, "search", search)
    for name in ("trajectory", "seconds_figure"):
        monkeypatch.setattr(experiment(NASBENCH201), name, never)
    assert reproduced(tmp_path, data_dir) == (table, results)
    assert not searched
    (lost,) = (tmp_path / "parts").glob("*cifar100*random search.json")
    lost.unlink()
    assert reproduced(tmp_path, data_dir)[0] == table
    assert searched == [("random_search", "cifar100")]


@pytest.mark.slow
def test_reproduction_of_nasbench201_says_that_test_accuracy_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("EDNAG_DATA_DIR", raising=False)
    table, results = reproduced(tmp_path)
    assert "test: not available, see ednag data --help" in table
    assert len(results) == 15
