"""How large a network is, without running it: its trainable parameters and its multiply-adds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import flax.linen as nn
import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from ednag_jax.networks.variables import CIFAR_SHAPE, image_batch, variable_shapes


def num_parameters(module: nn.Module, image_shape: tuple[int, ...] = CIFAR_SHAPE, *inputs: Any) -> int:
    """Returns how many numbers are trained; running averages are not.

    Args:
        module: called as `module(images, *inputs)`.
        image_shape: (h, w, c) of one image.
        *inputs: further arrays that the module takes, or their shapes.
    """
    leaves = jax.tree.leaves(variable_shapes(module, image_shape, *inputs)["params"])
    return sum(prod(leaf.shape) for leaf in leaves)


def multiply_adds(module: nn.Module, image_shape: tuple[int, ...] = CIFAR_SHAPE, *inputs: Any) -> int:
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


@dataclass(frozen=True)
class Count:
    """What layers add to a total: the numbers that they train, or with `per_pixel` their multiply-adds.

    So that the formula of a space says once which layers its networks have. Channels and pixels may be plain
    numbers or arrays. Multiply-adds are floats, as many networks have more of them than 32 bits count.

    >>> PARAMETERS.conv_norm(3, 16, 3, 32 * 32), MULTIPLY_ADDS.conv_norm(3, 16, 3, 32 * 32)
    (464, 442368.0)
    """

    per_pixel: bool

    def conv(self, inputs: Any, outputs: Any, size: int, pixels: Any) -> Any:
        """Returns what a convolution without bias adds; `pixels` are of its output, `inputs` of one group."""
        weights = size * size * inputs * outputs
        return 1.0 * pixels * weights if self.per_pixel else weights

    def conv_norm(self, inputs: Any, outputs: Any, size: int, pixels: Any) -> Any:
        """Returns what a convolution without bias and the normalisation after it add."""
        return self.conv(inputs, outputs, size, pixels) + self._further(2 * outputs)

    def linear(self, inputs: Any, outputs: Any) -> Any:
        """Returns what a linear layer with bias adds."""
        return self.conv(inputs, outputs, 1, 1) + self._further(outputs)

    def _further(self, numbers: Any) -> Any:
        """Returns trained numbers that nothing is multiplied with."""
        return 0 if self.per_pixel else numbers


PARAMETERS, MULTIPLY_ADDS = Count(per_pixel=False), Count(per_pixel=True)


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
