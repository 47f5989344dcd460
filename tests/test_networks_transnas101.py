"""TransNAS-Bench-101's seven tasks: what stands on the backbone, losses, and one step of training each."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from plain_networks import QUICK, TINY, compared, drawn_images, plain_conv, plain_linear, plain_norm, randomised

from ednag_jax.benchmarks import transnas101
from ednag_jax.networks import build, num_parameters
from ednag_jax.networks.transnas101 import Backbone
from ednag_jax.networks.transnas101_heads import (
    TASKS,
    DecoderLayer,
    GenerativeDecoder,
    SegmentationDecoder,
    soft_cross_entropy,
    ssim,
    task_loss,
)
from ednag_jax.spaces import SPACES

SPACE_NAMES = ("transnas101_micro", "transnas101_macro")
PER_PIXEL = ("segmentsemantic", "normal", "autoencoder")


def network_of(space, task, seed=0, **settings):
    phenotype = SPACES[space].random(jax.random.key(seed), 1)[0]
    return build(space, phenotype, num_classes=TASKS[task].outputs, task=task, **settings)


def input_shape(task, side=64):
    tile = TASKS[task].image_shape[:-3]
    return (2, *tile, side, side, 3)


def test_tasks_are_the_benchmarks():
    assert set(TASKS) == set(transnas101.TASKS)


@pytest.mark.parametrize("space", SPACE_NAMES)
@pytest.mark.parametrize("task", TASKS)
def test_outputs_have_the_shape_of_the_targets(space, task):
    """At the published size."""
    published = jax.ShapeDtypeStruct((2, *TASKS[task].image_shape), jnp.float32)
    pixels = TASKS[task].image_shape[:2] if task in PER_PIXEL else ()
    network = network_of(space, task, seed=len(task))
    found, _ = jax.eval_shape(network.init_with_output, jax.random.key(0), published)
    assert found.shape == (2, *pixels, TASKS[task].outputs)


# ------------------------------------------------------------------------------------------------- decoders


def plain_doubled(x, kernel):
    """Every pixel paints its share of the kernel around twice its place; a transposed convolution."""
    batch, rows, columns, _ = x.shape
    canvas = np.zeros((batch, 2 * rows + 2, 2 * columns + 2, kernel.shape[3]))
    turned = np.asarray(kernel, np.float64)[::-1, ::-1]
    for i in range(rows):
        for j in range(columns):
            canvas[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += np.einsum("bc,xycf->bxyf", x[:, i, j], turned)
    return canvas[:, 1:-1, 1:-1]


def plain_decoder_layer(x, params, stats):
    if "deconv" in params:
        x = plain_doubled(x, params["deconv"]["kernel"]) + params["deconv"]["bias"]
    else:
        x = plain_conv(x, params["conv"]["kernel"]) + params["conv"]["bias"]
    x = plain_norm(x, params["norm"], stats["norm"])
    return np.where(x > 0, x, 0.2 * x)


@pytest.mark.parametrize("doubles", [False, True])
def test_a_decoder_layer_computes_what_plain_loops_do(doubles):
    compared(DecoderLayer(5, doubles), drawn_images(2, 4, 3, 6), plain_decoder_layer, train=False)


def plain_decoder(last, x, params, stats):
    for index in range(len(params) - 1):
        x = plain_decoder_layer(x, params[f"layer_{index}"], stats[f"layer_{index}"])
    return plain_conv(x, params[last]["kernel"]) + params[last]["bias"]


@pytest.mark.parametrize(
    ("decoder", "last", "squash"),
    [(SegmentationDecoder, "logits", lambda x: x), (GenerativeDecoder, "image", np.tanh)],
)
def test_a_decoder_computes_what_plain_loops_do(decoder, last, squash):
    module = decoder(3, 3, 64)
    compared(module, drawn_images(1, 2, 2, 4), lambda *a: squash(plain_decoder(last, *a)), train=False)


PUBLISHED_CHANNELS = {  # of the layers after the features, and how many of them are normalised
    SegmentationDecoder: (1024, 512, 256, 128, 64, 32, 32, 17),
    GenerativeDecoder: (1024, 1024, 512, 512, 256, 128, 64, 64, 32, 32, 16, 32, 16, 3),
}


@pytest.mark.parametrize("decoder", PUBLISHED_CHANNELS)
@pytest.mark.parametrize("num_doublings", range(2, 7))
def test_decoders_have_the_published_layers(decoder, num_doublings):
    """3x3 kernels and biases of all, two numbers a channel of all but the last; doubling costs none."""
    channels = (512, *PUBLISHED_CHANNELS[decoder])
    module = decoder(channels[-1], num_doublings, 1024)
    images = jax.ShapeDtypeStruct((1, 2, 2, 512), jnp.float32)
    run = partial(module.init_with_output, train=False)
    found, variables = jax.eval_shape(run, jax.random.key(0), images)
    side = 2 * 2**num_doublings
    assert found.shape == (1, side, side, channels[-1])
    sizes = [9 * a * b + 3 * b for a, b in pairwise(channels)]
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == sum(sizes) - 2 * channels[-1]


def test_decoders_start_as_torch_does():
    """U(-1, 1) / sqrt(9 inputs); of a transposed convolution outputs are counted, as torch does."""
    for doubles, counted in ((False, 64), (True, 16)):
        layer = DecoderLayer(16, doubles)
        start = layer.init(jax.random.key(0), jnp.zeros((1, 1, 1, 64)), train=False)["params"]
        bound = (9 * counted) ** -0.5
        for name in ("kernel", "bias"):
            drawn = np.abs(start["deconv" if doubles else "conv"][name])
            assert np.all(drawn <= bound)
            assert drawn.max() > 0.8 * bound


@pytest.mark.parametrize("space", SPACE_NAMES)
@pytest.mark.parametrize("task", ["jigsaw", "segmentsemantic"])
def test_a_task_adds_its_head_to_the_same_backbone(space, task):
    own, other = (network_of(space, t, channels=4) for t in (task, "class_object"))
    shapes = [
        jax.eval_shape(net.init, jax.random.key(0), jnp.zeros(input_shape(t)))["params"]["backbone"]
        for net, t in ((own, task), (other, "class_object"))
    ]
    assert jax.tree.map(jnp.shape, shapes[0]) == jax.tree.map(jnp.shape, shapes[1])


# --------------------------------------------------------------------------------------------------- jigsaw


@pytest.fixture(scope="module")
def jigsaw():
    """Returns network, tiles, variables, logits, and logits and averages in training."""
    phenotype = SPACES["transnas101_macro"].from_str("64-1234-basic")
    network = build("transnas101_macro", phenotype, num_classes=7, task="jigsaw", **TINY["transnas101_macro"])
    tiles = drawn_images(
        3, 9, 32, 32, 3
    )  # the last normalisation is over 12 numbers: over 2 it magnifies errors
    variables = randomised(network, tiles)

    @partial(jax.jit, compiler_options=QUICK)
    def run(variables):
        trained = network.apply(variables, tiles, train=True, mutable=["batch_stats"])
        return network.apply(variables, tiles), *trained

    return network, tiles, variables, *run(variables)


@partial(jax.jit, static_argnames=("network", "train"), compiler_options=QUICK)
def backbone_of(network, variables, images, *, train=False):
    """Returns the features that the network's backbone makes of images, and its averages."""
    own = {kind: tree["backbone"] for kind, tree in variables.items()}
    backbone = Backbone(network.blocks, network.cell, network.channels, network.num_cells)
    features, stats = backbone.apply(own, images, train=train, mutable=["batch_stats"])
    return features, {"backbone": stats["batch_stats"]}


def test_jigsaw_reads_all_tiles_with_one_backbone(jigsaw):
    """A linear layer on the features of all nine side by side."""
    network, tiles, variables, logits, *_ = jigsaw
    features = [backbone_of(network, variables, tiles[:, tile])[0] for tile in range(9)]
    joined = np.concatenate(features, axis=-1).astype(np.float64)
    expected = plain_linear(joined, variables["params"]["head"]["linear"])
    np.testing.assert_allclose(logits, expected, rtol=2e-4, atol=2e-4)


def test_jigsaw_normalises_each_tile_by_its_own_and_averages_in_their_order(jigsaw):
    network, tiles, variables, _, trained, updated = jigsaw
    features, now = [], variables
    for tile in range(9):
        found, stats = backbone_of(network, now, tiles[:, tile], train=True)
        features.append(found)
        now = {**variables, "batch_stats": stats}
    # Nine tiles through normalisations over a small batch: rounding grows to 2e-3 in programs compiled apart.
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=5e-3, atol=1e-3), updated["batch_stats"], now["batch_stats"]
    )
    expected = plain_linear(np.concatenate(features, axis=-1), variables["params"]["head"]["linear"])
    np.testing.assert_allclose(trained, expected, rtol=1e-3, atol=1e-3)


# ------------------------------------------------------------------------------------------- losses, errors


def test_soft_cross_entropy_is_smoothed():
    logits, targets = jnp.log(jnp.array([[0.25, 0.75], [0.5, 0.5]])), jnp.array([[0.4, 0.6], [1.0, 0.0]])
    each = [0.4 * np.log(0.25 + 1e-5) + 0.6 * np.log(0.75 + 1e-5), np.log(0.5 + 1e-5)]
    np.testing.assert_allclose(soft_cross_entropy(logits, targets), -np.mean(each), rtol=1e-5)
    far = soft_cross_entropy(jnp.array([[0.0, 200.0]]), jnp.array([[1.0, 0.0]]))
    np.testing.assert_allclose(far, -np.log(1e-5), rtol=1e-4)


@pytest.mark.parametrize(
    ("task", "outputs", "targets", "expected"),
    [
        ("jigsaw", [[0.0, 0.0], [0.0, 0.0]], [0, 1], np.log(2)),
        ("segmentsemantic", [[[[0.0, 0.0, 0.0]]]], [[[2]]], np.log(3)),
        ("room_layout", [[1.0, 3.0]], [[2.0, 1.0]], 2.5),
        ("normal", [[[[0.5, -0.5]]]], [[[[0.0, 0.5]]]], 0.75),
        ("autoencoder", [[[[1.0, -1.0]]]], [[[[0.0, 0.0]]]], 1.0),
    ],
)
def test_losses_have_their_closed_forms(task, outputs, targets, expected):
    np.testing.assert_allclose(task_loss(task, jnp.array(outputs), jnp.array(targets)), expected, rtol=1e-6)


def plain_ssim(a, b):
    """Wang et al.'s formula, window by window."""
    offset = np.arange(-5, 6)
    window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    window /= window.sum()
    found = []
    for i in range(a.shape[1] - 10):
        for j in range(a.shape[2] - 10):
            x, y = (np.moveaxis(z[:, i : i + 11, j : j + 11].astype(np.float64), -1, 1) for z in (a, b))
            mean_x, mean_y = ((window * z).sum((-1, -2)) for z in (x, y))
            var_x, var_y = (
                (window * (z - m[..., None, None]) ** 2).sum((-1, -2)) for z, m in ((x, mean_x), (y, mean_y))
            )
            both = (window * (x - mean_x[..., None, None]) * (y - mean_y[..., None, None])).sum((-1, -2))
            luminance = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
            found.append(luminance * (2 * both + 9e-4) / (var_x + var_y + 9e-4))
    return np.mean(found)


def test_ssim_is_wangs():
    images, others = drawn_images(2, 14, 13, 3), drawn_images(2, 14, 13, 3, seed=1)
    np.testing.assert_allclose(ssim(images, images), 1, rtol=1e-5)
    mixed = 0.7 * images + 0.3 * others
    np.testing.assert_allclose(
        ssim(images, mixed), plain_ssim(np.asarray(images), np.asarray(mixed)), rtol=1e-4
    )


def test_what_a_task_does_not_take_is_refused():
    with pytest.raises(ValueError, match=r"task must be one of class_scene, .*, got 'depth'"):
        build("transnas101_micro", [0] * 6, num_classes=3, task="depth")
    with pytest.raises(ValueError, match=r"task must be one of class_scene, .*, got 'depth'"):
        task_loss("depth", jnp.zeros(1), jnp.zeros(1))
    for task, shape, message in (
        ("jigsaw", (64, 64, 3), r"jigsaw takes tiles \[b 9 h w c\], got \(1, 64, 64, 3\)"),
        ("class_scene", (9, 64, 64, 3), r"class_scene takes images \[b h w c\]"),
        ("normal", (64, 48, 3), "multiples of 32, .*, got .1, 64, 48, 3.: pad or resize them"),
    ):
        with pytest.raises(ValueError, match=message):
            num_parameters(network_of("transnas101_micro", task), shape)


# ------------------------------------------------------------------------------------------------- training


def drawn_targets(task, outputs):
    """Returns targets of the task's kind for outputs of a shape."""
    if task in ("jigsaw", "segmentsemantic"):
        labels = np.random.default_rng(1).integers(0, outputs.shape[-1], outputs.shape[:-1])
        return jnp.asarray(labels)
    drawn = drawn_images(*outputs.shape, seed=1)
    return jax.nn.softmax(drawn) if task.startswith("class") else jnp.tanh(drawn)


@pytest.mark.slow
@pytest.mark.parametrize("space", SPACE_NAMES)
@pytest.mark.parametrize("task", TASKS)
def test_a_step_of_training_lowers_the_tasks_loss(space, task):
    network = network_of(space, task, seed=7, **TINY[space])
    images = drawn_images(*input_shape(task))
    variables = randomised(network, images)
    targets = drawn_targets(task, jax.eval_shape(network.apply, variables, images))

    def loss(params):
        own = {**variables, "params": params}
        outputs, updated = network.apply(own, images, train=True, mutable=["batch_stats"])
        return task_loss(task, outputs, targets), updated

    @partial(jax.jit, compiler_options=QUICK)
    def step(params):
        (value, updated), grads = jax.value_and_grad(loss, has_aux=True)(params)
        scale = 1e-4 / optax.tree.norm(grads)
        return jax.tree.map(lambda p, g: p - scale * g, params, grads), value, grads, updated

    params, before, grads, updated = step(variables["params"])
    _, after, *_ = step(params)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves((grads, updated)))
    assert after < before
    head = jax.tree.leaves(grads["head"])
    assert all(bool(jnp.any(leaf != 0)) for leaf in head[-2:])
