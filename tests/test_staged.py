"""Spaces of stages of blocks, against a plain oracle that holds a network as nested tuples."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.queries import packed_ids
from ednag_jax.spaces.staged import Choice, StagedSpace

SMALL = StagedSpace(
    "small",
    whole=(Choice("r", (8, 16)),),
    block=(Choice("a", (1, 2)), Choice("b", (1.5, 2, 4))),
    num_stages=2,
    depth_range=(1, 2),
)
LARGE = ed.SPACES["mobilenetv3"]
KINDS = list(itertools.product(range(2), range(3)))
STAGES = [stage for depth in (1, 2) for stage in itertools.product(KINDS, repeat=depth)]
NETWORKS = list(itertools.product(range(2), STAGES, STAGES))


def raw_phenotypes():
    """Returns every combination of the fields' values, most of them not canonical."""
    return np.array(list(itertools.product(*map(range, SMALL.fields.choices))), np.int32)


def network(phenotype):
    """Returns (r, stage, stage) of a phenotype, read field by field as the class describes it."""
    r, *rest = (int(value) for value in phenotype)
    depths, a, b = rest[:2], rest[2:6], rest[6:10]
    return (r, *(tuple((a[2 * s + i], b[2 * s + i]) for i in range(depths[s] + 1)) for s in range(2)))


def phenotype_of(net):
    r, *stages = net
    padded = [[*stage, (0, 0)][:2] for stage in stages]
    depths = [len(stage) - 1 for stage in stages]
    fields = [[kind[field] for stage in padded for kind in stage] for field in range(2)]
    return np.array([r, *depths, *fields[0], *fields[1]], np.int32)


def one_edit_away(net):
    """Returns the networks one edit away, from the words of the docstring."""
    r, *stages = net
    found = {(1 - r, *stages)}
    for s, stage in enumerate(stages):
        options = [(*stage, kind) for kind in KINDS] if len(stage) == 1 else [stage[:-1]]
        for i, (a, b) in enumerate(stage):
            kinds = [(1 - a, b), *((a, other) for other in range(3) if other != b)]
            options += [(*stage[:i], kind, *stage[i + 1 :]) for kind in kinds]
        found |= {(r, *stages[:s], option, *stages[s + 1 :]) for option in options}
    return found


def test_size_is_the_number_of_different_networks():
    assert SMALL.size == len(NETWORKS) == 2 * (6 + 36) ** 2
    assert len(np.unique(np.asarray(SMALL.canonical(jnp.asarray(raw_phenotypes()))), axis=0)) == SMALL.size


def test_ids_are_equal_exactly_for_phenotypes_of_the_same_network():
    raw = raw_phenotypes()
    ids = packed_ids(np.asarray(SMALL.arch_id(jnp.asarray(raw))))
    by_network = {}
    for phenotype, arch_id in zip(raw, ids, strict=True):
        by_network.setdefault(network(phenotype), set()).add(int(arch_id))
    assert all(len(found) == 1 for found in by_network.values())
    assert len(set.union(*by_network.values())) == len(by_network) == SMALL.size


def test_canonical_form_keeps_the_network_and_zeroes_the_rest():
    for phenotype in raw_phenotypes()[::97]:
        np.testing.assert_array_equal(SMALL.canonical(jnp.asarray(phenotype)), phenotype_of(network(phenotype)))


@pytest.mark.parametrize("space", [SMALL, LARGE], ids=lambda space: space.name)
def test_genotypes_decode_to_valid_canonical_networks_and_back(space):
    genotype = jax.random.normal(jax.random.key(0), (7, 60, space.genotype_size))
    phenotype = space.decode(genotype)
    assert phenotype.shape == (7, 60, space.num_fields)
    assert bool(space.is_valid(phenotype).all())
    np.testing.assert_array_equal(space.canonical(phenotype), phenotype)
    np.testing.assert_array_equal(space.decode(space.encode(phenotype)), phenotype)


def test_decode_is_the_arg_max_of_each_fields_numbers():
    genotype = np.asarray(jax.random.normal(jax.random.key(1), (40, SMALL.genotype_size)))
    for numbers, phenotype in zip(genotype, np.asarray(SMALL.decode(jnp.asarray(genotype))), strict=True):
        parts = np.split(numbers, np.cumsum(SMALL.fields.choices)[:-1])
        assert network(phenotype) == network([int(part.argmax()) for part in parts])


@pytest.mark.parametrize("net", NETWORKS[::211])
def test_neighbours_are_the_networks_one_edit_away(net):
    rows = np.asarray(SMALL.neighbours(jnp.asarray(phenotype_of(net))))
    found = [network(row) for row in rows]
    assert set(found) - {net} == one_edit_away(net)
    np.testing.assert_array_equal(rows, [phenotype_of(other) for other in found])
    different = [other for other in found if other != net]
    assert len(different) == len(set(different))


def test_being_neighbours_is_mutual():
    for net in NETWORKS[::331]:
        assert all(net in one_edit_away(other) for other in one_edit_away(net))


def test_neighbours_do_not_depend_on_blocks_that_do_not_exist():
    phenotype = SMALL.decode(-jnp.arange(SMALL.genotype_size, dtype=jnp.float32))
    assert SMALL.depths(phenotype).tolist() == [1, 1]
    other = jnp.where(SMALL.canonical(jnp.ones_like(phenotype).at[1:3].set(0)) == 0, 1, 0)
    disguised = phenotype + other.at[1:3].set(0)
    assert not np.array_equal(disguised, phenotype)
    np.testing.assert_array_equal(SMALL.neighbours(disguised), SMALL.neighbours(phenotype))


@pytest.mark.parametrize("net", [NETWORKS[5], NETWORKS[1000], NETWORKS[-1]], ids=("shallow", "mixed", "deep"))
def test_mutants_are_neighbours_drawn_uniformly(net):
    trials, phenotype = 6000, jnp.asarray(phenotype_of(net))
    mutate = jax.jit(jax.vmap(SMALL.mutate, in_axes=(0, None)))
    mutants = mutate(jax.random.split(jax.random.key(0), trials), phenotype)
    rows, counts = np.unique(np.asarray(mutants), axis=0, return_counts=True)
    assert {network(row) for row in rows} == one_edit_away(net)
    expected = trials / len(rows)
    assert np.all(np.abs(counts - expected) < 5 * math.sqrt(expected))


def test_random_is_uniform_over_different_networks():
    """Chi-square over all 3,528 networks: mean 3527, standard deviation sqrt(2 * 3527)."""
    expected = 30
    drawn = packed_ids(np.asarray(SMALL.arch_id(SMALL.random(jax.random.key(0), expected * SMALL.size))))
    _, counts = np.unique(drawn, return_counts=True)
    assert len(counts) == SMALL.size
    freedom = SMALL.size - 1
    assert abs(np.sum((counts - expected) ** 2 / expected) - freedom) < 5 * math.sqrt(2 * freedom)


def test_random_networks_of_a_large_space_are_canonical_and_valid():
    drawn = LARGE.random(jax.random.key(0), 500)
    assert bool(LARGE.is_valid(drawn).all())
    np.testing.assert_array_equal(LARGE.canonical(drawn), drawn)
    share = float((LARGE.depths(drawn) == 4).mean())
    expected = 9**4 / (9**2 + 9**3 + 9**4)
    assert abs(share - expected) < 5 * math.sqrt(expected * (1 - expected) / 2500)


def test_values_outside_the_choices_are_invalid():
    phenotype = jnp.zeros((4, SMALL.num_fields), jnp.int32)
    broken = phenotype.at[1, 0].set(2).at[2, 1].set(-1).at[3, 6].set(3)
    assert SMALL.is_valid(broken).tolist() == [True, False, False, False]


def test_text_round_trips_and_shows_existing_blocks_only():
    for net in NETWORKS[::37]:
        text = SMALL.to_str(phenotype_of(net))
        assert text.count("a") == sum(map(len, net[1:]))
        assert network(SMALL.from_str(text)) == net
    assert SMALL.to_str(phenotype_of((1, ((0, 0),), ((1, 2), (0, 1))))) == "r16 | a1b1.5 | a2b4 a1b2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 fields and 0 stages, expected 1 and 2"),
        ("r8 | a1b2", "1 fields and 1 stages"),
        ("r8 r16 | a1b2 | a1b2", "2 fields"),
        ("r8 | a1b2 |", "a stage of 0 blocks; allowed: 1 to 2"),
        ("r8 | a1b2 | a1b2 a1b2 a1b2", "a stage of 3 blocks"),
        ("r9 | a1b2 | a1b2", "'r9' is none of the choices: r of 8, 16"),
        ("r8 | a1b2 | a1b3", "'a1b3' is none of the choices: a of 1, 2 and b of 1.5, 2, 4"),
    ],
)
def test_texts_that_are_no_network_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        SMALL.from_str(text)


def test_the_padded_encoding_is_refused():
    assert SMALL.with_encoding("compact") is SMALL
    with pytest.raises(ValueError, match="must be 'compact', got 'padded'"):
        SMALL.with_encoding("padded")


def test_there_is_no_table_index():
    assert not SMALL.is_indexable
    with pytest.raises(ValueError, match="tells architectures apart by a hash"):
        SMALL.arch_index(jnp.zeros(SMALL.num_fields, jnp.int32))
