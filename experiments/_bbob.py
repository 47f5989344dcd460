"""evosax's BBOB functions, and runs of evosax's algorithms on them at equal evaluations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from evosax.algorithms import CMA_ES, DiffusionEvolution
from evosax.algorithms.distribution_based.base import DistributionBasedAlgorithm
from evosax.problems import MetaBBOBProblem, bbob_fns
from jaxtyping import Array, Float

import ednag_jax as ed
from ednag_jax.evosax_strategy import EDNAG

FUNCTIONS = tuple(bbob_fns)
BOX_STD = 10 / 12**0.5
"""Standard deviation of a uniform draw from the box [-5, 5]."""


class Size(NamedTuple):
    """How long each run is."""

    population: int = 64
    generations: int = 128
    """After the initial population, which is evaluated too."""

    @property
    def evaluations(self) -> int:
        """Of each run of each method."""
        return self.population * (self.generations + 1)


Made = tuple[Any, Any]


def ednag(dims: int, size: Size) -> Made:
    """Returns EDNAG and its params, as they come."""
    algorithm = EDNAG(size.population, jnp.zeros(dims), size.generations)
    return algorithm, algorithm.default_params


def diffusion(scale: float) -> Callable[[int, Size], Made]:
    """Returns what makes evosax's DiffusionEvolution; a schedule of T values has T - 1 steps."""

    def make(dims: int, size: Size) -> Made:
        generations = size.generations + 1
        algorithm = DiffusionEvolution(size.population, jnp.zeros(dims), num_generations=generations)
        return algorithm, algorithm.default_params.replace(scale_factor=scale)

    return make


def cma_es(dims: int, size: Size) -> Made:
    """Returns evosax's CMA-ES and its params, as they come."""
    algorithm = CMA_ES(size.population, jnp.zeros(dims))
    return algorithm, algorithm.default_params


METHODS: dict[str, Callable[[int, Size], Made]] = {
    "EDNAG": ednag,
    "DiffusionEvolution": diffusion(1.0),
    "the same, scaled": diffusion(BOX_STD),
    "CMA-ES": cma_es,
}


def best_by_generation(
    key: Array,
    made: Made,
    evaluate: Callable[[Array, Array], Array],
    sample: Callable[[Array], Array],
    size: Size,
) -> Float[Array, " g"]:
    """Returns the best fitness so far after each generation of one run, the initial population's first.

    An algorithm that starts from a mean and not from a population gets one generation more instead.
    """
    algorithm, params = made
    key_start, key_init, key_steps = jax.random.split(key, 3)
    start = jax.vmap(sample)(jax.random.split(key_start, size.population))
    is_distribution = isinstance(algorithm, DistributionBasedAlgorithm)
    fitness = evaluate(key_init, start)
    if is_distribution:
        state = algorithm.init(key_init, start[0], params)
    else:
        state = algorithm.init(key_init, start, fitness, params)

    def generation(state: Any, key: Array) -> tuple[Any, Array]:
        key_ask, key_tell = jax.random.split(key)
        population, state = algorithm.ask(key_ask, state, params)
        state, _ = algorithm.tell(key_tell, population, evaluate(key_tell, population), state, params)
        return state, state.best_fitness

    keys = jax.random.split(key_steps, size.generations + is_distribution)
    _, best = jax.lax.scan(generation, state, keys)
    return best if is_distribution else jnp.concatenate([jnp.min(fitness)[None], best])


def final_regrets(
    make: Callable[[int, Size], Made], functions: Sequence[str], dims: int, seeds: range, size: Size
) -> Float[np.ndarray, "f s"]:
    """Returns how far each seed ends from each function's optimum; instances and starts are every method's."""
    algorithm, params = make(dims, size)
    alone = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], params)
    return final_regrets_of_settings((algorithm, alone), functions, dims, seeds, size)[:, 0]


def final_regrets_of_settings(
    made: Made, functions: Sequence[str], dims: int, seeds: range, size: Size
) -> Float[np.ndarray, "f p s"]:
    """Returns the same of several settings of an algorithm, whose params have a leading axis.

    Every seed has an instance of its own: the optimum's place and the rotations. The optimum's value is 0, for
    float32 would lose small distances beside a large one. One program serves all functions and settings.
    """
    algorithm, several = made
    meta = MetaBBOBProblem(fn_names=list(functions), min_num_dims=dims, max_num_dims=dims)

    def instance_of(key: Array) -> Any:
        key_instance, key_run = jax.random.split(key)
        instance = meta.sample_params(key_instance).replace(f_opt=jnp.float32(0))
        return key_run, instance, meta.init(key_instance, instance)

    @jax.jit
    def run(keys: Array, function: Array) -> Array:
        def one(params: Any, drawn: Any) -> Array:
            key_run, instance, state = drawn
            instance = instance.replace(fn_id=function)

            def evaluate(key: Array, population: Array) -> Array:
                return meta.eval(key, population, state, instance)[0]

            return best_by_generation(key_run, (algorithm, params), evaluate, meta.sample, size)[-1]

        # One by one: a batch of the QR factorisations that make rotations can hang jax on two cores.
        drawn = jax.lax.map(instance_of, keys)
        return jax.vmap(lambda each: jax.vmap(partial(one, each))(drawn))(several)

    keys = ed.seed_keys(seeds)
    return np.stack([np.asarray(run(keys, jnp.int32(i))) for i in range(len(functions))])
