"""Archives of a fixed size: what is in them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.fitness import evaluate
from ednag_jax.strategies.archive import begun, extended


@pytest.fixture(scope="module")
def drawn(bumpy):
    phenotype = bumpy.space.random(jax.random.key(0), 5)
    return evaluate(jax.random.key(1), bumpy.params, phenotype, problem=bumpy.problem)


def test_rows_not_in_use_repeat_what_was_asked_and_rank_last(drawn):
    archive = begun(drawn, 9)
    np.testing.assert_array_equal(archive.arch_id[:5], drawn.arch_id)
    np.testing.assert_array_equal(archive.arch_id[5:], np.full(4, drawn.arch_id[4]))
    np.testing.assert_array_equal(archive.accuracy[5:], np.full(4, drawn.accuracy[4]))
    np.testing.assert_array_equal(archive.fitness, [*np.asarray(drawn.fitness), *[-np.inf] * 4])


def test_a_query_takes_its_row_and_no_other(drawn):
    archive, asked = begun(drawn, 9), ed.Evaluation(*(column[2:3] for column in drawn))
    after = extended(archive, jnp.int32(6), asked)
    for new, old, column in zip(after, archive, asked, strict=True):
        np.testing.assert_array_equal(new[6], column[0])
        np.testing.assert_array_equal(np.delete(new, 6, axis=0), np.delete(old, 6, axis=0))
