"""EDNAG as an algorithm of evosax's interface: init, ask, tell, for any objective that takes real numbers.

evosax minimises and this package maximises: the sign turns in `merit`, here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from evosax.algorithms.base import metrics_fn as base_metrics_fn
from evosax.algorithms.population_based.base import Params as BaseParams
from evosax.algorithms.population_based.base import PopulationBasedAlgorithm
from evosax.algorithms.population_based.base import State as BaseState
from evosax.core.fitness_shaping import identity_fitness_shaping_fn
from flax import struct

from ednag_jax.config import EvolveConfig
from ednag_jax.denoise import denoise
from ednag_jax.fitness import log_weights
from ednag_jax.selection import select
from ednag_jax.types import Schedule
from ednag_jax.variation import vary

NUM_GENERATIONS = 128
"""As many as evosax's DiffusionEvolution has."""


@struct.dataclass
class State(BaseState):
    """What goes on from step to step; `population` and `fitness` are the parents', in the caller's units."""

    best_fitness: Any
    generation_counter: Any
    """Both numbers, as evosax has them, of which jit and vmap make arrays."""
    location: jax.Array
    """[d] Where the initial population lay: equations (8) and (9) are for samples of N(0, I)."""
    scale: jax.Array
    """[d] How far it spread, number by number."""
    done: jax.Array
    """Whether the schedule has ended."""


@struct.dataclass
class Params(BaseParams):
    """Numbers that may change without compiling anew; what each means is in `EvolveConfig`."""

    noise_scale: Any
    temperature: Any
    roulette_pressure: Any
    mutation_rate: Any
    schedule: Schedule
    """The rows of a run, one a generation."""


def is_done(generation_counter: jax.Array, params: Params) -> jax.Array:
    """Returns whether so many generations have used up the schedule."""
    # With its dtype: else weakly typed in some states and not in others, and jit would compile for both.
    return jnp.asarray(generation_counter >= params.schedule.step.shape[0], bool)


def metrics_fn(key: jax.Array, population: Any, fitness: jax.Array, state: State, params: Params) -> Any:
    """Returns evosax's metrics, deaf to failures, with `done` and `num_failed` of this generation."""
    failed = ~jnp.isfinite(fitness)
    metrics = base_metrics_fn(key, population, jnp.where(failed, jnp.inf, fitness), state, params)
    done = is_done(state.generation_counter + 1, params)  # evosax counts after it has measured
    return metrics | {"done": done, "num_failed": jnp.sum(failed)}


class EDNAG(PopulationBasedAlgorithm):
    """Fitness-guided denoising, (8) to (10), as one of evosax's population-based algorithms.

    A generation is one row of the noise schedule. `ask` proposes the denoised and varied children of the
    parents, the caller evaluates them, `tell` selects the next parents from parents and children, whose fitness
    is carried in the state. Keys draw what `fd_step` draws: `ask` and `tell` with one key are a step with it.

    The initial population sets the scale: its mean and standard deviation, number by number, are what
    the schedule takes for N(0, I). So draw it over the whole region of interest.

    After the last row `state.done` and `metrics["done"]` are True. A loop may stop there; if it goes on, `ask`
    repeats the last row, which adds no noise (children are the estimates of (8), varied), and `tell` selects
    as before, so nothing found is lost.

    Fitness is minimised; NaN and infinite ones mark failures and rank last. `state.fitness` is the parents' own
    fitness, not a shaped one: a shaping function is applied to parents and children together where they are
    compared, since ranks within different generations would not be comparable.

    Args:
        population_size: n, at least 2.
        solution: any solution, whose pytree and shapes all have.
        num_generations: rows of the schedule; T - 1.
        config: settings; `num_steps` and `population_size` in it are those above. None is
            `EvolveConfig.for_continuous()`; for the genotypes of a table, `EvolveConfig()` was chosen. What is
            about architectures (`encoding`, `objective`, `accuracy_factor`) has no say.
        fitness_shaping_fn: evosax's.
        metrics_fn: evosax's.

    Raises:
        ValueError: fewer than two individuals or no generation.

    >>> algorithm = EDNAG(population_size=8, solution={"w": jnp.zeros((2, 3))}, num_generations=10)
    >>> algorithm.num_dims, algorithm.default_params.schedule.step.shape
    (6, (10,))
    """

    def __init__(
        self,
        population_size: int,
        solution: Any,
        num_generations: int = NUM_GENERATIONS,
        *,
        config: EvolveConfig | None = None,
        fitness_shaping_fn: Callable[..., jax.Array] = identity_fitness_shaping_fn,
        metrics_fn: Callable[..., Any] = metrics_fn,
    ) -> None:
        super().__init__(population_size, solution, fitness_shaping_fn, metrics_fn)
        sizes = {"population_size": population_size, "num_steps": num_generations + 1}
        self.config = (config or EvolveConfig.for_continuous()).replace(**sizes)

    @property
    def _default_params(self) -> Params:
        config = self.config
        rates = config.noise_scale, config.temperature, config.roulette_pressure, config.mutation_rate
        return Params(*rates, config.rows())

    def _init(self, key: jax.Array, params: Params) -> State:
        del key  # the caller draws the initial population
        return State(
            population=jnp.full((self.population_size, self.num_dims), jnp.nan),
            fitness=jnp.full(self.population_size, jnp.inf),
            best_solution=jnp.full(self.num_dims, jnp.nan),
            best_fitness=jnp.inf,
            generation_counter=0,
            location=jnp.zeros(self.num_dims),
            scale=jnp.ones(self.num_dims),
            done=is_done(jnp.int32(0), params),
        )

    @partial(jax.jit, static_argnames=("self",))
    def init(self, key: jax.Array, population: Any, fitness: jax.Array, params: Params) -> State:
        """Returns the state of an evaluated initial population, which sets location and scale."""
        state = super().init(key, population, fitness, params)
        spread = jnp.std(state.population, axis=0)
        # A number that is the same in all has no scale of its own.
        scale = jnp.where(spread > 0, spread, 1.0)
        return state.replace(location=jnp.mean(state.population, axis=0), scale=scale)

    def _ask(self, key: jax.Array, state: State, params: Params) -> tuple[jax.Array, State]:
        key_noise, key_vary, _, _ = jax.random.split(key, 4)  # as `fd_step` does
        config = self._settings(params)
        last = params.schedule.step.shape[0] - 1
        row = jax.tree.map(lambda column: column[jnp.minimum(state.generation_counter, last)], params.schedule)
        children = parents = (state.population - state.location) / state.scale
        if config.denoising:
            log_weight = log_weights(self.merit(state.population, state.fitness, state, params), config)
            given = parents, log_weight, row.alpha_bar, row.alpha_bar_prev
            floor = config.floor if config.floored else None
            children = denoise(key_noise, *given, noise_scale=config.noise_scale, floor=floor)
        children = vary(key_vary, children, row.step, config=config)
        return state.location + state.scale * children, state

    def _tell(
        self, key: jax.Array, population: jax.Array, fitness: jax.Array, state: State, params: Params
    ) -> State:
        *_, key_select = jax.random.split(key, 4)
        both = jnp.concatenate([state.population, population])
        fitness_2n = jnp.concatenate([state.fitness, fitness])
        genotypes = (both - state.location) / state.scale
        merit = self.merit(both, fitness_2n, state, params)
        index = select(key_select, genotypes, merit, config=self._settings(params))
        done = is_done(state.generation_counter + 1, params)
        return state.replace(population=both[index], fitness=fitness_2n[index], done=done)

    def merit(self, population: jax.Array, fitness: jax.Array, state: State, params: Params) -> jax.Array:
        """Returns shaped fitness as this package has it: higher is better, -inf marks a failure."""
        failed = ~jnp.isfinite(fitness)
        # evosax's shaping functions leave NaN out of their means and ranks, but not infinity.
        shaped = self.fitness_shaping_fn(population, jnp.where(failed, jnp.nan, fitness), state, params)
        return jnp.where(failed, -jnp.inf, -shaped)

    def _postprocess_fitness(self, raw_fitness: jax.Array, fitness: jax.Array) -> jax.Array:
        """Returns the fitness as it was told: `merit` shapes it, with what it is compared with."""
        del fitness
        return jnp.where(jnp.isfinite(raw_fitness), raw_fitness, jnp.inf)

    def _settings(self, params: Params) -> EvolveConfig:
        """Returns the config with the rates of params."""
        names = "noise_scale", "temperature", "roulette_pressure", "mutation_rate"
        return self.config.replace(**{name: getattr(params, name) for name in names})
