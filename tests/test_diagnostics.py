"""What a result keeps of its population, step by step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ednag_jax as ed
from ednag_jax.diagnostics import DIAGNOSTICS, distinct, step_diagnostics
from ednag_jax.queries import flatten_trace, query_log

SEEDS, STEPS, PARENTS, CHILDREN, ARCHS = 4, 7, 5, 6, 15


def evaluation(rng, *shape):
    ids = rng.integers(0, ARCHS, shape)
    valid = rng.random(shape) < 0.7
    accuracy = np.where(valid, rng.random(shape), np.nan)
    fitness = np.where(valid, accuracy, -np.inf)
    return ed.Evaluation(ids[..., None], ids.astype(np.int32), valid, accuracy, fitness, np.zeros((*shape, 0)))


@pytest.fixture(scope="module")
def trace():
    """What a run of some seeds could have evaluated: architectures come again, and some are invalid."""
    rng = np.random.default_rng(0)
    children = evaluation(rng, SEEDS, STEPS, CHILDREN)
    none = np.zeros((SEEDS, STEPS), int)
    numbers = rng.random((2, SEEDS, STEPS))
    return ed.Trace(evaluation(rng, SEEDS, PARENTS), ed.StepInfo(children, none, none, *numbers))


def logs_of(trace, budget):
    flat = flatten_trace(trace)
    return [query_log(flat, seed, budget) for seed in range(SEEDS)]


def plainly(trace, budget):
    """The same numbers once more, one seed and one step at a time."""
    num_steps = trace.steps.spread.shape[1]
    found = {name: [] for name in DIAGNOSTICS}
    asked = [
        set(np.asarray(i)[np.asarray(q)])
        for i, q in zip(trace.initial.arch_id, trace.initial.queried, strict=True)
    ]
    for step in range(num_steps):
        values = {name: [] for name in DIAGNOSTICS}
        for seed in range(SEEDS):
            if budget is not None and len(asked[seed]) >= budget:
                continue
            ids = np.asarray(trace.steps.evaluation.arch_id[seed, step])
            valid = np.asarray(trace.steps.evaluation.queried[seed, step])
            new = 0
            for arch in ids[valid]:
                is_left = budget is None or len(asked[seed]) < budget
                new += arch not in asked[seed] and is_left
                asked[seed] |= {arch} if is_left else set()
            values["effective_size"].append(float(trace.steps.effective_size[seed, step]))
            values["spread"].append(float(trace.steps.spread[seed, step]))
            values["distinct_share"].append(len(set(ids[valid])) / len(ids))
            values["new_share"].append(new / len(ids))
            values["invalid_share"].append(np.mean(~valid))
        if values["spread"]:
            for name, of_seeds in values.items():
                found[name].append(np.mean(of_seeds))
    return found


@pytest.mark.parametrize("budget", [None, 5, 9])
def test_numbers_are_means_over_the_seeds_that_had_queries_left(trace, budget):
    ours = step_diagnostics(trace, logs_of(trace, budget), budget)
    expected = plainly(trace, budget)
    assert set(ours) == set(DIAGNOSTICS)
    for name, values in ours.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-6, err_msg=name)
    assert len(ours["spread"]) == (len(expected["spread"]) if budget else STEPS)
    assert 0 < np.mean(ours["invalid_share"]) < 1


def test_a_method_without_genotypes_has_none(trace):
    nan = np.full((SEEDS, STEPS), np.nan)
    other = trace._replace(steps=trace.steps._replace(spread=nan, effective_size=nan))
    assert step_diagnostics(other, logs_of(other, 6), 6) is None


def test_hashes_are_told_apart_like_indices(trace):
    """A space too large for an index has a hash of two halves."""
    ids = np.asarray(trace.steps.evaluation.arch_id)
    halves = np.stack([ids % 2, ids // 2], axis=-1).astype(np.uint32)
    evaluation = trace.steps.evaluation._replace(arch_id=halves)
    hashed = trace._replace(steps=trace.steps._replace(evaluation=evaluation))
    logs = logs_of(trace, None)
    a, b = (step_diagnostics(each, logs)["distinct_share"] for each in (trace, hashed))
    np.testing.assert_array_equal(a, b)


@given(st.lists(st.tuples(st.integers(-2, 3), st.booleans()), min_size=1, max_size=8))
def test_distinct_counts_valid_architectures_once(children):
    ids, valid = (np.array(column) for column in zip(*children, strict=True))
    assert distinct(ids[None], valid[None]) == len({i for i, ok in children if ok})
