"""The DARTS space against plain Python, its surrogate against float64 NumPy, and predictions as a table."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.benchmarks import darts as source
from ednag_jax.benchmarks import darts_surrogate as surrogate
from ednag_jax.spaces.darts import OPS, PAIRS
from ednag_jax.storage import DataError

SPACE = ed.SPACES["darts"]
NUM = 200
"""Architectures in a test: one shape, so that a function compiles once."""
decode, encode, is_valid, arch_id = map(jax.jit, (SPACE.decode, SPACE.encode, SPACE.is_valid, SPACE.arch_id))
neighbours, features = jax.jit(SPACE.neighbours), jax.jit(surrogate.features)
random = jax.jit(SPACE.random, static_argnums=1)
CONVS = [("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_5x5", 0), ("dil_conv_3x3", 2)]
POOLS = [("max_pool_3x3", 0), ("avg_pool_3x3", 1), ("skip_connect", 3), ("dil_conv_5x5", 4)]


def text_of(normal, reduce):
    return f"Genotype(normal={normal}, normal_concat=range(2, 6), reduce={reduce}, reduce_concat=range(2, 6))"


TEXT = text_of([*CONVS, *CONVS], [*CONVS, *POOLS])


def drawn(num=NUM, seed=0):
    return random(jax.random.key(seed), num)


def cells(phenotype):
    """Per cell and node the two (source, op) pairs, as plain Python."""
    return np.asarray(phenotype).reshape(2, 4, 2, 2).tolist()


def decoded_in_python(genotype):
    """Literature's rule: best op per edge, then the two strongest edges per node."""
    numbers = np.asarray(genotype).reshape(2, 14, 7)
    fields = []
    for cell, node in itertools.product(range(2), range(4)):
        rows = [numbers[cell][PAIRS.index((node, s))] for s in range(node + 2)]
        strongest = sorted(range(node + 2), key=lambda s: -max(rows[s]))[:2]
        fields += [value for s in sorted(strongest) for value in (s, int(np.argmax(rows[s])))]
    return fields


def paths(cell, node):
    """Every way from an input to a node, as (probability, ops) when each step picks one of two edges."""
    if node < 2:
        return [(1.0, [])]
    return [(share / 2, [*ops, op]) for s, op in cell[node - 2] for share, ops in paths(cell, s)]


def swapped(phenotype, rng):
    """The same architecture with the edges of some nodes in the other order."""
    nodes = np.asarray(phenotype).reshape(8, 2, 2).copy()
    flip = rng.random(8) < 0.5
    nodes[flip] = nodes[flip, ::-1]
    return nodes.reshape(-1)


def test_size_counts_source_pairs_and_ops():
    pairs = [len(list(itertools.combinations(range(node + 2), 2))) for node in range(4)]
    assert pairs == [1, 3, 6, 10]
    assert SPACE.size == (180 * 7**8) ** 2 == 1_076_746_950_455_072_400
    assert not SPACE.is_indexable
    assert len(PAIRS) == 14


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_decoding_is_the_literatures_rule(scale):
    genotype = scale * jax.random.normal(jax.random.key(1), (NUM, SPACE.genotype_size))
    decoded = decode(genotype)
    assert decoded.tolist() == [decoded_in_python(row) for row in np.asarray(genotype)]
    assert bool(is_valid(decoded).all())


@pytest.mark.parametrize("value", [-1.0, 0.0])
def test_genotypes_of_equal_numbers_are_valid(value):
    decoded = SPACE.decode(jnp.full(SPACE.genotype_size, value))
    assert cells(decoded) == [[[[0, 0], [1, 0]]] * 4] * 2


def test_encoding_decodes_to_the_canonical_form():
    phenotype = drawn()
    rng = np.random.default_rng(0)
    other = jnp.asarray(np.stack([swapped(row, rng) for row in np.asarray(phenotype)]))
    np.testing.assert_array_equal(decode(encode(phenotype)), phenotype)
    np.testing.assert_array_equal(decode(encode(other)), phenotype)
    assert np.abs(encode(phenotype)).max() == 1


def test_order_of_a_nodes_edges_changes_neither_id_nor_text_nor_features():
    phenotype = drawn()
    rng = np.random.default_rng(1)
    other = np.stack([swapped(row, rng) for row in np.asarray(phenotype)])
    assert not np.array_equal(other, phenotype)
    np.testing.assert_array_equal(arch_id(other), arch_id(phenotype))
    assert [SPACE.to_str(row) for row in other] == [SPACE.to_str(row) for row in np.asarray(phenotype)]
    for a, b in zip(features(other), features(phenotype), strict=True):
        np.testing.assert_array_equal(a, b)


def test_ids_tell_architectures_apart():
    phenotype = np.unique(np.asarray(drawn(20_000)), axis=0)
    assert len(np.unique(np.asarray(arch_id(phenotype)), axis=0)) == len(phenotype)


def test_random_is_uniform_over_source_pairs_and_ops():
    edges = np.asarray(drawn(40_000, seed=2)).reshape(-1, 2, 4, 2, 2)
    assert bool(is_valid(edges.reshape(-1, 32)).all())
    for node, cell in itertools.product(range(4), range(2)):
        low, high = edges[:, cell, node, 0, 0], edges[:, cell, node, 1, 0]
        count = np.bincount(low * 6 + high)
        count = count[count > 0]
        expected = 40_000 / [1, 3, 6, 10][node]
        assert len(count) == [1, 3, 6, 10][node]
        assert np.abs(count - expected).max() <= 5 * np.sqrt(expected)
        for edge in range(2):
            ops = np.bincount(edges[:, cell, node, edge, 1], minlength=7)
            assert np.abs(ops - 40_000 / 7).max() < 5 * np.sqrt(40_000 / 7)


def test_neighbours_are_all_architectures_one_edit_away():
    start = drawn(seed=3)[0]
    found = {tuple(row) for row in np.asarray(neighbours(start)).tolist()}
    expected = set()
    for cell, node, edge in itertools.product(range(2), range(4), range(2)):
        own = cells(start)
        used = {s for s, _ in own[cell][node]}
        old = own[cell][node][edge]
        edits = [[old[0], op] for op in range(7) if op != old[1]]
        edits += [[s, old[1]] for s in range(node + 2) if s not in used]
        for edit in edits:
            own = cells(start)
            own[cell][node][edge] = edit
            own[cell][node].sort()
            expected.add(tuple(np.array(own).reshape(-1).tolist()))
    assert found == expected
    assert len(found) == len(neighbours(start)) == 120
    assert bool(is_valid(neighbours(start)).all())


def test_mutation_draws_every_neighbour_alike():
    start = drawn(seed=4)[0]
    child = jax.jit(jax.vmap(SPACE.mutate, (0, None)))(jax.random.split(jax.random.key(0), 12_000), start)
    rows, count = np.unique(np.asarray(child), axis=0, return_counts=True)
    assert {tuple(row) for row in rows} == {tuple(row) for row in np.asarray(neighbours(start))}
    assert np.abs(count - 100).max() < 5 * 10


@pytest.mark.parametrize(
    "edit",
    [(0, 2, 1, 0, 0), (1, 3, 0, 0, 5), (0, 0, 0, 0, -1), (1, 1, 1, 1, 7), (0, 2, 0, 1, -1)],
    ids=["same source twice", "source not before the node", "no source", "no such op", "no op"],
)
def test_phenotypes_outside_the_space_are_not_valid(edit):
    *place, value = edit
    edges = np.asarray(SPACE.from_str(TEXT)).reshape(2, 4, 2, 2).copy()
    edges[tuple(place)] = value
    if edit == (0, 2, 1, 0, 0):
        edges[0, 2, 0, 0] = 0
    assert bool(is_valid(SPACE.from_str(TEXT)))
    assert not bool(is_valid(edges.reshape(-1)))


def test_text_round_trips():
    for phenotype in np.asarray(drawn())[:50]:
        text = SPACE.to_str(phenotype)
        assert SPACE.from_str(text).tolist() == phenotype.tolist()
        assert SPACE.from_str(text.replace(" ", "")).tolist() == phenotype.tolist()
        assert SPACE.from_str(text.replace("range(2, 6)", "[2, 3, 4, 5]")).tolist() == phenotype.tolist()


def test_text_is_the_literatures():
    """The second-order DARTS cell as its authors print it: edges of a node in any order, same architecture."""
    text = (
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
        "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
        "normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
        "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), "
        "('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
    )
    normal, reduce = cells(SPACE.from_str(text))
    assert normal[2:] == [[[0, 2], [1, 3]], [[0, 2], [2, 5]]]
    assert reduce == [[[0, 0], [1, 0]], [[1, 0], [2, 2]], [[0, 0], [2, 2]], [[1, 0], [2, 2]]]
    assert "('skip_connect', 0), ('sep_conv_3x3', 1), ('skip_connect', 0)" in SPACE.to_str(SPACE.from_str(text))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TEXT.replace("sep_conv_5x5", "conv_7x7"), "unknown operations \\['conv_7x7'\\]"),
        (TEXT.replace("('dil_conv_5x5', 4)", "('dil_conv_5x5', 3)"), "node 5 with sources 3 and 3"),
        (TEXT.replace("('dil_conv_5x5', 4)", "('dil_conv_5x5', 5)"), "node 5 with sources 3 and 5"),
        (TEXT.replace("('dil_conv_5x5', 4)", "('dil_conv_5x5', 4), ('skip_connect', 0)"), "8 edges a cell"),
        (TEXT.replace("('dil_conv_5x5', 4)", "print('dil_conv_5x5', 4)"), "must be of the form"),
        (TEXT.replace("('dil_conv_5x5', 4)", "__import__('os')"), "must be of the form"),
        (TEXT.replace("range(2, 6)", "range(2, 7)"), "must be of the form"),
        (TEXT + "; 1", "must be of the form"),
        ("", "must be of the form"),
    ],
)
def test_other_texts_are_refused_and_say_why(text, why):
    assert text != TEXT
    with pytest.raises(ValueError, match=why):
        SPACE.from_str(text)


def test_space_has_no_padded_encoding():
    with pytest.raises(ValueError, match="must be 'compact', got 'padded'"):
        SPACE.with_encoding("padded")


def test_path_ops_are_the_mean_over_all_ways():
    phenotype = np.asarray(drawn(seed=5))
    found = np.asarray(features(phenotype).normal_paths)
    for row, arch in zip(found[:40], phenotype[:40], strict=True):
        normal = cells(arch)[0]
        expected = np.zeros(7)
        for node in range(2, 6):
            for share, ops in paths(normal, node):
                expected += share * np.bincount(np.array(ops, int), minlength=7) / 4
        np.testing.assert_allclose(row, expected, rtol=1e-6)


def test_edge_features_are_counts():
    arch = SPACE.from_str(TEXT)
    found = features(arch)
    for ops, cell in zip((found.normal_ops, found.reduce_ops), cells(arch), strict=True):
        expected = np.zeros((3, 7))
        for s, op in itertools.chain(*cell):
            expected[min(s, 2), op] += 1
        np.testing.assert_array_equal(ops, expected.reshape(-1))
    uses = [sum(s == k for s, _ in itertools.chain(*cells(arch)[0])) for k in range(5)]
    np.testing.assert_array_equal(found.normal_uses, uses)


@pytest.fixture(scope="module")
def known(data_dir):
    return source.read_cells(data_dir)


@pytest.fixture(scope="module")
def benchmark(data_dir):
    return ed.load_benchmark("darts", dataset="cifar10", data_dir=data_dir)


def posterior_in_float64(phenotype, accuracy, asked, scales):
    """A Gaussian process of minus the log error, with a loop over the groups of features."""

    def groups(archs):
        return [np.asarray(group, float) for group in features(archs)]

    def kernel(a, b):
        exponent = 0.0
        for of_a, of_b, fitted, weight in zip(a, b, groups(phenotype), scales.weights, strict=True):
            spread = fitted.std(axis=0)
            kept = spread > 0
            difference = (of_a[:, None, kept] - of_b[None, :, kept]) / spread[kept]
            exponent = exponent + weight * (difference**2).sum(axis=-1) / fitted.shape[1]
        return scales.signal * np.exp(-exponent / 2)

    target = -np.log(100 - accuracy)
    centre, spread = target.mean(), target.std()
    known, new = groups(phenotype), groups(asked)
    covariance = kernel(known, known) + scales.noise * np.eye(len(target))
    mean = kernel(new, known) @ np.linalg.solve(covariance, (target - centre) / spread)
    return 100 - np.exp(-(centre + spread * mean))


def test_surrogate_is_the_posterior_of_a_gaussian_process(known):
    phenotype, accuracy = known
    asked = np.asarray(drawn(seed=6))
    fitted = surrogate.fit(phenotype[:NUM], accuracy[:NUM], source.SCALES)
    found = jax.jit(surrogate.ExpectedAccuracy(SPACE))(fitted, jax.random.key(0), asked)
    expected = posterior_in_float64(phenotype[:NUM], accuracy[:NUM], asked, source.SCALES)
    np.testing.assert_allclose(found, expected, atol=5e-4)


@pytest.mark.slow
def test_surrogate_predicts_cells_that_it_was_not_fitted_to(data_dir):
    quality = source.held_out(data_dir)
    assert quality.r2 > 0.91
    assert quality.kendall_tau > 0.81
    assert quality.rmse < 0.16


def test_fitted_and_held_out_cells_are_different_architectures(known):
    fitted, rest = source.split()
    assert sorted([*fitted, *rest]) == list(range(725))
    assert len(fitted) == 580
    ids = np.asarray(arch_id(known[0]))
    assert len(np.unique(ids, axis=0)) == 725


@pytest.mark.slow
@pytest.mark.optimised
def test_scales_are_where_the_likelihood_is_greatest(known):
    fitted, _ = source.split()
    cells_fitted = known[0][fitted], known[1][fitted]
    best = surrogate.log_likelihood(*cells_fitted, source.SCALES)
    flat = np.array([*source.SCALES.weights, source.SCALES.signal, source.SCALES.noise])
    for index, factor in itertools.product(range(6), (0.7, 1.4)):
        moved = flat.copy()
        moved[index] *= factor
        scales = surrogate.Scales(tuple(moved[:4].tolist()), *moved[4:].tolist())
        assert surrogate.log_likelihood(*cells_fitted, scales) < best


def test_benchmark_says_that_it_is_a_surrogate(benchmark):
    assert benchmark.oracle == "accuracy by a surrogate of 580 cells"
    assert benchmark.optimum is None
    assert benchmark.test_params is None
    assert benchmark.unit == "percent"


def test_surrogate_gives_the_same_under_jit_in_any_batch(benchmark):
    asked = drawn(seed=7)
    call = jax.jit(benchmark.fitness_fn)
    together = call(benchmark.params, jax.random.key(0), asked)
    alone = jnp.concatenate([call(benchmark.params, jax.random.key(1), row[None]) for row in asked[:8]])
    np.testing.assert_allclose(together[:8], alone, atol=2e-4)
    np.testing.assert_array_equal(together, call(benchmark.params, jax.random.key(2), asked))
    assert float(together.min()) > 90
    assert float(together.max()) < 96


def test_loading_twice_gives_the_same_surrogate(benchmark, data_dir):
    again = ed.load_benchmark("darts", dataset="cifar10", data_dir=data_dir)
    assert again.table_hash == benchmark.table_hash
    assert again.problem == benchmark.problem


@pytest.mark.slow
@pytest.mark.optimised
def test_evolution_finds_better_than_random_search(benchmark):
    found = {
        strategy: ed.search(strategy, benchmark, seeds=20, queries=200)
        for strategy in ("ednag", "regularized_evolution", "local_search", "random_search")
    }
    best = {strategy: result.best_accuracy.mean() for strategy, result in found.items()}
    assert best["regularized_evolution"] > best["random_search"] + 0.3
    for result in found.values():
        assert (result.queries == 200).all()
        assert SPACE.to_str(SPACE.from_str(result.best_arch[0])) == result.best_arch[0]


def tampered(tmp_path, data_dir, **changes):
    table = dict(np.load(data_dir / source.FILE, allow_pickle=False))
    path = tmp_path / source.FILE
    path.parent.mkdir(parents=True)
    np.savez(
        path, **{key: changes.get(key, lambda x: x)(table[key]) for key in ("nb301_arch", "nb301_val_acc")}
    )
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"nb301_val_acc": lambda x: x[:700]}, "was it cut"),
        ({"nb301_val_acc": lambda x: x / 100}, "it is altered"),
        ({"nb301_val_acc": lambda x: np.where(x > 94, np.nan, x)}, "it is altered"),
        ({"nb301_arch": lambda x: x + 1}, "725 rows that are no DARTS cells"),
    ],
)
def test_altered_files_are_refused(changes, why, data_dir, tmp_path):
    folder = tampered(tmp_path, data_dir, **changes)
    with pytest.raises(DataError, match=why):
        source.load("cifar10", directory=folder)


def test_missing_file_is_named_with_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"nb301_naslib.npz' is missing.*ednag data --help"):
        source.load("cifar10", directory=tmp_path)


def listed(num):
    texts = [SPACE.to_str(row) for row in np.asarray(drawn(seed=8))[:num]]
    return texts, np.linspace(92.0, 95.0, num)


def written(path, texts, accuracies):
    if path.suffix == ".npz":
        np.savez(path, genotype=np.array(texts), accuracy=np.asarray(accuracies))
    else:
        lines = [f'"{text}",{accuracy}' for text, accuracy in zip(texts, accuracies, strict=True)]
        path.write_text("\n".join(["genotype,accuracy", *lines]) + "\n")
    return path


@pytest.mark.parametrize("name", ["table.csv", "table.npz"])
def test_predictions_are_found_by_cell_and_others_are_nan(name, tmp_path):
    texts, accuracies = listed(30)
    benchmark = source.load_predictions(written(tmp_path / name, texts, accuracies))
    rng = np.random.default_rng(2)
    archs = jnp.asarray(np.stack([swapped(SPACE.from_str(text), rng) for text in texts]))
    np.testing.assert_allclose(benchmark.lookup(archs), accuracies, rtol=1e-6)
    assert np.isnan(benchmark.lookup(drawn(seed=9)[:30])).all()
    assert benchmark.oracle == "accuracy predicted for 30 listed cells"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t, a: (t[:-1] + t[:1], a), "an earlier row has"),
        (lambda t, a: (t, [*a[:-1], float("nan")]), "1 accuracies not finite, first in row 9"),
        (lambda t, a: ([*t[:-1], re.sub(r"\('\w+', 0\)", "('none', 0)", t[-1])], a), "unknown operations"),
        (lambda t, a: (t, [*a[:-1], "high"]), "an accuracy that is no number"),
        (lambda t, a: ([], []), "needs"),
    ],
)
def test_broken_tables_of_predictions_are_refused(change, why, tmp_path):
    texts, accuracies = change(*listed(10))
    with pytest.raises(DataError, match=why):
        source.load_predictions(written(tmp_path / "table.csv", texts, accuracies))


def test_tables_of_another_form_are_refused(tmp_path):
    with pytest.raises(DataError, match="is missing"):
        source.load_predictions(tmp_path / "none.csv")
    (tmp_path / "unquoted.csv").write_text("genotype,accuracy\n" + TEXT + ",93.0\n")
    with pytest.raises(DataError, match="texts in quotes"):
        source.load_predictions(tmp_path / "unquoted.csv")
    np.savez(tmp_path / "other.npz", text=np.array([TEXT]))
    with pytest.raises(DataError, match="needs arrays genotype, accuracy"):
        source.load_predictions(tmp_path / "other.npz")


def test_ops_are_in_the_order_of_the_data(known, data_dir):
    """Parameters grow with the convolutions: 5x5 above 3x3, separable above dilated, pools last."""
    table = np.load(data_dir / source.FILE, allow_pickle=False)
    ops = known[0].reshape(725, 16, 2)[:, :, 1]
    counts = np.stack([(ops == op).sum(axis=1) for op in range(7)], axis=1).astype(float)
    slope = np.linalg.lstsq(counts, table["nb301_zc_params"], rcond=None)[0]
    by_size = ["sep_conv_5x5", "sep_conv_3x3", "dil_conv_5x5", "dil_conv_3x3"]
    assert [OPS[op] for op in np.argsort(-slope)[:4]] == by_size
