"""The names that users rely on are there, documented and typed."""

import inspect
from importlib.metadata import version
from pathlib import Path

import pytest

import ednag_jax as ed

PROMISED = [
    "estimate_x0",
    "denoise",
    "select",
    "fd_step",
    "evolve",
    "evolve_seeds",
    "EvolveConfig",
    "make_schedule",
    "SPACES",
    "CategoricalSpace",
    "load_benchmark",
    "Benchmark",
    "search",
    "Problem",
    "Result",
    "seed_keys",
    "init",
    "STRATEGIES",
    "DataError",
    "generate",
    "load_images",
    "load_predictor",
    "train_network",
    "load_trained",
    "classify_folder",
    "AskTell",
]


@pytest.mark.parametrize("name", PROMISED)
def test_promised_names_are_public(name):
    assert name in ed.__all__
    assert hasattr(ed, name)


@pytest.mark.parametrize("name", ed.__all__)
def test_public_names_are_documented(name):
    thing = getattr(ed, name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert inspect.getdoc(thing)


def test_signatures_are_the_promised_ones():
    def parameters(fn):
        return list(inspect.signature(fn).parameters)

    assert parameters(ed.estimate_x0) == ["population", "log_weight", "alpha_bar"]
    denoise = ["key", "population", "log_weight", "alpha_bar", "alpha_bar_prev", "noise_scale"]
    assert parameters(ed.denoise)[:6] == denoise
    assert inspect.signature(ed.denoise).parameters["noise_scale"].default == 0.8
    assert parameters(ed.select) == ["key", "genotypes_2n", "fitness_2n", "config"]
    assert parameters(ed.fd_step) == ["key", "state", "row", "params", "problem", "config"]
    assert parameters(ed.evolve)[:4] == ["key", "params", "problem", "config"]
    assert parameters(ed.evolve_seeds)[:4] == ["keys", "params", "problem", "config"]
    assert parameters(ed.search)[:5] == ["strategy", "benchmark", "seeds", "queries", "config"]


def test_package_is_typed_and_versioned():
    assert (Path(ed.__file__).parent / "py.typed").exists()
    assert version("ednag-jax").count(".") == 2
