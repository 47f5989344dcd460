"""Costs as objectives and as constraints: the order of fronts, hypervolume, Deb's rule in every strategy."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import EVERY_STRATEGY
from hypothesis import given, settings
from hypothesis import strategies as st

import ednag_jax as ed
from ednag_jax import plots, report
from ednag_jax.config import MAPPINGS
from ednag_jax.feasibility import feasible_first, is_feasible, on_one_scale
from ednag_jax.fitness import log_weights
from ednag_jax.hypervolume import front_rows, hypervolume, hypervolume_curve
from ednag_jax.pareto import (
    CHEBYSHEV_SUM,
    crowding,
    front_numbers,
    pareto_fitness,
    places,
    scalarised,
)
from ednag_jax.selection import walk_weights
from ednag_jax.types import Evaluation

SPACE = ed.CategoricalSpace("small", choices=(3,) * 4)
FAST = ed.EvolveConfig(num_steps=40, population_size=8)


@pytest.fixture(scope="module")
def costly():
    """Accuracy grows with cost, as it does: the accurate half is slow, and a bound leaves a few."""
    rng = np.random.default_rng(1)
    fields = np.asarray(SPACE.from_index(jnp.arange(SPACE.size)))
    latency = 1 + fields @ [1.0, 1.3, 0.7, 1.5] + rng.uniform(0, 0.5, SPACE.size)
    columns = {"latency": latency, "params": rng.uniform(1, 2, SPACE.size), "depth": np.ones(SPACE.size)}
    accuracy = 50 + 4 * latency + rng.normal(0, 4, SPACE.size)
    return ed.Benchmark.from_table(SPACE, accuracy, accuracy - 1, name="costly", columns=columns)


def dominated_by(values, i, j):
    return all(values[j] >= values[i]) and any(values[j] > values[i])


def plain_fronts(values):
    """The number of each row's front, by peeling, written from the definition."""
    left, number = set(range(len(values))), [0] * len(values)
    front = 0
    while left:
        best = {i for i in left if not any(dominated_by(values, i, j) for j in left)}
        for i in best:
            number[i] = front
        left -= best
        front += 1
    return number


@pytest.mark.parametrize("k", [2, 3])
def test_fronts_are_those_of_the_definition_ties_included(k):
    for seed in range(6):
        values = np.random.default_rng(seed).integers(0, 5, (30, k)).astype(np.float32)
        expected = plain_fronts(values)
        assert front_numbers(jnp.asarray(values)).tolist() == expected
        rows = front_rows(values)
        assert {tuple(values[i]) for i in rows} == {
            tuple(v) for v, n in zip(values, expected, strict=True) if not n
        }
        assert len({tuple(values[i]) for i in rows}) == len(rows)
        assert np.all(np.diff(values[rows, 0]) <= 0)


def test_fronts_of_a_chain_and_of_equals():
    chain = jnp.stack([jnp.arange(5.0)] * 2, axis=1)
    assert front_numbers(chain).tolist() == [4, 3, 2, 1, 0]
    assert front_numbers(jnp.ones((4, 2))).tolist() == [0] * 4


def test_crowding_in_closed_form():
    """A front (0, 4), (1, 3), (4, 0) and beside it one alone; ranges over all rows are 4 and 4."""
    values = jnp.array([[0.0, 4], [1, 3], [4, 0], [0, 0]])
    np.testing.assert_allclose(
        crowding(values, jnp.array([0, 0, 0, 1])), [np.inf, 4 / 4 + 4 / 4, np.inf, np.inf]
    )
    inner = crowding(jnp.array([[0.0, 9], [2, 5], [3, 3], [9, 0]]), jnp.zeros(4, int))
    np.testing.assert_allclose(inner[1:3], [3 / 9 + 6 / 9, 7 / 9 + 5 / 9], rtol=1e-6)


def test_crowding_of_equals_is_finite_inside_and_no_nan():
    same = np.asarray(crowding(jnp.ones((4, 2)), jnp.zeros(4, int)))
    np.testing.assert_array_equal(same, [np.inf, 0, 0, np.inf])


def test_places_are_those_of_a_stable_sort():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 4, (2, 40))
    order = sorted(range(40), key=lambda i: (first[i], second[i], -i))
    assert places(jnp.asarray(first), jnp.asarray(second))[np.array(order)].tolist() == list(range(40))


def evaluation_of(accuracy, cost, fitness=None, arch_id=None):
    accuracy = jnp.asarray(accuracy, jnp.float32)
    num = len(accuracy)
    fitness = jnp.where(jnp.isnan(accuracy), -jnp.inf, accuracy) if fitness is None else jnp.asarray(fitness)
    arch_id = jnp.arange(num) if arch_id is None else jnp.asarray(arch_id)
    cost = jnp.asarray(cost, jnp.float32)[:, None]
    return Evaluation(jnp.zeros((num, 1), int), arch_id, jnp.ones(num, bool), accuracy, fitness, cost)


@pytest.mark.slow
def test_population_is_ordered_by_front_then_crowding_then_repeats_then_violation_then_failure():
    infeasible = feasible_first(jnp.zeros(2), jnp.array([0.5, 0.1]))
    accuracy = [9.0, 5, 6, 1, 5, 8, 9, np.nan]
    cost = [9.0, 5, 5.5, 1, 6, 1, 1, 1]
    fitness = [9.0, 5, 6, 1, 5, *infeasible, -jnp.inf]
    found = np.asarray(pareto_fitness(evaluation_of(accuracy, cost, fitness)))
    # Ends of the front, then its inner two (the second is less crowded), then what both dominate; 6 broke less.
    assert np.argsort(-found, kind="stable").tolist() == [0, 3, 1, 2, 4, 6, 5, 7]
    assert found[7] == -np.inf
    assert len(set(found.tolist())) == 8
    repeated = pareto_fitness(evaluation_of([9.0, 1, 9, 5], [9.0, 1, 9, 9.5], arch_id=[4, 7, 4, 8]))
    assert np.argsort(-np.asarray(repeated)).tolist() == [0, 1, 3, 2]


def test_scalarised_is_the_augmented_chebyshev_function_and_leaves_the_rest_below():
    accuracy = jnp.array([90.0, 80.0, 85.0, 95.0, jnp.nan])
    cost = jnp.array([[10.0], [4.0], [7.0], [1.0], [2.0]])
    fitness = jnp.array([90.0, 80.0, 85.0, -2e30, -jnp.inf])
    drawn = Evaluation(jnp.zeros((5, 4), int), jnp.arange(5), jnp.ones(5, bool), accuracy, fitness, cost)
    key = jax.random.key(3)
    weight = np.asarray(jax.random.dirichlet(key, jnp.ones(2)), float)
    terms = weight * np.array([[1, 0], [0, 1], [0.5, 0.5]])
    expected = terms.min(axis=1) + CHEBYSHEV_SUM * terms.sum(axis=1)
    found = scalarised(key, drawn)
    np.testing.assert_allclose(found[:3], expected, atol=1e-5)
    np.testing.assert_array_equal(found[3:], fitness[3:])
    assert not jnp.isnan(scalarised(key, drawn._replace(fitness=jnp.full(5, -jnp.inf)))).any()


@pytest.mark.slow
def test_all_failed_or_infeasible_populations_have_an_order_without_nan():
    failed = pareto_fitness(evaluation_of([np.nan] * 3, [1.0, 2, 3]))
    assert failed.tolist() == [-np.inf] * 3
    infeasible = pareto_fitness(evaluation_of([1.0, 2, 3], [1.0, 2, 3], [-1e30, -3e30, -2e30]))
    assert infeasible.tolist() == [2, 0, 1]


numbers = st.floats(0, 1, width=32)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=7), st.sampled_from([1, 2, 3]))
def test_hypervolume_is_the_union_of_boxes(rows, k):
    """By inclusion and exclusion over all subsets of boxes."""
    values, expected = np.array(rows)[:, :k], 0.0
    for subset in range(1, 2 ** len(values)):
        chosen = [i for i in range(len(values)) if subset >> i & 1]
        expected -= (-1) ** len(chosen) * values[chosen].min(axis=0).prod()
    assert hypervolume(values, np.zeros(k)) == pytest.approx(expected, abs=1e-9)
    assert hypervolume(values + 3, np.full(k, 3.0)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_hypervolume_is_pymoos(k):
    hv = pytest.importorskip("pymoo.indicators.hv")
    for seed in range(3):
        values = np.random.default_rng(seed).normal(size=(40, k))
        reference = np.full(k, -0.5)
        expected = hv.HV(ref_point=-reference)(-values)
        assert hypervolume(values, reference) == pytest.approx(expected, rel=1e-9)


def test_curve_is_the_hypervolume_of_what_came_by_then_and_skips_failures():
    values, reference = np.random.default_rng(0).uniform(size=(25, 2)), np.full(2, 0.2)
    values[3] = np.nan
    curve = hypervolume_curve(values, reference, 30)
    for query in range(30):
        asked = values[: query + 1]
        assert curve[query] == pytest.approx(hypervolume(asked[~np.isnan(asked[:, 0])], reference))
    np.testing.assert_array_equal(hypervolume_curve(np.empty((0, 2)), reference, 2), [0, 0])


def test_every_feasible_fitness_is_above_every_infeasible_and_those_go_by_violation():
    fitness = feasible_first(jnp.array([-1e20, 5.0, 1e20, 7.0]), jnp.array([0.0, 1e-7, 1e30, 0.3]))
    assert is_feasible(fitness).tolist() == [True, False, False, False]
    assert fitness[0] > fitness[1] > fitness[3] > fitness[2] > -np.inf
    scaled = on_one_scale(jnp.array([3.0, 8.0, -1.5e30, -jnp.inf]))
    np.testing.assert_allclose(scaled, [3, 8, 2.5, -np.inf], rtol=1e-6)
    np.testing.assert_allclose(on_one_scale(jnp.array([-1.5e30, -2e30])), [-0.5, -1], rtol=1e-5)


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("violation", [[0, 0, 0.5, 0.2], [3, 1, 0.5, 0.2], [0, 0, 0, 1e9]])
def test_no_mapping_gives_the_infeasible_more_weight_or_makes_nan(mapping, violation):
    fitness = feasible_first(jnp.array([3.0, 8.0, 90.0, 50.0]), jnp.array(violation, jnp.float32))
    weights = np.asarray(log_weights(fitness, FAST.replace(mapping=mapping)))
    assert not np.isnan(weights).any()
    order = np.argsort(np.asarray(fitness))
    assert np.all(np.diff(weights[order][np.isfinite(weights[order])]) >= 0)
    assert np.isfinite(weights[1]) or not is_feasible(fitness).any()
    wheel = np.asarray(walk_weights(fitness, jnp.ones(4)))
    assert np.all(np.diff(wheel[order]) >= 0)
    assert wheel.min() >= 0.1 - 1e-6


def feasible_seen(benchmark, result, bound):
    """Whether each returned architecture is within the bound, looked up in the table."""
    archs = jnp.stack([benchmark.space.from_str(text) for text in result.best_arch])
    return np.asarray(benchmark.lookup(archs, "latency")) <= np.float32(bound), np.asarray(
        benchmark.lookup(archs)
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_STRATEGY)
def test_no_strategy_returns_an_infeasible_architecture_and_all_find_the_feasible_best(name, costly):
    bound = 3.0
    within = np.asarray(costly.columns["latency"]) <= bound
    best = np.asarray(costly.params)[within].max()
    assert within.sum() < 25
    assert best < costly.optimum - 5
    result = ed.search(name, costly, seeds=6, queries=75, constraints={"latency": bound})
    is_within, accuracy = feasible_seen(costly, result, bound)
    assert is_within.all()
    np.testing.assert_array_equal(result.best_accuracy, accuracy)
    assert result.benchmark["optimum"] == best
    assert result.share_at_optimum() >= 0.5
    known = result.curve[~np.isnan(result.curve)]
    assert set(known.astype(np.float32)) <= set(np.asarray(costly.params)[within])
    assert all(np.all(np.diff(row[~np.isnan(row)]) >= 0) for row in result.curve)
    np.testing.assert_array_equal(result.test_accuracy, accuracy - 1)


@pytest.mark.parametrize("name", EVERY_STRATEGY)
def test_a_bound_that_nothing_keeps_leaves_the_nearest_and_no_accuracy(name, costly):
    result = ed.search(name, costly, seeds=6, queries=75, constraints={"latency": 0.5})
    assert np.isnan(result.curve).all()
    assert np.isnan(result.best_accuracy).all()
    assert result.benchmark["optimum"] is None
    archs = jnp.stack([SPACE.from_str(text) for text in result.best_arch])
    nearest = np.sort(np.asarray(costly.columns["latency"]))
    assert np.all(np.asarray(costly.lookup(archs, "latency")) <= nearest[5])
    assert result.to_dict()["best_accuracy"] == [None] * 6


@pytest.mark.slow
@pytest.mark.parametrize("mapping", MAPPINGS)
def test_preset_paper_keeps_to_two_constraints_under_every_mapping(mapping, costly):
    bounds, paper = {"latency": 3.0, "params": 1.9}, ed.EvolveConfig.preset("paper").replace(num_steps=40)
    within = np.all([np.asarray(costly.columns[n]) <= b for n, b in bounds.items()], axis=0)
    result = ed.search("ednag", costly, seeds=6, constraints=bounds, config=paper.replace(mapping=mapping))
    rows = SPACE.arch_index(jnp.stack([SPACE.from_str(text) for text in result.best_arch]))
    assert within[np.asarray(rows)].all()
    assert result.queries.min() > 20


def test_best_of_the_state_is_the_best_within_the_constraints(costly):
    from ednag_jax.objectives import checked_goal, posed

    problem, params = posed(costly, checked_goal(costly, ("accuracy",), {"latency": 4.0}))
    state, trace = ed.evolve_seeds(ed.seed_keys(6), params, problem=problem, config=FAST)
    latency, table = np.asarray(costly.columns["latency"]), np.asarray(costly.params)
    for seed in range(6):
        asked = {*trace.initial.arch_id[seed].tolist(), *trace.steps.evaluation.arch_id[seed].ravel().tolist()}
        rows = [row for row in asked if latency[row] <= 4]
        assert state.best.accuracy[seed] == table[rows].max()


@pytest.mark.slow
def test_a_loose_bound_changes_nothing_and_another_bound_compiles_nothing(costly, compilations):
    plain = ed.search("ednag", costly, seeds=4, config=FAST)
    loose = ed.search("ednag", costly, seeds=4, config=FAST, constraints={"latency": 1e6})
    np.testing.assert_array_equal(plain.curve, loose.curve)
    assert plain.best_arch == loose.best_arch
    compilations.count = 0
    tight = ed.search("ednag", costly, seeds=4, config=FAST, constraints={"latency": 4.0})
    assert (tight.compile_seconds, tight.constraints) == (0, {"latency": 4.0})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ednag", "random_search"])
def test_fronts_are_what_no_other_query_dominates(name, costly):
    result = ed.search(name, costly, seeds=4, queries=30, objectives=("accuracy", "latency", "params"))
    assert result.objectives == ["accuracy", "latency", "params"]
    assert result.hypervolume.shape == (4, 30)
    assert np.all(np.diff(result.hypervolume, axis=1) >= 0)
    assert np.all(result.hypervolume[:, -1] < 1)
    worst = np.asarray(costly.columns["latency"]).max()
    assert result.reference["latency"] == worst
    for front in result.fronts:
        archs = jnp.stack([SPACE.from_str(text) for text in front["arch"]])
        for objective, column in (("accuracy", "oracle"), ("latency", "latency"), ("params", "params")):
            np.testing.assert_array_equal(
                np.asarray(costly.lookup(archs, column)), np.float32(front[objective])
            )
        values = np.stack([front["accuracy"], -np.array(front["latency"]), -np.array(front["params"])], axis=1)
        assert len(front_rows(values)) == len(values)
    assert [front["accuracy"][0] for front in result.fronts] == result.best_accuracy.tolist()


def test_the_whole_table_has_hypervolume_one_and_the_tables_front(costly):
    asked = {"objectives": ("accuracy", "latency"), "constraints": {"params": 1.6}}
    result = ed.search("random_search", costly, seeds=1, config=ed.RandomSearchConfig(num_steps=200), **asked)
    assert result.queries.tolist() == [SPACE.size]
    assert result.hypervolume[0, -1] == pytest.approx(1)
    within = np.flatnonzero(np.asarray(costly.columns["params"]) <= 1.6)
    values = np.stack([costly.params, -costly.columns["latency"]], axis=1)[within]
    expected = {SPACE.to_str(SPACE.from_index(jnp.int32(within[i]))) for i in front_rows(values)}
    assert set(result.fronts[0]["arch"]) == expected
    assert result.reference["accuracy"] == np.asarray(costly.params).min()


@pytest.mark.slow
@pytest.mark.optimised
def test_ednag_dominates_more_than_random_search(costly):
    asked = {"seeds": 20, "queries": 30, "objectives": ("accuracy", "latency")}
    ednag, random = (ed.search(name, costly, **asked) for name in ("ednag", "random_search"))
    assert ednag.hypervolume[:, -1].mean() > random.hypervolume[:, -1].mean() + 0.01
    assert ednag.config["elite_rate"] == 1


@pytest.mark.slow
@pytest.mark.optimised
def test_online_dominates_more_than_random_search(costly):
    asked = {"seeds": 12, "queries": 25, "objectives": ("accuracy", "latency")}
    online, drawn = (ed.search(name, costly, **asked) for name in ("ednag_online", "random_search"))
    assert online.hypervolume[:, -1].mean() > drawn.hypervolume[:, -1].mean() + 0.03


def test_a_reference_of_ones_own_without_a_table(costly):
    own = ed.Benchmark.from_function(
        SPACE, costly.fitness_fn.__class__(SPACE), costly.params, name="own", columns=costly.columns
    )
    function = ed.Benchmark.from_function(SPACE, squared, costly.params, name="f", columns=costly.columns)
    objectives = ("latency", "accuracy")
    asked = {"seeds": 2, "queries": 20, "objectives": objectives}
    assert ed.search("random_search", function, **asked).hypervolume is None
    reference = {"accuracy": 0.0, "latency": 10.0}
    found = ed.search("random_search", function, **asked, reference=reference)
    assert found.reference == reference
    front = found.fronts[0]
    gains = np.stack([front["accuracy"], 10 - np.array(front["latency"])], axis=1)
    assert found.hypervolume[0, -1] == pytest.approx(hypervolume(gains, np.zeros(2)))
    assert ed.search("random_search", own, **asked).reference is not None


def squared(params, key, phenotype):
    del key
    return params[SPACE.arch_index(phenotype)]


def test_a_cost_that_is_not_known_fails_the_architecture(costly):
    holes = np.array(costly.columns["latency"])
    holes[::2] = np.nan
    function = ed.Benchmark.from_function(
        SPACE, squared, costly.params, name="holes", columns={"latency": jnp.asarray(holes)}
    )
    found = ed.search("ednag", function, seeds=3, queries=40, objectives=("accuracy", "latency"))
    rows = [int(SPACE.arch_index(SPACE.from_str(text))) for front in found.fronts for text in front["arch"]]
    assert all(row % 2 for row in rows)
    assert found.num_failed.sum() > 0


def test_result_survives_its_file_and_old_files_load(costly, tmp_path):
    asked = {"objectives": ("accuracy", "latency"), "constraints": {"params": 1.5}}
    result = ed.search("ednag", costly, seeds=3, queries=20, **asked)
    stored = json.loads(result.to_json(tmp_path / "r.json").read_text())
    assert ed.Result.from_dict(stored).to_dict() == result.to_dict()
    assert stored["constraints"] == {"params": 1.5}
    old = {key: value for key, value in stored.items() if key not in ("objectives", "constraints", "reference")}
    old = {
        key: value for key, value in old.items() if key not in ("fronts", "hypervolume", "observed_accuracy")
    }
    back = ed.Result.from_dict(old)
    assert (back.objectives, back.constraints, back.fronts, back.hypervolume) == (["accuracy"], {}, None, None)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"objectives": ("accuracy", "speed")}, "has no cost 'speed'; its costs are: latency, params"),
        ({"objectives": ("accuracy", "depth")}, "Column 'depth' is not known to be better the less it is"),
        ({"constraints": {"accuracy": 90.0}}, "has no cost 'accuracy'; its costs are: latency, params"),
        ({"constraints": {"energy": 1.0}}, "has no cost 'energy'"),
        ({"constraints": {"latency": 0.0}}, "latency must be above 0 and finite, got 0.0"),
        ({"constraints": {"latency": float("nan")}}, "latency must be above 0 and finite, got nan"),
        ({"objectives": ("latency",)}, "objectives must be 'accuracy' and different costs"),
        ({"objectives": ()}, "objectives must be 'accuracy' and different costs"),
        ({"objectives": ("accuracy", "latency", "latency")}, "objectives must be 'accuracy' and different"),
        ({"reference": {"latency": 1.0}}, "reference must give one value for each of accuracy, got"),
        (
            {"strategy": "local_search", "objectives": ("accuracy", "latency")},
            "local_search searches for accuracy alone, got objectives accuracy, latency; use one of ednag, ",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused(costly, arguments, message):
    with pytest.raises(ValueError, match=message):
        ed.search(**{"strategy": "ednag", "benchmark": costly, "seeds": 1, **arguments})


def test_a_column_is_a_cost_where_the_benchmark_says_so(costly):
    depth = {"depth": np.arange(1.0, SPACE.size + 1)}
    named = ed.Benchmark.from_table(SPACE, costly.params, name="n", columns=depth, costs=("depth",))
    found = ed.search(
        "random_search", named, seeds=2, queries=70, objectives="accuracy", constraints={"depth": 20}
    )
    assert named.cost_columns == ("depth",)
    rows = [int(SPACE.arch_index(SPACE.from_str(text))) for text in found.best_arch]
    assert max(rows) < 20


def test_scores_that_benchmarks_have_as_columns_are_no_costs(costly):
    assert {"train_time", "latency", "model_size", "params"} <= set(costly.costs)
    assert not {"test", "valid", "true", "predicted", "imagenet"} & set(costly.costs)


@pytest.mark.slow
def test_bounds_of_nasbench201_are_in_its_units():
    benchmark = ed.load_benchmark("nasbench201", dataset="cifar10")
    found = ed.search("ednag", benchmark, seeds=4, queries=60, constraints={"model_size": 0.35})
    archs = jnp.stack([benchmark.space.from_str(text) for text in found.best_arch])
    assert np.all(np.asarray(benchmark.lookup(archs, "model_size")) <= 0.35)
    assert benchmark.cost_columns == ("train_time", "latency", "model_size")


@pytest.mark.slow
def test_plots_show_each_seeds_front_and_what_is_missing_of_the_hypervolume(costly, tmp_path):
    result = ed.search("ednag", costly, seeds=4, queries=30, objectives=("accuracy", "latency", "params"))
    drawn = plots.fronts({"ednag": result})
    assert len(drawn.axes[0].lines) == 4
    assert drawn.axes[0].lines[0].get_xdata().tolist() == sorted(result.fronts[0]["latency"])
    missing = plots.hypervolume_by_queries({"costly": {"ednag": result.hypervolume}})
    line = missing.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(line, 1 - result.hypervolume.mean(axis=0))
    plots.save(missing, tmp_path / "h.png")
    plots.save(plots.progress_by_queries({"costly": {"ednag": result}}), tmp_path / "p.png")


@pytest.mark.slow
def test_front_table_is_of_the_seed_that_dominates_most(costly):
    result = ed.search("random_search", costly, seeds=5, queries=20, objectives=("accuracy", "latency"))
    seed = int(result.hypervolume[:, -1].argmax())
    title, header, rows = report.front_table(result)
    assert title.startswith(f"Front of seed {seed}; hypervolume from accuracy ")
    assert header == ("accuracy", "latency", "arch")
    assert [row[2] for row in rows] == result.fronts[seed]["arch"]
    with pytest.raises(ValueError, match="for accuracy alone has no front; give"):
        report.front_table(ed.search("random_search", costly, seeds=5, queries=20))
    assert "a\\|b" in report.markdown_table(["arch"], [["a|b"]])


@pytest.mark.slow
def test_pareto_fitness_is_the_same_alone_and_in_a_batch():
    accuracy = jax.random.normal(jax.random.key(0), (5, 12))
    alone = [pareto_fitness(evaluation_of(a, -a[::-1])) for a in accuracy]
    together = jax.vmap(pareto_fitness)(
        jax.tree.map(lambda *x: jnp.stack(x), *[evaluation_of(a, -a[::-1]) for a in accuracy])
    )
    np.testing.assert_array_equal(together, jnp.stack(alone))
