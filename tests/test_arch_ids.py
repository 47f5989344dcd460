"""Which architectures are the same, by numbers and by hashes."""

import jax.numpy as jnp
import numpy as np
import pytest

from ednag_jax.arch_ids import is_known, is_repeat


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


def test_repeats_are_told_by_both_halves_of_a_hash():
    ids = jnp.array([[1, 2], [1, 3], [1, 2], [2, 2]], jnp.uint32)
    assert is_repeat(ids).tolist() == [False, False, True, False]
    assert is_repeat(ids[:, 0]).tolist() == [False, True, True, False]
