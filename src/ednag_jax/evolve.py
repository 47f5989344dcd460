"""Whole runs: `evolve` scans one seed over the schedule rows, `evolve_seeds` runs many in one jit call."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from ednag_jax.config import EvolveConfig
from ednag_jax.fd_step import fd_step
from ednag_jax.fitness import best_of, evaluate
from ednag_jax.problem import Problem
from ednag_jax.types import KeyArray, Params, State, Strategy, Trace


def init(key: KeyArray, params: Params, *, problem: Problem, config: EvolveConfig) -> State:
    """Returns the initial population, drawn from N(0, I) and evaluated."""
    key_genotype, key_fitness = jax.random.split(key)
    genotype = jax.random.normal(key_genotype, (config.population_size, problem.space.genotype_size))
    evaluation = evaluate(key_fitness, params, problem.space.decode(genotype), problem=problem, config=config)
    return State(genotype, evaluation, best_of(evaluation))


EDNAG = Strategy("ednag", init, fd_step, several_objectives=True)


def evolve(
    key: KeyArray, params: Params, *, problem: Problem, config: Any, strategy: Strategy = EDNAG
) -> tuple[Any, Trace]:
    """Returns one seed's final state and everything it evaluated: a scan over config.rows().

    Step i draws from `fold_in(key, i)`, so a run cut into chunks draws the same numbers.

    Args:
        key: consumed.
        params: handed to the fitness function untouched, but for what it draws once a run.
        problem: space and fitness function; searched under config's encoding where it names one.
        config: `EvolveConfig`, or the strategy's own.
        strategy: the method on the contract; default is EDNAG.
    """
    problem = problem.with_encoding(getattr(config, "encoding", problem.space.encoding))
    key_init, key_steps, key_run = jax.random.split(key, 3)
    params = problem.for_run(key_run, params)
    state = strategy.init(key_init, params, problem=problem, config=config)

    def body(carry: Any, row: Any) -> tuple[Any, Any]:
        key_step = jax.random.fold_in(key_steps, row.step)
        return strategy.step(key_step, carry, row, params, problem=problem, config=config)

    initial = state.evaluation
    state, steps = jax.lax.scan(body, state, config.rows())
    return state, Trace(initial, steps)


@partial(jax.jit, static_argnames=("problem", "strategy"))
def evolve_seeds(
    keys: Key[Array, " s"], params: Params, *, problem: Problem, config: Any, strategy: Strategy = EDNAG
) -> tuple[Any, Trace]:
    """Returns `evolve` of every key [s ...]: the one jit, all seeds in one compiled call.

    Equal problem, strategy and static settings share one compilation; tables, rates, temperatures and
    noise may change freely.
    """

    def one(key: KeyArray) -> tuple[Any, Trace]:
        return evolve(key, params, problem=problem, config=config, strategy=strategy)

    return jax.vmap(one)(keys)


def seed_keys(seeds: int | range, *, root: int = 0) -> Key[Array, " s"]:
    """Returns the key of every seed: seed i has fold_in(root, i), in any batch and on any device.

    >>> bool((seed_keys(3)[2] == seed_keys(range(2, 5))[0]).all())
    True
    """
    numbers = range(seeds) if isinstance(seeds, int) else seeds
    return jax.vmap(partial(jax.random.fold_in, jax.random.key(root)))(jnp.array(numbers, jnp.uint32))
