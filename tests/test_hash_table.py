"""Tables that are found by hash, against a dict."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.benchmarks.hash_table import ROWS_PER_BUCKET, HashLookup, hash_tables


@dataclass(frozen=True, init=False)
class Pairs(ed.CategoricalSpace):
    """Two fields, which are the two words of the id: many ids agree in one word, and in their bucket."""

    def arch_id(self, phenotype):
        return phenotype.astype(jnp.uint32)


SIDE = 40
SPACE = Pairs("pairs", choices=(SIDE, SIDE))
EVERYTHING = np.stack(np.divmod(np.arange(SIDE**2), SIDE), axis=1)


def looked_up(table, pairs):
    return np.asarray(jax.jit(HashLookup(SPACE))(table, jax.random.key(0), jnp.asarray(pairs, jnp.int32)))


def test_every_row_is_found_and_nothing_else():
    order = np.random.default_rng(0).permutation(len(EVERYTHING))
    inside, outside = EVERYTHING[order[:600]], EVERYTHING[order[600:]]
    values = {tuple(pair): float(i) for i, pair in enumerate(inside.tolist())}
    column = np.array(list(values.values()))
    tables = hash_tables(inside.astype(np.uint32), {"up": column, "down": -column})
    np.testing.assert_array_equal(looked_up(tables["up"], inside), column)
    np.testing.assert_array_equal(looked_up(tables["down"], inside), -column)
    assert np.isnan(looked_up(tables["up"], outside)).all()


def test_keys_are_held_once_and_buckets_are_few():
    tables = hash_tables(EVERYTHING.astype(np.uint32), {"a": EVERYTHING[:, 0], "b": EVERYTHING[:, 1]})
    assert tables["a"].keys is tables["b"].keys
    buckets = len(tables["a"].keys)
    assert buckets & (buckets - 1) == 0
    assert len(EVERYTHING) / ROWS_PER_BUCKET <= buckets < 2 * len(EVERYTHING) / ROWS_PER_BUCKET


def test_an_empty_slot_is_no_row():
    """Its key (0, 0) may be asked for, and may be a row's: buckets of 5 and 1 rows."""
    rows = np.array([[0, 1], [2, 1], [4, 1], [6, 1], [8, 1], [1, 1]], np.uint32)
    without = hash_tables(rows, {"x": np.arange(6.0)})["x"]
    assert without.keys.shape == (2, 5, 2)
    assert np.isnan(looked_up(without, [[0, 0]])).all()
    rows[5] = 0
    assert looked_up(hash_tables(rows[[0, 5]], {"x": np.arange(2.0)})["x"], [[0, 0], [0, 1]]).tolist() == [1, 0]
    odd = rows.copy()
    odd[:5, 0] += 1  # so that (0, 0) is alone in its bucket, beside empty slots
    assert looked_up(hash_tables(odd, {"x": np.arange(6.0)})["x"], [[0, 0], [3, 1]]).tolist() == [5, 1]


@pytest.mark.parametrize("num", [1, 2, 5])
def test_a_table_may_be_tiny(num):
    tables = hash_tables(EVERYTHING[:num].astype(np.uint32), {"x": np.ones(num)})
    assert looked_up(tables["x"], EVERYTHING[: num + 1])[:num].tolist() == [1] * num


def test_a_repeated_row_is_refused():
    with pytest.raises(ed.DataError, match="1 of 3 rows"):
        hash_tables(np.array([[1, 2], [3, 4], [1, 2]], np.uint32), {})
