"""The networks of NAS-Bench-101 (Ying et al. 2019): a stem, then three stacks of three equal modules.

Between stacks the resolution halves and the channels double; then mean and linear layer. At the published size
the trained parameters are those of all 423,624 modules of the benchmark.
"""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from ednag_jax.networks.blocks import conv, max_pool, norm
from ednag_jax.networks.counting import MULTIPLY_ADDS, PARAMETERS, Count
from ednag_jax.networks.variables import CIFAR_SHAPE
from ednag_jax.spaces.nasbench101_graph import (
    EDGES,
    NUM_INTERIOR,
    NUM_VERTICES,
    pack_edges,
    prune,
    pruned_module,
    unpack_edges,
)
from ednag_jax.spaces.nasbench101_text import OPS
from ednag_jax.types import HostPhenotype

CONV_SIZE = {OPS.index("conv3x3-bn-relu"): 3, OPS.index("conv1x1-bn-relu"): 1}
"""Op id -> kernel size; the op left is the pooling."""
KERNEL_INIT = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")
MOMENTUM = 0.997


class NasBench101Net(nn.Module):
    """The network of one module."""

    matrix: tuple[tuple[int, ...], ...]
    """[v v] of the pruned module, 1 at row x and column y for the edge x -> y."""
    ops: tuple[int, ...]
    """Op id of every vertex; the first and the last have none, whatever is there."""
    num_classes: int
    channels: int = 128
    num_stacks: int = 3
    num_modules: int = 3
    """Of each stack."""

    @nn.compact
    def __call__(self, images: Float[Array, "b h w c"], *, train: bool = False) -> Float[Array, "b k"]:
        x = ConvNormRelu(self.channels, 3, name="stem")(images, train=train)
        for stack in range(self.num_stacks):
            if stack:
                x = nn.max_pool(x, (2, 2), (2, 2), "SAME")
            for index in range(self.num_modules):
                module = Module(
                    self.matrix, self.ops, self.channels * 2**stack, name=f"stack_{stack}_module_{index}"
                )
                x = module(x, train=train)
        linear = nn.Dense(self.num_classes, kernel_init=nn.initializers.glorot_uniform(), name="linear")
        return linear(jnp.mean(x, axis=(1, 2)))


class Module(nn.Module):
    """One module: a vertex is its operation on the sum of what its edges bring.

    An edge from the input brings a 1x1 projection of it, one from another vertex that vertex' first channels.
    The output is the vertices that lead to it side by side, plus a projection where the input leads to it.
    """

    matrix: tuple[tuple[int, ...], ...]
    ops: tuple[int, ...]
    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h w f"]:
        last = len(self.matrix) - 1
        width = vertex_channels(self.matrix, self.features)

        def projected(vertex: int) -> Array:
            return ConvNormRelu(width[vertex], 1, name=f"projection_{vertex}")(x, train=train)

        values: dict[int, Array] = {}
        for vertex in range(1, last):
            sources = [source for source in values if self.matrix[source][vertex]]
            brought = [values[source][..., : width[vertex]] for source in sources]
            if self.matrix[0][vertex]:
                brought.append(projected(vertex))
            values[vertex] = self._operation(vertex, sum(brought[1:], brought[0]), train)
        beside = [value for vertex, value in values.items() if self.matrix[vertex][last]]
        if not beside:
            return projected(last)
        joined = jnp.concatenate(beside, axis=-1)
        return joined + projected(last) if self.matrix[0][last] else joined

    def _operation(self, vertex: int, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h w c"]:
        size = CONV_SIZE.get(self.ops[vertex])
        if size is None:
            return max_pool(x)
        return ConvNormRelu(x.shape[-1], size, name=f"vertex_{vertex}")(x, train=train)


class ConvNormRelu(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    features: int
    size: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h w f"]:
        convolved = conv(self.features, self.size, kernel_init=KERNEL_INIT, name="conv")(x)
        return nn.relu(norm(train, momentum=MOMENTUM)(convolved))


def vertex_channels(matrix: tuple[tuple[int, ...], ...], features: int) -> list[int]:
    """Returns the channels of every vertex of a pruned module with that many output channels; 0 for the input.

    The output's channels are divided among the vertices that lead to it, the first of them taking one more
    where it does not come out even; any other vertex has as many as the widest that it leads to.
    """
    last = len(matrix) - 1
    widths = [0] * last + [features]
    to_output = [vertex for vertex in range(1, last) if matrix[vertex][last]]
    for position, vertex in enumerate(to_output):
        widths[vertex] = features // len(to_output) + (position < features % len(to_output))
    for vertex in reversed(range(1, last)):
        if vertex not in to_output:
            widths[vertex] = max(widths[target] for target in range(1, last) if matrix[vertex][target])
    return widths


def build(
    phenotype: HostPhenotype,
    *,
    num_classes: int,
    channels: int = 128,
    num_stacks: int = 3,
    num_modules: int = 3,
) -> NasBench101Net:
    """Returns the network of one module; the settings default to the published size."""
    matrix, labels = pruned_module(jnp.asarray(phenotype))
    rows = tuple(tuple(row) for row in matrix.tolist())
    return NasBench101Net(rows, tuple(map(int, labels)), num_classes, channels, num_stacks, num_modules)


def parameter_count(
    phenotype: Int[Array, "*b e"],
    *,
    num_classes: int,
    channels: int = 128,
    num_stacks: int = 3,
    num_modules: int = 3,
) -> Int[Array, "*b"]:
    """Returns how many numbers of each module's network are trained, by formula."""
    stacks = (num_stacks, num_modules)
    return _total(PARAMETERS, phenotype, num_classes, channels=channels, stacks=stacks)


def multiply_add_count(
    phenotype: Int[Array, "*b e"],
    *,
    num_classes: int,
    channels: int = 128,
    num_stacks: int = 3,
    num_modules: int = 3,
    image_size: int = CIFAR_SHAPE[0],
) -> Float[Array, "*b"]:
    """Returns the multiply-adds of each module's network for one image, by formula."""
    stacks, side = (num_stacks, num_modules), image_size
    return _total(MULTIPLY_ADDS, phenotype, num_classes, channels=channels, stacks=stacks, image_size=side)


def _total(
    count: Count,
    phenotype: Int[Array, "*b e"],
    num_classes: int,
    *,
    channels: int,
    stacks: tuple[int, int],
    image_size: int = CIFAR_SHAPE[0],
) -> Num[Array, "*b"]:
    """Returns what all layers add; `stacks` are how many there are, and modules in each."""
    pruned = unpack_edges(prune(pack_edges(phenotype[..., : len(EDGES)])))
    edge = {pair: pruned[..., index] for index, pair in enumerate(EDGES)}
    op = phenotype[..., len(EDGES) :]
    total, inputs = jnp.asarray(count.conv_norm(3, channels, 3, image_size**2)), channels
    for stack in range(stacks[0]):
        features, pixels = channels * 2**stack, (-(-image_size // 2**stack)) ** 2
        layers = _conv_norms(edge, op, _widths(edge, features))
        for _ in range(stacks[1]):
            total += sum(
                there * count.conv_norm(inputs if projects else own, own, size, pixels)
                for there, projects, own, size in layers
            )
            inputs = features
    return total + count.linear(inputs, num_classes)


def _widths(edge: dict[tuple[int, int], Int[Array, "*b"]], features: int) -> list[Int[Array, "*b"]]:
    """Returns the channels of vertices 1 to 6, at their own index; 0 for a vertex without edges."""
    last = NUM_VERTICES - 1
    interior = range(1, NUM_INTERIOR + 1)
    sharing = sum(edge[vertex, last] for vertex in interior)
    even, left = features // jnp.maximum(sharing, 1), features % jnp.maximum(sharing, 1)
    widths = [jnp.zeros_like(sharing)] * last + [jnp.full_like(sharing, features)]
    before = jnp.zeros_like(sharing)
    for vertex in interior:
        widths[vertex] = edge[vertex, last] * (even + (before < left))
        before += edge[vertex, last]
    for vertex in reversed(interior):
        for target in range(vertex + 1, last):
            wider = jnp.maximum(widths[vertex], edge[vertex, target] * widths[target])
            widths[vertex] = jnp.where(edge[vertex, last] == 1, widths[vertex], wider)
    return widths


def _conv_norms(
    edge: dict[tuple[int, int], Int[Array, "*b"]], op: Int[Array, "*b 5"], width: list[Int[Array, "*b"]]
) -> list[tuple[Array, bool, Int[Array, "*b"], int]]:
    """Returns a module's convolutions: is it there, does it read the module's input, channels, kernel size."""
    last = NUM_VERTICES - 1
    layers = [(edge[0, vertex], True, width[vertex], 1) for vertex in range(1, last + 1)]
    for vertex in range(1, last):
        for chosen, kernel in CONV_SIZE.items():
            layers.append((op[..., vertex - 1] == chosen, False, width[vertex], kernel))
    return layers
