"""The sweep behind `EvolveConfig.for_continuous`: what is best on half of evosax's BBOB functions.

Command: `python experiments/sweep_continuous.py`; about a quarter of an hour on 2 cores.

Every combination of the settings below is run on every second function in 5 and 20 dimensions, with seeds from
100 on, so that neither the functions that `make bbob` holds out nor its seeds have a say. Score: the decimal
logarithm of the final regret, at least 1e-8, mean over functions, dimensions and seeds; lower is better.

Expected: the settings of `EvolveConfig.for_continuous` within two standard errors of the best (of the paired
difference, over functions and dimensions).
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ednag_jax.experiments._bbob import Size, final_regrets_of_settings
from ednag_jax.experiments.bbob import CHOSEN_ON, LEAST_REGRET, MOST_REGRET
from jaxtyping import Float

import ednag_jax as ed
from ednag_jax import report
from ednag_jax.evosax_strategy import EDNAG
from ednag_jax.storage import require_writable, write_atomic

GRID: dict[str, tuple[Any, ...]] = {
    "schedule": ("geometric", "cosine"),
    "temperature": (0.01, 0.03, 0.1),
    "noise_scale": (0.5, 0.8, 1.0),
    "mutation_rate": (0.0, 0.01),
    "roulette_pressure": (3.0, 6.0),
}
DIMS, SEEDS, TIED = (5, 20), range(100, 110), 2.0


def settings() -> list[dict[str, Any]]:
    """Returns every combination; those of `EvolveConfig.for_continuous` are one of them."""
    return [dict(zip(GRID, values, strict=True)) for values in product(*GRID.values())]


def scores(
    chosen: list[dict[str, Any]], functions: tuple[str, ...], dims: tuple[int, ...], seeds: range, size: Size
) -> Float[np.ndarray, "p k"]:
    """Returns each combination's mean log regret over seeds, on every function in every dimension."""
    columns = []
    for d in dims:
        made = [
            EDNAG(size.population, jnp.zeros(d), size.generations, config=ed.EvolveConfig(**each))
            for each in chosen
        ]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(each.default_params for each in made))
        found = final_regrets_of_settings((made[0], stacked), functions, d, seeds, size)
        bounded = np.nan_to_num(np.maximum(found, LEAST_REGRET), nan=MOST_REGRET, posinf=MOST_REGRET)
        columns += list(np.log10(bounded).mean(axis=2))
        print(f"{d} dimensions: done", flush=True)
    return np.array(columns).T


def is_tied(best: Float[np.ndarray, " k"], other: Float[np.ndarray, " k"]) -> bool:
    """Returns whether another's mean is within `TIED` standard errors of the best's, paired."""
    difference = other - best
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    return bool(difference.mean() <= TIED * error)


def run(*, out: Path = Path("results/sweep_continuous"), smoke: bool = False) -> None:
    """Scores every combination; writes table.md and results.json."""
    require_writable(out)
    chosen, shipped = settings(), ed.EvolveConfig.for_continuous()
    sizes: tuple[Any, ...] = (CHOSEN_ON, DIMS, SEEDS, Size())
    if smoke:
        chosen, sizes = chosen[-2:], (CHOSEN_ON[:2], DIMS[:1], range(100, 102), Size(8, 4))
    found = scores(chosen, *sizes)
    order = np.argsort(found.mean(axis=1))
    best, rows = found[order[0]], []
    for place, i in enumerate(order, 1):
        is_shipped = all(getattr(shipped, name) == value for name, value in chosen[i].items())
        mark = "for_continuous" if is_shipped else ""
        tied = "tied with the best" if is_tied(best, found[i]) else ""
        rows.append([str(place), *map(str, chosen[i].values()), f"{found[i].mean():.3f}", tied, mark])
    header = ("place", *GRID, "mean log10 regret", "", "")
    shown = [row for row in rows if int(row[0]) <= 12 or row[-1]]
    title = f"Best of {len(chosen)} settings on {len(sizes[0])} functions, {len(sizes[2])} seeds"
    report.print_table(title, header, shown)
    made = report.provenance("python experiments/sweep_continuous.py")
    text = f"## {title}\n\n{report.markdown_table(header, shown)}\n\n{report.provenance_line(made)}"
    write_atomic(out / "table.md", text)
    write_atomic(out / "results.json", json.dumps({**made, "header": header, "rows": rows}, indent=1))
    print(f"written to {out}/: results.json, table.md")


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
