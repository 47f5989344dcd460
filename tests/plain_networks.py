"""The networks of the cell-based spaces once more, in plain NumPy float64, and what else their tests share.

Images are [b h w c] and parameters are named as in the package; nothing that computes is imported from it.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

CELL_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
TINY = {
    "darts": {"channels": 4, "num_cells": 3},
    "nasbench101": {"channels": 8, "num_modules": 1, "num_stacks": 2},
    "nasbench201": {"channels": 4, "num_cells": 1},
    "transnas101_micro": {"channels": 4, "num_cells": 1},
    "transnas101_macro": {"channels": 4, "num_cells": 1},
}
QUICK = {"xla_backend_optimization_level": 0}
"""For programs that run once: a third less time to compile."""


def drawn_images(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def plain_conv(x, kernel, stride=1, dilation=1, groups=1):
    """Returns a convolution of images [b h w c], zeros around, tap by tap in float64."""
    size, width = kernel.shape[0], kernel.shape[3] // groups
    pad = dilation * (size - 1) // 2
    padded = np.pad(np.asarray(x, np.float64), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    rows, columns = ((n - 1) // stride + 1 for n in x.shape[1:3])
    out = np.zeros((x.shape[0], rows, columns, kernel.shape[3]))
    for i in range(size):
        for j in range(size):
            top, left = i * dilation, j * dilation
            seen = padded[:, top::stride, left::stride][:, :rows, :columns]
            for group in range(groups):
                inputs = slice(group * kernel.shape[2], (group + 1) * kernel.shape[2])
                outputs = slice(group * width, (group + 1) * width)
                out[..., outputs] += seen[..., inputs] @ np.asarray(kernel[i, j][:, outputs], np.float64)
    return out


def plain_pool(x, stride, reduce):
    """Returns mean or maximum over those of 3x3 pixels that lie in the image."""
    rows, columns = ((n - 1) // stride + 1 for n in x.shape[1:3])
    out = np.zeros((x.shape[0], rows, columns, x.shape[3]))
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            seen = x[:, max(top - 1, 0) : top + 2, max(left - 1, 0) : left + 2]
            out[:, i, j] = reduce(np.asarray(seen, np.float64), axis=(1, 2))
    return out


def plain_norm(x, params, stats, epsilon=1e-5):
    return (x - stats["mean"]) / np.sqrt(stats["var"] + epsilon) * params["scale"] + params["bias"]


def plain_relu_conv_norm(x, params, stats, stride=1):
    convolved = plain_conv(np.maximum(x, 0), params["conv"]["kernel"], stride)
    return plain_norm(convolved, params["norm"], stats["norm"])


def plain_reduce(x, params, stats):
    """Every second pixel, and the next one down and right, black where there is none."""
    x = np.maximum(x, 0)
    next_ones = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))[:, 1:, 1:]
    parts = [
        plain_conv(x, params["conv_even"]["kernel"], 2),
        plain_conv(next_ones, params["conv_odd"]["kernel"], 2),
    ]
    return plain_norm(np.concatenate(parts, axis=-1), params["norm"], stats["norm"])


def plain_cell(ops, x, params, stats, stride, features):
    rows, columns = ((n - 1) // stride + 1 for n in x.shape[1:3])
    nodes = [x, *(np.zeros((x.shape[0], rows, columns, features)) for _ in range(3))]
    for edge, (source, target) in enumerate(CELL_EDGES):
        own, name, value = stride if source == 0 else 1, f"edge_{edge}", nodes[source]
        if ops[edge].startswith("nor_conv"):
            nodes[target] = nodes[target] + plain_relu_conv_norm(value, params[name], stats[name], own)
        elif ops[edge] == "avg_pool_3x3":
            nodes[target] = nodes[target] + plain_pool(value, own, np.mean)
        elif ops[edge] == "skip_connect" and name in params:
            nodes[target] = nodes[target] + plain_reduce(value, params[name], stats[name])
        elif ops[edge] == "skip_connect":
            nodes[target] = nodes[target] + value
    return nodes[3]


def plain_linear(x, params):
    """Returns the logits: a linear layer on the mean over all pixels."""
    return x.mean(axis=(1, 2)) @ params["kernel"] + params["bias"]


def plain_nasbench201(ops, x, params, stats):
    """Stem, three stages of one cell, residual blocks between, normalisation and ReLU, linear layer."""
    x = plain_norm(plain_conv(x, params["stem"]["kernel"]), params["stem_norm"], stats["stem_norm"])
    for stage in range(3):
        if stage:
            own, own_stats = params[f"reduction_{stage}"], stats[f"reduction_{stage}"]
            y = plain_relu_conv_norm(x, own["first"], own_stats["first"], 2)
            y = plain_relu_conv_norm(y, own["second"], own_stats["second"])
            corners = [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
            x = plain_conv(sum(corners) / 4, own["shortcut"]["kernel"]) + y
        name = f"stage_{stage}_cell_0"
        x = plain_cell(ops, x, params.get(name, {}), stats.get(name, {}), 1, x.shape[3])
    x = np.maximum(plain_norm(x, params["last_norm"], stats["last_norm"]), 0)
    return plain_linear(x, params["classifier"]["linear"])


def plain_conv_norm_relu(x, params, stats):
    return np.maximum(plain_norm(plain_conv(x, params["conv"]["kernel"]), params["norm"], stats["norm"]), 0)


def plain_module(matrix, ops, width, x, params, stats):
    """One module of NAS-Bench-101; width is the channels of every vertex."""
    last = len(matrix) - 1
    values = [x]

    def brought(source, vertex):
        if source > 0:
            return values[source][..., : width[vertex]]
        return plain_conv_norm_relu(x, params[f"projection_{vertex}"], stats[f"projection_{vertex}"])

    for vertex in range(1, last):
        total = sum(brought(source, vertex) for source in range(vertex) if matrix[source][vertex])
        if ops[vertex] == 2:
            values.append(plain_pool(total, 1, np.max))
        else:
            values.append(plain_conv_norm_relu(total, params[f"vertex_{vertex}"], stats[f"vertex_{vertex}"]))
    joined = [values[vertex] for vertex in range(1, last) if matrix[vertex][last]]
    out = np.concatenate(joined, axis=-1) if joined else 0
    return out + brought(0, last) if matrix[0][last] else out


def plain_nasbench101(matrix, ops, width, x, params, stats):
    """Stem, two stacks of one module, 2x2 maxima between, linear layer; width is that of the first stack."""
    x = plain_conv_norm_relu(x, params["stem"], stats["stem"])
    for stack in range(2):
        if stack:
            x = np.max([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0)
        own = [channels * 2**stack for channels in width]
        name = f"stack_{stack}_module_0"
        x = plain_module(matrix, ops, own, x, params[name], stats[name])
    return plain_linear(x, params["linear"])


def plain_residual(x, params, stats, stride):
    y = plain_relu_conv_norm(x, params["first"], stats["first"], stride)
    y = plain_relu_conv_norm(y, params["second"], stats["second"])
    if "shortcut" in params:
        x = plain_conv(x, params["shortcut"]["kernel"], stride)
        x = plain_norm(x, params["shortcut_norm"], stats["shortcut_norm"], epsilon=1.0)
    return x + y


def plain_transnas(blocks, cell, x, params, stats):
    """Stem of two convolutions of stride 2, blocks of one cell or one residual block, linear layer."""
    linear, params, stats = params["head"]["linear"], params["backbone"], stats["backbone"]
    x = plain_norm(plain_conv(x, params["stem"]["kernel"], 2), params["stem_norm"], stats["stem_norm"])
    x = plain_relu_conv_norm(x, params["stem_second"], stats["stem_second"], 2)
    for block, kind in enumerate(blocks):
        name, stride = f"block_{block}_cell_0", 2 if kind in (2, 3) else 1
        features = x.shape[3] * (2 if kind in (1, 3) else 1)
        if cell is None:
            x = plain_residual(x, params[name], stats[name], stride)
        else:
            x = plain_cell(cell, x, params[name], stats[name], stride, features)
    return plain_linear(x, linear)


def plain_separable(x, params, stats, stride=1, dilation=1):
    channels = x.shape[3]
    depthwise = plain_conv(np.maximum(x, 0), params["depthwise"]["kernel"], stride, dilation, groups=channels)
    return plain_norm(plain_conv(depthwise, params["pointwise"]["kernel"]), params["norm"], stats["norm"])


def plain_darts_operation(op, stride, x, params, stats):
    if "pool" in op:
        return plain_pool(x, stride, np.max if "max" in op else np.mean)
    if op == "skip_connect":
        return plain_reduce(x, params["reduce"], stats["reduce"]) if stride == 2 else x
    if op.startswith("dil"):
        return plain_separable(x, params["first"], stats["first"], stride, dilation=2)
    x = plain_separable(x, params["first"], stats["first"], stride)
    return plain_separable(x, params["second"], stats["second"])


def plain_darts(normal, reduce, num_cells, x, params, stats):
    """Stem, cells that read the two before them, reduction cells at 1/3 and 2/3, linear layer."""
    x = plain_norm(plain_conv(x, params["stem"]["kernel"]), params["stem_norm"], stats["stem_norm"])
    outputs, is_reduction = [x, x], [False] * 2
    for index in range(num_cells):
        own, own_stats = params[f"cell_{index}"], stats[f"cell_{index}"]
        is_reduction.append(index in (num_cells // 3, 2 * num_cells // 3))
        fit = plain_reduce if is_reduction[-2] else plain_relu_conv_norm
        nodes = [
            fit(outputs[-2], own["preprocess_0"], own_stats["preprocess_0"]),
            plain_relu_conv_norm(outputs[-1], own["preprocess_1"], own_stats["preprocess_1"]),
        ]
        edges = []
        for edge, (op, source) in enumerate(reduce if is_reduction[-1] else normal):
            stride, name = 2 if is_reduction[-1] and source < 2 else 1, f"edge_{edge}"
            edges.append(
                plain_darts_operation(op, stride, nodes[source], own.get(name, {}), own_stats.get(name, {}))
            )
            if len(edges) == 2:
                nodes.append(sum(edges))
                edges = []
        outputs.append(np.concatenate(nodes[2:], axis=-1))
    return plain_linear(outputs[-1], params["classifier"]["linear"])


def randomised(module, *inputs, seed=0, **settings):
    """Returns variables with every number drawn by NumPy, running averages too: nothing is compiled."""
    variables = jax.eval_shape(partial(module.init, **settings), jax.random.key(0), *inputs)
    rng = np.random.default_rng(seed)

    def drawn(path, leaf):
        is_kernel = path[-1].key.startswith("kernel")
        numbers = rng.normal(size=leaf.shape) if is_kernel else rng.uniform(0.5, 1.5, leaf.shape)
        return jnp.asarray(numbers / math.sqrt(math.prod(leaf.shape[:-1]) if is_kernel else 1), jnp.float32)

    return jax.tree_util.tree_map_with_path(drawn, variables)


def compared(module, images, plain, **settings):
    """Asserts that a module computes what plain(images, params, stats) does."""
    variables = randomised(module, images, **settings)
    found = jax.jit(partial(module.apply, **settings), compiler_options=QUICK)(variables, images)
    plain_variables = jax.device_get(variables)
    params, stats = (plain_variables.get(kind, {}) for kind in ("params", "batch_stats"))
    expected = plain(np.asarray(images, np.float64), params, stats)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)
