"""How large a network is, without running it: its trainable parameters and its multiply-adds."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import flax.linen as nn
import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from ednag_jax.networks.variables import CIFAR_SHAPE, image_batch, variable_shapes


def num_parameters(module: nn.Module, image_shape: tuple[int, int, int] = CIFAR_SHAPE, *inputs: Any) -> int:
    """Returns how many numbers are trained; running averages are not.

    Args:
        module: called as `module(images, *inputs)`.
        image_shape: (h, w, c) of one image.
        *inputs: further arrays that the module takes, or their shapes.
    """
    leaves = jax.tree.leaves(variable_shapes(module, image_shape, *inputs)["params"])
    return sum(prod(leaf.shape) for leaf in leaves)


def multiply_adds(module: nn.Module, image_shape: tuple[int, int, int] = CIFAR_SHAPE, *inputs: Any) -> int:
    """Returns the multiply-adds of the convolutions and linear layers for one image: what papers call FLOPs.

    Read off the module's jaxpr: a convolution counts output size * kernel size / output channels, padding
    included, a product of matrices output size * summed length. Sums, pooling, biases and normalisation do not
    count. Of a conditional the costliest branch counts, of a while loop one pass.

    Args:
        module: called as `module(images, *inputs)`.
        image_shape: (h, w, c) of one image.
        *inputs: further arrays that the module takes, or their shapes.
    """
    variables = variable_shapes(module, image_shape, *inputs)
    program = jax.make_jaxpr(module.apply)(variables, image_batch(image_shape), *inputs)
    return _count(program.jaxpr)


def conv_norm_size(inputs: Any, outputs: Any, size: int) -> Any:
    """Returns the trained numbers of a convolution without bias and the normalisation after it.

    >>> conv_norm_size(3, 16, 3)
    464
    """
    return size * size * inputs * outputs + 2 * outputs


def _count(jaxpr: Jaxpr) -> int:
    """Returns the multiply-adds of a program and all that it calls."""
    return sum(_count_equation(equation) for equation in jaxpr.eqns)


def _count_equation(equation: JaxprEqn) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "conv_general_dilated":
        kernel = _shape(equation.invars[1])
        features = kernel[params["dimension_numbers"].rhs_spec[0]]
        return prod(_shape(equation.outvars[0])) * prod(kernel) // features
    if name == "dot_general":
        (summed, _), _ = params["dimension_numbers"]
        left = _shape(equation.invars[0])
        return prod(_shape(equation.outvars[0])) * prod(left[axis] for axis in summed)
    inner = [_count(jaxpr) for jaxpr in _called(params)]
    if name == "cond":
        return max(inner)
    return sum(inner) * (params["length"] if name == "scan" else 1)


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape


def _called(params: dict[str, Any]) -> Iterator[Jaxpr]:
    """Returns the programs among an equation's parameters."""
    for value in jax.tree.leaves(params, is_leaf=lambda leaf: isinstance(leaf, ClosedJaxpr | Jaxpr)):
        if isinstance(value, ClosedJaxpr | Jaxpr):
            yield value.jaxpr if isinstance(value, ClosedJaxpr) else value
