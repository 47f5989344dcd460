"""Archives of a fixed size: what is in them, and what is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.fitness import evaluate
from ednag_jax.strategies.archive import begun, extended, is_known


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


@pytest.mark.parametrize("halves", [None, 2], ids=["numbers", "hashes"])
def test_known_is_what_was_queried_in_the_rows_in_use(halves):
    """Of small numbers, so that halves of hashes often agree where the whole does not."""
    rng = np.random.default_rng(0)
    shape = () if halves is None else (halves,)
    ids, queried = rng.integers(0, 6, (40, *shape)), rng.integers(0, 6, (12, *shape))
    for used in (0, 5, 12):
        seen = {tuple(np.ravel(row)) for row in queried[:used]}
        expected = [tuple(np.ravel(row)) in seen for row in ids]
        found = is_known(jnp.asarray(ids, jnp.uint32), jnp.asarray(queried, jnp.uint32), jnp.int32(used))
        np.testing.assert_array_equal(found, expected)
