"""NAS-Bench-101: pruning, isomorphism, decoding, text, and the table that is found by hash."""

import dataclasses
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.benchmarks import nasbench101 as source
from ednag_jax.queries import packed_ids
from ednag_jax.spaces import nasbench101 as space_module
from ednag_jax.spaces.nasbench101_graph import EDGES, official_hash, pack_edges, prune, unpack_edges

SPACE = ed.SPACES["nasbench101"]
OUTPUT = 6
is_valid, arch_id, decode = (jax.jit(method) for method in (SPACE.is_valid, SPACE.arch_id, SPACE.decode))
ROWS = 423_624


def phenotype_of(edges, ops=(0, 0, 0, 0, 0)):
    return np.array([*(int(pair in edges) for pair in EDGES), *ops], np.int32)


def edges_of(phenotype):
    return {pair for pair, is_there in zip(EDGES, np.asarray(phenotype)[:21], strict=True) if is_there}


def reached(edges, start):
    """Breadth-first search."""
    found, queue = {start}, [start]
    while queue:
        here = queue.pop(0)
        for source_, target in sorted(edges):
            if source_ == here and target not in found:
                found.add(target)
                queue.append(target)
    return found


def pruned_edges(edges):
    """Plain oracle of pruning."""
    kept = reached(edges, 0) & reached({(b, a) for a, b in edges}, OUTPUT)
    return {(a, b) for a, b in edges if a in kept and b in kept}


def is_module(phenotype):
    """Plain oracle of validity."""
    return 1 <= len(pruned_edges(edges_of(phenotype))) <= 9


def module_of(phenotype):
    """Plain oracle: the pruned module as (edges, labels), vertices renumbered 0 .. v-1 in their order."""
    edges = pruned_edges(edges_of(phenotype))
    kept = sorted({vertex for pair in edges for vertex in pair})
    name = {vertex: i for i, vertex in enumerate(kept)}
    labels = tuple({0: -1, OUTPUT: -2}.get(v) or int(phenotype[20 + v]) for v in kept)
    return frozenset((name[a], name[b]) for a, b in edges), labels


def is_isomorphic(first, second):
    """Tries every naming of the interior vertices."""
    (edges, labels), (others, other_labels) = first, second
    if len(labels) != len(other_labels) or len(edges) != len(others):
        return False
    last = len(labels) - 1
    return any(
        all(other_labels[names[v]] == label for v, label in enumerate(labels))
        and {(names[a], names[b]) for a, b in edges} == others
        for names in ((0, *inner, last) for inner in itertools.permutations(range(1, last)))
    )


def disguised(phenotype, rng):
    """The same module with its vertices in another order and place, and with unused parts added."""
    edges, labels = module_of(phenotype)
    last = len(labels) - 1
    while True:  # a random order in which edges still point forwards
        order = [0, *(int(v) for v in rng.permutation(np.arange(1, last))), last]
        if all(order.index(a) < order.index(b) for a, b in edges):
            break
    places = [0, *sorted(rng.choice(np.arange(1, 6), last - 1, replace=False).tolist()), OUTPUT]
    place = {vertex: places[i] for i, vertex in enumerate(order)}
    ops = rng.integers(0, 3, 5)
    for vertex, label in enumerate(labels[1:-1], 1):
        ops[place[vertex] - 1] = label
    drawn = {(place[a], place[b]) for a, b in edges}
    is_source = {v: bool(rng.integers(2)) for v in range(1, 6) if v not in places}  # else a sink
    for a, b in EDGES:
        from_source, to_sink = is_source.get(a) is True, is_source.get(b) is False
        allowed = (from_source and is_source.get(b) is not False) or (to_sink and is_source.get(a) is not True)
        if allowed and rng.random() < 0.5:
            drawn.add((a, b))
    return phenotype_of(drawn, ops)


def random_phenotypes(rng, num):
    density = rng.random((num, 1))
    edges = rng.random((num, 21)) < density
    return np.concatenate([edges, rng.integers(0, 3, (num, 5))], axis=1).astype(np.int32)


def random_modules(rng, num):
    drawn = random_phenotypes(rng, 4 * num)
    return drawn[np.asarray(is_valid(jnp.asarray(drawn)))][:num]


def ids_of(phenotypes):
    return packed_ids(np.asarray(arch_id(jnp.asarray(phenotypes))))


@pytest.fixture(scope="module")
def table(data_dir):
    return source.read_table(data_dir)


@pytest.fixture(scope="module")
def rows(table):
    return source.phenotypes(table["num_vertices"], table["adj_bits"], table["ops"])


@pytest.fixture(scope="module")
def benchmark(data_dir):
    return ed.load_benchmark("nasbench101", dataset="cifar10", data_dir=data_dir)


def test_pruning_equals_a_breadth_first_search():
    drawn = random_phenotypes(np.random.default_rng(0), 1500)
    pruned = np.asarray(unpack_edges(prune(pack_edges(jnp.asarray(drawn[:, :21])))))
    for phenotype, edges in zip(drawn, pruned, strict=True):
        assert edges_of(edges) == pruned_edges(edges_of(phenotype))


def test_validity_equals_the_official_rule():
    drawn = random_phenotypes(np.random.default_rng(1), 1500)
    valid = np.asarray(is_valid(jnp.asarray(drawn)))
    assert 0.2 < valid.mean() < 0.8
    assert valid.tolist() == [is_module(phenotype) for phenotype in drawn]


NINE = {(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4), (0, 4), (4, 6), (0, 6)}
CASES = {
    "one edge": ({(0, 6)}, True),
    "no edge": (set(), False),
    "no path": ({(0, 1), (1, 2), (3, 6), (4, 6)}, False),
    "nine edges": (NINE, True),
    "ten edges on paths": (NINE | {(1, 6)}, False),
    "ten edges, one leads nowhere": (NINE | {(0, 5)}, True),
    "ten edges, one comes from nowhere": (NINE | {(5, 6)}, True),
    "all edges": (set(EDGES), False),
}


@pytest.mark.parametrize(("edges", "valid"), CASES.values(), ids=CASES)
def test_validity_in_edge_cases(edges, valid):
    assert bool(is_valid(jnp.asarray(phenotype_of(edges)))) is valid


@pytest.mark.parametrize(("field", "value"), [(0, 2), (0, -1), (21, 3), (25, -1)])
def test_a_field_out_of_range_is_invalid(field, value):
    phenotype = phenotype_of({(0, 1), (1, 6)})
    phenotype[field] = value
    assert not is_valid(jnp.asarray(phenotype))
    with pytest.raises(ValueError, match="is no module"):
        SPACE.to_str(phenotype)


def test_equal_modules_share_id_text_and_official_hash_however_they_are_drawn():
    rng = np.random.default_rng(2)
    modules = random_modules(rng, 300)
    twins = np.array([disguised(module, rng) for module in modules])
    assert np.mean(np.any(twins != modules, axis=1)) > 0.9
    np.testing.assert_array_equal(ids_of(twins), ids_of(modules))
    for module, twin in zip(modules[:40], twins, strict=False):
        assert SPACE.to_str(twin) == SPACE.to_str(module)
        assert SPACE.official_hash(twin) == SPACE.official_hash(module)


def all_phenotypes(interior):
    """Every phenotype whose edges avoid all but so many interior vertices, other ops 0."""
    pairs = [pair for pair in EDGES if all(v <= interior or v == OUTPUT for v in pair)]
    edges = np.zeros((2 ** len(pairs), 21), np.int32)
    bits = np.arange(2 ** len(pairs))[:, None] >> np.arange(len(pairs)) & 1
    edges[:, [EDGES.index(pair) for pair in pairs]] = bits
    ops = np.array(list(itertools.product(range(3), repeat=interior)), np.int32)
    ops = np.pad(ops, ((0, 0), (0, 5 - interior)))
    drawn = np.concatenate([np.repeat(edges, len(ops), axis=0), np.tile(ops, (len(edges), 1))], axis=1)
    return drawn[np.asarray(is_valid(jnp.asarray(drawn)))]


def test_ids_of_small_modules_are_equal_exactly_for_isomorphic_ones():
    """4 vertices at most: every pair of groups against trying all namings."""
    drawn = all_phenotypes(2)
    groups: dict[int, list] = {}
    for key, phenotype in zip(ids_of(drawn), drawn, strict=True):
        groups.setdefault(key, []).append(module_of(phenotype))
    assert len(groups) == 1 + 6 + 84
    for members in groups.values():
        assert all(is_isomorphic(members[0], other) for other in set(members))
    for first, second in itertools.combinations(groups.values(), 2):
        assert not is_isomorphic(first[0], second[0])


def test_there_are_as_many_ids_as_published_modules_of_five_vertices():
    assert len(np.unique(ids_of(all_phenotypes(3)))) == 1 + 6 + 84 + 2441


def test_ids_of_all_modules_differ_and_all_are_valid(rows):
    assert bool(is_valid(jnp.asarray(rows)).all())
    assert len(np.unique(ids_of(rows))) == ROWS == SPACE.size


def test_id_is_the_same_over_any_leading_axes():
    modules = jnp.asarray(random_modules(np.random.default_rng(3), 24))
    flat = arch_id(modules)
    assert flat.shape == (24, 2)
    assert flat.dtype == jnp.uint32
    np.testing.assert_array_equal(SPACE.arch_id(modules.reshape(2, 3, 4, 26)).reshape(24, 2), flat)
    np.testing.assert_array_equal(jax.vmap(SPACE.arch_id)(modules), flat)


@pytest.mark.slow
def test_official_hash_is_the_official_one(rows, data_dir):
    hashes = np.load(data_dir / "nasbench101" / "hash_md5.npy")
    rng = np.random.default_rng(4)
    small = np.flatnonzero(rows[:, :21].sum(axis=1) <= 4)
    for row in [*small, *rng.choice(ROWS, 3000, replace=False)]:
        edges, labels = module_of(rows[row])
        matrix = np.zeros((len(labels), len(labels)), int)
        matrix[tuple(zip(*edges, strict=True))] = 1
        assert official_hash(matrix, labels) == bytes(hashes[row]).hex()
    for row in rng.choice(ROWS, 200, replace=False):
        assert SPACE.official_hash(disguised(rows[row], rng)) == bytes(hashes[row]).hex()


def test_official_hash_does_not_see_the_order_of_vertices():
    matrix = np.array([[0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]])
    order = [3, 1, 0, 2]
    named = official_hash(matrix[np.ix_(order, order)], [[-1, 0, 2, -2][v] for v in order])
    assert named == official_hash(matrix, [-1, 0, 2, -2])
    assert named != official_hash(matrix, [-1, 2, 0, -2])


def decoded(genotype):
    """Plain oracle: take edges from the greatest number down until too many are on paths."""
    numbers, taken = genotype[:21], set()
    for index in sorted(range(21), key=lambda i: (-numbers[i], i)):
        if numbers[index] <= 0 or len(pruned_edges(taken | {EDGES[index]})) > 9:
            break
        taken.add(EDGES[index])
    return phenotype_of(taken, genotype[21:].reshape(5, 3).argmax(axis=1))


def test_decoding_equals_a_plain_loop():
    rng = np.random.default_rng(5)
    genotypes = rng.normal(0.5, 1, (300, 36)).astype(np.float32)
    genotypes[100:200] = np.round(genotypes[100:200])  # ties
    phenotypes = np.asarray(decode(jnp.asarray(genotypes)))
    np.testing.assert_array_equal(phenotypes, [decoded(genotype) for genotype in genotypes])


def test_a_decoded_genotype_is_invalid_only_without_a_path():
    phenotypes = decode(jax.random.normal(jax.random.key(0), (5000, 36)))
    valid = np.asarray(is_valid(phenotypes))
    has_path = np.asarray(prune(pack_edges(phenotypes[:, :21])) > 0)
    np.testing.assert_array_equal(valid, has_path)
    assert valid.mean() > 0.9
    assert bool(is_valid(decode(jnp.ones(36))))
    assert not is_valid(decode(-jnp.ones(36)))


def test_encoding_round_trips(rows):
    phenotypes = jnp.asarray(rows[::7])
    genotypes = SPACE.encode(phenotypes)
    assert genotypes.shape == (len(phenotypes), SPACE.genotype_size)
    assert set(np.unique(genotypes)) == {-1.0, 1.0}
    np.testing.assert_array_equal(decode(genotypes), phenotypes)


def test_encoding_keeps_unused_parts():
    phenotypes = random_modules(np.random.default_rng(6), 400)
    assert phenotypes[:, :21].sum(axis=1).max() > 9
    np.testing.assert_array_equal(decode(SPACE.encode(jnp.asarray(phenotypes))), phenotypes)


def all_valid_graphs():
    bits = np.arange(2**21, dtype=np.int32)
    count = np.array([bin(word).count("1") for word in range(2**11)])
    pruned = np.asarray(jax.jit(prune)(jnp.asarray(bits)))
    edges = count[pruned & 2047] + count[pruned >> 11]
    return bits[(edges >= 1) & (edges <= 9)]


@pytest.mark.slow
def test_random_modules_are_uniform_over_valid_phenotypes():
    graphs, draws = all_valid_graphs(), 20_000
    drawn = np.asarray(jax.jit(SPACE.random, static_argnums=1)(jax.random.key(1), draws))
    assert bool(is_valid(jnp.asarray(drawn)).all())
    share = (graphs[:, None] >> np.arange(21) & 1).mean(axis=0)
    error = np.sqrt(share * (1 - share) / draws)
    assert np.all(np.abs(drawn[:, :21].mean(axis=0) - share) < 4.5 * error)
    assert np.all(np.abs(np.mean(drawn[:, 21:, None] == np.arange(3), axis=0) - 1 / 3) < 4.5 * 0.0034)


def test_the_first_valid_candidate_is_drawn_and_the_shortcut_where_none_is():
    bits = jnp.array([[0, 1, 2**21 - 1], [0, 1 << 15, 1 << 15 | 1], [1 << 15 | 1, 1 << 15, 0]], jnp.int32)
    assert space_module.SHORTCUT == 1 << 15
    assert space_module._first_module(bits).tolist() == [1 << 15, 1 << 15, 1 << 15 | 1]


@pytest.mark.slow
def test_mutants_are_valid_and_distributed_as_published():
    """Against drawing again until valid with NumPy: share of mutants in which each field changed."""
    parent = phenotype_of(NINE | {(0, 5)}, (0, 1, 2, 0, 1))
    mutants = np.asarray(
        jax.jit(jax.vmap(SPACE.mutate, (0, None)))(
            jax.random.split(jax.random.key(2), 20_000), jnp.asarray(parent)
        )
    )
    assert bool(is_valid(jnp.asarray(mutants)).all())
    rng = np.random.default_rng(7)
    flips = rng.random((200_000, 21)) < 1 / 7
    valid = np.asarray(is_valid(jnp.asarray(np.pad(parent[:21] ^ flips, ((0, 0), (0, 5))), jnp.int32)))
    expected = np.append(flips[valid].mean(axis=0), [0.2] * 5)
    error = np.sqrt(expected * (1 - expected) * (1 / len(mutants) + 1 / valid.sum()))
    assert np.all(np.abs((mutants != parent).mean(axis=0) - expected) < 4.5 * error)
    shift = (mutants - parent)[:, 21:] % 3
    assert np.all(np.abs(np.mean(shift == 1, axis=0) - 0.1) < 4.5 * 0.0021)


def test_neighbours_are_all_that_differ_in_one_field_valid_or_not():
    parent = phenotype_of(NINE)
    neighbours = np.asarray(SPACE.neighbours(jnp.asarray(parent)))
    assert neighbours.shape == (31, 26)
    assert len(np.unique(neighbours, axis=0)) == 31
    assert np.all((neighbours != parent).sum(axis=1) == 1)
    assert neighbours.min() == 0
    assert neighbours[:, :21].max() == 1
    assert neighbours.max() == 2
    valid = is_valid(jnp.asarray(neighbours))
    assert valid.tolist() == [is_module(neighbour) for neighbour in neighbours]
    assert 0 < valid.sum() < 31


def test_text_round_trips_to_the_same_module():
    for module in random_modules(np.random.default_rng(8), 30):
        text = SPACE.to_str(module)
        back = SPACE.from_str(text)
        np.testing.assert_array_equal(ids_of(back), ids_of(module))
        assert SPACE.to_str(back) == text
        assert is_isomorphic(module_of(np.asarray(back)), module_of(module))


def test_text_is_the_official_spec():
    text = SPACE.to_str(phenotype_of({(0, 2), (2, 4), (4, 6), (0, 6), (1, 6)}, (0, 2, 0, 1, 0)))
    assert json.loads(text) == {
        "matrix": [[0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]],
        "ops": ["input", "maxpool3x3", "conv1x1-bn-relu", "output"],
    }


def test_text_may_have_unused_vertices():
    text = '{"matrix": [[0,1,1],[0,0,0],[0,0,0]], "ops": ["input", "maxpool3x3", "output"]}'
    assert SPACE.to_str(SPACE.from_str(text)) == SPACE.to_str(phenotype_of({(0, 6)}))


def spec(matrix, *ops):
    return json.dumps({"matrix": matrix, "ops": ["input", *ops, "output"]})


FULL = [[int(y > x) for y in range(7)] for x in range(7)]
MALFORMED = {
    "no text": ("", "is not JSON"),
    "a number": ("7", "lacks a 'matrix'"),
    "no ops": ('{"matrix":[[0,1],[0,0]]}', "lacks a 'matrix' of rows or a list of 'ops'"),
    "rows that are no lists": ('{"matrix":[1,2],"ops":["input","output"]}', "lacks a 'matrix'"),
    "ragged": (spec([[0, 1], [0]]), "as many ops as matrix rows"),
    "too few ops": (spec(FULL), "as many ops as matrix rows"),
    "too many vertices": (spec([[0] * 8] * 8, *["maxpool3x3"] * 6), "2 to 7"),
    "a loop": (spec([[0, 1], [1, 0]]), "0 on the diagonal and below"),
    "a two": (spec([[0, 2], [0, 0]]), "matrix of 0 and 1"),
    "an unknown op": (spec([[0, 1, 0], [0, 0, 1], [0, 0, 0]], "conv5x5"), "any of conv3x3-bn-relu, conv1x1"),
    "no path": (spec([[0, 1, 0], [0, 0, 0], [0, 0, 0]], "maxpool3x3"), "has 0 edges on paths"),
    "too many edges": (spec(FULL, *["maxpool3x3"] * 5), "has 21 edges on paths .* at most 9"),
}


@pytest.mark.parametrize(("text", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_text_is_refused_with_the_reason(text, message):
    with pytest.raises(ValueError, match=message):
        SPACE.from_str(text)


def test_the_space_says_what_it_has():
    assert (SPACE.size, SPACE.genotype_size, SPACE.num_fields) == (ROWS, 36, 26)
    assert not SPACE.is_indexable
    with pytest.raises(ValueError, match="has no table index"):
        SPACE.arch_index(jnp.zeros((3, 26), jnp.int32))
    assert SPACE.with_encoding("compact") == SPACE
    with pytest.raises(ValueError, match="must be 'compact', got 'padded'"):
        SPACE.with_encoding("padded")


@pytest.mark.slow
def test_the_benchmark_says_what_the_file_says(benchmark, table, rows):
    modules = jnp.asarray(rows)
    accuracy = 100 * table["test_acc108_mean3"]
    np.testing.assert_array_equal(benchmark.lookup(modules), accuracy)
    np.testing.assert_array_equal(benchmark.lookup(modules, "test"), accuracy)
    np.testing.assert_array_equal(benchmark.lookup(modules, "params"), table["params"].astype(np.float32))
    assert benchmark.optimum == pytest.approx(94.3176, abs=1e-4)
    assert (benchmark.metric, benchmark.oracle, benchmark.epochs) == ("test", "test accuracy", 108)
    best = SPACE.from_str(SPACE.to_str(rows[int(accuracy.argmax())]))
    assert float(benchmark.lookup(best[None])[0]) == benchmark.optimum
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(benchmark.params)) < 200e6


def test_the_benchmark_looks_up_disguised_modules(benchmark, table, rows):
    rng = np.random.default_rng(10)
    chosen = rng.choice(ROWS, 200, replace=False)
    twins = jnp.asarray(np.array([disguised(rows[row], rng) for row in chosen]))
    np.testing.assert_array_equal(benchmark.lookup(twins), 100 * table["test_acc108_mean3"][chosen])


def test_validation_accuracy_is_refused_where_the_file_has_none(data_dir):
    with pytest.raises(ed.DataError, match="has test accuracy only"):
        ed.load_benchmark("nasbench101", dataset="cifar10", metric="valid", data_dir=data_dir)


@pytest.mark.parametrize("asked", [{"dataset": "cifar100"}, {"dataset": "cifar10", "metric": "train"}])
def test_unknown_names_are_refused(asked):
    with pytest.raises(ValueError, match="must be one of"):
        ed.load_benchmark("nasbench101", **asked)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ed.DataError, match=r"'nasbench101/nasbench101.npz' is missing"):
        source.load("cifar10", directory=tmp_path)


def written(folder, **arrays):
    path = folder / source.FILE
    path.parent.mkdir(exist_ok=True)
    np.savez(path, **arrays)
    return folder


def test_a_cut_file_is_refused(tmp_path, data_dir):
    path = written(tmp_path) / source.FILE
    path.write_bytes((data_dir / source.FILE).read_bytes()[:100_000])
    with pytest.raises(ed.DataError, match="no whole"):
        source.read_table(tmp_path)


def test_a_file_with_other_arrays_is_refused(tmp_path, table):
    with pytest.raises(ed.DataError, match="was it cut"):
        source.read_table(written(tmp_path, **{key: table[key][1:] for key in table}))
    with pytest.raises(ed.DataError, match="was it cut"):
        source.read_table(written(tmp_path, **{key: table[key] for key in table if key != "params"}))


def test_a_file_of_other_numbers_is_refused(tmp_path, table):
    altered = {**table, "test_acc108_mean3": table["test_acc108_mean3"] - 0.01}
    with pytest.raises(ed.DataError, match="test_acc108_mean3 has greatest 0"):
        source.read_table(written(tmp_path, **altered))
    broken = {**table, "test_acc108_mean3": np.where(np.arange(ROWS) == 5, np.nan, table["test_acc108_mean3"])}
    with pytest.raises(ed.DataError, match="greatest nan"):
        source.read_table(written(tmp_path, **broken))


@pytest.mark.slow
def test_a_file_of_other_modules_is_refused(tmp_path, table):
    with pytest.raises(ed.DataError, match="rows that are no modules"):
        source.load("cifar10", directory=written(tmp_path, **{**table, "adj_bits": table["adj_bits"] & 2**20}))
    twice = {**table, "ops": np.where(np.arange(ROWS)[:, None] == 9, table["ops"][8], table["ops"])}
    twice["adj_bits"] = np.where(np.arange(ROWS) == 9, table["adj_bits"][8], table["adj_bits"])
    with pytest.raises(ed.DataError, match="1 of 423624 rows"):
        source.load("cifar10", directory=written(tmp_path, **twice))


STRATEGIES = [
    "ednag",
    "random_search",
    pytest.param("regularized_evolution", marks=pytest.mark.slow),
    pytest.param("local_search", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.slow
def test_every_strategy_spends_its_budget(strategy, benchmark):
    result = ed.search(strategy, benchmark, seeds=3, queries=60)
    assert result.queries.tolist() == [60, 60, 60]
    assert result.num_failed.sum() == 0
    np.testing.assert_array_equal(result.best_accuracy, result.test_accuracy)
    found = jnp.stack([SPACE.from_str(text) for text in result.best_arch])
    np.testing.assert_array_equal(benchmark.lookup(found), result.best_accuracy)
    assert np.all(result.best_accuracy > 92)


@pytest.mark.slow
def test_modules_outside_the_table_count_as_failed(benchmark):
    """Half of the rows taken out: the search goes on and reports them."""
    keys = benchmark.params.keys.at[::2].set(0)
    halved = dataclasses.replace(benchmark, params=benchmark.params._replace(keys=keys), test_params=None)
    result = ed.search("random_search", halved, seeds=3, queries=60)
    assert np.all(result.num_failed > 0)
    assert np.all(np.isfinite(result.best_accuracy))
