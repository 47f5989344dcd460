"""A benchmark as a problem of evosax's interface: any of its algorithms can search for architectures."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from evosax.problems.problem import Problem
from evosax.problems.problem import State as ProblemState
from flax import struct
from jaxtyping import Array, Float

from ednag_jax.benchmarks import Benchmark
from ednag_jax.fitness import evaluate
from ednag_jax.types import KeyArray


@struct.dataclass
class State(ProblemState):
    """The generations asked for, and the benchmark's arrays: an argument, so jit copies none into a program."""

    counter: Any
    params: Any


class TableProblem(Problem):
    """A benchmark that evosax's algorithms can search: solutions are genotypes [d], fitness is -accuracy.

    Everything that a search of this package would see is the same: decoding, the oracle, what is invalid. A
    solution that decodes to no valid architecture, or whose evaluation failed, has fitness inf.

    Args:
        benchmark: any: a table, a surrogate, a predictor.
        encoding: of its space, `compact` or `padded`.

    Raises:
        ValueError: the space has no such encoding.

    >>> import ednag_jax as ed
    >>> space = ed.CategoricalSpace("small", choices=(3, 2))
    >>> problem = TableProblem(ed.Benchmark.from_table(space, range(6), name="small"))
    >>> state = problem.init(jax.random.key(0))
    >>> best = jnp.array([[0.0, 0.0, 1.0, 0.0, 1.0]])  # the last choice of both fields
    >>> fitness, state, metrics = problem.eval(jax.random.key(0), best, state)
    >>> fitness.tolist(), metrics["arch_id"].tolist()
    ([-5.0], [5])
    """

    def __init__(self, benchmark: Benchmark, *, encoding: str = "compact") -> None:
        self.benchmark = benchmark
        self.problem = benchmark.problem.with_encoding(encoding)
        self.space = self.problem.space

    @property
    def num_dims(self) -> int:
        """How many real numbers encode an architecture."""
        return self.space.genotype_size

    def init(self, key: KeyArray) -> State:
        """Returns the state of a run, with what a noisy benchmark draws once a run."""
        return State(counter=0, params=self.problem.for_run(key, self.benchmark.params))

    @partial(jax.jit, static_argnames=("self",))
    def eval(
        self, key: KeyArray, solutions: Float[Array, "n d"], state: State
    ) -> tuple[Float[Array, " n"], State, dict[str, Array]]:
        """Returns fitness, lower is better, the next state, and as metrics accuracy and identity of all n."""
        phenotype = self.space.decode(solutions)
        found = evaluate(key, state.params, phenotype, problem=self.problem)
        metrics = {"accuracy": found.accuracy, "arch_id": found.arch_id, "queried": found.queried}
        # inf and not NaN: some of evosax's algorithms take a softmax over fitness.
        fitness = jnp.where(jnp.isnan(found.accuracy), jnp.inf, -found.accuracy)
        return fitness, state.replace(counter=state.counter + 1), metrics

    @partial(jax.jit, static_argnames=("self",))
    def sample(self, key: KeyArray) -> Float[Array, " d"]:
        """Returns a genotype of N(0, I)."""
        return jax.random.normal(key, (self.num_dims,))

    def to_str(self, solution: Float[Array, " d"]) -> str:
        """Returns the text form of the architecture that a solution decodes to (host)."""
        return self.space.to_str(self.space.decode(solution))
