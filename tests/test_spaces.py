"""What every search space promises, and the text forms of each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ednag_jax as ed
from ednag_jax.spaces.base import hash_fields
from ednag_jax.spaces.nasbench201 import EDGES, OPS

MIXED = ed.CategoricalSpace("mixed", choices=(2, 5, 3, 1))
UNIFORM = ed.CategoricalSpace("uniform", choices=(4,) * 3)
NB201 = ed.SPACES["nasbench201"]
TABLES = [MIXED, UNIFORM, NB201]
ENCODED = [space.with_encoding(name) for space in TABLES for name in ("compact", "padded")]


def named(space):
    return f"{space.name}-{space.encoding}"


def everything(space):
    return space.from_index(jnp.arange(space.size))


@pytest.mark.parametrize("space", ENCODED, ids=named)
def test_every_architecture_round_trips(space):
    phenotype = everything(space)

    @jax.jit
    def there_and_back(phenotype):
        genotype = space.encode(phenotype)
        return space.is_valid(phenotype), genotype, space.decode(genotype), space.arch_index(phenotype)

    valid, genotype, again, index = there_and_back(phenotype)
    assert bool(valid.all())
    assert genotype.shape == (space.size, space.genotype_size)
    np.testing.assert_array_equal(again, phenotype)
    np.testing.assert_array_equal(index, np.arange(space.size))


@pytest.mark.parametrize("space", TABLES, ids=named)
def test_text_round_trips(space):
    for phenotype in np.asarray(everything(space))[:: max(1, space.size // 200)]:
        text = space.to_str(phenotype)
        assert space.from_str(text).tolist() == phenotype.tolist()


@pytest.mark.parametrize("space", [s for s in ENCODED if s.encoding == "compact"], ids=named)
def test_every_compact_genotype_is_valid(space):
    genotype = jax.random.normal(jax.random.key(0), (3000, space.genotype_size))
    assert bool(space.is_valid(space.decode(genotype)).all())


def test_padded_genotypes_are_valid_as_often_as_the_paper_says():
    """(5/7)^6 = 13 % of random ones."""
    space, trials = NB201.with_encoding("padded"), 20_000
    valid = space.is_valid(space.decode(jax.random.normal(jax.random.key(0), (trials, 56))))
    expected = (5 / 7) ** 6
    assert abs(float(valid.mean()) - expected) < 4 * np.sqrt(expected * (1 - expected) / trials)


def test_decode_equals_a_plain_loop():
    genotype = np.asarray(jax.random.normal(jax.random.key(0), (50, MIXED.genotype_size)))
    for x, phenotype in zip(genotype, np.asarray(MIXED.decode(jnp.asarray(genotype))), strict=True):
        start = 0
        for value, choices in zip(phenotype, MIXED.choices, strict=True):
            assert value == np.argmax(x[start : start + choices])
            start += choices


@pytest.mark.parametrize("space", TABLES, ids=named)
def test_neighbours_are_all_that_differ_in_one_field(space):
    phenotype = np.asarray(everything(space))[space.size // 2]
    neighbours = np.asarray(space.neighbours(jnp.asarray(phenotype)))
    assert len(neighbours) == sum(c - 1 for c in space.choices)
    assert len(np.unique(neighbours, axis=0)) == len(neighbours)
    assert np.all((neighbours != phenotype).sum(axis=1) == 1)
    assert bool(space.is_valid(jnp.asarray(neighbours)).all())


@pytest.mark.parametrize("space", TABLES, ids=named)
def test_mutants_are_neighbours_drawn_uniformly(space):
    phenotype, trials = everything(space)[space.size // 2], 4000
    mutants = jax.vmap(space.mutate, in_axes=(0, None))(jax.random.split(jax.random.key(0), trials), phenotype)
    allowed = set(np.asarray(space.arch_index(space.neighbours(phenotype))).tolist())
    index, counts = np.unique(np.asarray(space.arch_index(mutants)), return_counts=True)
    assert set(index.tolist()) == allowed
    expected = trials / len(allowed)
    assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))


@pytest.mark.parametrize("space", TABLES, ids=named)
def test_random_is_uniform(space):
    trials = 30_000
    values = np.asarray(space.random(jax.random.key(0), trials))
    for field, choices in zip(values.T, space.choices, strict=True):
        shares = np.bincount(field, minlength=choices) / trials
        assert len(shares) == choices
        assert np.all(np.abs(shares - 1 / choices) < 5 * np.sqrt(0.25 / trials))


def ids_of(space, phenotype):
    """Returns what tells architectures apart, [*b 1] or [*b 2]."""
    ids = space.arch_id(phenotype)
    return ids[..., None] if space.is_indexable else ids


@pytest.mark.parametrize("name", sorted(ed.SPACES))
def test_choices_make_an_architecture_and_are_read_off_it(name):
    space = ed.SPACES[name]

    @jax.jit
    def there_and_back(key):
        phenotype = space.random(key, 200)
        values = space.to_choices(phenotype)
        return phenotype, values, space.from_choices(values)

    phenotype, values, again = there_and_back(jax.random.key(0))
    assert values.shape == (200, len(space.choices))
    assert np.all((values >= 0) & (values < np.array(space.choices)))
    np.testing.assert_array_equal(again, phenotype)


@pytest.mark.parametrize("name", sorted(set(ed.SPACES) - {"nasbench101", "transnas101_macro"}))
def test_every_combination_of_choices_is_an_architecture(name):
    space = ed.SPACES[name]

    @jax.jit
    def back_and_there(values):
        phenotype = space.from_choices(values)
        same = (space.to_choices(phenotype) == values) | ~space.matters(phenotype)
        return space.is_valid(phenotype), same

    values = np.random.default_rng(0).integers(0, space.choices, (500, len(space.choices)))
    valid, same = back_and_there(jnp.asarray(values, jnp.int32))
    assert np.all(valid)
    assert np.all(same)


@pytest.mark.parametrize("name", sorted(set(ed.SPACES) - {"nasbench101"}))
def test_choices_matter_where_another_value_makes_another_architecture(name):
    """In nasbench101 parts on no path from input to output count as if they mattered."""
    space, choices = ed.SPACES[name], np.array(ed.SPACES[name].choices)

    @jax.jit
    def changed(key):
        values = space.to_choices(space.random(key, 40))
        others = (values + np.eye(len(choices), dtype=np.int32)[:, None]) % choices
        made, other = space.from_choices(values), space.from_choices(others)
        differs = jnp.any(ids_of(space, made) != ids_of(space, other), axis=-1)
        return space.matters(made), differs, space.is_valid(other)

    matters, differs, valid = map(np.asarray, changed(jax.random.key(1)))
    np.testing.assert_array_equal(differs[valid], (matters.T & (choices > 1)[:, None])[valid])


def test_hash_tells_all_of_a_space_apart():
    hashes = np.asarray(hash_fields(everything(NB201))).astype(np.uint64)
    assert len(np.unique(hashes[:, 0] << np.uint64(32) | hashes[:, 1])) == NB201.size
    # Each half alone is as good as 32 bits are: no more collisions than chance gives.
    assert all(NB201.size - len(np.unique(half)) <= 3 for half in hashes.T)


def test_large_space_uses_the_hash():
    large = ed.CategoricalSpace("large", choices=(7,) * 20)
    assert not large.is_indexable
    phenotype = large.random(jax.random.key(0), 5)
    np.testing.assert_array_equal(large.arch_id(phenotype), hash_fields(phenotype))
    with pytest.raises(ValueError, match="too many for a table index"):
        large.arch_index(phenotype)


def test_nasbench201_is_the_official_space():
    assert NB201.size == 15_625
    assert NB201.with_encoding("padded").genotype_size == 56
    assert NB201.genotype_size == 30
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
    assert NB201.from_str(text).tolist() == [3, 3, 4, 1, 3, 1]
    assert OPS[0] == "none"
    assert EDGES == ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


@pytest.mark.parametrize("text", ["", "|none~0|", "|none~0|+|none~0|none~1|+|none~0|none~1|none~1|"])
def test_strings_without_the_six_edges_are_refused(text):
    with pytest.raises(ValueError, match="does not list the edges"):
        NB201.from_str(text)


def test_strings_with_unknown_operations_are_refused():
    with pytest.raises(ValueError, match=r"unknown operations \['conv_9x9'\]"):
        NB201.from_str("|conv_9x9~0|+|none~0|none~1|+|none~0|none~1|none~2|")


@given(st.text(alphabet="0123456789-ab ", max_size=8))
def test_categorical_text_is_parsed_or_refused(text):
    try:
        phenotype = UNIFORM.from_str(text)
    except ValueError:
        return
    assert bool(UNIFORM.is_valid(phenotype))


@pytest.mark.parametrize("choices", [(), (0, 2)])
def test_spaces_without_choices_are_refused(choices):
    with pytest.raises(ValueError, match="counts of at least 1"):
        ed.CategoricalSpace("none", choices=choices)


def test_unknown_encoding_is_refused():
    with pytest.raises(ValueError, match="compact, padded, got 'graph'"):
        NB201.with_encoding("graph")


def test_equal_spaces_are_one_static_argument():
    assert hash(ed.CategoricalSpace("a", (2, 3))) == hash(ed.CategoricalSpace("a", (2, 3)))
    assert NB201.with_encoding("padded") != NB201
