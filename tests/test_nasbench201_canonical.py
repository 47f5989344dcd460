"""NAS-Bench-201's structures: the canonical id against unique strings built as text, cell by cell."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.spaces.nasbench201 import NUM_STRUCTURES, OPS

SPACE = ed.SPACES["nasbench201"]
CELLS = np.asarray(SPACE.from_index(jnp.arange(SPACE.size)))


def unique_string(text):
    """The official simplification, from a cell's own string: identity, zero, and sums sorted as text."""
    nodes = ["0"]
    for edges in text.split("+"):
        terms = []
        for edge in edges.strip("|").split("|"):
            op, source = edge.split("~")
            inner = nodes[int(source)]
            if op == "none" or inner == "#":
                terms.append("#")
            elif op == "skip_connect":
                terms.append(inner)
            else:
                terms.append(f"({inner})@{op}")
        nodes.append("+".join(sorted(terms)))
    return nodes[-1]


def cell(**edges):
    """The phenotype with these ops, edge 01 to 23, and none elsewhere."""
    names = ("e01", "e02", "e12", "e03", "e13", "e23")
    return jnp.array([OPS.index(edges.get(name, "none")) for name in names], jnp.int32)


@pytest.fixture(scope="module")
def ids():
    return np.asarray(jax.jit(SPACE.canonical_id)(jnp.asarray(CELLS)))


def test_there_are_6466_structures(ids):
    assert len(np.unique(ids)) == NUM_STRUCTURES == 6466


def test_ids_are_equal_exactly_where_unique_strings_are(ids):
    strings = [unique_string(SPACE.to_str(phenotype)) for phenotype in CELLS]
    assert len(set(strings)) == len(set(zip(strings, ids.tolist(), strict=True))) == len(np.unique(ids))


def test_ids_are_small_and_not_negative(ids):
    assert ids.dtype == np.int32
    assert ids.min() >= 0
    assert ids.max() < 2**18


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"e03": "nor_conv_3x3"}, {"e01": "skip_connect", "e13": "nor_conv_3x3"}),
        ({"e03": "nor_conv_3x3"}, {"e01": "none", "e03": "nor_conv_3x3", "e13": "avg_pool_3x3"}),
        (
            {"e01": "nor_conv_1x1", "e12": "skip_connect", "e13": "avg_pool_3x3", "e02": "none"},
            {"e01": "nor_conv_1x1", "e13": "avg_pool_3x3"},
        ),
    ],
)
def test_identity_and_dead_edges_do_not_count(a, b):
    assert int(SPACE.canonical_id(cell(**a))) == int(SPACE.canonical_id(cell(**b)))
    assert int(SPACE.arch_index(cell(**a))) != int(SPACE.arch_index(cell(**b)))


def test_different_ops_and_depths_count():
    once, twice = {"e03": "nor_conv_3x3"}, {"e01": "nor_conv_3x3", "e13": "nor_conv_3x3"}
    other = {"e03": "nor_conv_1x1"}
    found = {int(SPACE.canonical_id(cell(**edges))) for edges in (once, twice, other)}
    assert len(found) == 3


def test_leading_axes_and_single_cells_agree(ids):
    batched = SPACE.canonical_id(jnp.asarray(CELLS[:120]).reshape(4, 30, 6))
    np.testing.assert_array_equal(batched.reshape(-1), ids[:120])
    assert int(SPACE.canonical_id(jnp.asarray(CELLS[77]))) == ids[77]


def test_table_index_still_tells_all_cells_apart():
    np.testing.assert_array_equal(SPACE.arch_index(jnp.asarray(CELLS)), np.arange(SPACE.size))
