"""AutoFormer's spaces, their parameter counts against published ones, and the measured subnets."""

import dataclasses
import itertools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.benchmarks import autoformer as measured_autoformer
from ednag_jax.spaces.autoformer import SIZES, AutoFormer
from ednag_jax.spaces.staged import Choice

TINY = AutoFormer.of_size("tiny")
SHORT = AutoFormer(
    name="short", whole=(Choice("d", (192, 216)),), block=TINY.block, depth_range=(1, 3), params_range=(0, 1.5)
)
PUBLISHED = {  # name: width, MLP ratios, heads, millions of parameters as the papers round them
    "tiny": (192, (3.5, 3.5, 3, 3.5, 3, 3, 4, 4, 3.5, 4, 3.5, 4, 3.5), (3,) * 10 + (4, 3, 3), 5.9),
    "small": (384, (3, 3.5, 3, 3.5) + (4,) * 7 + (3.5, 4), (6, 6, 5, 7, 5, 5, 5, 6, 6, 7, 7, 6, 7), 22.9),
    "base": (
        576,
        (3.5, 3.5, 4, 3.5, 4, 3.5, 3.5, 3, 4, 4, 3, 4, 3, 3.5),
        (9, 9, 9, 9, 9, 10, 9, 9, 10, 9, 10, 9, 9, 10),
        53.7,
    ),
}
PRINTED = (  # of the official program for `base`, width 624 and 10 classes: ratios, heads, parameters
    ("3.5 3 3.5 4 3.5 3.5 3.5 3.5 3.5 4 3 4 3 3.5 3", "9 10 9 10 9 9 10 10 9 10 10 10 9 10 10", 64_340_602),
    ("3 4 3 3 4 3.5 4 4 4 3 4 3.5 3.5 3 4", "10 9 9 9 9 9 10 9 9 10 10 9 10 10 9", 65_029_858),
    ("4 3 4 4 4 3.5 3.5 3 4 3.5 3.5 4 3 3.5 3", "9 9 9 10 10 9 9 9 9 9 9 10 10 9 9", 64_709_986),
)


def text_of(width, ratios, heads):
    return f"d{width} | " + " ".join(f"m{r}h{h}" for r, h in zip(ratios, heads, strict=True))


def plain_params(width, ratios, heads, num_classes=1000):
    """Returns the size of every array of the network, added up."""
    shapes = [(768, width), (width,), (1, width), (197, width), (width,), (width,)]
    shapes += [(width, num_classes), (num_classes,)]
    for ratio, h in zip(ratios, heads, strict=True):
        hidden = int(width * ratio)
        shapes += [(width,)] * 4 + [(width, 3, h, 64), (3, h, 64), (h, 64, width), (width,)]
        shapes += [(width, hidden), (hidden,), (hidden, width), (width,)] + [(30, 64)] * 4
    return sum(math.prod(shape) for shape in shapes)


def all_of(space):
    """Returns every architecture of a small space, whatever its number of parameters."""
    whole = [range(len(choice.values)) for choice in space.whole]
    kinds = list(itertools.product(*(range(len(choice.values)) for choice in space.block)))
    least, greatest = space.depth_range
    rows = []
    for depth in range(least, greatest + 1):
        for head, blocks in itertools.product(
            itertools.product(*whole), itertools.product(kinds, repeat=depth)
        ):
            padded = [*blocks, *[(0, 0)] * (greatest - depth)]
            rows.append([*head, depth - least, *(kind[f] for f in range(2) for kind in padded)])
    return jnp.array(rows, jnp.int32)


@pytest.mark.parametrize("size", list(SIZES))
def test_registered_spaces_have_the_published_choices(size):
    space, kinds = ed.SPACES[f"autoformer_{size}"], len(SIZES[size].ratios) * len(SIZES[size].heads)
    least, greatest = space.depth_range
    assert space.size == 3 * sum(kinds**depth for depth in range(least, greatest + 1))
    assert greatest - least == 2
    drawn = space.random(jax.random.key(0), 200)
    assert bool(space.is_valid(drawn).all())
    assert set(np.asarray(space.depths(drawn)).ravel().tolist()) <= {least, least + 1, greatest}


def test_sizes_span_the_published_parameter_ranges():
    ranges = []
    for size in SIZES:
        space = AutoFormer.of_size(size)
        corners = jnp.stack([jnp.zeros(space.num_fields, jnp.int32), jnp.array(space.fields.choices) - 1])
        ranges.append([round(float(millions), 1) for millions in space.million_params(corners)])
    assert ranges == [[5.4, 10.5], [13.1, 34.8], [39.8, 76.9]]


@pytest.mark.parametrize("size", list(PUBLISHED))
def test_published_networks_have_the_published_number_of_parameters(size):
    """The tiny one has a ratio of 3, which its own space has not. The paper says 5.7: without relative
    positions there are 5.77 million, with them 5.87."""
    width, ratios, heads, millions = PUBLISHED[size]
    block = (Choice("m", (3.0, 3.5, 4.0)), Choice("h", SIZES[size].heads))
    space = AutoFormer(size, whole=(Choice("d", (width,)),), block=block, depth_range=SIZES[size].depth_range)
    phenotype = space.from_str(text_of(width, ratios, heads))
    assert float(space.million_params(phenotype)) == pytest.approx(millions, abs=0.05)
    assert int(space.num_params(phenotype)) == plain_params(width, ratios, heads)


@pytest.mark.parametrize(("ratios", "heads", "printed"), PRINTED)
def test_parameters_equal_those_that_the_official_program_prints(ratios, heads, printed):
    space = AutoFormer.of_size("base")
    count = int(space.num_params(space.from_str(text_of(624, ratios.split(), heads.split()))))
    assert count - 990 * (624 + 1) == printed  # the program counted a classifier of 10 classes


@pytest.mark.parametrize("size", list(SIZES))
def test_parameters_are_the_sum_of_all_arrays(size):
    space = AutoFormer.of_size(size)
    drawn = space.decode(jax.random.normal(jax.random.key(1), (2, 15, space.genotype_size)))
    counts = np.asarray(jax.jit(space.num_params)(drawn))
    assert counts.shape == (2, 15)
    for phenotype, count in zip(np.asarray(drawn).reshape(30, -1), counts.ravel(), strict=True):
        width, _, blocks = space.to_str(phenotype).partition(" | ")
        pairs = [block[1:].split("h") for block in blocks.split()]
        ratios, heads = [float(ratio) for ratio, _ in pairs], [int(h) for _, h in pairs]
        assert count == plain_params(int(width[1:]), ratios, heads)


def test_a_parameter_range_is_a_mask_and_counted_exactly():
    everything = all_of(SHORT)
    millions = np.asarray(SHORT.million_params(everything))
    inside = (millions >= SHORT.params_range[0]) & (millions <= SHORT.params_range[1])
    np.testing.assert_array_equal(SHORT.is_valid(everything), inside)
    assert 0 < SHORT.size == inside.sum() < len(everything)
    assert AutoFormer.of_size("base", params_range=(0, 1000)).size == AutoFormer.of_size("base").size
    assert AutoFormer.of_size("tiny", params_range=(0, 1)).size == 0


def test_the_ends_of_a_parameter_range_belong_to_it():
    count = int(TINY.num_params(jnp.zeros(TINY.num_fields, jnp.int32))) / 1e6
    for params_range, expected in (
        ((count, count), True),
        ((count + 1e-6, 9), False),
        ((0, count - 1e-6), False),
    ):
        space = AutoFormer.of_size("tiny", params_range=params_range)
        assert bool(space.is_valid(jnp.zeros(TINY.num_fields, jnp.int32))) is expected


@pytest.mark.slow
def test_mutants_stay_in_the_parameter_range():
    everything = all_of(SHORT)
    all_valid = jax.jit(jax.vmap(lambda row: SHORT.is_valid(SHORT.neighbours(row)).all()))(everything)
    phenotype = everything[jnp.argmax(SHORT.is_valid(everything) & ~all_valid)]
    mutate = jax.jit(jax.vmap(SHORT.mutate, in_axes=(0, None)))
    mutants = mutate(jax.random.split(jax.random.key(0), 300), phenotype)
    assert bool(SHORT.is_valid(mutants).all())


NARROW = dataclasses.replace(SHORT, params_range=(1.6, 1.8))
RANGES = {"tiny": (5.0, 5.9), "small": (20.0, 21.3), "base": (50.0, 52.0)}


@pytest.mark.parametrize("size", ["tiny", pytest.param("base", marks=pytest.mark.slow)])
def test_genotypes_decode_into_a_narrow_range_and_architectures_in_it_stay(size):
    space, wide = AutoFormer.of_size(size, params_range=RANGES[size]), AutoFormer.of_size(size)
    genotype = jax.random.normal(jax.random.key(2), (200, space.genotype_size)).at[0].set(0.0)
    decode = jax.jit(space.decode)
    decoded, free = decode(genotype), wide.decode(genotype)
    assert bool(space.is_valid(decoded).all())
    fits = space.is_valid(free)
    assert 0 < int(fits.sum()) < 60
    np.testing.assert_array_equal(decoded[fits], free[fits])
    np.testing.assert_array_equal(decode(space.encode(decoded)), decoded)


@pytest.mark.slow
def test_what_decodes_into_a_range_has_the_greatest_sum_of_numbers_for_its_cost():
    """Of all with the same width and depth that cost no more, or of those that cost no less."""
    everything = all_of(SHORT)
    cost, kind = np.asarray(SHORT.num_params(everything)), np.asarray(everything[:, 0] * 10 + everything[:, 1])
    slots = np.asarray(SHORT.fields.encode(everything)) > 0
    matters = np.asarray(SHORT.matters(everything))
    counts = slots & np.repeat(matters, SHORT.fields.choices, axis=1)
    genotype = np.asarray(jax.random.normal(jax.random.key(3), (200, NARROW.genotype_size)))
    decoded = np.asarray(NARROW.decode(jnp.asarray(genotype)))
    sides = set()
    for number, row in zip(genotype, decoded, strict=True):
        own = int(np.flatnonzero((np.asarray(everything) == row).all(axis=1))[0])
        sums, alike = counts @ number, kind == kind[own]
        best = [sums[alike & rivals].max() for rivals in (cost <= cost[own], cost >= cost[own])]
        assert sums[own] >= min(best) - 1e-4
        sides.add(int(np.argmin(best)))
    assert sides == {0, 1}


def test_draws_within_a_range_are_uniform():
    inside = np.asarray(all_of(NARROW))[np.asarray(NARROW.is_valid(all_of(NARROW)))]
    drawn = np.asarray(NARROW.random(jax.random.key(4), 20_000))
    _, counts = np.unique(np.concatenate([inside, drawn]), axis=0, return_counts=True)
    assert len(counts) == len(inside) == NARROW.size > 20
    expected = len(drawn) / len(inside)
    chi_squared = ((counts - 1 - expected) ** 2 / expected).sum()
    assert chi_squared < len(inside) + 5 * math.sqrt(2 * len(inside))


@pytest.mark.slow
@pytest.mark.parametrize("size", list(RANGES))
def test_draws_within_a_published_range_are_in_it(size):
    space = AutoFormer.of_size(size, params_range=RANGES[size])
    drawn = space.random(jax.random.key(5), 500)
    assert bool(space.is_valid(drawn).all())
    np.testing.assert_array_equal(space.canonical(drawn), drawn)
    assert len(np.unique(drawn, axis=0)) > 490


def more_is_better(params, key, phenotype):
    """Scores by parameters alone, so that an unconstrained search would end at the largest network."""
    del key
    return params * TINY.million_params(phenotype)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["local_search", "ednag"])
def test_architectures_outside_the_range_rank_last(strategy):
    space = AutoFormer.of_size("tiny", params_range=(6.0, 8.0))
    benchmark = ed.Benchmark.from_function(space, more_is_better, jnp.float32(1), name="params")
    result = ed.search(strategy, benchmark, seeds=4, queries=300)
    assert np.all((result.best_accuracy > 7.5) & (result.best_accuracy <= 8.0))
    assert (result.num_invalid.sum() > 0) == (strategy == "local_search")  # it asks for neighbours, in or out


def test_unknown_sizes_and_empty_ranges_are_refused():
    with pytest.raises(ValueError, match="one of tiny, small, base, got 'huge'"):
        AutoFormer.of_size("huge")
    with pytest.raises(ValueError, match="least, greatest"):
        AutoFormer.of_size("tiny", params_range=(6, 5))
    with pytest.raises(ValueError, match=r"no architecture of 'autoformer_tiny' .* \(0, 1\) million"):
        AutoFormer.of_size("tiny", params_range=(0, 1)).random(jax.random.key(0), 1)


@pytest.fixture(scope="module")
def file(data_dir):
    return json.loads((data_dir / measured_autoformer.FILE).read_text())


@pytest.mark.parametrize("dataset", measured_autoformer.DATASETS)
@pytest.mark.slow
def test_the_table_says_what_the_file_says_and_nothing_of_others(dataset, file, data_dir):
    benchmark = measured_autoformer.load(dataset, directory=data_dir)
    texts = [
        text_of(a["hidden_dim"], [f"{r:g}" for r in a["mlp_ratio"]], a["num_heads"])
        for a in (row["arch"] for row in file)
    ]
    phenotype = jnp.stack([TINY.from_str(text) for text in texts])
    expected = [row[measured_autoformer.COLUMNS[dataset].key] for row in file]
    np.testing.assert_allclose(benchmark.lookup(phenotype), expected, rtol=1e-6)
    np.testing.assert_allclose(benchmark.lookup(phenotype, dataset), expected, rtol=1e-6)
    np.testing.assert_array_equal(measured_autoformer.measured(data_dir).phenotype, phenotype)
    others = benchmark.lookup(TINY.neighbours(phenotype[0])[:3])
    assert bool(jnp.isnan(others).all())


def test_metrics_say_how_the_subnets_got_their_weights(data_dir):
    oracles = [
        measured_autoformer.load(name, directory=data_dir).oracle for name in measured_autoformer.DATASETS
    ]
    assert all("from scratch" in oracle for oracle in oracles[:6:2])
    assert all("teacher" in oracle for oracle in oracles[1:6:2])
    assert "inherited" in oracles[6]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.pop(), "99 subnets, expected 100"),
        (lambda rows: rows[3].pop("c100_kd_acc"), "cut or altered"),
        (lambda rows: rows[3]["arch"].update(depth=11), "cut or altered"),
        (lambda rows: rows[3]["arch"].update(hidden_dim=200), "cut or altered"),
        (lambda rows: rows[3].update(c100_kd_acc=99.0), "c100_kd_acc has best 99.0000"),
        (lambda rows: rows[3].update(arch=rows[4]["arch"]), "an earlier row has"),
    ],
    ids=("row gone", "column gone", "depth", "width", "value", "repeated"),
)
def test_altered_files_are_refused(change, message, file, tmp_path):
    rows = json.loads(json.dumps(file))
    change(rows)
    (tmp_path / "vitbench101").mkdir()
    (tmp_path / measured_autoformer.FILE).write_text(json.dumps(rows))
    with pytest.raises(ed.DataError, match=message):
        measured_autoformer.load("cifar100", directory=tmp_path)


def test_missing_file_and_unknown_names_are_refused(tmp_path, data_dir):
    with pytest.raises(ed.DataError, match=r"gt_autoformer\.json' is missing.*ednag data --help"):
        measured_autoformer.load("cifar100", directory=tmp_path)
    with pytest.raises(ValueError, match="metric must be one of measured, got 'valid'"):
        measured_autoformer.load("cifar100", "valid", data_dir)
    with pytest.raises(ValueError, match="dataset must be one of cifar100"):
        measured_autoformer.load("svhn", directory=data_dir)
