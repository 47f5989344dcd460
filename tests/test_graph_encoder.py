"""Graphs of every space, and their encoder: isomorphic ones are alike, others not; padding changes nothing."""

import itertools
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_tasks import drawn_weights

import ednag_jax as ed
from ednag_jax.predictor.dags import FIRST_OP, INPUT, OUTPUT, Dag, dag_of, pruned
from ednag_jax.predictor.graph_encoder import GraphEncoder, SweepWeights, sweep
from ednag_jax.spaces import darts, nasbench101_graph

KEY = jax.random.key(0)
SPACES = {**ed.SPACES, "own": ed.CategoricalSpace("own", choices=(3, 2, 4))}
NB201 = ed.SPACES["nasbench201"]
QUICK = ("nasbench101", "nasbench201", "own", "transnas101_macro")
"""Spaces whose programs compile fast; the others are slow tests."""
EVERY_SPACE = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in sorted(SPACES)]


@cache
def drawn(name, num=64):
    """Returns graphs of random architectures, their masks once pruned again, and the architectures' ids."""
    space = SPACES[name]

    @jax.jit
    def draw():
        phenotype = space.random(KEY, num)
        dag = dag_of(space)(phenotype)
        return dag, pruned(dag).mask, space.arch_id(phenotype)

    return jax.tree.map(np.asarray, draw())


def graphs(name):
    return drawn(name)[0]


@cache
def encoder_of(space, width=8, seed=1):
    """Returns a function from phenotypes, or graphs, to vectors; its weights large, so that all shows."""
    form = dag_of(space)
    encoder = GraphEncoder(len(form.ops), width)
    weights = drawn_weights(
        encoder.init, jax.eval_shape(form, jnp.zeros((2, space.num_fields), jnp.int32)), seed=seed
    )
    large = jax.tree.map(lambda leaf: 1.5 * leaf, weights)
    return jax.jit(lambda given: encoder.apply(large, given if isinstance(given, Dag) else form(given)))


def names_of(form, dag):
    """Returns the graph on the host: names of the nodes that exist and their edges."""
    op, edge, mask = (np.asarray(part) for part in dag)
    nodes = {int(v): form.ops[op[v]] for v in np.flatnonzero(mask)}
    return nodes, {(int(u), int(v)) for u, v in np.argwhere(edge)}


@pytest.mark.parametrize("name", EVERY_SPACE)
def test_nodes_are_in_topological_order_and_edges_only_between_those_that_exist(name):
    form, dag = dag_of(SPACES[name]), graphs(name)
    assert dag.op.shape == dag.mask.shape == (64, form.num_nodes)
    assert dag.edge.shape == (64, form.num_nodes, form.num_nodes)
    assert dag.op.dtype == jnp.int32
    assert not (dag.edge & np.tri(form.num_nodes, dtype=bool)).any()
    assert not (dag.edge & ~(dag.mask[:, None] & dag.mask[:, :, None])).any()
    assert (dag.op < len(form.ops)).all()
    assert (dag.op >= 0).all()
    assert not dag.op[~dag.mask].any()
    for end in (INPUT, OUTPUT):
        assert ((dag.op == end) & dag.mask).sum(axis=1).tolist() == [1] * 64


@pytest.mark.parametrize("name", EVERY_SPACE)
def test_every_node_lies_on_a_path_from_input_to_output(name):
    dag = graphs(name)
    space = SPACES[name]
    np.testing.assert_array_equal(drawn(name)[1], dag.mask)
    inner = np.asarray(dag.mask & (dag.op >= FIRST_OP))
    assert (np.asarray(dag.edge.any(axis=1))[inner]).all()
    assert (np.asarray(dag.edge.any(axis=2))[inner]).all()
    assert len(np.unique(np.asarray(dag.op), axis=0)) > 10 or space.size < 100


@pytest.mark.parametrize("name", EVERY_SPACE)
def test_different_architectures_have_different_graphs(name):
    """But for what computes nothing: cells with dead edges."""
    dag, _, ids = drawn(name)
    codes = np.concatenate([np.asarray(part).reshape(64, -1).astype(int) for part in dag], axis=1)
    by_graph: dict[bytes, set[bytes]] = {}
    for code, own in zip(codes, ids.reshape(64, -1), strict=True):
        by_graph.setdefault(code.tobytes(), set()).add(own.tobytes())
    shared = sum(len(owners) - 1 for owners in by_graph.values())
    assert shared == 0 or name in ("nasbench201", "transnas101_micro")


def test_a_cell_is_the_line_graph_of_its_edges():
    form = dag_of(NB201)
    # 0 -conv3-> 1, 0 -skip-> 2, 1 -none-> 2, 0 -none-> 3, 1 -conv1-> 3, 2 -pool-> 3
    nodes, edges = names_of(form, form(jnp.array([3, 1, 0, 0, 2, 4])))
    assert nodes == {
        0: "input", 1: "nor_conv_3x3", 2: "skip_connect", 5: "nor_conv_1x1", 6: "avg_pool_3x3", 7: "output"
    }  # fmt: skip
    assert edges == {(0, 1), (0, 2), (1, 5), (2, 6), (5, 7), (6, 7)}


def test_what_leads_nowhere_is_no_node():
    form = dag_of(NB201)
    # Node 1 leads nowhere, node 2 comes from nowhere else: only 0 -> 3 is left.
    nodes, edges = names_of(form, form(jnp.array([3, 0, 0, 2, 0, 4])))
    assert (nodes, edges) == ({0: "input", 4: "nor_conv_1x1", 7: "output"}, {(0, 4), (4, 7)})
    nodes, edges = names_of(form, form(jnp.zeros(6, jnp.int32)))
    assert (nodes, edges) == ({0: "input", 7: "output"}, set())


def test_a_module_is_its_own_graph_pruned():
    space = ed.SPACES["nasbench101"]
    form = dag_of(space)
    # Vertex 3 leads nowhere, vertex 4 comes from nowhere.
    phenotype = _module_phenotype([(0, 1), (0, 2), (1, 3), (1, 6), (2, 6), (4, 6)], [0, 2, 1, 1, 0])
    nodes, edges = names_of(form, form(jnp.asarray(phenotype)))
    assert nodes == {0: "input", 1: "conv3x3-bn-relu", 2: "maxpool3x3", 6: "output"}
    assert edges == {(0, 1), (0, 2), (1, 6), (2, 6)}


def _module_phenotype(edges, ops):
    fields = [int(pair in edges) for pair in nasbench101_graph.EDGES]
    return np.array([*fields, *ops], np.int32)


def test_cells_of_darts_lie_side_by_side():
    space = ed.SPACES["darts"]
    form = dag_of(space)
    phenotype = space.random(KEY, 1)[0]
    nodes, edges = names_of(form, form(phenotype))
    source, op = (np.asarray(part) for part in darts.edges(phenotype))
    assert len(nodes) == 24
    for cell, name in enumerate(darts.CELLS):
        first = 1 + 11 * cell
        assert [nodes[first + i] for i in (0, 1, 10)] == [
            f"{name}_before_previous", f"{name}_previous", f"{name}_end"
        ]  # fmt: skip
        for edge in range(8):
            own = first + 2 + edge
            assert nodes[own] == f"{name}_{darts.OPS[op[cell, edge]]}"
            giver = source[cell, edge]
            before = {first + giver} if giver < 2 else {first + 2 + 2 * (giver - 2) + i for i in (0, 1)}
            assert {u for u, v in edges if v == own} == before
            assert (own, first + 10) in edges
        assert {(0, first), (0, first + 1), (first + 10, 23)} <= edges


@pytest.mark.parametrize(
    "name", ["transnas101_macro", pytest.param("autoformer_tiny", marks=pytest.mark.slow), "own"]
)
def test_stacks_of_blocks_are_chains(name):
    for dag in zip(*graphs(name), strict=True):
        nodes, edges = names_of(dag_of(SPACES[name]), Dag(*dag))
        assert edges == set(itertools.pairwise(sorted(nodes)))


def test_blocks_of_a_chain_are_typed_by_stage_and_kind():
    space = ed.SPACES["mobilenetv3"]
    text = "r192 | k3e3 k5e6 | k3e3 k7e4 k3e3 | k7e4 k3e3 k3e3 | k3e3 k3e3 | k3e3 k5e4 k7e6 k3e4"
    nodes, _ = names_of(dag_of(space), dag_of(space)(space.from_str(text)))
    stages = [part.split() for part in text.split(" | ")[1:]]
    blocks = [f"stage_{stage}_{kind}" for stage, kinds in enumerate(stages) for kind in kinds]
    assert [nodes[v] for v in sorted(nodes)] == ["input", "r192", *blocks, "output"]


def recursive(weights, op, edge, node):
    """Returns the state of a node in float64, by asking its predecessors."""
    w = jax.tree.map(lambda leaf: np.asarray(leaf, float), weights)
    width = w.state.shape[0]
    heard = np.zeros(width)
    for before in np.flatnonzero(edge[:, node]):
        state = recursive(weights, op, edge, before)
        gate, value = np.split(state @ w.message, 2)
        heard += value / (1 + np.exp(-(gate + w.gate_bias)))
    own_reset, own_update, own_new = np.split(w.op[op[node]], 3)
    reset, update, new = np.split(heard @ w.state, 3)
    candidate = np.tanh(own_new + (new + w.state_bias) / (1 + np.exp(-(own_reset + reset))))
    keep = 1 / (1 + np.exp(-(own_update + update)))
    return (1 - keep) * candidate + keep * heard


def test_states_are_those_of_plain_recursion():
    keys = jax.random.split(jax.random.key(3), 5)
    shapes = ((7, 12), (4, 12), (4,), (4, 8), (4,))
    weights = SweepWeights(*(jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)))
    dag = graphs("nasbench201")
    states = np.asarray(jax.jit(sweep)(weights, dag.op, dag.edge))
    for row in range(5):
        op, edge = np.asarray(dag.op[row]), np.asarray(dag.edge[row])
        for node in range(len(op)):
            expected = recursive(weights, op, edge, node)
            np.testing.assert_allclose(states[node, row], expected, rtol=1e-3, atol=1e-4)


def test_vectors_are_both_ends_states_forward_and_backward():
    form = dag_of(NB201)
    encoder = GraphEncoder(len(form.ops), 4)
    dag = form(jnp.array([3, 1, 0, 2, 2, 4]))
    weights = drawn_weights(encoder.init, dag)
    names = ("forward", "backward")
    forward, backward = (SweepWeights(**weights["params"][name]) for name in names)
    op, edge = np.asarray(dag.op), np.asarray(dag.edge)
    expected = [recursive(forward, op, edge, 7), recursive(backward, op[::-1], edge.T[::-1, ::-1], 7)]
    np.testing.assert_allclose(
        jax.jit(encoder.apply)(weights, dag), np.concatenate(expected), rtol=1e-4, atol=1e-5
    )


def relabelled(phenotype, order):
    """Returns a module's phenotype with interior vertex v renamed order[v]; None where an edge turns back."""
    vertex = [0, *order, 6]
    fields = np.asarray(phenotype)
    edges = [pair for bit, pair in enumerate(nasbench101_graph.EDGES) if fields[bit]]
    renamed = [(vertex[u], vertex[v]) for u, v in edges]
    if any(u >= v for u, v in renamed):
        return None
    ops = [0] * 5
    for old, new in enumerate(order):
        ops[new - 1] = int(fields[21 + old])
    return _module_phenotype(renamed, ops)


def test_isomorphic_modules_have_the_same_vector_and_others_do_not():
    space = ed.SPACES["nasbench101"]
    pairs = [
        (phenotype, renamed)
        for phenotype in np.asarray(space.random(jax.random.key(5), 40))
        for order in itertools.permutations(range(1, 6))
        if (renamed := relabelled(phenotype, order)) is not None and not np.array_equal(renamed, phenotype)
    ]
    assert len(pairs) > 200
    archs = jnp.asarray(np.stack(pairs[:: len(pairs) // 200]))
    ids, vectors = np.asarray(jax.jit(space.arch_id)(archs)), np.asarray(encoder_of(space)(archs))
    np.testing.assert_array_equal(ids[:, 0], ids[:, 1])
    np.testing.assert_allclose(vectors[:, 0], vectors[:, 1], rtol=1e-4, atol=1e-5)
    apart = np.abs(vectors[:, None, 0] - vectors[:, 0]).max(axis=-1)
    different = (ids[:, None, 0] != ids[:, 0]).any(axis=-1)
    assert different.sum() > 10_000
    assert apart[different].min() > 1e-4


def test_a_cell_with_nodes_one_and_two_swapped_has_the_same_vector():
    archs = np.asarray(NB201.random(KEY, 100))
    swap, linked = np.array([1, 0, 2, 3, 5, 4]), np.arange(6) == 2  # the edge between them
    apart, together = (np.where(linked, op, archs) for op in (0, 3))
    given = jnp.asarray(np.stack([apart, apart[:, swap], together, together[:, swap]]))
    vectors = np.asarray(encoder_of(NB201)(given))
    np.testing.assert_allclose(vectors[0], vectors[1], rtol=1e-4, atol=1e-5)
    assert np.abs(vectors[2] - vectors[3]).max() > 0.1


def test_padding_changes_nothing_wherever_it_is():
    dag, encode = Dag(*(part[:16] for part in graphs("nasbench201"))), encoder_of(NB201)
    vectors = encode(dag)
    place = jnp.array([0, 2, 3, 5, 6, 7, 9, 11])
    wide = Dag(
        jnp.zeros((16, 12), jnp.int32).at[:, place].set(dag.op),
        jnp.zeros((16, 12, 12), bool).at[:, place[:, None], place].set(dag.edge),
        jnp.zeros((16, 12), bool).at[:, place].set(dag.mask),
    )
    np.testing.assert_allclose(encode(wide), vectors, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(encode(Dag(*(part[None] for part in dag)))[0], vectors, rtol=1e-5, atol=1e-6)


def test_cells_that_compute_the_same_for_want_of_a_path_have_the_same_vector():
    encode = encoder_of(NB201)
    dead = jnp.array([[3, 0, 0, 2, 0, 4], [1, 0, 0, 2, 0, 3], [0, 0, 0, 2, 0, 0]])
    vectors = encode(dead)
    np.testing.assert_allclose(vectors, jnp.broadcast_to(vectors[:1], vectors.shape), rtol=1e-6, atol=1e-7)
