"""Equation (8) as a variation operator of another strategy: evosax's genetic algorithm, its children denoised.

SimpleGA moves a copy of an elite by noise. Here a child is first replaced by what it points at: the mean of
the elites, weighted by their ranks and by how near they are, as `estimate_x0` has it; then come the rest of
the step, `ddim_step`, and the algorithm's own survival. The noise level falls along a schedule.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from evosax.algorithms import SimpleGA
from evosax.problems import BBOBProblem

import ednag_jax as ed


class DenoisedGA(SimpleGA):
    """SimpleGA with fitness-guided denoising in place of its mutation."""

    def __init__(self, population_size, solution, num_generations=100, low=-5.0, high=5.0):
        super().__init__(population_size, solution)
        self.rows = ed.make_schedule("cosine", num_generations + 1)
        self.centre, self.radius = (low + high) / 2, (high - low) / 2

    def _ask(self, key, state, params):
        """Returns children of the elites: (8) over the elites, then (9)."""
        row = jax.tree.map(lambda column: column[state.generation_counter], self.rows)
        order = jnp.argsort(state.fitness)  # evosax minimises; the best come first
        elites = (state.population[order[: self.num_elites]] - self.centre) / self.radius
        log_weight = -jnp.arange(self.num_elites) / self.num_elites
        x0 = ed.estimate_x0(elites, log_weight, row.alpha_bar)
        repeats = -(-self.population_size // self.num_elites)
        parents, x0 = (jnp.tile(x, (repeats, 1))[: self.population_size] for x in (elites, x0))
        noise = jax.random.normal(key, parents.shape)
        children = ed.ddim_step(parents, x0, noise, row.alpha_bar, row.alpha_bar_prev, noise_scale=1.0)
        return self.centre + self.radius * children, state


def minimise(algorithm, problem: BBOBProblem, num_generations: int, key: jax.Array) -> jax.Array:
    """Returns how far the best fitness of a run is from the optimum."""
    params = algorithm.default_params
    key_start, key_init, key_steps = jax.random.split(key, 3)
    problem_state = problem.init(key_init)
    start = jax.vmap(problem.sample)(jax.random.split(key_start, algorithm.population_size))
    fitness, problem_state, _ = problem.eval(key_init, start, problem_state)
    state = algorithm.init(key_init, start, fitness, params)

    def generation(state, key):
        key_ask, key_tell = jax.random.split(key)
        population, state = algorithm.ask(key_ask, state, params)
        fitness, _, _ = problem.eval(key_tell, population, problem_state)
        state, _ = algorithm.tell(key_tell, population, fitness, state, params)
        return state, None

    state, _ = jax.lax.scan(generation, state, jax.random.split(key_steps, num_generations))
    return state.best_fitness - problem.f_opt


def main(num_generations: int = 100, num_seeds: int = 20) -> dict[str, float]:
    """Prints the median distance from the optimum over all seeds, and returns it by name."""
    problem = BBOBProblem("rosenbrock", num_dims=5, f_opt=0.0)
    sizes = {"population_size": 32, "solution": jnp.zeros(5)}
    found = {}
    for algorithm in (SimpleGA(**sizes), DenoisedGA(**sizes, num_generations=num_generations)):
        run = jax.jit(jax.vmap(lambda key, a=algorithm: minimise(a, problem, num_generations, key)))
        name = type(algorithm).__name__
        found[name] = float(jnp.median(run(ed.seed_keys(num_seeds))))
        print(f"{name}: median distance from the optimum {found[name]:.3g}")
    return found


if __name__ == "__main__":
    main()
