"""Comparisons: same seeds and budget, and finished parts that are read only where they fit."""

import dataclasses
import json

import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax import compare as comparing
from ednag_jax.compare import BASELINES, Method, Part, compare, compare_all, search_parts
from ednag_jax.result import Result

FAST = Method("EDNAG, fast", "ednag", ed.EvolveConfig(num_steps=12, population_size=8))
RANDOM = BASELINES[2]


@pytest.fixture
def searches(monkeypatch):
    """Counts the searches that are really run."""
    done = []

    def counted(strategy, *args, **kwargs):
        done.append(strategy)
        return ed.search(strategy, *args, **kwargs)

    monkeypatch.setattr(comparing, "search", counted)
    return done


@pytest.mark.slow
def test_all_methods_have_the_same_seeds_and_budget(bumpy):
    found = compare(bumpy, (FAST, RANDOM), seeds=6, queries=15)
    assert list(found) == ["EDNAG, fast", "random search"]
    assert all(r.seeds == list(range(6)) and r.budget == 15 for r in found.values())


def test_an_interrupted_comparison_goes_on(bumpy, tmp_path, searches, capsys):
    compare(bumpy, (FAST,), seeds=6, queries=15, folder=tmp_path)
    first = compare(bumpy, (FAST, RANDOM), seeds=6, queries=15, folder=tmp_path)
    assert searches == ["ednag", "random_search"]
    again = compare(bumpy, (FAST, RANDOM), seeds=6, queries=15, folder=tmp_path)
    assert len(searches) == 2
    said = capsys.readouterr().out.splitlines()[1:]
    assert said[0] == "part 1 of 2, bumpy noise: EDNAG, fast, 6 seeds, kept from before"
    assert said[1].startswith("part 2 of 2, bumpy noise: random search, 6 seeds, compiled in ")
    assert said[3] == "part 2 of 2, bumpy noise: random search, 6 seeds, kept from before"
    for label in first:
        np.testing.assert_allclose(again[label].curve, first[label].curve, atol=1e-5)
        assert again[label].best_arch == first[label].best_arch
        assert again[label].share_at_optimum() == first[label].share_at_optimum()


def test_parts_count_over_all_benchmarks_and_oracles_are_told_apart(bumpy, tmp_path, searches, capsys):
    """The same method on the same data set with another oracle is another part, in a file of its own."""
    oracle = dataclasses.replace(bumpy, metric="test")
    found = compare_all({"a": bumpy, "b": oracle}, (RANDOM,), seeds=6, queries=15, folder=tmp_path)
    assert [list(found), list(found["b"])] == [["a", "b"], ["random search"]]
    assert "part 2 of 2, bumpy noise" in capsys.readouterr().out
    assert len(list(tmp_path.iterdir())) == 2
    compare_all({"b": oracle, "a": bumpy}, (RANDOM,), seeds=6, queries=15, folder=tmp_path)
    assert len(searches) == 2


def test_a_part_without_a_budget_is_kept_too(bumpy, tmp_path, searches):
    parts = {"only": Part(bumpy, RANDOM, None)}
    first = search_parts(parts, seeds=6, folder=tmp_path)["only"]
    again = search_parts(parts, seeds=6, folder=tmp_path)["only"]
    assert first.budget is None
    assert again.to_dict() == first.to_dict()
    assert searches == ["random_search"]


@pytest.mark.slow
def test_seeds_may_be_a_range_and_are_the_same_seeds(bumpy, tmp_path, searches):
    parts = {"only": Part(bumpy, Method("random", "random_search"), 5)}
    whole, some = (search_parts(parts, seeds=seeds)["only"] for seeds in (4, range(2, 4)))
    assert some.seeds == [2, 3]
    np.testing.assert_array_equal(some.curve, whole.curve[2:])


def test_parts_of_other_objectives_are_told_apart_and_have_the_settings_for_them(tmp_path, searches):
    space = ed.CategoricalSpace("two", choices=(3,) * 3)
    columns = {"latency": np.arange(1.0, 28.0)}
    benchmark = ed.Benchmark.from_table(space, np.arange(27.0), name="two", columns=columns)
    method = Method("EDNAG", "ednag")
    both = ("accuracy", "latency")
    parts = {"one": Part(benchmark, method, 9), "two": Part(benchmark, method, 9, both)}
    first = search_parts(parts, seeds=2, folder=tmp_path)
    assert first["one"].fronts is None
    assert first["two"].config == {
        "name": "EvolveConfig",
        **dataclasses.asdict(ed.EvolveConfig.for_front(9, 27)),
    }
    again = search_parts(parts, seeds=2, folder=tmp_path)
    assert searches == ["ednag", "ednag"]
    assert again["two"].to_dict() == first["two"].to_dict()


@pytest.mark.parametrize("what", ["seeds", "queries", "config", "table", "version", "cut"])
def test_a_part_of_another_search_is_not_used(bumpy, tmp_path, searches, what):
    arguments = {"seeds": 6, "queries": 15, "folder": tmp_path}
    compare(bumpy, (FAST,), **arguments)
    benchmark, method = bumpy, FAST
    if what in arguments:
        arguments[what] = arguments[what] - 1
    elif what == "config":
        method = FAST._replace(config=FAST.config.replace(temperature=0.5))
    elif what == "table":
        benchmark = ed.Benchmark.from_table(
            bumpy.space, np.asarray(bumpy.params) + 1, name="bumpy", dataset="noise"
        )
    else:
        (path,) = tmp_path.iterdir()
        stored = json.loads(path.read_text())
        stored["environment"]["jax"] = "0.0.1"
        path.write_text(json.dumps(stored) if what == "version" else path.read_text()[:-100])
    compare(benchmark, (method,), **arguments)
    assert searches == ["ednag", "ednag"]


def test_a_result_survives_its_file(bumpy, tmp_path):
    result = ed.search("ednag", bumpy, seeds=6, queries=15, config=FAST.config)
    back = Result.from_dict(json.loads(result.to_json(tmp_path / "r.json").read_text()))
    assert back.to_dict() == result.to_dict()


def test_a_budget_in_a_large_space_is_spent_on_a_whole_schedule():
    small = ed.EvolveConfig.for_budget(300, 15_625)
    large = ed.EvolveConfig.for_budget(300, 10**18)
    assert small == ed.EvolveConfig()
    assert large.num_steps * large.population_size >= 300
    assert (large.num_steps - 2) * large.population_size <= 1.25 * 300
