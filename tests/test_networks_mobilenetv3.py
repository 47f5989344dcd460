"""MobileNetV3 networks: published sizes, the latency table's layers, plain loops, and one training step."""

import json
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ednag_jax.networks import mobilenetv3, multiply_adds, num_parameters
from ednag_jax.networks.mobilenetv3 import Block, InvertedResidual, MobileNetV3Net
from ednag_jax.spaces.mobilenetv3 import MobileNetV3

SPACE = MobileNetV3()
LARGEST = SPACE.from_config({"r": 224, "d": [4] * 5, "ks": [7] * 20, "e": [6] * 20})
SMALLEST = SPACE.from_config({"r": 160, "d": [2] * 5, "ks": [3] * 20, "e": [3] * 20})
MIXED = SPACE.from_str("r160 | k3e3 k5e6 | k7e4 k3e3 | k7e4 k3e3 k5e6 | k3e3 k3e3 | k3e3 k5e3")
RELEASED = {  # pixels, blocks stage by stage, and what is listed: millions of parameters and of multiply-adds
    "note8_lat@31ms": (
        152,
        "k5e3 k3e3 | k5e4 k5e3 | k3e4 k3e4 k5e4 | k3e4 k5e3 k7e4 | k3e6 k3e3 k5e3 k5e3",
        (4.6, 101),
    ),
    "note8_lat@22ms": (140, "k3e3 k3e3 | k5e3 k5e3 | k7e4 k3e3 | k5e3 k3e4 | k3e6 k7e6", (4.3, 67)),
}
MOBILENETV3_LARGE = (  # Howard et al. 2019, table 1
    Block(3, 16, 16, 1, False, False),
    Block(3, 64, 24, 2, False, False),
    Block(3, 72, 24, 1, False, False),
    Block(5, 72, 40, 2, True, False),
    Block(5, 120, 40, 1, True, False),
    Block(5, 120, 40, 1, True, False),
    Block(3, 240, 80, 2, False, True),
    Block(3, 200, 80, 1, False, True),
    Block(3, 184, 80, 1, False, True),
    Block(3, 184, 80, 1, False, True),
    Block(3, 480, 112, 1, True, True),
    Block(3, 672, 112, 1, True, True),
    Block(5, 672, 160, 2, True, True),
    Block(5, 960, 160, 1, True, True),
    Block(5, 960, 160, 1, True, True),
)
TORCHVISION_LARGE = 5_483_032
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""For programs that run once: they compile in a fraction of the time."""


def rounded(channels):
    """Returns the nearest multiple of 8, halves up, or the next one where that loses more than a tenth."""
    nearest = max(8, 8 * math.floor(channels / 8 + 0.5))
    return nearest if nearest >= 0.9 * channels else nearest + 8


def plain_count(config, width, num_classes=1000):
    """Returns the parameters by adding up formulas, layer by layer."""
    stem, *outer, expanded, head = (rounded(c * width) for c in (16, 24, 40, 80, 112, 160, 960, 1280))

    def normed(weights, channels):
        return weights + 2 * channels

    total = normed(27 * stem, stem) + normed(9 * stem, stem) + normed(stem * stem, stem)
    inputs = stem
    for stage, (outputs, depth) in enumerate(zip(outer, config["d"], strict=True)):
        for block in range(4 * stage, 4 * stage + depth):
            inner = inputs * config["e"][block]
            total += normed(inputs * inner, inner) + normed(config["ks"][block] ** 2 * inner, inner)
            if stage in (1, 3, 4):
                squeezed = rounded(inner // 4)
                total += (inner + 1) * squeezed + (squeezed + 1) * inner
            total += normed(inner * outputs, outputs)
            inputs = outputs
    return total + normed(inputs * expanded, expanded) + expanded * head + (head + 1) * num_classes


@pytest.mark.parametrize("width", [1.0, 1.2])
@pytest.mark.slow
def test_number_of_parameters_is_the_sum_of_the_layers_formulas(width):
    architectures = jnp.stack([*SPACE.random(jax.random.key(1), 2), SMALLEST, LARGEST])
    expected = [plain_count(SPACE.to_config(architecture), width) for architecture in architectures]
    built = [mobilenetv3.build(architecture, num_classes=1000, width=width) for architecture in architectures]
    assert [num_parameters(network) for network in built] == expected
    counts = jax.jit(partial(mobilenetv3.parameter_count, num_classes=1000, width=width))(architectures)
    assert counts.tolist() == expected


def test_parameter_count_is_of_many_networks_at_once():
    architectures = SPACE.decode(jax.random.normal(jax.random.key(2), (2, 32, SPACE.genotype_size)))
    counts = jax.jit(partial(mobilenetv3.parameter_count, num_classes=10))(architectures)
    expected = [plain_count(SPACE.to_config(a), 1.0, 10) for a in architectures.reshape(64, -1)]
    assert counts.ravel().tolist() == expected


@pytest.mark.parametrize("name", ["note8_lat@22ms", pytest.param("note8_lat@31ms", marks=pytest.mark.slow)])
def test_released_networks_have_the_listed_parameters_and_multiply_adds(name):
    pixels, blocks, listed = RELEASED[name]
    network = mobilenetv3.build(SPACE.from_str(f"r160 | {blocks}"), num_classes=1000)
    assert (
        round(num_parameters(network) / 1e6, 1),
        round(multiply_adds(network, (pixels, pixels, 3)) / 1e6),
    ) == listed


def test_the_largest_network_has_the_listed_size():
    """MMRazor lists 7.6 million for width 1: 7.66 with the batch norms, 7.62 without them."""
    assert num_parameters(mobilenetv3.build(LARGEST, num_classes=1000)) == 7_664_760


def test_mobilenetv3_large_made_of_these_blocks_has_torchvisions_size():
    """To the last parameter: torchvision's layer before the classifier has 1,280 biases more."""
    network = MobileNetV3Net(16, MOBILENETV3_LARGE, 960, 1280, num_classes=1000)
    assert num_parameters(network) == TORCHVISION_LARGE - 1280


@pytest.mark.parametrize("resolution", [160, 208])
@pytest.mark.slow
def test_layers_of_width_1_2_are_those_of_the_latency_table(data_dir, resolution):
    """Its keys say channels, image sizes, strides, skips, excitations and activations of every block."""
    file = data_dir / "ofa_mobilenetv3" / "ofa_note10_latency_lut.json"
    entries = json.loads(file.read_text())[str(resolution)]
    for architecture in SPACE.random(jax.random.key(2), 2):
        network = mobilenetv3.build(architecture, num_classes=1000, width=1.2)
        shapes = layer_shapes(network, resolution)
        assert f"Conv-input:{cube(resolution, 3)}-output:{cube(*shapes[0])}" in entries
        for block, inputs, outputs in zip(network.blocks, shapes[:-1], shapes[1:], strict=True):
            assert block_key(block, inputs, outputs) in entries
        size, channels = shapes[-1]
        assert f"Conv_1-input:{cube(size, channels)}-output:{cube(size, network.expanded_channels)}" in entries
        assert f"Logits-input:{cube(1, network.head_channels)}-output:1000" in entries


def layer_shapes(network, pixels):
    """Returns (size, channels) of what the stem and every block give."""
    names = ["stem", *(f"block_{index}" for index in range(len(network.blocks)))]
    images = jax.ShapeDtypeStruct((1, pixels, pixels, 3), jnp.float32)
    variables = jax.eval_shape(partial(network.init, train=False), jax.random.key(0), images)
    apply = partial(
        network.apply,
        train=False,
        mutable=["intermediates"],
        capture_intermediates=lambda module, _: len(module.path) == 1 and module.name in names,
    )
    _, state = jax.eval_shape(apply, variables, images)
    shapes = [state["intermediates"][name]["__call__"][0].shape for name in names]
    assert all(height == width for _, height, width, _ in shapes)
    return [(height, channels) for _, height, _, channels in shapes]


def cube(size, channels):
    return f"{size}x{size}x{channels}"


def block_key(block, inputs, outputs):
    kernel, inner, _, stride, excites, swishes = block
    return (
        f"expanded_conv-input:{cube(*inputs)}-output:{cube(*outputs)}-expand:{inner}-kernel:{kernel}"
        f"-stride:{stride}-idskip:{inputs == outputs:d}-se:{excites:d}-hs:{swishes:d}"
    )


@pytest.mark.parametrize(
    "block",
    [
        Block(3, 8, 16, 2, excites=True, swishes=False),
        Block(5, 12, 4, 1, excites=False, swishes=True),
        Block(3, 4, 4, 1, excites=True, swishes=True),
    ],
)
def test_a_block_computes_what_plain_loops_do(block):
    inputs = jax.random.normal(jax.random.key(3), (2, 5, 5, 4))
    module = InvertedResidual(block)
    variables = randomised(jax.eval_shape(partial(module.init, train=False), jax.random.key(0), inputs))
    out = jax.jit(partial(module.apply, train=False), compiler_options=QUICK)(variables, inputs)
    plain = jax.device_get(variables)
    expected = np.stack([plain_block(plain, block, np.asarray(x, np.float64)) for x in inputs])
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)


def randomised(shapes):
    """Returns variables of these shapes; norms and biases from [0.5, 1.5], kernels of either sign."""
    leaves, tree = jax.tree.flatten(shapes)
    rng = np.random.default_rng(4)
    signs = [rng.choice([-1, 1], leaf.shape) if leaf.ndim > 1 else 1 for leaf in leaves]
    drawn = [
        jnp.asarray(s * rng.uniform(0.5, 1.5, v.shape), jnp.float32) for s, v in zip(signs, leaves, strict=True)
    ]
    return jax.tree.unflatten(tree, drawn)


def plain_block(variables, block, x):
    """Returns one image through a block, position by position."""
    params, stats = variables["params"], variables["batch_stats"]

    def norm(name, y):
        return plain_norm(params[name]["norm"], stats[name]["norm"], y)

    def activate(y):
        return swish(y) if block.swishes else np.maximum(y, 0)

    y = x
    if block.inner != x.shape[-1]:
        y = activate(norm("expand", y @ params["expand"]["conv"]["kernel"][0, 0]))
    kernel = params["depthwise"]["conv"]["kernel"][:, :, 0]
    y = activate(norm("depthwise", plain_depthwise(y, kernel, block.stride)))
    if block.excites:
        squeeze, gate = (params["excite"][name] for name in ("squeeze", "gate"))
        squeezed = np.maximum(y.mean((0, 1)) @ squeeze["kernel"] + squeeze["bias"], 0)
        y = y * np.clip(squeezed @ gate["kernel"] + gate["bias"] + 3, 0, 6) / 6
    y = norm("project", y @ params["project"]["conv"]["kernel"][0, 0])
    return y + x if y.shape == x.shape else y


def plain_depthwise(x, kernel, stride):
    """Returns every channel convolved with its own kernel, [size size channels], padded by half its size."""
    half, size = kernel.shape[0] // 2, (x.shape[0] - 1) // stride + 1
    padded = np.pad(x, ((half, half), (half, half), (0, 0)))
    out = np.empty((size, size, x.shape[-1]))
    for row, column in np.ndindex(size, size):
        top, left = row * stride, column * stride
        window = padded[top : top + kernel.shape[0], left : left + kernel.shape[1]]
        out[row, column] = np.sum(window * kernel, axis=(0, 1))
    return out


def test_stem_and_head_compute_what_plain_loops_do():
    """The mean over the image lies between the two swishes, not after the second."""
    network = MobileNetV3Net(4, (), 6, 5, num_classes=3)
    images = jax.random.normal(jax.random.key(8), (2, 7, 7, 3))
    variables = randomised(jax.eval_shape(partial(network.init, train=False), jax.random.key(0), images))
    found = jax.jit(partial(network.apply, train=False), compiler_options=QUICK)(variables, images)
    plain = jax.device_get(variables)
    expected = np.stack([plain_stem_and_head(plain, np.asarray(x, np.float64)) for x in images])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def plain_stem_and_head(variables, x):
    params, stats = variables["params"], variables["batch_stats"]
    kernel = params["stem"]["conv"]["kernel"]
    filters = [plain_depthwise(x, kernel[..., f], 2).sum(-1) for f in range(kernel.shape[-1])]
    y = swish(plain_norm(params["stem"]["norm"], stats["stem"]["norm"], np.stack(filters, axis=-1)))
    expanded = y @ params["expand"]["conv"]["kernel"][0, 0]
    y = swish(plain_norm(params["expand"]["norm"], stats["expand"]["norm"], expanded)).mean((0, 1))
    y = swish(y @ params["mix"]["kernel"])
    return y @ params["classifier"]["kernel"] + params["classifier"]["bias"]


def swish(y):
    return y * np.clip(y + 3, 0, 6) / 6


def plain_norm(params, stats, y):
    return (y - stats["mean"]) / np.sqrt(stats["var"] + 1e-5) * params["scale"] + params["bias"]


@pytest.mark.parametrize("channels", [1, 8, 11, 12, 18, 19.2, 28.8, 134.4, 1344])
def test_make_divisible_rounds_and_loses_at_most_a_tenth(channels):
    assert mobilenetv3.make_divisible(channels) == rounded(channels)
    assert mobilenetv3.make_divisible(channels) >= 0.9 * channels


def test_blocks_beyond_a_depth_do_not_matter():
    unused = MIXED.at[-1].set(2)
    assert mobilenetv3.build(unused, num_classes=10) == mobilenetv3.build(MIXED, num_classes=10)
    assert len(mobilenetv3.build(MIXED, num_classes=10).blocks) == 1 + 11


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
@pytest.mark.slow
def test_one_training_step_moves_every_array_and_lowers_the_loss(seed):
    network = mobilenetv3.build(small_network(seed), num_classes=4, width=0.25)
    rng = np.random.default_rng(seed)
    images, labels = jnp.asarray(rng.normal(size=(8, 32, 32, 3)), jnp.float32), np.arange(8) % 4
    shapes = jax.eval_shape(partial(network.init, train=False), jax.random.key(0), images)
    params, stats = (plainly_drawn(rng, shapes[key]) for key in ("params", "batch_stats"))
    optimizer = optax.sgd(1e-3)

    def loss_of(params, stats):
        variables = {"params": params, "batch_stats": stats}
        logits, updated = network.apply(variables, images, train=True, mutable=["batch_stats"])
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        return loss, (logits, updated["batch_stats"])

    @partial(jax.jit, compiler_options=QUICK)
    def step(params, stats):
        (loss, (logits, stats)), grads = jax.value_and_grad(loss_of, has_aux=True)(params, stats)
        updates, _ = optimizer.update(grads, optimizer.init(params), params)
        return loss, logits, grads, optax.apply_updates(params, updates), stats

    before, logits, *changed = step(params, stats)
    grads, moved, averages = jax.device_get(changed)
    assert logits.shape == (8, 4)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((grads, moved, averages)))
    assert all(leaf.any() for leaf in jax.tree.leaves(grads))
    assert all((a != b).any() for a, b in zip(*map(jax.tree.leaves, (stats, averages)), strict=True))
    assert float(step(moved, averages)[0]) < float(before)


def small_network(seed):
    """Returns a network drawn with the least depths, which compile sooner."""
    drawn = SPACE.random(jax.random.key(seed), 1)[0]
    return SPACE.canonical(drawn.at[1:6].set(0))


def plainly_drawn(rng, shapes):
    """Returns kernels from N(0, 1 / inputs), ones for scales and variances, zeros elsewhere: no compilation."""

    def draw(path, leaf):
        if leaf.ndim == 1:
            return np.full(leaf.shape, path[-1].key in ("scale", "var"), np.float32)
        return rng.normal(0, math.prod(leaf.shape[:-1]) ** -0.5, leaf.shape).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def test_dropout_is_for_training_only():
    network = MobileNetV3Net(8, (), 8, 8, num_classes=3, dropout_rate=0.5)
    images = jax.random.normal(jax.random.key(6), (4, 8, 8, 3))
    shapes = jax.eval_shape(partial(network.init, train=False), jax.random.key(0), images)
    variables = plainly_drawn(np.random.default_rng(7), shapes)

    @partial(jax.jit, static_argnames="train", compiler_options=QUICK)
    def logits(key, train):
        return network.apply(variables, images, train=train, mutable=["batch_stats"], rngs={"dropout": key})[0]

    keys = jax.random.split(jax.random.key(7), 2)
    assert not np.allclose(*(logits(key, True) for key in keys))
    np.testing.assert_array_equal(*(logits(key, False) for key in keys))


def test_a_width_of_zero_is_refused():
    with pytest.raises(ValueError, match="width must be above 0, got 0"):
        mobilenetv3.build(MIXED, num_classes=10, width=0)
