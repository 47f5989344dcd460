"""What networks are made of: convolutions, normalisation, pooling, the cell of four nodes, the classifier.

Arrays are images [b h w c]. Convolutions have no bias and are padded as in torch, by dilation * (size - 1) / 2
on either side: XLA's own "SAME" starts a stride of 2 one pixel later.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.typing import Initializer
from jaxtyping import Array, Float

CELL_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""Edge of a cell of four nodes -> (source, target), as NAS-Bench-201 and TransNAS-Bench-101 order them."""
MOMENTUM, EPSILON = 0.9, 1e-5
"""Of batch normalisations: the share that running averages keep, and what is added to a variance."""

TORCH_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""What torch draws by default, U(-1, 1) / sqrt(fan_in): the start of networks whose source sets no other."""


def conv(
    features: int,
    size: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    kernel_init: Initializer = TORCH_INIT,
    **further: Any,
) -> nn.Conv:
    """Returns a convolution without bias, padded so that stride 1 keeps the size; `further` goes to nn.Conv."""
    return nn.Conv(
        features,
        (size, size),
        strides=stride,
        padding=dilation * (size - 1) // 2,
        kernel_dilation=dilation,
        feature_group_count=groups,
        use_bias=False,
        kernel_init=kernel_init,
        **further,
    )


def norm(
    train: bool, *, momentum: float = MOMENTUM, epsilon: float = EPSILON, name: str = "norm"
) -> nn.BatchNorm:
    """Returns a batch normalisation with scale and shift; its running averages are in `batch_stats`.

    The averages keep the batch's own variance, where torch keeps n / (n - 1) times as much.
    """
    return nn.BatchNorm(use_running_average=not train, momentum=momentum, epsilon=epsilon, name=name)


class ReluConvNorm(nn.Module):
    """ReLU, convolution, batch normalisation."""

    features: int
    size: int
    stride: int = 1
    kernel_init: Initializer = TORCH_INIT
    convolution: Any = None
    """In the place of `jax.lax.conv_general_dilated`."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 f"]:
        convolve = conv(
            self.features,
            self.size,
            stride=self.stride,
            kernel_init=self.kernel_init,
            conv_general_dilated=self.convolution,
            name="conv",
        )
        return norm(train)(convolve(nn.relu(x)))


class FactorizedReduce(nn.Module):
    """Half the resolution: ReLU, two 1x1 convolutions of stride 2 one pixel apart, batch normalisation."""

    features: int
    kernel_init: Initializer = TORCH_INIT

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 f"]:
        x = nn.relu(x)
        shifted = jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))[
            :, 1:, 1:
        ]  # an odd size has no pixel after the last
        half = self.features // 2
        even = conv(half, 1, stride=2, kernel_init=self.kernel_init, name="conv_even")
        odd = conv(self.features - half, 1, stride=2, kernel_init=self.kernel_init, name="conv_odd")
        return norm(train)(jnp.concatenate([even(x), odd(shifted)], axis=-1))


def avg_pool(x: Float[Array, "b h w c"], stride: int = 1) -> Float[Array, "b h2 w2 c"]:
    """Returns the mean over 3x3 pixels, of those inside the image.

    flax's pooling counts the pixels by pooling ones, which XLA folds while it compiles, for seconds.
    """
    pads = ((0, 0), (1, 1), (1, 1), (0, 0))
    total = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 3, 3, 1), (1, stride, stride, 1), pads)
    rows, columns = (3.0 - (at == 0) - (at == at[-1]) for at in map(np.arange, x.shape[1:3]))
    share = 1 / np.maximum(np.outer(rows, columns), 1)[::stride, ::stride, None]
    return total * share.astype(np.float32)


def max_pool(x: Float[Array, "b h w c"], stride: int = 1) -> Float[Array, "b h2 w2 c"]:
    """Returns the greatest of 3x3 pixels."""
    return nn.max_pool(x, (3, 3), (stride, stride), ((1, 1), (1, 1)))


class Cell(nn.Module):
    """A cell of four nodes with an operation on every edge; a node sums its edges, the last is the result.

    Edges from node 0 have the stride. An edge that leads nowhere computes all the same: its parameters count.
    """

    ops: tuple[str, ...]
    """Name of the operation on each of `CELL_EDGES`: `none`, `skip_connect`, `nor_conv_1x1`, `nor_conv_3x3` or
    `avg_pool_3x3`."""
    features: int
    stride: int = 1
    kernel_init: Initializer = TORCH_INIT

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 f"]:
        height, width = (-(-size // self.stride) for size in x.shape[1:3])
        nothing = jnp.zeros((x.shape[0], height, width, self.features), x.dtype)
        nodes = [x, nothing, nothing, nothing]
        for edge, (source, target) in enumerate(CELL_EDGES):
            nodes[target] = nodes[target] + self.on_edge(edge, nodes[source], nothing, train)
        return nodes[-1]

    def on_edge(
        self, edge: int, x: Float[Array, "b h w c"], nothing: Float[Array, "b h2 w2 f"], train: bool
    ) -> Float[Array, "b h2 w2 f"]:
        """Returns what an edge makes of its source."""
        op, stride = self.ops[edge], self.stride if CELL_EDGES[edge][0] == 0 else 1
        if op == "none":
            return nothing
        if op == "avg_pool_3x3":
            return avg_pool(x, stride)
        if op == "skip_connect":
            if stride == 1 and x.shape[-1] == self.features:  # not by shape: stride 2 leaves 1 x 1 as it is
                return x
            return FactorizedReduce(self.features, self.kernel_init, name=f"edge_{edge}")(x, train=train)
        size = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}[op]
        return ReluConvNorm(self.features, size, stride, self.kernel_init, name=f"edge_{edge}")(x, train=train)


class Classifier(nn.Module):
    """The mean over all pixels, then a linear layer that starts as torch's does."""

    num_classes: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b k"]:
        bound = x.shape[-1] ** -0.5

        def bias_init(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
            return jax.random.uniform(key, shape, dtype, -bound, bound)

        linear = nn.Dense(self.num_classes, kernel_init=TORCH_INIT, bias_init=bias_init, name="linear")
        return linear(jnp.mean(x, axis=(1, 2)))
