"""What tells each baseline from the others: who is the parent, who dies, when a search starts anew."""

import jax.numpy as jnp
import numpy as np

import ednag_jax as ed

SPACE = ed.CategoricalSpace("hill", choices=(5,) * 3)


def table(values):
    return ed.Benchmark.from_table(SPACE, values, name="hill")


def run(strategy, benchmark, config, seeds=4):
    arguments = {"problem": benchmark.problem, "config": config, "strategy": ed.STRATEGIES[strategy].strategy}
    return ed.evolve_seeds(ed.seed_keys(seeds), benchmark.params, **arguments)


def test_the_oldest_dies_whoever_it_is():
    """After as many births as there are individuals, the population is the children, in their order."""
    config = ed.RegularizedEvolutionConfig(num_steps=12, population_size=12, sample_size=4)
    state, trace = run("regularized_evolution", table(np.random.default_rng(0).normal(size=125)), config)
    children = np.asarray(trace.steps.evaluation.arch_id)[:, :, 0]
    np.testing.assert_array_equal(state.evaluation.arch_id, children)
    half = ed.RegularizedEvolutionConfig(num_steps=5, population_size=12, sample_size=4)
    state, trace = run("regularized_evolution", table(np.arange(125.0)), half)
    np.testing.assert_array_equal(state.evaluation.arch_id[:, 5:], trace.initial.arch_id[:, 5:])


def test_the_parent_is_the_fittest_of_the_sample():
    """A sample of all: the first child is a neighbour of the best of the initial population."""
    config = ed.RegularizedEvolutionConfig(num_steps=1, population_size=10, sample_size=10)
    benchmark = table(np.random.default_rng(1).normal(size=125))
    _, trace = run("regularized_evolution", benchmark, config, seeds=20)
    best = np.asarray(trace.initial.fitness).argmax(axis=1)
    parents = np.asarray(trace.initial.phenotype)[np.arange(20), best]
    children = np.asarray(trace.steps.evaluation.phenotype)[:, 0, 0]
    np.testing.assert_array_equal((parents != children).sum(axis=1), 1)


def test_local_search_climbs_to_the_best_neighbour_and_asks_for_no_restart():
    """A single hill: fitness is the sum of the fields, so every step raises one field to its top."""
    phenotype = SPACE.from_index(jnp.arange(125))
    _, trace = run(
        "local_search", table(np.asarray(phenotype.sum(axis=1), float)), ed.LocalSearchConfig(num_steps=3)
    )
    evaluation = trace.steps.evaluation
    position = np.asarray(trace.initial.phenotype)[:, 0]
    for step in range(3):
        at_top = (position == 4).all(axis=1)
        np.testing.assert_array_equal(np.asarray(evaluation.queried)[:, step, -1], at_top)
        gains = 4 - position
        raised = position.copy()
        raised[np.arange(len(position)), gains.argmax(axis=1)] = 4
        found = np.asarray(evaluation.accuracy)[:, step, :-1].max(axis=1)
        np.testing.assert_array_equal(found[~at_top], raised.sum(axis=1)[~at_top])
        if at_top.any():
            break  # who restarts is somewhere else from here on
        position = raised


def test_local_search_restarts_where_no_neighbour_is_better_not_only_where_all_are_worse():
    _, trace = run("local_search", table(np.ones(125)), ed.LocalSearchConfig(num_steps=4))
    assert np.asarray(trace.steps.evaluation.queried)[:, :, -1].all()


def test_local_search_asks_for_all_neighbours_of_where_it_stands():
    _, trace = run("local_search", table(np.arange(125.0)), ed.LocalSearchConfig(num_steps=1))
    for start, asked in zip(
        trace.initial.phenotype[:, 0], trace.steps.evaluation.arch_id[:, 0, :-1], strict=True
    ):
        expected = SPACE.arch_index(SPACE.neighbours(start))
        assert sorted(np.asarray(asked).tolist()) == sorted(np.asarray(expected).tolist())


def test_random_search_draws_uniformly_and_anew_every_step():
    config = ed.RandomSearchConfig(num_steps=50, batch_size=20)
    _, trace = run("random_search", table(np.ones(125)), config, seeds=10)
    counts = np.bincount(np.asarray(trace.steps.evaluation.arch_id).ravel(), minlength=125)
    expected = 10 * 50 * 20 / 125
    assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))
