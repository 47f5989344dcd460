"""How well the predictor orders architectures on small image tasks that it has not seen.

Command: `make prove-predictor`: about half an hour on 2 cores with the features of the images in the cache; an
interrupted run goes on.

All tasks of the meta-training data are told in four rounds. In each, the tasks of two of the eight groups are
held out, and a predictor learns from those of the other six, one of which stops its training; groups share no
image. Told is the rank correlation (Spearman) of predicted and measured accuracies of a task's
cells, mean over tasks. Beside it: the same predictor without its set encoder ("blind"), the number of
parameters, multiply-adds, SynFlow, and where cells were trained twice what one training tells of the other.
Expected: 0.75 over all tasks. The second table is about the images that stand for a data set, chosen by K-means
or at random.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ednag_jax.experiments._held_out import Rounds, held_out_correlations, of_selection
from ednag_jax.experiments._predictors import SMOKE_BACKBONE

from ednag_jax import report
from ednag_jax.meta import MetaTable, read_table
from ednag_jax.predictor import task_table_of
from ednag_jax.predictor.evaluation import rank_correlation
from ednag_jax.predictor.recipe import BACKBONE
from ednag_jax.proxies import ProxyFitness
from ednag_jax.storage import require_writable, write_atomic

SOURCES = ("cifar10", "cifar100", "mnist", "digits")
PROXIES = {"parameters": "parameters", "multiply-adds": "flops", "SynFlow": "synflow"}
DRAWS = 10
HEADER = ("told by", "all tasks", *SOURCES)


def proxied(meta: MetaTable, proxy: str) -> np.ndarray:
    """Returns a proxy of every cell of every task [t m], of the network that was trained."""
    config, size = meta.config, meta.tasks[0].size
    fitness = ProxyFitness("nasbench201", proxy, channels=config.channels, num_cells=config.num_cells)
    images = jax.random.normal(jax.random.key(0), (8, size, size, 3))
    cells, back = np.unique(meta.phenotype.reshape(-1, meta.phenotype.shape[-1]), axis=0, return_inverse=True)
    params = fitness.params(jax.random.key(1), images)
    values = jax.jit(fitness)(params, jax.random.key(2), jnp.asarray(cells, jnp.int32))
    return np.asarray(values, np.float64)[back.ravel()].reshape(meta.phenotype.shape[:2])


def correlations(said: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Returns the rank correlation of every task's row [t m]."""
    return np.array([rank_correlation(a, b) for a, b in zip(said, measured, strict=True)])


def line(name: str, correlation: np.ndarray, groups: tuple[str, ...]) -> list[str]:
    """Returns a row of the first table: mean over tasks, its standard error, and means of each source."""
    known = correlation[np.isfinite(correlation)]
    error = known.std(ddof=1) / np.sqrt(len(known))
    cells = [name, f"{known.mean():.3f} ± {error:.3f}"]
    for source in SOURCES:
        rows = [group.startswith(f"{source}/") for group in groups]
        cells.append(f"{np.nanmean(correlation[rows]):.3f}" if any(rows) else "")
    return cells


def told(about: Rounds) -> list[list[str]]:
    """Returns the rows of the first table."""
    meta, measured = about.meta, about.table.accuracy
    found = {
        "predictor": held_out_correlations(about),
        "blind predictor": held_out_correlations(about, blind=True),
        **{name: correlations(proxied(meta, proxy), measured) for name, proxy in PROXIES.items()},
    }
    if meta.config.num_repeats > 1:
        found["one training of another"] = correlations(meta.accuracy[..., 0], meta.accuracy[..., 1])
    return [line(name, correlation, meta.groups) for name, correlation in found.items()]


def run(
    *, out: Path = Path("results/prove_predictor"), data_dir: Path | None = None, smoke: bool = False
) -> None:
    """Tells rank correlations on held-out tasks, and compares two ways to choose images."""
    require_writable(out / "parts")
    meta, draws, backbone = read_table(), 2 if smoke else DRAWS, SMOKE_BACKBONE if smoke else BACKBONE
    if smoke:
        meta = meta.without([group for group in meta.groups if group.startswith("cifar")])
    table = task_table_of(meta, backbone, key=jax.random.key(0), directory=data_dir)
    about = Rounds(meta, table, out, backbone, smoke)
    first = (HEADER, told(about))
    rows = []
    for selection in ("coreset", "random"):
        moved, correlation = of_selection(about, selection, draws, data_dir)
        rows.append([selection, f"{100 * moved:.2f} %", f"{correlation:.3f}"])
    second = (("images by", "variance of the encoding, of that among tasks", "rank correlation"), rows)
    num = len(table.tasks)
    tables: dict[str, Any] = {
        f"Rank correlation on {num} tasks, each held out once": first,
        f"Images that stand for a data set, {draws} draws for each of {num} tasks held out": second,
    }
    for title, (header, body) in tables.items():
        report.print_table(title, header, body)
    made = report.provenance("make prove-predictor")
    text = "\n".join(f"## {title}\n\n{report.markdown_table(*part)}" for title, part in tables.items())
    write_atomic(out / "table.md", f"{text}\n{report.provenance_line(made)}")
    write_atomic(out / "results.json", json.dumps({"made": made, "tables": tables}, indent=1))
    print(f"written to {out}/: results.json, table.md")


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
