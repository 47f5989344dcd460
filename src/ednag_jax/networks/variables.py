"""A network's variables: drawn to start training, or their shapes alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

CIFAR_SHAPE = (32, 32, 3)


def initialise(
    module: nn.Module,
    key: Key[Array, "*n"],
    image_shape: tuple[int, ...] = CIFAR_SHAPE,
    *inputs: Any,
) -> dict[str, Any]:
    """Returns the variables that training starts from, `params` and where there are any `batch_stats`.

    `jax.jit(module.init)` draws the same numbers, but takes XLA some 2 s a parameter array to compile for a
    CPU. This leaves out optimisations, which a program that runs once does not need, and is a quarter of it.

    Args:
        module: called as `module(images, *inputs)`.
        key: one, or [n] keys for n networks; then all variables have a leading axis. Not inside jit.
        image_shape: (h, w, c) of one image.
        *inputs: further arrays that the module takes.
    """
    return _initialised(key, inputs, module=module, image_shape=image_shape)


@partial(
    jax.jit,
    static_argnames=("module", "image_shape"),
    compiler_options={"xla_backend_optimization_level": 0},
)
def _initialised(
    key: Key[Array, "*n"], inputs: tuple[Any, ...], *, module: nn.Module, image_shape: tuple[int, ...]
) -> dict[str, Any]:
    images = jnp.zeros((1, *image_shape))

    def draw(key: Key[Array, ""]) -> dict[str, Any]:
        return dict(module.init(key, images, *inputs))

    return jax.vmap(draw)(key) if key.ndim else draw(key)


def variable_shapes(
    module: nn.Module, image_shape: tuple[int, ...] = CIFAR_SHAPE, *inputs: Any
) -> dict[str, Any]:
    """Returns the shapes of the module's variables; nothing is computed."""
    return jax.eval_shape(module.init, jax.random.key(0), image_batch(image_shape), *inputs)


def image_batch(image_shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    """Returns what stands for a batch of one image where only shapes count."""
    return jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
