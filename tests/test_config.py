"""Settings: every check says what was got and what is allowed; presets are what the docs say."""

import dataclasses

import jax
import pytest

import ednag_jax as ed


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"num_steps": 1}, "num_steps must be at least 2, got 1"),
        ({"population_size": 1}, "population_size must be at least 2, got 1"),
        ({"elite_rate": -0.1}, r"elite_rate must be in \[0, 1\], got -0.1"),
        ({"diversity_rate": 1.1}, r"diversity_rate must be in \[0, 1\], got 1.1"),
        ({"mutation_rate": 2}, r"mutation_rate must be in \[0, 1\], got 2"),
        ({"elite_rate": 0.6, "diversity_rate": 0.5}, r"must be at most 1, got 0.6 \+ 0.5: the roulette"),
        ({"noise_scale": 1.2}, r"noise_scale must be in \[0, 1\], got 1.2: above 1 the step variance"),
        ({"noise_scale": -0.1}, r"noise_scale must be in \[0, 1\], got -0.1"),
        ({"temperature": 0.0}, "temperature must be at least 1e-06, got 0.0"),
        ({"temperature": float("nan")}, "temperature must be at least 1e-06, got nan"),
        ({"roulette_pressure": -1.0}, "roulette_pressure must be at least 0"),
        ({"schedule": "sigmoid"}, "schedule must be one of cosine, linear, ddpm, geometric, got 'sigmoid'"),
        ({"mapping": "softmax"}, "mapping must be one of identity, power, energy, rank, standardised"),
        ({"encoding": "graph"}, "encoding must be one of compact, padded"),
        ({"roulette": "wheel"}, "roulette must be one of rank, walk"),
        ({"objective": "loss"}, "objective must be one of accuracy, rescaled"),
        ({"variation": "gauss"}, "variation must be one of none, reset, polynomial"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        ed.EvolveConfig(**changes)
    with pytest.raises(ValueError, match=message):
        ed.EvolveConfig().replace(**changes)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ed.RandomSearchConfig(batch_size=0), "batch_size must be at least 1"),
        (lambda: ed.RandomSearchConfig(num_steps=0), "num_steps must be at least 1"),
        (lambda: ed.RegularizedEvolutionConfig(sample_size=31), r"sample_size must be in \[1, 30\], got 31"),
        (lambda: ed.LocalSearchConfig(num_steps=-1), "num_steps must be at least 1"),
        (lambda: ed.EvolveConfig.preset("best"), "preset must be one of default, paper, got 'best'"),
    ],
)
def test_other_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_paper_preset_is_the_published_experiments():
    config = ed.EvolveConfig.preset("paper", dataset="ImageNet16-120")
    stated = {
        "num_steps": 100,
        "population_size": 30,
        "schedule": "cosine",
        "noise_scale": 0.8,
        "mapping": "energy",
        "temperature": 1.0,
        "elite_rate": 0.1,
        "diversity_rate": 0.2,
        "mutation_rate": 0.6,
        "distribution_index": 5.0,
        "first_distribution_index": 8.0,
        "floor": 1e-9,
        "accuracy_factor": 2.0,
        "encoding": "padded",
    }
    assert {name: getattr(config, name) for name in stated} == stated
    assert (config.num_elite, config.num_diverse) == (3, 6)
    factors = {
        d: ed.EvolveConfig.preset("paper", dataset=d).accuracy_factor for d in ("cifar10", "cifar100", "x")
    }
    assert factors == {"cifar10": 1.0, "cifar100": 1.2, "x": 1.0}


def test_default_preset_needs_no_constant_of_the_data_set():
    config = ed.EvolveConfig.preset("default", dataset="cifar100")
    assert config == ed.EvolveConfig()
    assert (config.mapping, config.objective, config.accuracy_factor) == ("rank", "accuracy", 1.0)


@pytest.mark.parametrize(
    "size, rate, expected", [(30, 0.1, 3), (16, 0.1, 2), (10, 0.0, 0), (10, 1.0, 10), (7, 0.01, 1)]
)
def test_elite_count_is_at_least_one_where_there_is_a_rate(size, rate, expected):
    assert ed.EvolveConfig(population_size=size, elite_rate=rate).num_elite == expected


def test_only_numbers_that_may_be_swept_are_traced():
    config = ed.EvolveConfig()
    traced = len(jax.tree.leaves(config))
    static = [f.name for f in dataclasses.fields(config) if f.metadata.get("static")]
    assert traced + len(static) == len(dataclasses.fields(config))
    assert {"num_steps", "population_size", "mapping"} <= set(static)
    assert not {"noise_scale", "temperature", "mutation_rate"} & set(static)
    rebuilt = jax.tree.map(lambda leaf: leaf, config)
    assert rebuilt == config
    assert hash(rebuilt) == hash(config)
