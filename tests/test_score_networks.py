"""Score network and guide: what hears what, what they minimise, how they train and go on, what they learn."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_tasks import SMALL, TABLE, drawn_weights

import ednag_jax as ed
from ednag_jax.config import DiffusionNAGConfig, SamplingConfig, ScoreConfig, ScorePreset, ScoreTrainingConfig
from ednag_jax.predictor import score as predictor_score
from ednag_jax.predictor.examples import examples_of, fit_standards
from ednag_jax.predictor.model import Predictor, PredictorNetwork, Target, dataset_vectors, smallest_inputs
from ednag_jax.score import Lessons, assembled, generated, lessons_of, quality, sample, score_error, train_guide
from ednag_jax.score.cells import as_matrix, from_matrix, hearing, uniform_score
from ednag_jax.score.generator import Generator
from ednag_jax.score.network import GuideNetwork, ScoreNetwork, noise_features
from ednag_jax.score.training import (
    first_weights,
    learnt_cells,
    matching_loss,
    noised,
    optimiser_for,
    train,
    train_score,
    unraveller,
)

SPACE = ed.SPACES["nasbench201"]
KEY = jax.random.key(0)
TINY = ScoreConfig(num_layers=1, width=8, num_heads=2, hidden_width=8, dropout=0.0)
QUICK = ScoreTrainingConfig(num_steps=4, batch_size=8, steps_per_call=2, warmup_steps=1, learning_rate=1e-2)
LEARNING = ScoreTrainingConfig(
    num_steps=400,
    steps_per_call=100,
    batch_size=128,
    learning_rate=5e-3,
    warmup_steps=20,
    ema_rate=0.98,
    final_rate=0.02,
)
MIDDLE = ScoreConfig(num_layers=1, width=32, num_heads=4, hidden_width=64, dropout=0.0)


def drawn(network, *inputs):
    return drawn_weights(network.init, jnp.zeros((1, 8, 7)), jnp.ones(1), *inputs)


@cache
def predictor():
    """One that knows nothing: what is said of it does not depend on what it says."""
    standards, network = fit_standards(TABLE, SMALL.components), PredictorNetwork(SPACE, SMALL)
    members = [drawn_weights(network.init, *smallest_inputs(network), seed=member) for member in range(2)]
    weights = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    examples = examples_of(TABLE.take(range(3)), standards)
    vectors = dataset_vectors(weights, examples.features, examples.mask, network=network)
    return Predictor(weights, standards, SPACE, SMALL, "made up", TABLE.tasks[:3], vectors, "a hash")


def target():
    made = predictor()
    return Target(made.weights, made.standards, 2 * made.task_vectors[:, 0])


# Networks


def test_a_layer_lets_a_node_hear_what_the_graph_lets_it_hear():
    """One layer: the score of node v moves with node u exactly where they hear each other."""
    network = ScoreNetwork(TINY)
    weights, sigma = drawn(network), jnp.ones(1)
    jacobian = jax.jit(jax.jacrev(lambda x: network.apply(weights, x[None], sigma)[0]))(jnp.ones((8, 7)))
    moved = np.abs(jacobian).sum(axis=(1, 3)) > 0
    np.testing.assert_array_equal(moved, hearing())


def test_a_score_network_that_says_nothing_is_the_score_of_a_gaussian():
    network = ScoreNetwork(TINY)
    weights = jax.tree.map(jnp.zeros_like, drawn(network))
    x, sigma = jax.random.normal(KEY, (3, 8, 7)), jnp.array([0.1, 1.0, 5.0])
    wanted = -x / (1 + sigma[:, None, None] ** 2)
    np.testing.assert_allclose(network.apply(weights, x, sigma), wanted, rtol=1e-5)


def test_every_level_of_noise_is_told_by_other_numbers():
    told = np.asarray(noise_features(jnp.geomspace(0.1, 5.0, 200), TINY))
    assert told.shape == (200, TINY.width)
    gaps = np.linalg.norm(np.diff(told, axis=0), axis=1)
    assert gaps.min() > 1e-3


def test_published_and_cpu_presets_are_named_and_others_are_not():
    published = ScorePreset.named("published")
    assert (published.score.num_layers, published.score.width) == (12, 64)
    assert (published.score.sigma_min, published.score.sigma_max) == (0.1, 5.0)
    training = published.score_training
    assert (training.learning_rate, training.ema_rate) == (2e-5, 0.9999)
    assert (SamplingConfig().num_scales, SamplingConfig().snr) == (1000, 0.16)
    with pytest.raises(ValueError, match="preset must be one of published, cpu, got 'gpu'"):
        ScorePreset.named("gpu")


@pytest.mark.parametrize(
    ("settings", "changes", "message"),
    [
        (ScoreConfig(), {"width": 24}, "width must be a multiple of twice num_heads 8, got 24"),
        (ScoreConfig(), {"num_layers": 0}, "num_layers must be at least 1"),
        (ScoreConfig(), {"sigma_max": 0.1}, "sigma_max must be above sigma_min 0.1, got 0.1"),
        (ScoreConfig(), {"dropout": 1.0}, "dropout must be in"),
        (ScoreTrainingConfig(), {"num_steps": 0}, "num_steps must be at least 1"),
        (ScoreTrainingConfig(), {"ema_rate": 1.0}, "ema_rate must be in"),
        (SamplingConfig(), {"num_scales": 1}, "num_scales must be at least 2"),
        (SamplingConfig(), {"guidance_scale": -1.0}, "guidance_scale must be at least 0"),
        (DiffusionNAGConfig(), {"num_samples": 0}, "num_samples must be at least 1"),
    ],
)
def test_settings_out_of_range_say_what_is_allowed(settings, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(settings, **changes)


# What is minimised


class Shifted(ScoreNetwork):
    """The exact score of all cells, moved by a number over the noise."""

    shift: float = 0.0

    def __call__(self, matrix, sigma, *, train=False):
        return uniform_score(matrix, sigma) + self.shift / sigma[..., None, None]


def test_the_matching_loss_is_least_at_the_exact_score_and_grows_by_the_squared_error():
    """The same draws: the cross term has mean 0, so the loss grows by shift^2 within its error bar."""
    matrices, num = as_matrix(SPACE.from_index(jnp.arange(SPACE.size))), 4096
    loss = [
        float(matching_loss({}, KEY, matrices, num, network=Shifted(TINY, shift=shift)))
        for shift in (-0.3, 0.0, 0.3)
    ]
    # 2 shift times a mean of the error sigma s + z, whose variance is at most 1: 4 errors of its mean.
    bound = 4 * 2 * 0.3 * np.sqrt(1 / (num * 56))
    assert abs(loss[0] - loss[1] - 0.09) < bound
    assert abs(loss[2] - loss[1] - 0.09) < bound


def test_noise_is_as_large_as_it_says():
    clean = jnp.zeros((4000, 8, 7))
    noisy, sigma, noise = noised(KEY, clean, TINY)
    np.testing.assert_allclose(noisy, sigma[:, None, None] * noise)
    assert sigma.min() >= TINY.sigma_min
    assert sigma.max() <= TINY.sigma_max
    assert abs(np.mean(np.log(sigma)) - np.log(0.1 * np.sqrt(50))) < 4 * np.log(50) / np.sqrt(12 * 4000)


def test_the_rate_rises_and_then_falls_along_a_cosine():
    training = ScoreTrainingConfig(num_steps=100, learning_rate=0.1, warmup_steps=10, final_rate=0.0)
    optimiser = optimiser_for(training)
    state = optimiser.init(jnp.zeros(1))
    moves = []
    for _ in range(100):  # Adam's first moments of a constant gradient: every step moves by the rate
        update, state = optimiser.update(jnp.full(1, 0.5), state)
        moves.append(-float(update[0]))
    step = np.arange(100)
    wanted = 0.1 * 0.5 * (1 + np.cos(np.pi * step / 100)) * np.minimum((step + 1) / 10, 1)
    np.testing.assert_allclose(moves, wanted, rtol=1e-3, atol=1e-5)


# Training


def test_a_share_of_the_cells_is_learnt_from_each_once():
    cells = learnt_cells(KEY, 0.5)
    assert len(np.unique(SPACE.arch_index(cells))) == len(cells) == round(SPACE.size / 2)
    with pytest.raises(ValueError, match="share must be in"):
        learnt_cells(KEY, 0.0)


@pytest.mark.slow
def test_a_training_that_stopped_ends_as_it_would_have(tmp_path):
    """Stopped after the first call of two; without a moving average, which the average then is, the weights."""
    whole, _ = train_score(TINY, QUICK, directory=tmp_path / "whole")

    class StopError(Exception):
        pass

    def stop(done, loss):
        assert np.isfinite(loss)
        raise StopError

    with pytest.raises(StopError):
        train_score(TINY, QUICK, directory=tmp_path / "cut", report=stop)
    cut, _ = train_score(TINY, QUICK, directory=tmp_path / "cut")
    assert (len(whole.loss), len(cut.loss)) == (2, 1)
    for a, b in zip(jax.tree.leaves(whole.weights), jax.tree.leaves(cut.weights), strict=True):
        np.testing.assert_array_equal(a, b)
    again, _ = train_score(TINY, QUICK, directory=tmp_path / "cut")
    assert again.loss == ()
    with pytest.raises(ValueError, match="seed was 0, now 1"):
        train_score(TINY, QUICK, directory=tmp_path / "cut", seed=1)


def constant_loss(weights, key, data, batch_size, *, network):
    """Its gradient is `data` everywhere."""
    return data * sum(jnp.sum(leaf) for leaf in jax.tree.leaves(weights))


def test_the_average_follows_the_weights_at_its_rate():
    """A constant gradient moves all weights by the rate a step: the average is a known sum."""
    training = replace(QUICK, num_steps=6, steps_per_call=3, ema_rate=0.5, learning_rate=0.1, clip_norm=1e9)
    network = ScoreNetwork(TINY)
    found = train(KEY, jnp.float32(2.0), training, loss=constant_loss, network=network, about={})
    first = unraveller(network)(first_weights(jax.random.split(KEY)[0], network=network))
    average = moved = 0.0
    for number in range(6):
        moved -= 0.1
        decay = min(0.5, (1 + number) / (10 + number))
        average = decay * average + (1 - decay) * moved
    for start, end in zip(jax.tree.leaves(first), jax.tree.leaves(found.weights), strict=True):
        np.testing.assert_allclose(end, start + average, atol=1e-4)


# The guide


@pytest.mark.slow
def test_lessons_are_the_predictor_s_own_words_standardised():
    made, asked = predictor(), target()
    lessons = lessons_of(made, [asked])
    assert lessons.target.shape == (4, SPACE.size)
    cells = SPACE.from_index(jnp.arange(SPACE.size))
    said = np.asarray(predictor_score(made, asked, cells).mean, np.float64)
    np.testing.assert_allclose(lessons.target[-1], (said - said.mean()) / said.std(), atol=2e-3)
    np.testing.assert_allclose(np.mean(lessons.encodings, axis=0), 0, atol=1e-5)
    np.testing.assert_array_equal(lessons.matrices, as_matrix(cells))


def test_a_predictor_of_another_space_is_refused():
    other = replace(predictor(), space=ed.CategoricalSpace("other", choices=(3, 3)))
    with pytest.raises(ValueError, match="cells of nasbench201 alone, got space 'other'"):
        lessons_of(other)


def known_lessons():
    """Of two data sets: one likes convolutions on every edge, the other the opposite."""
    cells = SPACE.from_index(jnp.arange(SPACE.size))
    number = jnp.sum((cells == 2) | (cells == 3), axis=1)
    likes = (number - jnp.mean(number)) / jnp.std(number)
    return Lessons(as_matrix(cells), jnp.array([[1.0], [-1.0]]), jnp.stack([likes, -likes]))


def generator(score_weights, guide_weights, lessons, config=TINY):
    sizes = ScorePreset(score=config, guide=config)
    return assembled(predictor(), target(), lessons, (score_weights, guide_weights), sizes)


def test_guidance_adds_the_gradient_of_the_goal_s_log_likelihood():
    lessons = known_lessons()
    made = generator(drawn(ScoreNetwork(TINY)), drawn(GuideNetwork(TINY, 1), jnp.zeros((1, 1))), lessons)
    x, sigma = jax.random.normal(KEY, (2, 8, 7)), jnp.float32(0.7)
    assert made.goal == lessons.target[1].max()

    @jax.jit
    def parts(x, scale):
        said = partial(made.expected, sigma=sigma)
        guided = made.guided_score(x, sigma, scale=scale) - made.score_of(x, sigma)
        return guided, said(x), jax.jacrev(said)(x)

    guided, said, slope = map(np.asarray, parts(x, 3.0))
    wanted = (made.goal - said)[:, None, None] * slope[np.arange(2), np.arange(2)]
    np.testing.assert_allclose(guided, 3.0 * wanted, rtol=1e-3, atol=1e-5)
    assert np.abs(wanted).max() > 1e-3
    np.testing.assert_array_equal(parts(x, 0.0)[0], 0.0)


@pytest.mark.slow
@pytest.mark.optimised
def test_a_small_network_learns_to_generate_and_a_guide_to_steer():
    """What a trained network generates is valid, new and spread evenly; a guide moves it to a known taste."""
    num, sampling = 300, SamplingConfig(num_scales=100, guidance_scale=30.0)
    trained, learnt = train_score(MIDDLE, LEARNING, share=0.5)
    lessons = known_lessons()
    guide = train_guide(lessons, MIDDLE, LEARNING)
    assert trained.loss[-1] < trained.loss[0]
    made = generator(trained.weights, guide.weights, lessons, MIDDLE)
    for sigma in jnp.array([0.2, 0.5, 1.0, 3.0]):  # beside a network that says nothing, a Gaussian's score
        own, nothing = (score_error(KEY, fn, sigma) for fn in (made.score_of, lambda x, s: -x / (1 + s**2)))
        assert own < nothing / 4
    x = jax.jit(lambda key: sample(key, made.score_of, (num, 8, 7), sampling, config=MIDDLE))(KEY)
    found = quality(from_matrix(x), learnt)
    assert found.validity >= 0.99
    assert found.uniqueness > 0.95
    assert abs(found.novelty - 0.5) < 4 * np.sqrt(0.25 / num)
    assert found.distance < 0.15

    clean = lessons.matrices[::80]
    said = made.expected(clean + 0.1 * jax.random.normal(KEY, clean.shape), jnp.float32(0.1))
    assert np.corrcoef(said, lessons.target[1, ::80])[0, 1] > 0.9
    cells, _ = generated(jax.random.split(KEY, 1), made, sampling, num=64)
    likes = np.asarray(lessons.target[1])[np.asarray(SPACE.arch_index(cells[0]))]
    assert np.asarray(SPACE.is_valid(cells[0])).mean() > 0.9
    assert likes.mean() > 1.0  # one deviation above all cells' mean; its error bar is 1 / 8


@pytest.mark.slow
def test_generated_cells_come_in_the_predictor_s_order(monkeypatch):
    monkeypatch.setattr(Generator, "score_of", lambda self, x, sigma: uniform_score(x, sigma))
    made = generator({}, drawn(GuideNetwork(TINY, 1), jnp.zeros((1, 1))), known_lessons())
    cells, said = generated(jax.random.split(KEY, 2), made, SamplingConfig(num_scales=20), num=6)
    assert np.all(np.diff(said, axis=1) <= 0)
    wanted = predictor_score(predictor(), target(), cells[0]).mean
    np.testing.assert_allclose(said[0], wanted, rtol=1e-5)
    assert np.isfinite(said).all()
