"""EDNAG and DiffusionNAG at equal queries, with one predictor: NAS-Bench-201, one data set left out at a time.

Command: `make compare-diffusion-nag`; about a quarter of an hour on 2 cores, and as much to train predictors
that `make generate-nb201` has not left. It goes on where it was interrupted.

The first three methods have the same predictor, which has not seen the data set, generate without a query, and
ask about their cells in the predictor's order; no query changes what comes later. EDNAG asks about the best of
those that one run of its denoising met, DiffusionNAG about the best of 60 that it generated with the small
preset `cpu`. "MetaD2A-like" is that score network without guidance: cells drawn from what it learnt, picked by
the predictor, as MetaD2A (Lee et al. 2021) picks from its generator; without MetaD2A's own, which is turned to
the data set. `ednag_online` begins with the ten best of one such run of EDNAG, or has no predictor, like the
baselines. Predictors, score networks and guides are trained three times; ten seeds search with each.

Expected (seeds 0..29): EDNAG at the validation optimum of CIFAR-10 after 10 queries in every seed, of CIFAR-100
with its first in nearly all; DiffusionNAG after 30 in a fifth and a tenth of them. With one predictor it is the
search for what it expects most that tells. (The tables are much alike: see `make generate-nb201`.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ednag_jax.experiments._comparison import write_tables
from ednag_jax.experiments._predictors import turned
from ednag_jax.experiments.compare_strategies import rows
from ednag_jax.experiments.reproduce_efficiency import PAPER

import ednag_jax as ed
from ednag_jax.compare import BASELINES, Method, Part, search_parts
from ednag_jax.config import DiffusionNAGConfig, PredictedConfig, SamplingConfig, ScorePreset
from ednag_jax.report import plus_minus, summarise
from ednag_jax.score import Generator, carrying, make_generator
from ednag_jax.storage import digest, require_writable
from ednag_jax.strategies.ednag_predicted import best_expected

BUDGETS, TRAININGS, SEEDS, FIRST = (1, 10, 30), 3, 10, 10
NOTE = (
    "Regret: mean distance of the validation accuracy to the table's best over all seeds. Mark after a number: "
    "EDNAG is better (+) or worse (-) at that budget, Wilcoxon with Holm's correction over the methods, "
    "p < 0.05. Optimum: first query at the optimum, median over seeds, and share of seeds there at the last "
    "budget. Test: of the cell with the best validation accuracy at the last budget, mean and 95 % interval. "
    "Queries: different cells asked about, mean; fewer than the budget where no more were generated."
)


def methods(generator: Generator, queries: int, size: int, sampling: SamplingConfig) -> list[Method]:
    """Returns what is compared: with the generator's predictor, without guidance, and without either."""
    diffusion = DiffusionNAGConfig.for_budget(queries, size).replace(sampling=sampling)
    unguided = diffusion.replace(sampling=replace(sampling, guidance_scale=0.0))
    online = ed.OnlineConfig.for_budget(queries, size)
    first = jax.jit(best_expected)(ed.seed_keys(1)[0], generator, PredictedConfig(num_samples=FIRST))
    begun = online.starting_with(first)
    return [
        Method("EDNAG, predicted", "ednag_predicted"),
        Method("DiffusionNAG", "diffusion_nag", diffusion),
        Method("MetaD2A-like", "diffusion_nag", unguided),
        Method("EDNAG, predicted then online", "ednag_online", begun),
        Method("EDNAG, online", "ednag_online", online),
        *BASELINES,
    ]


def ends(result: ed.Result) -> list[str]:
    """Returns the test accuracy and the number of queries at the last budget."""
    return [plus_minus(summarise(np.asarray(result.test_accuracy)))[0], f"{result.queries.mean():.0f}"]


def pooled(results: Sequence[ed.Result]) -> ed.Result:
    """Returns one method's result with all seeds of several trainings."""
    arrays = ("best_accuracy", "test_accuracy", "queries", "curve", "num_invalid", "num_failed")
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(result, name) for result in results]) for name in arrays
    }
    for name in ("seeds", "best_arch"):
        joined[name] = [value for result in results for value in getattr(result, name)]
    return replace(results[0], **joined, diagnostics=None)


def searched(
    dataset: str, out: Path, directory: Path | None, *, training: int, smoke: bool
) -> dict[str, ed.Result]:
    """Returns every method's result with what one training gives, on its own seeds."""
    sizes, sampling = ScorePreset.named("cpu"), SamplingConfig(num_scales=100 if smoke else 1000)
    if smoke:
        short = replace(sizes.score_training, num_steps=200, steps_per_call=100, batch_size=64)
        sizes = replace(sizes, score_training=short, guide_training=short)
    folder = out / "parts" / f"training {training}"
    predictor, target = turned(dataset, out, directory, seed=training, smoke=smoke)
    generator = make_generator(predictor, target, preset=sizes, seed=training, directory=folder / dataset)
    table = ed.load_benchmark("nasbench201", dataset=dataset, data_dir=directory)
    seeds, queries = (2, BUDGETS[1]) if smoke else (SEEDS, BUDGETS[-1])
    benchmark = carrying(table, generator)
    parts = {
        method.label: Part(benchmark, method, queries)
        for method in methods(generator, queries, table.space.size, sampling)
    }
    # Another generator has other parts: the table alone would not tell them apart.
    made_by = digest(*(np.asarray(leaf) for leaf in jax.tree.leaves(generator)))
    seeds_here = range(training * seeds, (training + 1) * seeds)
    return search_parts(parts, seeds=seeds_here, folder=folder / made_by[:12])


def run(
    *, out: Path = Path("results/compare_diffusion_nag"), data_dir: Path | None = None, smoke: bool = False
) -> None:
    """Trains what is missing and searches; finished parts in `out` are kept."""
    require_writable(out / "parts")
    datasets, budgets = (list(PAPER)[:1], BUDGETS[:2]) if smoke else (list(PAPER), BUDGETS)
    trainings = 2 if smoke else TRAININGS
    found: dict[str, dict[str, ed.Result]] = {}
    for dataset in datasets:
        each = [searched(dataset, out, data_dir, training=i, smoke=smoke) for i in range(trainings)]
        found[dataset] = {label: pooled([results[label] for results in each]) for label in each[0]}
    body = [
        [*row, *ends(results[row[1]])]
        for dataset, results in found.items()
        for row in rows(dataset, results, budgets)
    ]
    header = ("left out", "method", *(f"regret at {q}" for q in budgets), "optimum", "test", "queries")
    num = len(next(iter(found[datasets[0]].values())).seeds)
    title = f"One predictor, equal queries: mean regret, {num} seeds, {trainings} trainings"
    write_tables(out, {title: (header, body)}, found, command="make compare-diffusion-nag", note=NOTE)


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
