"""Distributions over the choices that make an architecture, against plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.strategies.choices import draw, log_probability_of, log_softmax, marks, slots

MIXED = ed.CategoricalSpace("mixed", choices=(2, 4, 3))
STAGED = ed.SPACES["mobilenetv3"]
LOGITS = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32)


def plain_softmax(logits, choices):
    return [np.exp(row[:n]) / np.exp(row[:n]).sum() for row, n in zip(np.asarray(logits), choices, strict=True)]


def test_slots_are_as_many_as_the_values():
    assert slots(MIXED).sum(axis=1).tolist() == [2, 4, 3]
    assert slots(MIXED)[0].tolist() == [True, True, False, False]


def test_each_choice_is_normalised_over_its_own_values():
    table = np.exp(log_softmax(LOGITS, MIXED))
    for row, expected in zip(table, plain_softmax(LOGITS, MIXED.choices), strict=True):
        np.testing.assert_allclose(row[: len(expected)], expected, rtol=1e-5)
        assert np.all(row[len(expected) :] == 0)


def test_draws_have_the_probabilities_of_the_table_and_are_independent():
    trials = 40_000
    drawn = np.asarray(draw(jax.random.key(0), log_softmax(LOGITS, MIXED), trials, space=MIXED))
    p = plain_softmax(LOGITS, MIXED.choices)
    joint = np.einsum("i,j,k->ijk", *p).ravel()
    index = np.asarray(MIXED.arch_index(jnp.asarray(drawn)))
    shares = np.bincount(index, minlength=MIXED.size) / trials
    assert np.all(np.abs(shares - joint) < 5 * np.sqrt(joint * (1 - joint) / trials))


def test_log_probability_is_the_sum_over_choices():
    phenotype = MIXED.random(jax.random.key(1), 50)
    p = plain_softmax(LOGITS, MIXED.choices)
    expected = [sum(np.log(p[j][v]) for j, v in enumerate(row)) for row in np.asarray(phenotype)]
    found = log_probability_of(phenotype, log_softmax(LOGITS, MIXED), space=MIXED)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("space", [MIXED, STAGED], ids=lambda space: space.name)
def test_marks_are_one_at_the_value_of_what_matters(space):
    phenotype = space.random(jax.random.key(2), 20)
    found = np.asarray(marks(phenotype, space))
    values, matters = np.asarray(space.to_choices(phenotype)), np.asarray(space.matters(phenotype))
    expected = np.zeros_like(found)
    for row, choice in np.argwhere(matters):
        expected[row, choice, values[row, choice]] = 1
    np.testing.assert_array_equal(found, expected)


def test_blocks_that_a_network_does_not_have_do_not_change_its_probability():
    """The least deep network has 2 of 4 blocks a stage: the rest of its table may be anything."""
    shallow = STAGED.from_choices(jnp.zeros((1, len(STAGED.choices)), jnp.int32))
    matters = np.asarray(STAGED.matters(shallow))[0]
    assert 0 < (~matters).sum() < len(matters)
    logits = jnp.zeros((len(STAGED.choices), max(STAGED.choices)))
    other = jnp.where(matters[:, None], logits, 5.0 * jnp.arange(logits.shape[1]))
    a, b = (log_probability_of(shallow, log_softmax(x, STAGED), space=STAGED) for x in (logits, other))
    np.testing.assert_array_equal(a, b)
