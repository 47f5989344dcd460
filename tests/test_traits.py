"""What a predictor compares in each space, against plain Python on small cases."""

import itertools
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.spaces.nasbench101_graph import pruned_module
from ednag_jax.spaces.traits import PATHS, _computed, cell_traits, counts
from ednag_jax.strategies.gaussian_process import half_squared_distance


def distances(traits):
    """Half the squared distance of the first two architectures, in each description."""
    return tuple(float(half_squared_distance(numbers, numbers)[0, 1]) for numbers in traits)


def dissimilarity(first, second):
    ops = jnp.array([first, second])
    return distances(cell_traits(ops, 5))


def test_cell_traits_compare_what_paths_compute_and_fields():
    cell = [3, 3, 3, 1, 3, 3]
    assert dissimilarity(cell, cell) == pytest.approx((0, 0, 0), abs=1e-6)
    # One convolution for the other on edge (0, 3): the same kinds; one of 4 paths, and one of 6 ops.
    rough, coarse, fine = dissimilarity([3, 3, 3, 2, 3, 3], [3, 3, 3, 3, 3, 3])
    assert (rough, coarse) == pytest.approx((1 / 12, 0), abs=1e-6)
    assert fine == pytest.approx((1 / 6 + 1 / 4) / 2, abs=1e-6)
    # Pooling there is another kind.
    assert dissimilarity([3, 3, 3, 4, 3, 3], [3, 3, 3, 3, 3, 3])[1] == pytest.approx(1 / 4, abs=1e-6)
    # Edge (1, 2) leads nowhere where (2, 3) is none: nothing else is computed.
    rough, coarse, fine = dissimilarity([3, 3, 1, 1, 3, 0], [3, 3, 4, 1, 3, 0])
    assert (rough, coarse) == pytest.approx((0, 0), abs=1e-6)
    assert fine == pytest.approx(1 / 6 / 2, abs=1e-6)


def test_isomorphic_cells_and_skips_on_the_way_compute_the_same():
    # Nodes 1 and 2 exchanged, no edge between them: the branches change places.
    rough, coarse, fine = dissimilarity([3, 4, 0, 1, 2, 3], [4, 3, 0, 1, 3, 2])
    assert (rough, coarse) == pytest.approx((0, 0), abs=1e-6)
    assert fine == pytest.approx(4 / 6 / 2, abs=1e-6)
    # conv - skip is skip - conv is conv; skip - skip is the identity.
    assert dissimilarity([3, 0, 0, 1, 1, 0], [1, 0, 0, 3, 1, 0])[1] == pytest.approx(0, abs=1e-6)


def test_every_sequence_of_a_path_has_a_number_of_its_own():
    cells = jnp.array(list(itertools.product(range(5), repeat=3)))
    ops = jnp.zeros((len(cells), 6), jnp.int32).at[:, jnp.array(PATHS[3])].set(cells)
    seen = {}
    for cell, traits in zip(cells.tolist(), np.asarray(_computed(ops, 5)), strict=True):
        sequence = None if 0 in cell else tuple(op for op in cell if op != 1)
        seen.setdefault(sequence, set()).add(traits.tobytes())
    assert len(seen) == 1 + 40
    assert all(len(traits) == 1 for traits in seen.values())
    assert len(set.union(*seen.values())) == len(seen)


@pytest.mark.parametrize("name", sorted(ed.SPACES))
def test_traits_of_every_space_are_dissimilarities_of_order_one(name):
    space = ed.SPACES[name]

    @jax.jit
    def compared(phenotype):
        return [half_squared_distance(numbers, numbers) for numbers in space.traits(phenotype)]

    for distance in map(np.asarray, compared(space.random(jax.random.key(0), 32))):
        np.testing.assert_allclose(np.diag(distance), 0, atol=1e-5)
        assert 0.1 < distance[np.triu_indices(32, 1)].mean() < 2


def test_cells_count_the_ops_of_unbroken_paths():
    cells = np.random.default_rng(0).integers(0, 4, (200, 6))
    rough = np.asarray(cell_traits(jnp.array(cells), 4).rough) * np.sqrt(12)
    for cell, numbers in zip(cells.tolist(), rough, strict=True):
        whole = [path for path in PATHS if all(cell[edge] for edge in path)]
        expected = Counter(cell[edge] for edge in set().union(*whole))
        np.testing.assert_allclose(numbers, [expected[op] for op in range(4)], atol=1e-5)


def test_counts_see_what_is_present():
    numbers = counts(jnp.array([0, 2, 2, 1]), 3, jnp.array([True, True, True, False]))
    np.testing.assert_allclose(numbers * np.sqrt(8), [1, 0, 2], rtol=1e-6)


def test_modules_count_the_edges_between_ops():
    """So two names of a module, and modules that differ in unused vertices alone, agree."""
    space = ed.SPACES["nasbench101"]
    drawn = space.random(jax.random.key(0), 30)
    for phenotype, traits in zip(drawn, space.traits(drawn).coarse, strict=True):
        matrix, labels = pruned_module(phenotype)
        ends = [3 if label < 0 else label for label in labels]  # input and output have no op
        expected = Counter((ends[a], ends[b]) for a, b in np.argwhere(matrix))
        pairs = np.asarray(traits).reshape(4, 4) * np.sqrt(18)
        np.testing.assert_allclose(pairs, [[expected[a, b] for b in range(4)] for a in range(4)], atol=1e-5)


def test_darts_cells_count_their_ops():
    space = ed.SPACES["darts"]
    drawn = space.random(jax.random.key(0), 20)
    rough, coarse, _ = space.traits(drawn)
    for cells, ops, placed in zip(np.asarray(drawn).reshape(-1, 2, 8, 2), rough, coarse, strict=True):
        expected = Counter((cell, op) for cell in (0, 1) for _, op in cells[cell].tolist())
        found = np.asarray(ops).reshape(2, 7) * np.sqrt(32)
        np.testing.assert_allclose(found, [[expected[c, op] for op in range(7)] for c in (0, 1)], atol=1e-5)
        inner = Counter((cell, op) for cell in (0, 1) for source, op in cells[cell].tolist() if source > 1)
        found = np.asarray(placed).reshape(2, 2, 7)[:, 1] * np.sqrt(32)
        np.testing.assert_allclose(found, [[inner[c, op] for op in range(7)] for c in (0, 1)], atol=1e-5)


def test_stages_count_blocks_and_tell_the_resolution():
    space = ed.SPACES["mobilenetv3"]
    texts = [
        "r224 | k3e3 k5e6 | k3e3 k3e3 | k7e4 k3e3 k3e3 | k3e3 k3e3 | k3e3 k3e3",
        "r224 | k5e6 k3e3 | k3e3 k3e3 | k3e3 k7e4 k3e3 | k3e3 k3e3 | k3e3 k3e3",  # another order in a stage
        "r224 | k7e4 k5e6 | k3e3 k3e3 | k3e3 k3e3 k3e3 | k3e3 k3e3 | k3e3 k3e3",  # another stage
        "r160 | k3e3 k5e6 | k3e3 k3e3 | k7e4 k3e3 k3e3 | k3e3 k3e3 | k3e3 k3e3",
    ]
    first, *others = (space.from_str(text) for text in texts)
    order, stage, resolution = (distances(space.traits(jnp.stack([first, other]))) for other in others)
    assert order[:2] == pytest.approx((0, 0), abs=1e-6)
    assert order[2] > 0.01
    assert stage[0] == pytest.approx(0, abs=1e-6)
    assert stage[1] > 0.01
    assert min(resolution[:2]) == pytest.approx(1 / 3, abs=1e-6)  # one of three parts


def test_stacks_tell_totals_and_how_many_blocks_have_which_size():
    space = ed.SPACES["transnas101_macro"]
    # Kinds 1, 2, 3, 4 are plain, doubles, halves, both.
    stacks = jnp.stack([space.from_str(f"64-{kinds}-basic") for kinds in ("1423", "4123", "14231")])
    rough, coarse, fine = distances(space.traits(stacks[:2]))
    assert rough == pytest.approx(0, abs=1e-6)
    # The first block has other channels and another resolution: one of six places turns, in both.
    assert coarse == pytest.approx(1 / 12, abs=1e-6)
    # Blocks differ at two places of six, doublings and halvings at one; joined, and halved.
    assert fine == pytest.approx((2 / 6 + 1 / 6 + 1 / 6) / 3 / 2, abs=1e-6)
    assert distances(space.traits(stacks[::2]))[0] == pytest.approx(1 / 12, abs=1e-6)  # one block more
