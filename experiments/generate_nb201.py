"""Generated for NAS-Bench-201's data sets without a query: Table 1's column "Archs = 1", told straight.

Command: `make generate-nb201`: about half an hour on 2 cores with the features of the images in the cache; an
interrupted run goes on.

One data set is left out at a time: the predictor learns from the validation accuracies of the other two
alone, and sees neither an accuracy nor an image of the one left out before it is asked. Seed i draws the
images that stand for the data set, by K-means or at random as DiffusionNAG does, and the denoising; one
architecture is generated, and its test accuracy looked up. (CIFAR-100 has 20 images a class here, all of
which are chosen either way: only its ten classes differ.) Expected, all of seeds 0..99: a mean of at least
94.2 on CIFAR-10 and 73.0 on CIFAR-100; the paper claims 94.37 and 73.51, the tables' best. The data sets are
so much alike that two tell nearly all of the third: the line "without images" is the architecture of the best
summed validation rank on them. With queries, the ten best that seed 0 generated are asked first.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ednag_jax.experiments._comparison import write_rows
from ednag_jax.experiments._predictors import predictor_without
from scipy.stats import rankdata

import ednag_jax as ed
from ednag_jax import report
from ednag_jax.generate import best_distinct, denoised
from ednag_jax.images import load_images
from ednag_jax.predictor import Predictor, encode_dataset, predicted_benchmark
from ednag_jax.predictor.data_sets import data_set_of
from ednag_jax.spaces import NasBench201
from ednag_jax.storage import require_writable, write_atomic

DATASETS = {"cifar10": "94.37 (1)", "cifar100": "73.51 (1)"}
"""Data set whose images are at hand -> what the paper claims, and with how many architectures."""
ALL = (*DATASETS, "ImageNet16-120")
SELECTIONS = ("coreset", "random")
BUDGETS, FIRST = (10, 30, 100), 10
HEADER = ("left out", "how", "queries", "mean test accuracy", "std", "best / worst", "median rank", "paper")


def generated(predictor: Predictor, dataset: str, selection: str, seed: int, directory: Path | None) -> Any:
    """Returns the ten best architectures [10 6] that a seed generates, the best first."""
    images = load_images(dataset, directory=directory)
    data = data_set_of(images, predictor.backbone, key=jax.random.key(seed), selection=selection)
    benchmark = predicted_benchmark(
        predictor, encode_dataset(predictor, *data), dataset=dataset, num_classes=len(images.classes)
    )
    scored = denoised(benchmark, max_params=None, seeds=range(1), root=seed)
    return best_distinct(scored, predictor.space, FIRST)


def of_all_seeds(
    predictor: Predictor, dataset: str, selection: str, seeds: int, places: tuple[Path, Path | None]
) -> np.ndarray:
    """Returns what every seed generates [s 10 6]; kept once all are done."""
    out, directory = places
    path = out / "parts" / f"{dataset} {selection} {seeds} {predictor.table_hash[:12]}.json"
    if path.is_file():
        return np.array(json.loads(path.read_text()), np.int32)
    found = [generated(predictor, dataset, selection, seed, directory) for seed in range(seeds)]
    write_atomic(path, json.dumps(np.array(found).tolist()))
    print(f"{dataset}, {selection}: {seeds} seeds generated", flush=True)
    return np.array(found, np.int32)


def by_tables_alone(dataset: str, directory: Path | None) -> jax.Array:
    """Returns the architecture of the best summed validation rank on the other two data sets."""
    others = [
        ed.load_benchmark("nasbench201", dataset=name, data_dir=directory).params
        for name in ALL
        if name != dataset
    ]
    return NasBench201().from_index(jnp.argmax(sum(rankdata(table) for table in others)))


def row(dataset: str, how: str, queries: int, accuracy: np.ndarray, table: np.ndarray) -> list[str]:
    """Returns a line of the table."""
    ranks = 1 + np.sum(table[None] > accuracy[:, None] + 1e-6, axis=1)
    told = report.summarise(accuracy)
    spread = [f"{told.mean:.2f}", f"{accuracy.std():.2f}", f"{told.best:.2f} / {told.worst:.2f}"]
    return [dataset, how, str(queries), *spread, f"{np.median(ranks):.0f}", DATASETS[dataset]]


def rows_of(dataset: str, seeds: int, out: Path, directory: Path | None, smoke: bool) -> list[list[str]]:
    """Returns all lines of a data set: without a query, then with some."""
    benchmark = ed.load_benchmark("nasbench201", dataset=dataset, data_dir=directory)
    test = np.asarray(benchmark.test_params)
    predictor = predictor_without(dataset, out / "parts", directory, smoke=smoke)
    alone = np.asarray(benchmark.lookup(by_tables_alone(dataset, directory)[None], "test"))
    rows = [row(dataset, "without images", 0, alone, test)]
    for selection in SELECTIONS:
        archs = of_all_seeds(predictor, dataset, selection, seeds, (out, directory))
        best = np.asarray(benchmark.lookup(jnp.asarray(archs[:, 0]), "test"))
        rows.append(row(dataset, f"predictor, images by {selection}", 0, best, test))
        if selection == SELECTIONS[0]:
            first = jnp.asarray(archs[0])
    for budget in BUDGETS[:1] if smoke else BUDGETS:
        alone_config = ed.OnlineConfig.for_budget(budget, benchmark.space.size)
        begun = alone_config.starting_with(first)
        for how, config in (("and ednag_online", begun), ("ednag_online alone", alone_config)):
            found = ed.search("ednag_online", benchmark, seeds=seeds, queries=budget, config=config)
            rows.append(row(dataset, how, budget, np.asarray(found.test_accuracy), test))
    return rows


def run(
    *, out: Path = Path("results/generate_nb201"), data_dir: Path | None = None, smoke: bool = False
) -> None:
    """Generates architectures without a query, and goes on from them with the online predictor."""
    require_writable(out / "parts")
    seeds = 2 if smoke else 100
    rows = [line for name in DATASETS for line in rows_of(name, seeds, out, data_dir, smoke)]
    title = (
        f"NAS-Bench-201 by a predictor that has not seen the data set, {seeds} seeds; test accuracy, 200 epochs"
    )
    write_rows(out, title, HEADER, rows, command="make generate-nb201")


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
