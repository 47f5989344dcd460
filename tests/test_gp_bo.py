"""Bayesian optimisation against plain NumPy, float64; what it asks; and where it stands on a real table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import ednag_jax as ed
from ednag_jax.fitness import evaluate
from ednag_jax.strategies.archive import begun
from ednag_jax.strategies.gp_bo import (
    Hyperparameters,
    Process,
    cholesky,
    dissimilarity,
    fit,
    fitted,
    improvement,
    is_due,
    log_marginal_likelihood,
    observe,
)

SPACE = ed.SPACES["nasbench201"]
SHORT = ed.GPBOConfig(num_steps=8, num_initial=4, num_random=8, num_mutants=8)
ROWS, USED = 12, 7
CONFIG = ed.GPBOConfig(num_steps=ROWS - 3, num_initial=3)


def archive_of(seed, space=SPACE, used=USED, rows=ROWS):
    """Returns an archive with some random architectures and fitness, the rest of its rows not in use."""
    keys = jax.random.split(jax.random.key(seed))
    problem = ed.Problem(space, lambda params, key, _: params)
    fitness = jax.random.normal(keys[0], (used,))
    return begun(evaluate(keys[0], fitness, space.random(keys[1], used), problem=problem), rows)


def plain_covariance(a, b, chosen):
    differing = (np.asarray(a)[:, None] != np.asarray(b)[None]).mean(axis=-1)
    return np.exp(-float(chosen.rate) * differing)


def plain_target(archive):
    fitness = np.asarray(archive.fitness, float)[:USED]
    return stats.norm.ppf((stats.rankdata(fitness) - 0.5) / USED)


def plain_likelihood(archive, chosen):
    """Returns the log density of the targets, its constant left out."""
    gram = plain_covariance(archive.phenotype[:USED], archive.phenotype[:USED], chosen)
    gram += float(chosen.noise) * np.eye(USED)
    density = stats.multivariate_normal(np.zeros(USED), gram).logpdf(plain_target(archive))
    return density + USED / 2 * np.log(2 * np.pi)


def distance_within(archive):
    numbers = SPACE.encode(archive.phenotype)
    return dissimilarity(numbers, numbers, SPACE)


def test_dissimilarity_is_the_share_of_fields_that_differ():
    a, b = SPACE.random(jax.random.key(0), 9), SPACE.random(jax.random.key(1), 5)
    found = dissimilarity(SPACE.encode(a), SPACE.encode(b), SPACE)
    np.testing.assert_allclose(found, (a[:, None] != b[None]).mean(axis=-1), atol=1e-6)


@pytest.mark.parametrize("rate, noise", [(0.5, 1e-3), (2.0, 1e-2), (8.0, 0.1)])
def test_marginal_likelihood_is_the_density_of_the_used_rows_alone(rate, noise):
    archive, chosen = archive_of(0), Hyperparameters(rate, noise)
    is_used = jnp.arange(ROWS) < USED
    target = jnp.zeros(ROWS).at[:USED].set(plain_target(archive))
    found = log_marginal_likelihood(cholesky(distance_within(archive), is_used, chosen), target)
    np.testing.assert_allclose(found, plain_likelihood(archive, chosen), rtol=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_fit_takes_the_greatest_likelihood_of_the_grid(seed):
    archive = archive_of(seed)
    grid = [Hyperparameters(rate, noise) for rate in CONFIG.rates for noise in CONFIG.noises]
    best = max(grid, key=lambda chosen: plain_likelihood(archive, chosen))
    target = jnp.zeros(ROWS).at[:USED].set(plain_target(archive))
    found = fit(distance_within(archive), jnp.arange(ROWS) < USED, target, config=CONFIG)
    np.testing.assert_allclose(found, best, rtol=1e-6)


def test_fit_tells_rough_from_smooth():
    """Fitness by the number of one op is smooth; drawn anew for each architecture it is not."""
    phenotype = SPACE.random(jax.random.key(0), 60)
    numbers = SPACE.encode(phenotype)
    distance, is_used = dissimilarity(numbers, numbers, SPACE), jnp.ones(60, bool)
    smooth = jnp.sum(phenotype == 3, axis=1) - jnp.mean(jnp.sum(phenotype == 3, axis=1))
    rough = jax.random.normal(jax.random.key(1), (60,))
    rates = [float(fit(distance, is_used, y / jnp.std(y), config=CONFIG).rate) for y in (smooth, rough)]
    assert rates[0] <= 1
    assert rates[1] == 8


def test_what_failed_in_the_factorisation_is_not_chosen():
    """Thirty times the same architecture: without enough noise the matrix is singular in float32."""
    config = ed.GPBOConfig(rates=(1.0,), noises=(1e-4, 1e-1))
    target = jax.random.normal(jax.random.key(0), (30,))
    found = fit(jnp.zeros((30, 30)) - 1e-3, jnp.ones(30, bool), target, config=config)
    assert found.noise == pytest.approx(0.1)


def plain_improvement(archive, candidates, chosen):
    """Returns log expected improvement from the textbook posterior."""
    known = archive.phenotype[:USED]
    gram = plain_covariance(known, known, chosen) + float(chosen.noise) * np.eye(USED)
    cross, target = plain_covariance(known, candidates, chosen), plain_target(archive)
    mean = cross.T @ np.linalg.solve(gram, target)
    deviation = np.sqrt(1 - np.sum(cross * np.linalg.solve(gram, cross), axis=0))
    z = (mean - target.max()) / deviation
    return np.log(deviation * (z * stats.norm.cdf(z) + stats.norm.pdf(z)))


@pytest.mark.slow
def test_expected_improvement_is_the_textbook_one_right_after_a_fit():
    archive, candidates = archive_of(1), SPACE.random(jax.random.key(9), 20)
    process = fitted(archive, jnp.int32(USED), space=SPACE, config=CONFIG)
    found = improvement(archive, jnp.int32(USED), candidates, process, space=SPACE)
    np.testing.assert_allclose(found, plain_improvement(archive, candidates, process.chosen), atol=2e-3)


def test_expected_improvement_is_the_same_between_two_fits():
    """The process fitted to fewer queries and then shown the others one by one."""
    archive, candidates = archive_of(2), SPACE.random(jax.random.key(9), 20)
    process = fitted(archive, jnp.int32(4), space=SPACE, config=CONFIG)
    for row in range(4, USED):
        process = observe(process, archive, jnp.int32(row), space=SPACE)
    found = improvement(archive, jnp.int32(USED), candidates, process, space=SPACE)
    np.testing.assert_allclose(found, plain_improvement(archive, candidates, process.chosen), atol=2e-3)


def test_rows_not_in_use_change_nothing():
    archive = archive_of(3)
    other = archive_of(4)
    mixed = archive._replace(phenotype=jnp.where(jnp.arange(ROWS)[:, None] < USED, archive.phenotype, 0))
    candidates = other.phenotype
    values = []
    for one in (archive, mixed):
        process = fitted(one, jnp.int32(USED), space=SPACE, config=CONFIG)
        values.append(improvement(one, jnp.int32(USED), candidates, process, space=SPACE))
    np.testing.assert_array_equal(*values)


def test_inverse_of_rows_not_in_use_is_zero():
    process = fitted(archive_of(0), jnp.int32(USED), space=SPACE, config=CONFIG)
    assert isinstance(process, Process)
    assert not np.asarray(process.inverse[USED:]).any()
    assert not np.asarray(process.inverse[:, USED:]).any()


def test_fits_are_due_at_the_start_and_as_the_archive_grows_by_a_tenth():
    config = ed.GPBOConfig()
    due = [used for used in range(10, 300) if is_due(jnp.int32(used), config)]
    powers = np.floor(np.log(np.arange(9, 300)) / np.log(1.1) + 1e-6)
    assert due == [10] + [used for used in range(11, 300) if powers[used - 9] > powers[used - 10]]
    assert 30 < len(due) < 40


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ed.SPACES))
def test_every_space_can_be_searched(name):
    space = ed.SPACES[name]
    benchmark = ed.Benchmark.from_function(space, first_field, jnp.float32(1), name="first field")
    result = ed.search("gp_bo", benchmark, seeds=2, config=SHORT)
    assert result.queries.tolist() == [SHORT.num_queries] * 2
    assert not result.num_invalid.any()


def first_field(params, key, phenotype):
    return params * phenotype[:, 0]


@pytest.mark.slow
def test_no_architecture_is_queried_twice(bumpy):
    config = ed.GPBOConfig(num_steps=60, num_initial=10, num_random=100, num_mutants=50)
    result = ed.search("gp_bo", bumpy, seeds=4, config=config)
    np.testing.assert_array_equal(result.queries, 70)


@pytest.mark.slow
def test_a_whole_space_can_be_asked_and_the_search_goes_on():
    space = ed.CategoricalSpace("tiny", choices=(2, 2))
    table = ed.Benchmark.from_table(space, [1.0, 2.0, 4.0, 3.0], name="tiny")
    result = ed.search("gp_bo", table, seeds=3, config=SHORT)
    assert result.best_accuracy.tolist() == [4.0] * 3
    assert result.queries.tolist() == [4] * 3


@pytest.mark.slow
@pytest.mark.optimised
def test_a_single_hill_is_climbed_in_few_queries():
    """Fitness is the number of fields at their top: 1 of 4,096, which random search would not meet in 60."""
    space = ed.CategoricalSpace("hill", choices=(4,) * 6)
    phenotype = space.from_index(jnp.arange(space.size))
    table = ed.Benchmark.from_table(space, np.sum(np.asarray(phenotype) == 3, axis=1), name="hill")
    result = ed.search("gp_bo", table, seeds=10, queries=60)
    assert result.share_at_optimum() == 1


@pytest.mark.slow
def test_the_budget_is_spent_exactly(bumpy):
    for queries in (1, 25):
        result = ed.search("gp_bo", bumpy, seeds=2, queries=queries)
        assert result.queries.tolist() == [queries] * 2


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"rates": ()}, "at least one number"),
        ({"noises": (1e-6,)}, "noises must be at least"),
        ({"num_random": 0}, "num_random"),
        ({"fit_growth": 1.0}, "fit_growth"),
    ],
)
def test_settings_out_of_range_are_refused(changed, said):
    with pytest.raises(ValueError, match=said):
        ed.GPBOConfig(**changed)


@pytest.mark.slow
@pytest.mark.optimised
def test_it_is_as_good_as_such_searches_are_on_nasbench201():
    """Half of the runs meet CIFAR-100's optimum within 50 queries; evolution and random search do not."""
    benchmark = ed.load_benchmark("nasbench201", dataset="cifar100")
    result = ed.search("gp_bo", benchmark, seeds=50, queries=100)
    found = result.curve >= benchmark.optimum - 1e-3
    assert found[:, 49].mean() >= 0.5
    assert found[:, -1].mean() >= 0.9
    for other in ("regularized_evolution", "random_search"):
        behind = ed.search(other, benchmark, seeds=50, queries=100)
        assert result.best_accuracy.mean() > behind.best_accuracy.mean() + 0.3
