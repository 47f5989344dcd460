"""TransNAS-Bench-101: both spaces against a rule written anew, and the benchmarks against the file."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.benchmarks import transnas101 as source
from ednag_jax.storage import DataError

MICRO, MACRO = ed.SPACES["transnas101_micro"], ed.SPACES["transnas101_macro"]
SPACES = {"micro": MICRO, "macro": MACRO}
decode, encode, is_valid, arch_index = map(
    jax.jit, (MACRO.decode, MACRO.encode, MACRO.is_valid, MACRO.arch_index)
)
neighbours = jax.jit(MACRO.neighbours)


def everything(space):
    return space.from_index(jnp.arange(space.size))


def texts(space):
    return [space.to_str(phenotype) for phenotype in np.asarray(everything(space))]


def macro_texts_by_rule():
    """Official strings: kinds 2 and 4 double the channels, 3 and 4 halve the resolution."""
    for length in (4, 5, 6):
        for kinds in itertools.product("1234", repeat=length):
            doubled = kinds.count("2") + kinds.count("4")
            halved = kinds.count("3") + kinds.count("4")
            if 1 <= doubled <= 3 and 1 <= halved <= 4:
                yield f"64-{''.join(kinds)}-basic"


def edit_distance_is_one(a, b):
    """Whether one changed block, or one block more or less at the end, leads from a to b."""
    a, b = a.split("-")[1], b.split("-")[1]
    if len(a) == len(b):
        return sum(x != y for x, y in zip(a, b, strict=True)) == 1
    return abs(len(a) - len(b)) == 1 and (a.startswith(b) or b.startswith(a))


@pytest.fixture(scope="module")
def table(data_dir):
    return dict(np.load(data_dir / source.FILE, allow_pickle=False))


def test_macro_is_the_stacks_that_the_rule_allows_shorter_ones_first():
    assert texts(MACRO) == list(macro_texts_by_rule())
    assert MACRO.size == 3256


def test_micro_is_all_cells_in_the_order_of_their_digits():
    digits = ("".join(ops) for ops in itertools.product("0123", repeat=6))
    assert texts(MICRO) == [f"64-41414-{d[0]}_{d[1:3]}_{d[3:]}" for d in digits]


@pytest.mark.parametrize("name", SPACES)
def test_spaces_are_exactly_the_architectures_of_the_file(name, table):
    assert texts(SPACES[name]) == table[f"{name}_arch"].tolist()


@pytest.mark.parametrize("name", SPACES)
def test_every_architecture_round_trips(name):
    space = SPACES[name]
    phenotype = everything(space)
    genotype = jax.jit(space.encode)(phenotype)
    assert bool(jax.jit(space.is_valid)(phenotype).all())
    np.testing.assert_array_equal(jax.jit(space.decode)(genotype), phenotype)
    np.testing.assert_array_equal(jax.jit(space.arch_index)(phenotype), np.arange(space.size))
    assert np.abs(genotype).max() == 1
    for text in texts(space)[::97]:
        assert space.to_str(space.from_str(text)) == text


def test_macro_is_valid_for_nothing_but_its_own_stacks():
    every = np.array(list(itertools.product(range(-1, 4), repeat=6)), np.int32)
    valid = np.asarray(is_valid(every))
    assert valid.sum() == MACRO.size
    found = every[valid]
    np.testing.assert_array_equal(found[np.argsort(arch_index(found))], everything(MACRO))
    outside = jnp.array([[0, 1, 2, 3, 4, -1], [0, 1, 2, 3, -2, -1], [4, 1, 2, 3, 0, 0]], jnp.int32)
    assert not bool(is_valid(outside).any())


@pytest.mark.parametrize("shift", [0.0, 5.0, -5.0])
def test_every_macro_genotype_is_valid(shift):
    genotype = shift + jax.random.normal(jax.random.key(0), (3000, MACRO.genotype_size))
    assert bool(is_valid(decode(genotype)).all())


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_macro_genotypes_of_equal_numbers_are_valid(value):
    phenotype = decode(jnp.full(MACRO.genotype_size, value))
    expected = [3, 3, 3, 2] if value > 0 else [3, 0, 0, 0]
    assert phenotype.tolist() == [*expected, -1, -1]


def test_macro_decoding_takes_the_greatest_numbers_that_the_space_allows():
    length = [0.0, 0.0, 1.0]
    doubles, halves = [0.5, -0.1, 0.9, 0.8, 0.7, 0.1], [-0.3, -0.9, -0.2, -0.4, -0.5, -0.6]
    phenotype = decode(jnp.array(length + doubles + halves))
    assert MACRO.to_str(phenotype) == "64-114221-basic"
    shorter = decode(jnp.array([0.0, 1.0, 0.0, *doubles[:5], 9.0, *halves]))
    assert MACRO.to_str(shorter) == "64-11422-basic"


def test_macro_neighbours_are_all_stacks_one_edit_away():
    known = texts(MACRO)
    edited = np.asarray(jax.jit(jax.vmap(MACRO.neighbours))(everything(MACRO)))
    valid = np.asarray(is_valid(edited))
    for row in range(0, MACRO.size, 301):
        found = [MACRO.to_str(phenotype) for phenotype in edited[row][valid[row]]]
        expected = {text for text in known if edit_distance_is_one(known[row], text)}
        assert len(found) == len(set(found))
        assert set(found) == expected
    assert valid.any(axis=1).all()


def test_macro_mutation_draws_valid_neighbours_alike():
    start = MACRO.from_str("64-2134-basic")
    keys = jax.random.split(jax.random.key(3), 6000)
    child = jax.jit(jax.vmap(MACRO.mutate, (0, None)))(keys, start)
    edited = neighbours(start)
    reachable = np.asarray(arch_index(edited))[np.asarray(is_valid(edited))]
    count = np.bincount(np.asarray(arch_index(child)), minlength=MACRO.size)
    assert set(np.flatnonzero(count)) == set(reachable.tolist())
    expected = len(keys) / len(reachable)
    assert np.abs(count[reachable] - expected).max() < 5 * np.sqrt(expected)


@pytest.mark.parametrize("name", SPACES)
def test_random_is_uniform_over_the_space(name):
    space = SPACES[name]
    drawn = space.random(jax.random.key(1), 20 * space.size)
    count = np.bincount(np.asarray(space.arch_index(drawn)), minlength=space.size)
    chi_squared = float(((count - 20) ** 2 / 20).sum())
    assert abs(chi_squared - space.size) < 5 * np.sqrt(2 * space.size)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("64-1111-basic", "doubles its channels 0 times"),
        ("64-222211-basic", "doubles its channels 4 times"),
        ("64-2333331-basic", "4 to 6 block kinds"),
        ("64-323333-basic", "halves its resolution 5 times"),
        ("64-123-basic", "4 to 6 block kinds"),
        ("64-1235-basic", "4 to 6 block kinds"),
        ("64-1234-basic ", "4 to 6 block kinds"),
    ],
)
def test_macro_text_outside_the_space_is_refused_and_says_why(text, why):
    with pytest.raises(ValueError, match=why):
        MACRO.from_str(text)


@pytest.mark.parametrize(
    "text", ["64-41414-1_02_33", "64-41414-1_02_334", "64-1234-basic", "64-41414-1-02-333"]
)
def test_micro_text_outside_the_space_is_refused(text):
    with pytest.raises(ValueError, match="64-41414-a_bc_def"):
        MICRO.from_str(text)


def test_macro_has_no_padded_encoding():
    assert MACRO.with_encoding("compact") == MACRO
    with pytest.raises(ValueError, match="must be 'compact', got 'padded'"):
        MACRO.with_encoding("padded")


@pytest.mark.parametrize("name", SPACES)
def test_every_row_of_the_file_is_found_by_its_string(name, table, data_dir):
    rows = np.random.default_rng(0).choice(len(table[name]), 20, replace=False)
    archs = jnp.stack([SPACES[name].from_str(str(table[f"{name}_arch"][row])) for row in rows])
    for column, task in enumerate(table["tasks"].tolist()):
        benchmark = ed.load_benchmark(f"transnas101_{name}", dataset=task, data_dir=data_dir)
        np.testing.assert_allclose(benchmark.lookup(archs), table[name][rows, column], rtol=1e-6)
        assert benchmark.space == SPACES[name]
        assert benchmark.test_params is None
        assert (benchmark.direction == "min") == (task == "room_layout") == (benchmark.optimum < 0)


@pytest.mark.parametrize(
    ("name", "best"),
    [
        ("micro", (54.94, 45.59, -0.6010, 95.37, 94.61, 0.5873, 0.5772)),
        ("macro", (57.41, 47.42, -0.5822, 97.02, 94.86, 0.6435, 0.7488)),
    ],
)
def test_best_values_are_those_of_the_final_epoch(name, best, data_dir):
    found = [source.read_task(name, task, data_dir).max() for task in source.TASKS]
    np.testing.assert_allclose(found, best, atol=6e-3)


def tampered(tmp_path, table, **changes):
    path = tmp_path / source.FILE
    path.parent.mkdir(parents=True)
    np.savez(path, **{**table, **changes})
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            lambda t: {"micro": t["micro"][:100], "micro_arch": t["micro_arch"][:100]},
            "100 different micro arch",
        ),
        (lambda t: {"micro_arch": t["macro_arch"][:1].repeat(4096)}, "'64-1114-basic', no arch"),
        (lambda t: {"micro_arch": t["micro_arch"][:1].repeat(4096)}, "1 different micro architectures in 4096"),
        (lambda t: {"micro": t["micro_old_subset"]}, "another epoch"),
        (lambda t: {"micro": t["micro"] + 1.0}, "another epoch"),
        (lambda t: {"tasks": t["tasks"][::-1]}, "has columns"),
        (lambda t: {"micro": t["micro"][:, :6]}, "has columns"),
    ],
)
def test_altered_files_are_refused(changes, message, table, tmp_path):
    folder = tampered(tmp_path, table, **changes(table))
    with pytest.raises(DataError, match=message):
        ed.load_benchmark("transnas101_micro", dataset="class_scene", data_dir=folder)


def test_missing_file_is_named_with_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"transnasbench101_valid_final.npz' is missing.*ednag data --help"):
        ed.load_benchmark("transnas101_macro", dataset="jigsaw", data_dir=tmp_path)


def test_unknown_tasks_and_metrics_are_refused():
    with pytest.raises(ValueError, match=r"dataset must be one of class_scene, .*got 'cifar10'"):
        ed.load_benchmark("transnas101_micro", dataset="cifar10")
    with pytest.raises(ValueError, match="metric must be one of valid, got 'test'"):
        ed.load_benchmark("transnas101_micro", dataset="jigsaw", metric="test")


@pytest.mark.slow
@pytest.mark.optimised
@pytest.mark.parametrize("name", SPACES)
def test_evolution_finds_better_than_random_search(name, data_dir):
    benchmark = ed.load_benchmark(f"transnas101_{name}", dataset="class_scene", data_dir=data_dir)
    found = {
        strategy: ed.search(strategy, benchmark, seeds=50, queries=100).best_accuracy.mean()
        for strategy in ("regularized_evolution", "random_search")
    }
    assert found["regularized_evolution"] > found["random_search"]
