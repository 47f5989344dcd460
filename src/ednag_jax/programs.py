"""The compiled programs of a run, all seeds in each; and how long compiling and running them took."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Int, Key

from ednag_jax.devices import over_devices
from ednag_jax.evolve import EDNAG, advance, begin, evolve
from ednag_jax.problem import Problem
from ednag_jax.types import KeyArray, Params, StepInfo, Strategy, Trace


@partial(jax.jit, static_argnames=("problem", "strategy", "mesh"))
def compiled_evolve_seeds(
    keys: Key[Array, " s"],
    params: Params,
    *,
    problem: Problem,
    config: Any,
    strategy: Strategy = EDNAG,
    mesh: Mesh | None = None,
) -> tuple[Any, Trace]:
    """Returns `evolve` of every key [s ...]: the one jit, all seeds in one compiled call.

    Equal problem, strategy and static settings share one compilation; tables, rates, temperatures and
    noise may change freely. With a mesh keys and params lie on it as `Devices` puts them there.
    """

    def one(key: KeyArray, params: Params, config: Any) -> tuple[Any, Trace]:
        return evolve(key, params, problem=problem, config=config, strategy=strategy)

    every = jax.vmap(one, in_axes=(0, None, None))
    return over_devices(every, mesh, (True, False, False))(keys, params, config)


@partial(jax.jit, static_argnames=("problem", "strategy", "mesh"))
def compiled_begin(
    keys: Key[Array, " s"],
    params: Params,
    *,
    problem: Problem,
    config: Any,
    strategy: Strategy,
    mesh: Mesh | None = None,
) -> Any:
    """Returns `begin` of every key [s ...]."""

    def one(key: KeyArray, params: Params, config: Any) -> Any:
        return begin(key, params, problem=problem, config=config, strategy=strategy)

    every = jax.vmap(one, in_axes=(0, None, None))
    return _strongly_typed(over_devices(every, mesh, (True, False, False))(keys, params, config))


@partial(jax.jit, static_argnames=("problem", "strategy", "num_steps", "mesh"))
def compiled_advance(
    keys: Key[Array, " s"],
    states: Any,
    start: Int[Array, ""],
    params: Params,
    *,
    problem: Problem,
    config: Any,
    strategy: Strategy,
    num_steps: int,
    mesh: Mesh | None = None,
) -> tuple[Any, StepInfo]:
    """Returns `advance` of every key and state [s ...], by `num_steps` rows from the traced row `start` on.

    The rows are those of the whole run, cut here: made on the host they may differ in the last bit.
    """

    def one(key: KeyArray, state: Any, start: Array, params: Params, config: Any) -> tuple[Any, StepInfo]:
        cut = partial(jax.lax.dynamic_slice_in_dim, start_index=start, slice_size=num_steps)
        rows = jax.tree.map(cut, config.rows())
        return advance(key, state, rows, params, problem=problem, config=config, strategy=strategy)

    every = jax.vmap(one, in_axes=(0, 0, None, None, None))
    spread = (True, True, False, False, False)
    states, steps = over_devices(every, mesh, spread)(keys, states, start, params, config)
    return _strongly_typed(states), steps


def _strongly_typed(states: Any) -> Any:
    """Returns states typed as they are when read back from a file, so that both run the same program."""

    def strong(leaf: Array) -> Array:
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.extended)
        return leaf if is_key else jax.lax.convert_element_type(leaf, leaf.dtype)

    return jax.tree.map(strong, states)


@dataclass
class Clock:
    """The seconds that went into compiling and into running programs; `call` adds to them."""

    compile_seconds: float = 0.0
    """0 where every program was compiled before."""
    run_seconds: float = 0.0

    def call(self, program: Any, *arguments: Any, config: Any, **static: Any) -> Any:
        """Returns what a jitted program gives, waited for; compiled apart where it was not before."""
        leaves, structure = jax.tree.flatten((arguments, config))
        placed = tuple(getattr(leaf, "sharding", None) for leaf in leaves)
        key = (program, structure, tuple(map(jax.typeof, leaves)), placed, tuple(sorted(static.items())))
        start = time.perf_counter()
        if key not in _PROGRAMS:
            _PROGRAMS[key] = program.lower(*arguments, config=config, **static).compile()
            self.compile_seconds += time.perf_counter() - start
        start = time.perf_counter()
        result = jax.block_until_ready(_PROGRAMS[key](*arguments, config=config))
        self.run_seconds += time.perf_counter() - start
        return result


_PROGRAMS: dict[Any, Any] = {}
"""Shapes and static settings -> compiled program: jit keeps such a table too, but cannot be timed apart."""
