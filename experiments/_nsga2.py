"""NSGA-II (Deb et al. 2002) by pymoo on a benchmark's table: what others' code finds with as many queries."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.operators.sampling.rnd import IntegerRandomSampling


class Reset(Mutation):
    """One field in the mean gets another of its values: they have no order, so pymoo's default does not fit."""

    def _do(
        self, problem: Any, X: np.ndarray, *args: Any, random_state: Any = None, **kwargs: Any
    ) -> np.ndarray:
        is_hit = random_state.random(X.shape) < self.get_prob_var(problem, size=(len(X), 1))
        other = X + random_state.integers(1, problem.xu + 1, X.shape)
        return np.where(is_hit, other % (problem.xu + 1), X)


class Table(Problem):
    """A table as pymoo's problem; keeps the rows that it was asked for."""

    def __init__(self, values: Float[np.ndarray, "size k"], choices: tuple[int, ...]) -> None:
        most = np.array(choices) - 1
        super().__init__(n_var=len(choices), n_obj=values.shape[1], xl=0 * most, xu=most, vtype=int)
        self.values, self.choices, self.asked = values, choices, []  # type: ignore[var-annotated]

    def _evaluate(self, x: np.ndarray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        rows = np.ravel_multi_index(tuple(x.T.astype(int)), self.choices)
        self.asked.extend(rows.tolist())
        out["F"] = -self.values[rows]


def queries_of(
    values: Float[np.ndarray, "size k"],
    choices: tuple[int, ...],
    *,
    seed: int,
    queries: int,
    population: int,
) -> Int[np.ndarray, " q"]:
    """Returns the table rows of a run's first distinct queries, in their order.

    Args:
        values: the table, rows in the order of `CategoricalSpace`; higher is better in every column.
        choices: values of each field of the space.
        seed: pymoo's.
        queries: how many.
        population: of NSGA-II.
    """
    problem = Table(values, choices)
    operators = {"crossover": UniformCrossover(prob=0.9), "mutation": Reset(prob=1.0)}
    algorithm = NSGA2(population, sampling=IntegerRandomSampling(), eliminate_duplicates=True, **operators)
    algorithm.setup(problem, termination=("n_gen", 100 * queries), seed=seed)
    while algorithm.has_next() and len(set(problem.asked)) < queries:
        algorithm.next()
    return np.array(list(dict.fromkeys(problem.asked))[:queries])
