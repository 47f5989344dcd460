"""One seed's run: `evolve` scans it over the schedule rows, `begin` and `advance` do so in parts."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from ednag_jax.config import EvolveConfig
from ednag_jax.fd_step import fd_step
from ednag_jax.fitness import best_of, evaluate
from ednag_jax.problem import Problem
from ednag_jax.types import KeyArray, Params, State, StepInfo, Strategy, Trace


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

    Args:
        key: consumed.
        params: handed to the fitness function untouched, but for what it draws once a run.
        problem: space and fitness function; searched under config's encoding where it names one.
        config: `EvolveConfig`, or the strategy's own.
        strategy: the method on the contract; default is EDNAG.
    """
    run = _drawn(key, params, problem, config)
    state = strategy.init(run.key_init, run.params, problem=run.problem, config=config)
    initial = state.evaluation
    state, steps = _scan(run, state, config.rows(), config=config, strategy=strategy)
    return state, Trace(initial, steps)


def begin(key: KeyArray, params: Params, *, problem: Problem, config: Any, strategy: Strategy) -> Any:
    """Returns the state before the first step of the run that `evolve` makes of a key."""
    run = _drawn(key, params, problem, config)
    return strategy.init(run.key_init, run.params, problem=run.problem, config=config)


def advance(
    key: KeyArray,
    state: Any,
    rows: Any,
    params: Params,
    *,
    problem: Problem,
    config: Any,
    strategy: Strategy,
) -> tuple[Any, StepInfo]:
    """Returns the state after some rows of the run that `evolve` makes of a key, and what the steps did."""
    return _scan(_drawn(key, params, problem, config), state, rows, config=config, strategy=strategy)


class _Run(NamedTuple):
    """What one seed's run is made of, besides its settings."""

    key_init: KeyArray
    key_steps: KeyArray
    params: Params
    problem: Problem


def _drawn(key: KeyArray, params: Params, problem: Problem, config: Any) -> _Run:
    """Returns the run of a key: the same, whichever part of the run it is drawn for."""
    problem = problem.with_encoding(getattr(config, "encoding", problem.space.encoding))
    key_init, key_steps, key_run = jax.random.split(key, 3)
    return _Run(key_init, key_steps, problem.for_run(key_run, params), problem)


def _scan(run: _Run, state: Any, rows: Any, *, config: Any, strategy: Strategy) -> tuple[Any, StepInfo]:
    """Returns the state after some rows, and what the steps did.

    Step i draws from `fold_in(key_steps, i)`, so a run cut into chunks draws the same numbers.
    """

    def body(carry: Any, row: Any) -> tuple[Any, Any]:
        key_step = jax.random.fold_in(run.key_steps, row.step)
        return strategy.step(key_step, carry, row, run.params, problem=run.problem, config=config)

    return jax.lax.scan(body, state, rows)


def seed_keys(seeds: int | range, *, root: int = 0) -> Key[Array, " s"]:
    """Returns the key of every seed: seed i has fold_in(root, i), in any batch and on any device.

    >>> bool((seed_keys(3)[2] == seed_keys(range(2, 5))[0]).all())
    True
    """
    numbers = range(seeds) if isinstance(seeds, int) else seeds
    return jax.vmap(partial(jax.random.fold_in, jax.random.key(root)))(jnp.array(numbers, jnp.uint32))
