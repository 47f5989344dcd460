"""One whole step, and runs of many: what the order of the parts must give."""

import jax
import numpy as np
import oracle
import pytest

import ednag_jax as ed
from ednag_jax.denoise import effective_size
from ednag_jax.fitness import log_weights

CONFIG = ed.EvolveConfig(num_steps=5, population_size=8, diversity_rate=0.2, noise_scale=0.5)


fd_step, init, evolve = (jax.jit(fn, static_argnames="problem") for fn in (ed.fd_step, ed.init, ed.evolve))


@pytest.fixture(scope="module")
def start(bumpy):
    state = init(jax.random.key(0), bumpy.params, problem=bumpy.problem, config=CONFIG)
    row = jax.tree.map(lambda column: column[2], CONFIG.rows())
    return state, row


def test_initial_population_is_standard_normal_and_evaluated(bumpy):
    config = CONFIG.replace(population_size=2000)
    state = init(jax.random.key(0), bumpy.params, problem=bumpy.problem, config=config)
    assert abs(float(state.genotype.mean())) < 4 / np.sqrt(state.genotype.size)
    assert abs(float(state.genotype.var()) - 1) < 4 * np.sqrt(2 / state.genotype.size)
    rows = bumpy.space.arch_index(bumpy.space.decode(state.genotype))
    np.testing.assert_array_equal(state.evaluation.accuracy, bumpy.params[rows])


def test_survivors_are_parents_and_children_with_their_own_evaluations(bumpy, start):
    state, row = start
    after, info = fd_step(jax.random.key(1), state, row, bumpy.params, problem=bumpy.problem, config=CONFIG)
    assert after.genotype.shape == state.genotype.shape
    rows = bumpy.space.arch_index(bumpy.space.decode(after.genotype))
    np.testing.assert_array_equal(after.evaluation.arch_id, rows)
    np.testing.assert_array_equal(after.evaluation.fitness, bumpy.params[rows])
    known = set(state.evaluation.arch_id.tolist()) | set(info.evaluation.arch_id.tolist())
    assert set(after.evaluation.arch_id.tolist()) <= known


def test_elites_survive(bumpy, start):
    state, row = start
    after, info = fd_step(jax.random.key(1), state, row, bumpy.params, problem=bumpy.problem, config=CONFIG)
    best = max(state.evaluation.fitness.max(), info.evaluation.fitness.max())
    assert after.evaluation.fitness[0] == best == after.best.fitness


def test_without_selection_the_children_are_the_next_population(bumpy, start):
    state, row = start
    config = CONFIG.replace(selection=False)
    after, info = fd_step(jax.random.key(1), state, row, bumpy.params, problem=bumpy.problem, config=config)
    whole, same = fd_step(jax.random.key(1), state, row, bumpy.params, problem=bumpy.problem, config=CONFIG)
    np.testing.assert_array_equal(after.evaluation.arch_id, info.evaluation.arch_id)
    np.testing.assert_array_equal(info.evaluation.arch_id, same.evaluation.arch_id)
    assert after.best.fitness == whole.best.fitness  # (the best met is remembered, not kept)


def test_naive_diffusion_does_not_look_at_fitness(bumpy, start):
    state, row = start
    config = CONFIG.replace(selection=False, mapping="constant")
    steps = [
        fd_step(jax.random.key(1), state, row, params, problem=bumpy.problem, config=config)[0].genotype
        for params in (bumpy.params, -bumpy.params)
    ]
    unknown = state._replace(evaluation=state.evaluation._replace(fitness=-state.evaluation.fitness))
    steps.append(
        fd_step(jax.random.key(1), unknown, row, bumpy.params, problem=bumpy.problem, config=config)[0].genotype
    )
    np.testing.assert_array_equal(steps[0], steps[1])
    np.testing.assert_array_equal(steps[0], steps[2])


def test_a_step_says_how_wide_its_population_was_and_how_many_decided(bumpy, start):
    state, row = start
    _, info = fd_step(jax.random.key(1), state, row, bumpy.params, problem=bumpy.problem, config=CONFIG)
    x = np.asarray(state.genotype, np.float64)
    assert info.spread == pytest.approx(np.sqrt(np.mean((x - x.mean(axis=0)) ** 2)), rel=1e-5)
    log_weight = log_weights(state.evaluation.fitness, CONFIG)
    assert info.effective_size == pytest.approx(effective_size(state.genotype, log_weight, row.alpha_bar))
    assert 1 < info.effective_size < 8


def test_step_is_made_of_the_public_parts(bumpy, start):
    """Children are `denoise` with the step's first key, where nothing varies them."""
    state, row = start
    config = CONFIG.replace(variation="none")
    key = jax.random.key(4)
    _, info = fd_step(key, state, row, bumpy.params, problem=bumpy.problem, config=config)
    children = ed.denoise(
        jax.random.split(key, 4)[0],
        state.genotype,
        log_weights(state.evaluation.fitness, config),
        row.alpha_bar,
        row.alpha_bar_prev,
        noise_scale=0.5,
    )
    expected = bumpy.space.arch_index(bumpy.space.decode(children))
    np.testing.assert_array_equal(info.evaluation.arch_id, expected)


def test_a_step_costs_one_evaluation_a_child(bumpy, start):
    state, row = start
    sizes = []

    def counting(params, key, phenotype):
        sizes.append(phenotype.shape)
        return params[bumpy.space.arch_index(phenotype)]

    problem = ed.Problem(bumpy.space, counting)
    fd_step(jax.random.key(0), state, row, bumpy.params, problem=problem, config=CONFIG)
    assert sizes == [(8, 4)]


def test_a_loop_of_steps_equals_the_scan(bumpy):
    key = jax.random.key(7)
    arguments = {"problem": bumpy.problem, "config": CONFIG}
    end, trace = evolve(key, bumpy.params, **arguments)
    key_init, key_steps = jax.random.split(key)
    state = init(key_init, bumpy.params, **arguments)
    step = jax.jit(lambda key, state, row: ed.fd_step(key, state, row, bumpy.params, **arguments))
    for i in range(4):
        row = jax.tree.map(lambda column, i=i: column[i], CONFIG.rows())
        state, info = step(jax.random.fold_in(key_steps, i), state, row)
        np.testing.assert_array_equal(info.evaluation.arch_id, trace.steps.evaluation.arch_id[i])
    np.testing.assert_array_equal(state.evaluation.arch_id, end.evaluation.arch_id)


def test_one_pass_is_the_number_of_rows(bumpy):
    _, trace = evolve(jax.random.key(0), bumpy.params, problem=bumpy.problem, config=CONFIG)
    assert trace.steps.num_invalid.shape == (CONFIG.num_steps - 1,)


def test_denoising_alone_concentrates_on_the_fit(bumpy):
    """Without variation and at no noise the whole population ends among what it started from, fitter."""
    config = ed.EvolveConfig(num_steps=30, population_size=16, variation="none", noise_scale=0.0)
    state, trace = ed.evolve_seeds(ed.seed_keys(20), bumpy.params, problem=bumpy.problem, config=config)
    assert np.all(state.evaluation.accuracy.mean(axis=1) > trace.initial.accuracy.mean(axis=1))


def test_padded_start_is_mostly_invalid_and_counted(bumpy):
    config = ed.EvolveConfig.preset("paper").replace(num_steps=3)
    _, trace = ed.evolve_seeds(ed.seed_keys(50), bumpy.params, problem=bumpy.problem, config=config)
    share = 1 - np.asarray(trace.initial.queried).mean()
    expected = 1 - (3 / 5) ** 4
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / (50 * 30))
    invalid = (~trace.steps.evaluation.queried).sum(axis=-1)
    np.testing.assert_array_equal(trace.steps.num_invalid, invalid)


def test_all_invalid_populations_go_on():
    """One field of one value: a padded genotype is valid once in three times, and the run survives none."""
    space = ed.CategoricalSpace("narrow", choices=(1,) * 12)
    table = ed.Benchmark.from_table(space, np.ones(1), name="narrow")
    config = ed.EvolveConfig.preset("paper").replace(num_steps=4, population_size=4)
    state, trace = ed.evolve_seeds(ed.seed_keys(8), table.params, problem=table.problem, config=config)
    assert not np.asarray(trace.initial.queried).all()
    assert np.all(np.isfinite(state.genotype))


@pytest.mark.slow
def test_population_of_two_works(bumpy):
    for preset in ("default", "paper"):
        config = ed.EvolveConfig.preset(preset).replace(population_size=2, num_steps=4)
        arguments = {"problem": bumpy.problem, "config": config}
        state, _ = ed.evolve_seeds(ed.seed_keys(2), bumpy.params, **arguments)
        assert state.genotype.shape[1] == 2


def test_seed_keys_are_fold_in_of_their_number():
    keys = ed.seed_keys(range(5, 8), root=3)
    expected = [jax.random.fold_in(jax.random.key(3), i) for i in (5, 6, 7)]
    for key, other in zip(keys, expected, strict=True):
        assert bool((jax.random.key_data(key) == jax.random.key_data(other)).all())


@pytest.mark.slow
@pytest.mark.optimised
def test_engine_and_oracle_agree_in_distribution(data_dir):
    """Preset `paper` against the plain loop on the real table: same mean best accuracy and queries."""
    from ednag_jax.benchmarks import nasbench201

    table = nasbench201.measured_test("cifar100", data_dir)
    plain = np.array([oracle.evolve(np.random.default_rng(s), table, 1.2) for s in range(20)])
    benchmark = ed.load_benchmark("nasbench201", dataset="cifar100", metric="test", data_dir=data_dir)
    config = ed.EvolveConfig.preset("paper", dataset="cifar100")
    ours = ed.search("ednag", benchmark, seeds=200, config=config)
    for a, b in ((plain[:, 0], ours.best_accuracy), (plain[:, 1], ours.queries)):
        error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
        assert abs(a.mean() - b.mean()) < 3.5 * error
