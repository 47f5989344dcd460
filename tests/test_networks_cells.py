"""Networks of the cell-based spaces: what they compute against plain NumPy, and one step of training each."""

import math
from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.errors import InvalidRngError
from plain_networks import (
    QUICK,
    TINY,
    compared,
    drawn_images,
    plain_cell,
    plain_conv,
    plain_darts,
    plain_darts_operation,
    plain_module,
    plain_nasbench101,
    plain_nasbench201,
    plain_pool,
    plain_reduce,
    plain_relu_conv_norm,
    plain_transnas,
    randomised,
)

from ednag_jax.networks import (
    NETWORKS,
    NasBench201Any,
    NasBench201Switch,
    build,
    darts,
    initialise,
    nasbench101,
    nasbench201,
    nasbench201_switch,
    num_parameters,
    transnas101,
)
from ednag_jax.networks.blocks import Cell, FactorizedReduce, ReluConvNorm, avg_pool
from ednag_jax.spaces import SPACES


@pytest.mark.parametrize(
    ("ops", "stride", "channels"),
    [
        (("nor_conv_3x3", "avg_pool_3x3", "nor_conv_1x1", "skip_connect", "none", "nor_conv_3x3"), 1, 4),
        (("skip_connect", "nor_conv_3x3", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "none"), 2, 3),
        (("none", "none", "nor_conv_1x1", "none", "none", "avg_pool_3x3"), 2, 4),
    ],
)
def test_a_cell_computes_what_plain_loops_do(ops, stride, channels):
    """The last has nothing but zeros at its nodes, and normalises them all the same."""
    compared(
        Cell(ops, 4, stride),
        drawn_images(2, 6, 5, channels),
        lambda x, params, stats: plain_cell(ops, x, params, stats, stride, 4),
        train=False,
    )


@pytest.mark.parametrize("pixels", [(6, 4), (5, 7)])
def test_factorized_reduce_computes_what_plain_loops_do(pixels):
    compared(FactorizedReduce(6), drawn_images(2, *pixels, 3), plain_reduce, train=False)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pixels", [(6, 5), (1, 2)])
def test_average_pool_leaves_the_padding_out(pixels, stride):
    images = drawn_images(2, *pixels, 3)
    np.testing.assert_allclose(
        avg_pool(images, stride), plain_pool(np.asarray(images), stride, np.mean), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("op", darts.OPS)
@pytest.mark.parametrize("stride", [1, 2])
def test_darts_operations_compute_what_plain_loops_do(op, stride):
    plain = partial(plain_darts_operation, op, stride)
    compared(darts.Operation(op, 4, stride), drawn_images(2, 8, 6, 4), plain, train=False)


@pytest.mark.parametrize(
    ("matrix", "ops", "features", "width"),
    [
        # three vertices share 8 channels as 3, 3 and 2
        (
            (
                (0, 1, 1, 0, 0, 1),
                (0, 0, 1, 0, 1, 1),
                (0, 0, 0, 1, 0, 0),
                (0, 0, 0, 0, 0, 1),
                (0,) * 5 + (1,),
                (0,) * 6,
            ),
            (-1, 0, 1, 2, 0, -2),
            8,
            [0, 3, 3, 3, 2, 8],
        ),
        (((0, 1), (0, 0)), (-1, -2), 6, [0, 6]),
        (((0, 1, 0), (0, 0, 1), (0, 0, 0)), (-1, 2, -2), 5, [0, 5, 5]),
    ],
)
def test_a_nasbench101_module_computes_what_plain_loops_do(matrix, ops, features, width):
    assert nasbench101.vertex_channels(matrix, features) == width
    module = nasbench101.Module(matrix, ops, features)
    compared(module, drawn_images(2, 4, 4, 3), partial(plain_module, matrix, ops, width), train=False)


NETWORKS_IN_WORDS = {
    "nasbench201": "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
    "nasbench101": (
        '{"matrix":[[0,1,1,0,0],[0,0,0,1,1],[0,0,0,1,0],[0,0,0,0,1],[0,0,0,0,0]],'
        '"ops":["input","conv3x3-bn-relu","maxpool3x3","conv1x1-bn-relu","output"]}'
    ),
    "transnas101_micro": "64-41414-3_12_013",
    "transnas101_macro": "64-1234-basic",
    "darts": (
        "Genotype(normal=[('dil_conv_3x3',1),('skip_connect',0),('sep_conv_3x3',0),('max_pool_3x3',2),"
        "('skip_connect',3),('avg_pool_3x3',1),('sep_conv_3x3',4),('skip_connect',2)],normal_concat=range(2,6),"
        "reduce=[('skip_connect',0),('sep_conv_3x3',1),('avg_pool_3x3',0),('dil_conv_3x3',2),('skip_connect',1),"
        "('max_pool_3x3',3),('skip_connect',2),('max_pool_3x3',0)],reduce_concat=range(2,6))"
    ),
}


def plain_network(network):
    """Returns the network as a function of plain NumPy."""
    if isinstance(network, nasbench201.NasBench201Net):
        return partial(plain_nasbench201, [nasbench201.OPS[op] for op in network.ops])
    if isinstance(network, nasbench101.NasBench101Net):
        return partial(plain_nasbench101, network.matrix, network.ops, [0, 4, 4, 4, 8])
    if isinstance(network, transnas101.TransNas101Net):
        return partial(plain_transnas, network.blocks, network.cell)
    return partial(plain_darts, network.normal, network.reduce, network.num_cells)


@pytest.mark.parametrize("name", list(NETWORKS_IN_WORDS))
def test_a_network_computes_what_plain_loops_do(name):
    """Whole networks, from the official text to the logits."""
    phenotype = SPACES[name].from_str(NETWORKS_IN_WORDS[name])
    network = build(name, phenotype, num_classes=3, **TINY[name])
    compared(network, drawn_images(2, 16, 16, 3), plain_network(network), train=False)


@pytest.mark.parametrize(
    ("block", "norm_name", "momentum"),
    [
        (ReluConvNorm(4, 1), "norm", 0.9),
        (nasbench101.ConvNormRelu(4, 1), "norm", 0.997),
        (transnas101.Residual(4, stride=2), "shortcut_norm", 0.0),
    ],
)
def test_running_averages_forget_as_in_the_sources(block, norm_name, momentum):
    """Torch's momentum of 0.1, TensorFlow's of 0.997, and torch's of 1 at TransNAS-Bench-101's shortcuts."""
    images = drawn_images(3, 6, 6, 4)
    variables = randomised(block, images, train=False)
    _, updated = block.apply(variables, images, train=True, mutable=["batch_stats"])
    relu = np.maximum(images, 0) if isinstance(block, ReluConvNorm) else images
    conv_name, stride = ("shortcut", 2) if momentum == 0.0 else ("conv", 1)
    batch = plain_conv(relu, np.asarray(variables["params"][conv_name]["kernel"]), stride)
    for key, moment in (("mean", batch.mean((0, 1, 2))), ("var", batch.var((0, 1, 2)))):
        before, after = (stats["batch_stats"][norm_name][key] for stats in (variables, updated))
        np.testing.assert_allclose(after, momentum * before + (1 - momentum) * moment, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2)])
def test_matrix_convolution_is_a_convolution(size, stride):
    images, kernel = drawn_images(2, 7, 6, 3), drawn_images(size, size, 3, 4, seed=1)
    pads = ((size // 2, size // 2),) * 2
    found = nasbench201.matrix_convolution(images, kernel, (stride, stride), pads)
    expected = plain_conv(np.asarray(images), np.asarray(kernel), stride)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------------------------- any cell in one program

ANY = NasBench201Any(num_classes=5, channels=4, num_cells=2)
SCORED = jnp.array([[3, 2, 4, 1, 0, 3], [0, 2, 2, 3, 3, 4], [1, 1, 1, 1, 1, 1]])


def test_both_kernels_of_any_cell_start_as_torchs_do():
    """U(-1, 1) / sqrt(inputs of a pixel of the output), edge by edge."""
    for size, bound in ((1, 1 / 3), (3, 1 / 9)):
        draw = partial(nasbench201.STACKED_INIT, shape=(6, size, size, 9, 9))
        kernels = np.asarray(jax.jit(draw, compiler_options=QUICK)(jax.random.key(size)))
        greatest = np.abs(kernels.reshape(6, -1)).max(axis=1)
        assert np.all((greatest <= bound) & (greatest > 0.9 * bound))
        np.testing.assert_allclose(kernels.std(), bound / 3**0.5, rtol=0.1)


def test_variables_of_many_networks_are_those_of_each():
    """Drawn in one program, and the numbers that flax draws."""
    module, keys = nn.Dense(2), jax.random.split(jax.random.key(0), 3)
    many = initialise(module, keys, (4, 4, 3))
    for row, key in enumerate(keys):
        own = jax.tree.map(lambda leaf, row=row: leaf[row], many)
        for expected in (initialise(module, key, (4, 4, 3)), module.init(key, jnp.zeros((1, 4, 4, 3)))):
            jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), own, expected)


@pytest.fixture(scope="module")
def any_run():
    """Returns images, the variables of three cells, and their logits and averages in training and not."""
    images = drawn_images(3, 8, 8, 3)
    own = [randomised(ANY, images, SCORED[0], seed=seed) for seed in range(len(SCORED))]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *own)

    def one(variables, phenotype):
        logits = ANY.apply(variables, images, phenotype)
        trained = ANY.apply(variables, images, phenotype, train=True, mutable=["batch_stats"])
        return logits, *trained

    return images, stacked, jax.jit(jax.vmap(one), compiler_options=QUICK)(stacked, SCORED)


@pytest.mark.parametrize("row", range(len(SCORED)))
@pytest.mark.slow
def test_any_cell_computes_what_the_built_cell_does(any_run, row):
    """In evaluation and in training, running averages included; many cells in one program."""
    images, stacked, results = any_run
    network = build("nasbench201", SCORED[row], num_classes=5, channels=4, num_cells=2)
    variables, (logits, trained, updated) = jax.tree.map(lambda leaf: leaf[row], (stacked, results))
    own = nasbench201.extract(variables, SCORED[row])
    shapes = jax.eval_shape(network.init, jax.random.key(0), images)
    assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, shapes)

    @partial(jax.jit, compiler_options=QUICK)
    def run(own):
        in_training = network.apply(own, images, train=True, mutable=["batch_stats"])
        return network.apply(own, images), *in_training

    evaluated, expected, averages = run(own)
    np.testing.assert_allclose(logits, evaluated, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(trained, expected, rtol=1e-4, atol=1e-4)
    found = nasbench201.extract({**variables, **updated}, SCORED[row])["batch_stats"]
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4), found, averages["batch_stats"])


@pytest.mark.slow
def test_the_switched_cell_computes_what_the_built_cell_does():
    """In evaluation and in training, running averages and gradients included."""
    images, switched = drawn_images(3, 8, 8, 3), NasBench201Switch(num_classes=5, channels=4, num_cells=2)
    variables = randomised(switched, images, SCORED[0])

    def outcome(network, variables, *inputs):
        def loss(params):
            own = {**variables, "params": params}
            logits, averages = network.apply(own, images, *inputs, train=True, mutable=["batch_stats"])
            return jnp.sum(logits**2), (logits, averages["batch_stats"])

        gradient, (trained, averages) = jax.grad(loss, has_aux=True)(variables["params"])
        return network.apply(variables, images, *inputs), trained, averages, gradient

    of_any = jax.jit(partial(outcome, switched), compiler_options=QUICK)
    for cell in SCORED:
        network = build("nasbench201", cell, num_classes=5, channels=4, num_cells=2)
        own = nasbench201_switch.extract(variables, cell)
        shapes = jax.eval_shape(network.init, jax.random.key(0), images)
        assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, shapes)
        logits, trained, averages, gradient = of_any(variables, cell)
        expected = jax.jit(partial(outcome, network), compiler_options=QUICK)(own)
        close = partial(chex.assert_trees_all_close, rtol=1e-3, atol=1e-4)
        close((logits, trained), expected[:2])
        found = nasbench201_switch.extract({"params": gradient, "batch_stats": averages}, cell)
        close(found["batch_stats"], expected[2])
        scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(expected[3]))
        chex.assert_trees_all_close(found["params"], expected[3], rtol=1e-3, atol=1e-4 * scale)


@pytest.mark.slow
def test_many_cells_train_in_one_program(compilations):
    """Six cells learn six images by heart; other cells of the same number compile nothing more."""
    images, labels = drawn_images(6, 8, 8, 3), jnp.arange(6) % 5
    optimiser = optax.adam(0.01)

    def loss(params, stats, phenotype):
        variables = {"params": params, "batch_stats": stats}
        logits, updated = ANY.apply(variables, images, phenotype, train=True, mutable=["batch_stats"])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return jnp.mean(losses), updated["batch_stats"]

    @jax.jit
    def trained(keys, phenotypes):
        def one(key, phenotype):
            variables = ANY.init(key, images, phenotype)
            start = (variables["params"], variables["batch_stats"], optimiser.init(variables["params"]))

            def step(carry, _):
                params, stats, state = carry
                (value, stats), grads = jax.value_and_grad(loss, has_aux=True)(params, stats, phenotype)
                updates, state = optimiser.update(grads, state)
                return (optax.apply_updates(params, updates), stats, state), value

            return jax.lax.scan(step, start, length=30)[1]

        return jax.vmap(one)(keys, phenotypes)

    keys = jax.random.split(jax.random.key(0), 6)
    drawn = SPACES["nasbench201"].random(jax.random.key(1), 12).at[0].set(0)
    losses = trained(keys, drawn[:6])
    assert jnp.all(jnp.isfinite(losses))
    assert jnp.all(losses[1:, -1] < 0.5 * losses[1:, 0])
    before = compilations.count
    jax.block_until_ready(trained(keys, drawn[6:]))
    assert compilations.count <= before + 1  # the slice


# ------------------------------------------------------------------------------------------------- training


def training_step(network, images, labels):
    """Returns variables and a function that makes one step of gradient descent."""

    def loss(params, stats):
        variables = {"params": params, "batch_stats": stats}
        logits, updated = network.apply(variables, images, train=True, mutable=["batch_stats"])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return jnp.mean(losses), updated["batch_stats"]

    def step(variables):
        params, stats = variables["params"], variables["batch_stats"]
        (value, stats), grads = jax.value_and_grad(loss, has_aux=True)(params, stats)
        descent = optax.sgd(1e-3)
        updates, _ = descent.update(grads, descent.init(params))
        return {"params": optax.apply_updates(params, updates), "batch_stats": stats}, value, grads

    return jax.jit(step, compiler_options=QUICK)


QUICKLY_TRAINED = (("nasbench101", 0), ("nasbench201", 0))
TRAINED = [
    pytest.param(name, seed, marks=[] if (name, seed) in QUICKLY_TRAINED else pytest.mark.slow)
    for name in TINY
    for seed in range(3)
]


@pytest.mark.parametrize(("name", "seed"), TRAINED)
@pytest.mark.slow
def test_one_step_of_training_lowers_the_loss(name, seed):
    images, labels = drawn_images(4, 16, 16, 3), jnp.arange(4) % 3
    phenotype = SPACES[name].random(jax.random.key(seed), 1)[0]
    network = build(name, phenotype, num_classes=3, **TINY[name])
    start = randomised(network, images)
    step = training_step(network, images, labels)
    variables, before, grads = step(start)
    _, after, _ = step(variables)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(grads))
    assert after < before
    moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), start["batch_stats"], variables["batch_stats"])
    assert any(jax.tree.leaves(moved))


def test_darts_cell_drops_no_skip_connection():
    """Every path through another operation is dropped at a rate of nearly 1."""
    genes = (("skip_connect", 0), ("avg_pool_3x3", 1)) * 4
    cell = darts.DartsCell(genes, 3, reduces=False, was_reduced=False)
    before, last = drawn_images(2, 4, 4, 3), drawn_images(2, 4, 4, 3, seed=1)
    variables = randomised(cell, before, last, train=False)
    run = partial(cell.apply, train=False, rngs={"dropout": jax.random.key(0)})
    found = jax.jit(run, compiler_options=QUICK)(variables, before, last, drop_path_rate=1 - 1e-6)
    params, stats = (jax.device_get(variables[kind]["preprocess_0"]) for kind in ("params", "batch_stats"))
    kept = plain_relu_conv_norm(np.asarray(before, np.float64), params, stats)
    np.testing.assert_allclose(found, np.concatenate([kept] * 4, axis=-1), rtol=2e-4, atol=2e-4)


def test_darts_drop_path_leaves_out_whole_images_and_keeps_the_mean():
    images = jnp.ones((4000, 1, 2, 3))
    dropped = darts.drop_path(jax.random.key(0), images, 0.25)
    each = dropped.reshape(4000, -1)
    assert jnp.all((each == 0).all(axis=1) | jnp.allclose(each[each.any(axis=1)], 1 / 0.75))
    error = math.sqrt(0.25 / 0.75 / 4000)
    assert abs(float(dropped.mean()) - 1) < 5 * error


def test_darts_paths_are_dropped_in_training_only():
    """Only then does the network draw."""
    images = jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32)
    network = build("darts", SPACES["darts"].random(jax.random.key(0), 1)[0], num_classes=3, **TINY["darts"])
    variables = jax.eval_shape(network.init, jax.random.key(0), images)

    def logits(train):
        apply = partial(network.apply, train=train, drop_path_rate=0.5, mutable=["batch_stats"])
        return jax.eval_shape(apply, variables, images)[0]

    assert logits(train=False).shape == (2, 3)
    with pytest.raises(InvalidRngError, match="dropout"):
        logits(train=True)


def test_darts_auxiliary_logits_are_sown():
    phenotype = SPACES["darts"].random(jax.random.key(0), 1)[0]
    network = build("darts", phenotype, num_classes=3, channels=2, num_cells=3, auxiliary=True)
    apply = partial(network.apply, train=True, mutable=["batch_stats", "intermediates"])
    images = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
    variables = jax.eval_shape(network.init, jax.random.key(0), images)
    logits, state = jax.eval_shape(apply, variables, images)
    assert logits.shape == state["intermediates"]["auxiliary"][0].shape == (2, 3)
    with pytest.raises(ValueError, match="the auxiliary head reads 8 x 8 pixels, got 4 x 4"):
        num_parameters(network, (16, 16, 3))


# --------------------------------------------------------------------------------------------- the registry


def test_every_space_has_networks():
    assert set(NETWORKS) == set(SPACES)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_networks_are_static_arguments(name):
    phenotype = SPACES[name].random(jax.random.key(0), 1)[0]
    first, second = (build(name, phenotype, num_classes=3) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    assert first != build(name, phenotype, num_classes=4)


def test_transnas_resolution_follows_the_blocks():
    """Half where a block halves, whatever the pixels; the mean hides it, so the last block is looked at."""
    phenotype = SPACES["transnas101_macro"].from_str("64-1234-basic")
    network = build("transnas101_macro", phenotype, num_classes=3)
    images = jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32)
    variables = jax.eval_shape(network.init, jax.random.key(0), images)
    apply = partial(network.apply, capture_intermediates=True, mutable=["intermediates"])
    _, state = jax.eval_shape(apply, variables, images)
    seen = [
        state["intermediates"]["backbone"][f"block_{block}_cell_1"]["__call__"][0].shape[1:]
        for block in range(4)
    ]
    assert seen == [(64, 64, 64), (64, 64, 128), (32, 32, 128), (16, 16, 256)]


def test_a_phenotype_that_is_none_is_refused():
    with pytest.raises(
        ValueError, match=r"phenotype \[9, 0, 0, 0, 0, 0\] is no architecture of space 'nasbench201'"
    ):
        build("nasbench201", [9, 0, 0, 0, 0, 0], num_classes=10)
    with pytest.raises(ValueError, match="which has 6 fields"):
        build("nasbench201", [0, 0], num_classes=10)
    with pytest.raises(ValueError, match=r"space must be one of .*, got 'resnet'"):
        build("resnet", [0], num_classes=10)
