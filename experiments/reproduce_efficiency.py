"""Figure 8 of the paper, efficiency: seconds of EDNAG and of DiffusionNAG, trained and generating side by side.

Command: `make reproduce-efficiency` or `ednag reproduce efficiency`: about four minutes on 2 idle cores, and
more to train the predictors where `make generate-nb201` has not left them beside.

One data set is left out at a time; both methods then have the same predictor, which has not seen it. EDNAG
trains nothing else. DiffusionNAG trains a score network on half of the cells and, for each predictor, a guide
on what the predictor says of noisy cells. Its networks are the small preset `cpu`; "published, extrapolated" is
the time of a step of the published score network, times its 250,000 steps. Generation has the published 1,000
levels of noise. Times are of this device in one process, compiling apart, the median of five seeds after one
that warms up. Quality: seeds 0..29 of one training; accuracies are looked up in the table afterwards. Another
training of the same recipe moves EDNAG's cell on CIFAR-100 by half a point (72.9 to 73.5 were seen):
`make compare-diffusion-nag` has three.

Expected: EDNAG in less than 0.05 s. Aim: at least 10 times as fast as one cell of DiffusionNAG; with the small
networks of preset `cpu` it is 5 times, and 34 to 45 times where DiffusionNAG picks the best of 16. The paper
says 100 (CIFAR-10), 100 (CIFAR-100), 7 (Aircraft) and 5 times (Pets; of these two no images are at hand) on an
RTX 4090, and 3.43 GPU hours of training on a V100.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ednag_jax.experiments._efficiency import (
    POOL,
    Seconds,
    ednag_cell,
    measures,
    published_training,
    seconds_of,
    trained_generator,
    trained_score,
    training_line,
    unguided_line,
)
from ednag_jax.experiments._predictors import turned

import ednag_jax as ed
from ednag_jax import report
from ednag_jax.config import SamplingConfig, ScorePreset
from ednag_jax.predictor import predicted_benchmark
from ednag_jax.score import generated
from ednag_jax.storage import require_writable, write_atomic

PAPER = {"cifar10": "100 x", "cifar100": "100 x"}
"""Data set whose images are at hand -> how many times faster EDNAG generates, as the paper says."""
SEEDS = 30
EDNAG, ONE, BEST = "EDNAG", "DiffusionNAG, one cell", f"DiffusionNAG, best of {POOL}"
TIMES = (
    "left out",
    "method",
    "training, s",
    "generation, s",
    "compiling, s",
    "of it predictor",
    "EDNAG",
    "paper",
)
QUALITY = ("left out", "method", "validation", "test", "best / worst test", "median rank", "different")
Tables = dict[str, tuple[tuple[str, ...], list[list[str]]]]


def time_lines(dataset: str, seconds: dict[str, Seconds], training: str) -> list[list[str]]:
    """Returns the lines of a data set under `TIMES`."""
    ednag, lines = seconds[EDNAG].run, []
    for name, key, rest in (
        (EDNAG, EDNAG, "EDNAG without predictor"),
        (ONE, "one cell", "one cell without guide"),
        (BEST, "pool", ""),
    ):
        found = seconds[key]
        share = f"{max(1 - seconds[rest].run / found.run, 0):.0%}" if rest else ""
        compared = ["", ""] if name == EDNAG else [f"{found.run / ednag:.0f} x faster", PAPER[dataset]]
        trained = "0" if name == EDNAG else training
        lines.append([dataset, name, trained, f"{found.run:.3f}", f"{found.compile:.1f}", share, *compared])
    return lines


def run(*, out: Path = Path("results/efficiency"), data_dir: Path | None = None, smoke: bool = False) -> None:
    """Trains, generates and compares; writes table.md and results.json."""
    require_writable(out / "parts")
    sizes, sampling, seeds = ScorePreset.named("cpu"), SamplingConfig(num_scales=5 if smoke else 1000), SEEDS
    if smoke:
        short = replace(sizes.score_training, num_steps=4, steps_per_call=2, batch_size=8)
        sizes, seeds = replace(sizes, score_training=short, guide_training=short), 2
    score, unguided, trained = trained_score(sizes, sampling)
    published = None if smoke else published_training()
    numbers: dict[str, Any] = {"score network": trained._asdict(), "published, extrapolated": published}
    times: list[list[str]] = []
    qualities: list[list[str]] = []
    for dataset in list(PAPER)[: 1 if smoke else None]:
        predictor, target = turned(dataset, out, data_dir, smoke=smoke)
        generator, guide, taught = trained_generator(predictor, target, score, sizes)
        predicted = predicted_benchmark(predictor, target, dataset=dataset)
        table = ed.load_benchmark("nasbench201", dataset=dataset, data_dir=data_dir)
        seconds = seconds_of(generator, predicted, table, sampling)
        times += time_lines(dataset, seconds, f"{trained.run:.0f} + {guide.run + taught:.0f}")
        pools = generated(ed.seed_keys(seeds), generator, sampling, num=POOL)[0]
        ednag = np.stack([ednag_cell(predicted, seed) for seed in range(seeds)])
        for name, cells in ((EDNAG, ednag), (BEST, np.asarray(pools[:, 0]))):
            qualities.append([dataset, name, *measures(table, cells)])
        kept = {"guide": guide, **seconds}
        numbers[dataset] = {"lessons": taught, **{name: one._asdict() for name, one in kept.items()}}
        print(f"{dataset}: done", flush=True)
    tables: Tables = {
        "Figure 8: seconds, on this device in one run": (TIMES, times),
        f"Quality of the one generated cell, seeds 0..{seeds - 1}; accuracy in percent": (QUALITY, qualities),
    }
    notes = f"{training_line(trained, published)}\n\n{unguided_line(unguided)}"
    write(out, tables, numbers, notes)


def write(out: Path, tables: Tables, numbers: dict[str, Any], notes: str) -> None:
    """Prints the tables and writes them."""
    made = report.provenance("ednag reproduce efficiency")
    for title, (header, rows) in tables.items():
        report.print_table(title, header, rows)
    print(notes)
    text = "\n".join(f"## {title}\n\n{report.markdown_table(*table)}" for title, table in tables.items())
    write_atomic(out / "table.md", f"{text}\n{notes}\n\n{report.provenance_line(made)}")
    lines = {title: rows for title, (_, rows) in tables.items()}
    write_atomic(out / "results.json", json.dumps({**made, "seconds": numbers, "rows": lines}, indent=1))
    print(f"written to {out}/: results.json, table.md")


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
