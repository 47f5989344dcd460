"""EDNAG behind evosax's interface: what evosax promises of its algorithms, and what this package promises."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from evosax.core.fitness_shaping import centered_rank_fitness_shaping_fn, standardize_fitness_shaping_fn
from evosax.problems import MetaBBOBProblem

import ednag_jax as ed
from ednag_jax.evosax_problem import TableProblem
from ednag_jax.evosax_strategy import EDNAG

N, D, GENERATIONS = 8, 3, 6
# Not those for continuous problems: 6 steps from noise to none are chaos, and rounding tells programs apart.
CONFIG = ed.EvolveConfig()
ALGORITHM = EDNAG(N, jnp.zeros(D), GENERATIONS, config=CONFIG)
PARAMS = ALGORITHM.default_params
KEY = jax.random.key(0)
BBOB = ("sphere", "rastrigin", "rosenbrock_rotated", "discus", "schaffers_f7", "schwefel")
"""Of each of the five groups of functions."""
FAILED = jnp.full(N, jnp.nan, jnp.float32)


def bumpy_sphere(population):
    """Returns a fitness that evosax minimises, best at (1, 1, 1); arrays or a dict of them."""
    flat = jnp.concatenate([x.reshape(x.shape[0], -1) for x in jax.tree.leaves(population)], axis=1)
    return jnp.sum((flat - 1) ** 2 + 0.1 * jnp.sin(9 * flat), axis=1)


def start(key=KEY, algorithm=ALGORITHM, objective=bumpy_sphere, params=PARAMS):
    population = 2 * jax.random.normal(key, (N, D))
    population = jax.vmap(algorithm._unravel_solution)(population)
    return algorithm.init(key, population, objective(population), params)


def loop(
    key=KEY, algorithm=ALGORITHM, objective=bumpy_sphere, params=PARAMS, generations=GENERATIONS, state=None
):
    """Returns the states after each generation, with the metrics and what was proposed."""
    state, steps = state or start(key, algorithm, objective, params), []
    for key_step in jax.random.split(jax.random.fold_in(key, 1), generations):
        key_ask, key_tell = jax.random.split(key_step)
        population, state = algorithm.ask(key_ask, state, params)
        fitness = objective(population)
        state, metrics = algorithm.tell(key_tell, population, fitness, state, params)
        steps.append((state, metrics, population, fitness))
    return steps


def scan(key, state, algorithm, evaluate, params, generations):
    """Returns the last state and the best fitness by generation."""

    def generation(state, key):
        key_ask, key_tell = jax.random.split(key)
        population, state = algorithm.ask(key_ask, state, params)
        state, metrics = algorithm.tell(key_tell, population, evaluate(population), state, params)
        return state, metrics["best_fitness"]

    return jax.lax.scan(generation, state, jax.random.split(jax.random.fold_in(key, 1), generations))


@pytest.fixture(scope="module")
def steps():
    return loop()


@pytest.mark.slow
def test_loop_and_vmapped_scan_are_the_same_run(steps):
    run = jax.jit(jax.vmap(lambda key: scan(key, start(key), ALGORITHM, bumpy_sphere, PARAMS, GENERATIONS)))
    states, best = run(jnp.stack([jax.random.key(9), KEY]))
    assert best.shape == (2, GENERATIONS)
    np.testing.assert_allclose(best[1], [m["best_fitness"] for _, m, _, _ in steps], rtol=1e-5)
    np.testing.assert_allclose(states.population[1], steps[-1][0].population, rtol=1e-4, atol=1e-5)
    assert not np.array_equal(states.population[0], states.population[1])


def test_states_of_all_generations_share_a_program(steps):
    first = jax.tree.map(jax.typeof, jax.tree.leaves(start()))
    for state, *_ in steps:
        assert jax.tree.map(jax.typeof, jax.tree.leaves(state)) == first


@pytest.fixture(scope="module")
def on_bbob():
    """One program for all functions, name -> initial best fitness and the best by generation."""
    meta, generations = MetaBBOBProblem(fn_names=list(BBOB), min_num_dims=2, max_num_dims=2), 30
    algorithm = EDNAG(16, meta.sample(KEY), generations)
    params, instance = algorithm.default_params, meta.sample_params(KEY)
    population = jax.vmap(meta.sample)(jax.random.split(KEY, 16))

    @jax.jit
    def run(function):
        chosen = instance.replace(fn_id=function)

        def evaluate(population):
            return meta.eval(KEY, population, meta.init(KEY, chosen), chosen)[0]

        first = algorithm.init(KEY, population, evaluate(population), params)
        return first.best_fitness, scan(KEY, first, algorithm, evaluate, params, generations)[1]

    return {name: run(jnp.int32(i)) for i, name in enumerate(BBOB)}


@pytest.mark.slow
@pytest.mark.parametrize("name", BBOB)
def test_runs_on_bbob_functions_and_gets_better(name, on_bbob):
    first, best = on_bbob[name]
    assert best.shape == (30,)
    assert np.all(np.diff(best) <= 0)
    assert best[-1] < first


def test_base_interface_is_that_of_a_population_based_algorithm():
    state = ALGORITHM.init(KEY, jnp.zeros((N, D)), jnp.zeros(N), PARAMS)
    assert ALGORITHM.get_best_solution(state).shape == (D,)
    assert ALGORITHM.get_population(state).shape == (N, D)
    metrics = ALGORITHM.metrics_fn(KEY, jnp.zeros((N, D)), jnp.zeros(N), state, PARAMS)
    known = {"best_fitness", "best_solution", "best_fitness_in_generation", "best_solution_in_generation"}
    assert known <= set(metrics)
    # Equal individuals have no spread to scale by; the run goes on all the same.
    population, _ = ALGORITHM.ask(KEY, state, PARAMS)
    assert np.isfinite(population).all()


@pytest.mark.slow
def test_pytree_solutions_are_the_same_search(steps):
    solution = {"bias": jnp.zeros(1), "weight": jnp.zeros((2, 1))}
    algorithm = EDNAG(N, solution, GENERATIONS, config=CONFIG)
    state, _, population, _ = loop(algorithm=algorithm)[-1]
    assert jax.tree.map(jnp.shape, population) == {"bias": (N, 1), "weight": (N, 2, 1)}
    assert jax.tree.map(jnp.shape, algorithm.get_best_solution(state)) == {"bias": (1,), "weight": (2, 1)}
    np.testing.assert_array_equal(state.population, steps[-1][0].population)


def test_done_is_said_when_the_schedule_ends_and_not_before(steps):
    assert not start().done
    assert [bool(state.done) for state, *_ in steps] == [False] * (GENERATIONS - 1) + [True]
    assert [bool(metrics["done"]) for _, metrics, *_ in steps] == [bool(state.done) for state, *_ in steps]


def test_past_the_end_the_search_goes_on_and_loses_nothing(steps):
    end = steps[-1][0]
    more = loop(jax.random.key(5), state=end)
    assert all(state.done for state, *_ in more)
    assert int(more[-1][0].generation_counter) == 2 * GENERATIONS
    assert not np.array_equal(more[0][2], more[1][2])  # it does not stand still
    assert all(np.isfinite(population).all() for _, _, population, _ in more)
    bests = [float(state.fitness.min()) for state, *_ in [steps[-1], *more]]
    assert np.all(np.diff(bests) <= 0)


def test_best_so_far_never_falls_and_elites_survive(steps):
    told = [start().fitness.min(), *(fitness.min() for *_, fitness in steps)]
    best = np.minimum.accumulate(told)[1:]
    np.testing.assert_array_equal([state.best_fitness for state, *_ in steps], best)
    np.testing.assert_array_equal([state.fitness.min() for state, *_ in steps], best)
    for state, *_ in steps:
        np.testing.assert_allclose(bumpy_sphere(state.best_solution[None])[0], state.best_fitness, rtol=1e-5)
        np.testing.assert_array_equal(ALGORITHM.get_best_solution(state), state.best_solution)


def test_parents_keep_their_own_fitness(steps):
    state = steps[-1][0]
    np.testing.assert_allclose(bumpy_sphere(state.population), state.fitness, rtol=1e-5)


def test_same_key_same_result_and_another_key_another(steps):
    again, other = loop()[-1][0], loop(jax.random.key(1))[-1][0]
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(steps[-1][0]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(other.population, again.population)


@pytest.mark.slow
def test_ask_and_tell_with_one_key_are_a_step_with_it(bumpy):
    """On a table, with the scale of N(0, I) taken as it is: the same children, the same survivors."""
    config = ed.EvolveConfig(population_size=N, num_steps=GENERATIONS + 1, diversity_rate=0.2, noise_scale=0.5)
    given = {"problem": bumpy.problem, "config": config}
    expected = ed.init(KEY, bumpy.params, **given)
    problem = TableProblem(bumpy)
    algorithm = EDNAG(N, jnp.zeros(problem.num_dims), GENERATIONS, config=config)
    params, problem_state = algorithm.default_params, problem.init(KEY)
    fitness, *_ = problem.eval(KEY, expected.genotype, problem_state)
    state = algorithm.init(KEY, expected.genotype, fitness, params)
    state = state.replace(location=0 * state.location, scale=state.scale**0)
    step = jax.jit(partial(ed.fd_step, params=bumpy.params, **given))
    for i in range(GENERATIONS):
        key = jax.random.fold_in(KEY, i)
        expected, info = step(key, expected, jax.tree.map(lambda column, i=i: column[i], config.rows()))
        population, state = algorithm.ask(key, state, params)
        fitness, _, metrics = problem.eval(key, population, problem_state)
        state, _ = algorithm.tell(key, population, fitness, state, params)
        np.testing.assert_array_equal(metrics["arch_id"], info.evaluation.arch_id)
        np.testing.assert_allclose(state.population, expected.genotype, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(-state.fitness, expected.evaluation.fitness)
    assert -state.best_fitness == expected.best.accuracy


def test_units_of_the_solution_do_not_matter(steps):
    """Powers of two scale without rounding: every number of the run is the same in other units."""
    units = jnp.array([4.0, 0.5, 1024.0])

    def objective(population):
        return bumpy_sphere(population / units)

    population = 2 * units * jax.random.normal(KEY, (N, D))
    state = ALGORITHM.init(KEY, population, objective(population), PARAMS)
    other = loop(state=state, objective=objective)[-1][0]
    np.testing.assert_allclose(other.population / units, steps[-1][0].population, rtol=1e-5)


@pytest.mark.slow
def test_shaping_that_keeps_the_order_changes_nothing(steps):
    algorithm = EDNAG(
        N, jnp.zeros(D), GENERATIONS, config=CONFIG, fitness_shaping_fn=centered_rank_fitness_shaping_fn
    )
    state = loop(algorithm=algorithm)[-1][0]
    np.testing.assert_array_equal(state.population, steps[-1][0].population)
    np.testing.assert_array_equal(state.fitness, steps[-1][0].fitness)


@pytest.mark.slow
def test_shaping_has_its_say():
    """Turned around, the worst survive; what is best is still told by the fitness as it was."""
    algorithm = EDNAG(
        N, jnp.zeros(D), GENERATIONS, config=CONFIG, fitness_shaping_fn=lambda x, f, state, params: -f
    )
    state, _, _, fitness = loop(algorithm=algorithm, generations=1)[-1]
    assert state.fitness.max() == max(start().fitness.max(), fitness.max())
    assert state.best_fitness == min(start().fitness.min(), fitness.min())


STANDARDISING = EDNAG(
    N, jnp.zeros(D), GENERATIONS, config=CONFIG, fitness_shaping_fn=standardize_fitness_shaping_fn
)


@pytest.mark.parametrize("failure", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("algorithm", [ALGORITHM, pytest.param(STANDARDISING, marks=pytest.mark.slow)])
def test_failures_rank_last(failure, algorithm):
    state = start(algorithm=algorithm)
    population, state = algorithm.ask(KEY, state, PARAMS)
    fitness = bumpy_sphere(population)
    good = int(jnp.argmin(fitness))
    told = FAILED.at[:].set(failure).at[good].set(-10.0)
    parents = state.fitness.at[2:].set(jnp.inf)
    state, metrics = algorithm.tell(KEY, population, told, state.replace(fitness=parents), PARAMS)
    assert int(metrics["num_failed"]) == N - 1
    assert state.fitness.min() == -10.0
    np.testing.assert_array_equal(algorithm.get_best_solution(state), population[good])
    assert np.isfinite(algorithm.ask(KEY, state, PARAMS)[0]).all()


def test_a_population_of_failures_goes_on():
    state = ALGORITHM.init(KEY, jax.random.normal(KEY, (N, D)), FAILED, PARAMS)
    assert state.best_fitness == jnp.inf
    for _ in range(2):
        population, state = ALGORITHM.ask(KEY, state, PARAMS)
        assert np.isfinite(population).all()
        state, metrics = ALGORITHM.tell(KEY, population, FAILED, state, PARAMS)
        assert metrics["best_fitness_in_generation"] == jnp.inf
    population, state = ALGORITHM.ask(KEY, state, PARAMS)
    state, _ = ALGORITHM.tell(KEY, population, bumpy_sphere(population), state, PARAMS)
    assert state.best_fitness == bumpy_sphere(population).min()


def test_rates_are_swept_without_compiling(steps, compilations):
    state = start()
    asked = ALGORITHM.ask(KEY, state, PARAMS)[0]
    changed = PARAMS.replace(noise_scale=0.9, temperature=0.3)
    before = compilations.count
    other, state = ALGORITHM.ask(KEY, state, changed)
    state, _ = ALGORITHM.tell(KEY, other, state.fitness, state, changed)
    assert compilations.count == before
    assert not np.array_equal(asked, other)


def test_errors_name_what_is_allowed():
    with pytest.raises(ValueError, match="population_size must be at least 2, got 1"):
        EDNAG(1, jnp.zeros(D))
    with pytest.raises(ValueError, match="num_steps must be at least 2, got 1"):
        EDNAG(N, jnp.zeros(D), num_generations=0)


@pytest.mark.slow
def test_converges_far_below_random_search():
    """On the sphere in 3 dimensions with equal evaluations: by a factor of 10 in the median of 20 seeds."""
    size, generations = 16, 60
    algorithm = EDNAG(size, jnp.zeros(D), generations)
    params = algorithm.default_params

    def run(key):
        population = 2 * jax.random.normal(key, (size, D))
        state = algorithm.init(key, population, sphere(population), params)
        random = 2 * jax.random.normal(jax.random.fold_in(key, 2), (size * (generations + 1), D))
        end, _ = scan(key, state, algorithm, sphere, params, generations)
        return end.best_fitness, sphere(random).min()

    def sphere(population):
        return jnp.sum((population - 1) ** 2, axis=-1)

    ours, random = jax.jit(jax.vmap(run))(ed.seed_keys(20))
    assert np.median(ours) < np.median(random) / 10
    assert np.mean(ours < random) > 0.9
