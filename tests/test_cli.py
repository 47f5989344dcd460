"""The command line: what it prints, writes, refuses, and how it exits."""

import json

import pytest

import ednag_jax as ed
from ednag_jax import cli

FAST = ["--seeds", "3", "--queries", "40", "--set", "num_steps=20", "population_size=8"]


@pytest.fixture(autouse=True)
def _without_data(monkeypatch):
    monkeypatch.delenv("EDNAG_DATA_DIR", raising=False)
    monkeypatch.setenv("COLUMNS", "140")


def test_search_writes_what_it_says(tmp_path, capsys):
    assert cli.main(["search", "--dataset", "cifar100", *FAST, "--out", str(tmp_path / "o")]) == 0
    printed = capsys.readouterr().out
    assert "validation accuracy as oracle" in printed
    assert "test: not available, see ednag data --help" in printed
    assert {p.name for p in (tmp_path / "o").iterdir()} == {"result.json", "table.md", "progress.png"}
    stored = json.loads((tmp_path / "o" / "result.json").read_text())
    result = stored["results"]["ednag"]
    assert result["config"]["num_steps"] == 20
    assert result["benchmark"]["dataset"] == "cifar100"
    again = ed.search(
        "ednag",
        ed.load_benchmark("nasbench201", dataset="cifar100"),
        seeds=3,
        queries=40,
        config=ed.EvolveConfig(num_steps=20, population_size=8),
    )
    assert result["best_arch"] == again.best_arch


def test_test_accuracy_is_used_where_the_data_directory_has_it(data_dir, capsys):
    assert cli.main(["search", *FAST, "--data-dir", str(data_dir)]) == 0
    assert "not available" not in capsys.readouterr().out
    assert cli.main(["search", *FAST, "--data-dir", str(data_dir), "--metric", "test"]) == 0
    assert "oracle: test accuracy" in capsys.readouterr().out


def test_objectives_and_constraints_are_searched_and_their_front_is_shown_and_written(tmp_path, capsys):
    asked = ["--objectives", "accuracy", "latency", "--constraints", "model_size=0.5", "--out", str(tmp_path)]
    assert cli.main(["search", *FAST, *asked]) == 0
    printed = capsys.readouterr().out
    assert "constraints: model_size <= 0.5" in printed
    assert "hypervolume from accuracy 9.712, latency 0.02558" in printed
    stored = json.loads((tmp_path / "result.json").read_text())["results"]["ednag"]
    assert stored["objectives"] == ["accuracy", "latency"]
    assert stored["config"]["elite_rate"] == 1
    front = stored["fronts"][0]
    assert len(front["arch"]) == len(front["latency"])
    assert "| accuracy | latency | arch |" in (tmp_path / "table.md").read_text()
    assert {p.name for p in tmp_path.iterdir()} == {"result.json", "table.md", "progress.png", "front.png"}


def test_a_constraint_that_nothing_meets_is_said(tmp_path, capsys):
    asked = ["--constraints", "latency=0.001", "--out", str(tmp_path)]
    assert cli.main(["search", *FAST, *asked]) == 0
    printed = capsys.readouterr().out
    assert "constraints: latency <= 0.001; 3 of 3 seeds met no architecture within them" in printed
    assert "nearest to the constraints: |" in printed


@pytest.mark.parametrize("strategy", ["random_search", "regularized_evolution", "local_search"])
def test_other_strategies_take_their_own_settings(strategy, capsys):
    assert cli.main(["search", "--strategy", strategy, "--seeds", "2", "--set", "num_steps=3"]) == 0
    assert strategy in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--space", "nb999"], "benchmark must be one of"),
        (["--dataset", "mnist"], "dataset must be one of cifar10"),
        (["--strategy", "grid"], "strategy must be one of"),
        (["--preset", "best"], "preset must be one of default, paper"),
        (["--metric", "test"], "see `ednag data --help`"),
        (["--set", "noise_scale=1.2"], "above 1 the step variance"),
        (["--set", "noise=1"], "no setting 'noise'; there are num_steps"),
        (["--set", "num_steps=many"], "num_steps must be a int, got 'many'"),
        (["--queries", "0"], "queries must be at least 1"),
        (
            ["--objectives", "accuracy", "speed"],
            "no cost 'speed'; its costs are: train_time, latency, model_size",
        ),
        (["--constraints", "latency"], "--constraints 'latency' must be COST=BOUND"),
        (["--out", "/dev/null/x"], "cannot be written"),
    ],
)
def test_what_the_user_can_mend_exits_with_2_and_one_line(arguments, message, capsys):
    assert cli.main(["search", "--seeds", "2", *arguments]) == cli.USER_ERROR
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("ednag: ")
    assert message in error


def test_interruption_has_its_own_exit_code(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("ednag_jax.cli.search.run_search", interrupted)
    assert cli.main(["search", "--seeds", "2"]) == cli.INTERRUPTED


def test_list_names_everything_registered(capsys):
    assert cli.main(["list"]) == 0
    printed = capsys.readouterr().out
    for name in [*ed.SPACES, *ed.BENCHMARKS, *ed.STRATEGIES, "default", "paper"]:
        assert name in printed


def test_data_says_where_and_what(data_dir, capsys):
    assert cli.main(["data"]) == 0
    assert "not set" in capsys.readouterr().out
    assert cli.main(["data", "--data-dir", str(data_dir)]) == 0
    assert "found" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["search", "generate", "reproduce", "list", "data"])
def test_help_is_there(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    assert "--data-dir" in capsys.readouterr().out


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip()
