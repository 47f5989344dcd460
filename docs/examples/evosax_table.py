"""NAS-Bench-201 as an evosax Problem: a genetic algorithm of evosax and EDNAG search it in the same loop."""

from __future__ import annotations

import jax
from evosax.algorithms import SimpleGA

import ednag_jax as ed
from ednag_jax.evosax_problem import TableProblem
from ednag_jax.evosax_strategy import EDNAG


def search(algorithm, problem: TableProblem, num_generations: int, seed: int = 0):
    """Returns the algorithm's last state, after a scan over generations."""
    params = algorithm.default_params
    key_start, key_init, key_steps = jax.random.split(jax.random.key(seed), 3)
    start = jax.vmap(problem.sample)(jax.random.split(key_start, algorithm.population_size))
    fitness, problem_state, _ = problem.eval(key_init, start, problem.init(key_init))
    state = algorithm.init(key_init, start, fitness, params)

    def generation(carry, key):
        state, problem_state = carry
        key_ask, key_eval, key_tell = jax.random.split(key, 3)
        population, state = algorithm.ask(key_ask, state, params)
        fitness, problem_state, _ = problem.eval(key_eval, population, problem_state)
        state, _ = algorithm.tell(key_tell, population, fitness, state, params)
        return (state, problem_state), None

    (state, _), _ = jax.lax.scan(
        generation, (state, problem_state), jax.random.split(key_steps, num_generations)
    )
    return state


def main(benchmark: ed.Benchmark | None = None, num_generations: int = 50) -> dict[str, float]:
    """Prints what each found, and returns its accuracy by name."""
    problem = TableProblem(benchmark or ed.load_benchmark("nasbench201", dataset="cifar10"))
    sizes = {"population_size": 16, "solution": problem.sample(jax.random.key(0))}
    algorithms = SimpleGA(**sizes), EDNAG(**sizes, num_generations=num_generations, config=ed.EvolveConfig())
    found = {}
    for algorithm in algorithms:
        state = search(algorithm, problem, num_generations)
        name = type(algorithm).__name__
        found[name] = -float(state.best_fitness)
        print(f"{name}: {found[name]:.2f} {problem.to_str(state.best_solution)}")
    return found


if __name__ == "__main__":
    main()
