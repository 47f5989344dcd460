"""A benchmark as evosax's problem, and the examples that join the two packages."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from evosax.problems import Problem

import ednag_jax as ed
from ednag_jax.evosax_problem import TableProblem

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
KEY = jax.random.key(0)


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def problem(bumpy):
    return TableProblem(bumpy)


def test_fitness_of_every_architecture_is_its_accuracy_turned_around(bumpy, problem):
    assert isinstance(problem, Problem)
    all_of_them = jnp.stack(jnp.unravel_index(jnp.arange(bumpy.space.size), bumpy.space.choices), axis=-1)
    state = problem.init(KEY)
    fitness, after, metrics = problem.eval(KEY, bumpy.space.encode(all_of_them), state)
    np.testing.assert_array_equal(fitness, -bumpy.params)
    np.testing.assert_array_equal(metrics["arch_id"], np.arange(bumpy.space.size))
    np.testing.assert_array_equal(metrics["accuracy"], bumpy.params)
    assert (state.counter, int(after.counter)) == (0, 1)


def test_solutions_are_standard_normal_genotypes(bumpy, problem):
    assert problem.num_dims == bumpy.space.genotype_size == problem.sample(KEY).size
    drawn = jax.vmap(problem.sample)(jax.random.split(KEY, 500))
    assert abs(float(drawn.mean())) < 4 / np.sqrt(drawn.size)
    assert abs(float(drawn.var()) - 1) < 4 * np.sqrt(2 / drawn.size)


def test_invalid_architectures_and_failures_have_infinite_fitness(bumpy):
    padded = TableProblem(bumpy, encoding="padded")
    drawn = jax.vmap(padded.sample)(jax.random.split(KEY, 40))
    fitness, _, metrics = padded.eval(KEY, drawn, padded.init(KEY))
    assert not metrics["queried"].all()
    np.testing.assert_array_equal(np.isposinf(fitness), ~metrics["queried"])
    failing = ed.Benchmark.from_function(
        bumpy.space, lambda params, key, phenotype: jnp.full(phenotype.shape[0], jnp.nan), (), name="failing"
    )
    problem = TableProblem(failing)
    fitness, *_ = problem.eval(KEY, drawn[:, : problem.num_dims], problem.init(KEY))
    assert np.isposinf(fitness).all()


def test_table_is_an_argument_of_the_program(bumpy, problem):
    """Another table in the state is another answer of the same compiled program."""
    state = problem.init(KEY)
    drawn = problem.sample(KEY)[None]
    fitness, *_ = problem.eval(KEY, drawn, state)
    other, *_ = problem.eval(KEY, drawn, state.replace(params=state.params + 1))
    np.testing.assert_allclose(other, fitness - 1, rtol=1e-6)


def test_unknown_encodings_are_refused(bumpy):
    with pytest.raises(ValueError, match="encoding"):
        TableProblem(bumpy, encoding="binary")


def test_text_form_is_that_of_the_space(bumpy, problem):
    solution = problem.sample(KEY)
    assert bumpy.space.decode(solution).tolist() == bumpy.space.from_str(problem.to_str(solution)).tolist()


@pytest.mark.slow
def test_both_algorithms_find_the_best_of_a_small_table(bumpy, capsys):
    found = example("evosax_table").main(bumpy, num_generations=20)
    assert set(found) == {"SimpleGA", "EDNAG"}
    np.testing.assert_allclose(found["EDNAG"], bumpy.optimum, rtol=1e-6)
    assert found["SimpleGA"] <= bumpy.optimum * (1 + 1e-6)
    assert "EDNAG" in capsys.readouterr().out


@pytest.mark.slow
def test_denoising_as_variation_of_another_strategy(capsys):
    found = example("evosax_variation").main(num_generations=30, num_seeds=10)
    assert 0 <= found["DenoisedGA"] < found["SimpleGA"]
