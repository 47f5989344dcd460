"""What tests share: the data directory, a counter of compilations, small problems."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.programs import _PROGRAMS

# How long an example takes is the machine's matter: a busy one must not fail a test.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"
COSTLY_STRATEGIES = ("bananas", "ednag_online", "gp_bo")
"""Their programs take seconds to compile: tests of what all strategies promise are slow tests for them."""
EVERY_STRATEGY = [
    pytest.param(name, marks=pytest.mark.slow) if name in COSTLY_STRATEGIES else name
    for name in sorted(ed.STRATEGIES)
]
SIBLING_DATA = Path(__file__).parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "optimised: a slow test compiled with optimisations, see Makefile")


def data_directory() -> Path | None:
    """Returns the folder of the real tables, or None."""
    chosen = os.environ.get("EDNAG_DATA_DIR")
    folder = Path(chosen) if chosen else SIBLING_DATA
    return folder if folder.is_dir() else None


def fewer_is_better(space: ed.SearchSpace) -> ed.Problem:
    """Returns a problem that every space can pose: small values of its choices are better."""
    return ed.Problem(space, lambda params, key, phenotype: -jnp.sum(space.to_choices(phenotype), -1) / 10.0)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of the real tables; tests that need one are skipped without it."""
    folder = data_directory()
    if folder is None:
        pytest.skip("no data directory: set EDNAG_DATA_DIR, see ednag data --help")
    return folder


class Compilations:
    """Counts the programs compiled while it is looked at."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, event: str, duration: float, **_: object) -> None:
        self.count += event == COMPILE_EVENT


_compilations = Compilations()
jax.monitoring.register_event_duration_secs_listener(_compilations)


@pytest.fixture
def compilations() -> Compilations:
    """Reset to 0 at the start of a test."""
    _compilations.count = 0
    return _compilations


@pytest.fixture(scope="session")
def bumpy() -> ed.Benchmark:
    """A small table of one's own: 3 ^ 4 architectures, one best."""
    space = ed.CategoricalSpace("bumpy", choices=(3,) * 4)
    values = np.random.default_rng(0).normal(50, 10, space.size)
    return ed.Benchmark.from_table(space, values, values - 1, name="bumpy", dataset="noise")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps tests out of the user's cache folder; one folder for the whole run."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("EDNAG_CACHE_DIR", str(folder))


@pytest.fixture(scope="module", autouse=True)
def _programs_of_one_file_only() -> Iterator[None]:
    """Drops the compiled programs after each file: hardly any is used by two, and all take gigabytes."""
    yield
    _PROGRAMS.clear()
    jax.clear_caches()
