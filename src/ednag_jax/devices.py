"""Seeds over devices: which devices a run uses, how its seeds get there, and how results come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Key

SEEDS = "seeds"
"""The one axis of the mesh."""


class Devices(NamedTuple):
    """Where the seeds of a run are: on one device where there is no mesh, else in equal parts over the mesh."""

    num_seeds: int
    mesh: Mesh | None = None

    @classmethod
    def for_keys(cls, keys: Key[Array, " s"]) -> Devices:
        """Returns all devices of all processes; of a single process no more than there are seeds.

        One device where `jax.device_put` has committed the keys to one, where `jax.default_device` is set, or
        where the keys are traced.
        """
        devices = jax.devices()
        if jax.process_count() == 1:
            devices = devices[: len(keys)]
        is_chosen = jax.config.jax_default_device is not None  # type: ignore[attr-defined]
        if len(devices) == 1 or is_chosen or isinstance(keys, jax.core.Tracer) or keys.committed:
            return cls(len(keys))
        return cls(len(keys), Mesh(np.array(devices), (SEEDS,), axis_types=(AxisType.Auto,)))

    def spread(self, tree: Any) -> Any:
        """Returns arrays [s ...] on their devices; the last seed is repeated until the parts are equal."""
        if self.mesh is None:
            return jax.device_put(tree)
        num_more, sharding = -self.num_seeds % self.mesh.size, NamedSharding(self.mesh, PartitionSpec(SEEDS))

        def padded(array: np.ndarray) -> np.ndarray:
            return np.concatenate([array, np.repeat(array[-1:], num_more, axis=0)])

        return jax.tree.map(lambda leaf: _placed(leaf, sharding, padded), tree)

    def copy(self, tree: Any) -> Any:
        """Returns arrays whole on every device; numbers stay as they are."""
        if self.mesh is None:
            return tree
        sharding = NamedSharding(self.mesh, PartitionSpec())

        def placed(leaf: Any) -> Any:
            return _placed(leaf, sharding, lambda array: array) if hasattr(leaf, "dtype") else leaf

        return jax.tree.map(placed, tree)

    def gather(self, tree: Any) -> Any:
        """Returns arrays [s ...] whole on the host of every process, without the seeds that were repeated."""
        return jax.tree.map(self._gathered, tree)

    def _gathered(self, leaf: Any) -> Any:
        """Returns an array [s ...] on the host; keys of random draws stay jax's."""
        if is_key(leaf):
            if self.mesh is None:
                return leaf
            return jax.random.wrap_key_data(
                self._gathered(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf)
            )
        if self.mesh is not None and self.mesh.is_multi_process:
            leaf = multihost_utils.process_allgather(leaf, tiled=True)
        return np.asarray(leaf)[: self.num_seeds]


def _placed(leaf: Any, sharding: NamedSharding, made: Callable[[np.ndarray], np.ndarray]) -> Array:
    """Returns an array, changed on the host, on the devices of a mesh."""
    if is_key(leaf):
        data = _placed(jax.random.key_data(leaf), sharding, made)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    array = made(np.asarray(leaf))
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def over_devices(
    function: Callable[..., Any], mesh: Mesh | None, spread: tuple[bool, ...]
) -> Callable[..., Any]:
    """Returns a function of arrays [s ...] that each device calls on its own seeds; as it is without a mesh.

    The devices have nothing to say to each other, so none waits for another.

    Args:
        function: to call.
        mesh: of `Devices`.
        spread: of each argument, whether it has an axis of seeds; the others are whole on every device.
    """
    if mesh is None:
        return function
    specs = tuple(PartitionSpec(SEEDS) if is_spread else PartitionSpec() for is_spread in spread)
    # check_vma would have every loop of a strategy say which of its numbers differ between devices.
    return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(SEEDS), check_vma=False)


def is_key(leaf: Any) -> bool:
    """Returns whether an array is of keys of random draws."""
    return jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
