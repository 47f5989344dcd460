"""A strategy with a memory finds what it would have found without, and computes each architecture once."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.evolve import EDNAG
from ednag_jax.objectives import Goal, posed
from ednag_jax.problem import Problem
from ednag_jax.strategies.remembering import CHUNK, remembering

CONFIG = ed.EvolveConfig(num_steps=12, population_size=8)
KEYS = ed.seed_keys(3)
computed: list[np.ndarray] = []


@dataclass(frozen=True)
class Counted:
    """A table that keeps what it was asked."""

    space: ed.SearchSpace

    def __call__(self, params, key, phenotype):
        ids = self.space.arch_index(phenotype)
        jax.debug.callback(lambda asked: computed.append(np.array(asked)), ids, ordered=True)
        return params[ids]


def same_search(params, problem, config=CONFIG):
    """Returns the trace, after comparing both searches."""
    settings = {"problem": problem, "config": config}
    plain, with_memory = (
        ed.evolve_seeds(KEYS, params, strategy=one, **settings)[1] for one in (EDNAG, remembering(EDNAG))
    )
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(with_memory), strict=True):
        np.testing.assert_array_equal(a, b)
    return with_memory


@pytest.mark.slow
def test_what_is_found_is_the_same(bumpy):
    same_search(bumpy.params, bumpy.problem)


@pytest.mark.slow
def test_what_fails_fails_with_a_memory_too(bumpy):
    trace = same_search(jnp.where(jnp.arange(81) % 4 == 0, jnp.nan, bumpy.params), bumpy.problem)
    assert np.sum(trace.steps.num_failed) > 0


@pytest.mark.slow
def test_bounds_are_kept_to_and_what_is_no_architecture_is_not_remembered():
    """The padded encoding, where most genotypes decode to none."""
    space = ed.CategoricalSpace("costly", choices=(3,) * 4)
    rng = np.random.default_rng(0)
    columns = {"params": rng.uniform(1, 2, 81)}
    made = ed.Benchmark.from_table(space, rng.normal(size=81), name="costly", columns=columns)
    problem, params = posed(made, Goal(constraints={"params": 1.5}))
    trace = same_search(params, problem, CONFIG.replace(encoding="padded"))
    assert np.sum(trace.steps.num_invalid) > 0


def test_each_architecture_is_computed_once_but_for_what_fills_a_chunk(bumpy):
    computed.clear()
    settings = {"problem": Problem(bumpy.space, Counted(bumpy.space)), "config": CONFIG}
    run = jax.jit(lambda key, params: ed.evolve(key, params, strategy=remembering(EDNAG), **settings)[1])
    trace = jax.block_until_ready(run(KEYS[0], bumpy.params))
    jax.effects_barrier()
    asked = [np.asarray(trace.initial.arch_id), *np.asarray(trace.steps.evaluation.arch_id)]
    met, chunks = set(), 0
    for ids in asked:
        new = set(ids.tolist()) - met
        chunks += -(-len(new) // CHUNK)
        met |= new
    assert len(computed) == chunks < len(asked) * CONFIG.population_size / CHUNK
    assert set(np.concatenate(computed).tolist()) == met


def test_a_space_too_large_for_a_table_has_no_memory():
    space = ed.SPACES["mobilenetv3"]
    problem = Problem(space, lambda params, key, phenotype: -jnp.sum(space.to_choices(phenotype), -1) / 10.0)
    state = remembering(EDNAG).init(KEYS[0], None, problem=problem, config=CONFIG)
    assert not hasattr(state, "told")
