"""EDNAG on continuous functions: evosax's 24 BBOB functions beside evosax's own algorithms.

Command: `make bbob`; about 8 minutes on a core, and it goes on where it was interrupted (`--smoke`: two
functions and rivals, to see that everything runs).

Every method gets 30 seeds of 8,256 evaluations each (population 64, 128 generations and the initial one), the
same instances and the same initial populations, uniform in the box [-5, 5]. EDNAG and evosax's algorithms are
run as they come; "the same, scaled" is DiffusionEvolution with its `scale_factor` set to the standard deviation
of the initial population, which EDNAG measures for itself. CMA-ES is there as a yardstick.

Expected (seeds 0..29, each count within 3): of 96 pairs of function and dimension EDNAG is significantly better
than DiffusionEvolution in 94, scaled in 93, and worse than either in 1 (discus, 20 dimensions); of the 48 held
out it is better in all. CMA-ES, which learns the shape of a function, is better than EDNAG in 53 and worse in
21, of which 20 are multimodal.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from ednag_jax.experiments._bbob import FUNCTIONS, METHODS, Size, final_regrets
from jaxtyping import Float

from ednag_jax import report
from ednag_jax.storage import require_writable, write_atomic

DIMS, SEEDS, LEVEL = (2, 5, 10, 20), 30, 0.05
LEAST_REGRET, MOST_REGRET = 1e-8, 1e30
CHOSEN_ON = FUNCTIONS[::2]
"""Every second function, from the first, had a say in the settings; the others had none."""
NOTE = (
    "Regret: median over all seeds of the distance from the optimum after the last evaluation; below 1e-8, "
    "which BBOB calls solved, all are equal. Mark after a number: EDNAG is significantly better (+) or worse "
    "(-) than this method, paired Wilcoxon of log regret over seeds with Holm's correction over all functions "
    "and dimensions, p < 0.05; these are wins and losses. Held out: functions that had no say in any setting."
)
Regrets = Float[np.ndarray, "f s"]


def regrets_of(
    label: str, dims: int, functions: tuple[str, ...], *, seeds: range, size: Size, folder: Path
) -> Regrets:
    """Returns the final regrets of one method; a finished part is read instead (new code: empty the folder)."""
    path = folder / f"{label} {dims}.json"
    asked = {"functions": list(functions), "seeds": list(seeds), "size": list(size)}
    kept = json.loads(path.read_text()) if path.is_file() else {}
    if {name: kept.get(name) for name in asked} != asked:
        found = final_regrets(METHODS[label], functions, dims, seeds, size)
        kept = {**asked, "regrets": found.tolist()}
        write_atomic(path, json.dumps(kept) + "\n")
        print(f"{label}, {dims} dimensions: done", flush=True)
    return np.nan_to_num(np.maximum(kept["regrets"], LEAST_REGRET), nan=MOST_REGRET, posinf=MOST_REGRET)


def verdicts(ours: Float[np.ndarray, "k f s"], theirs: Float[np.ndarray, "k f s"]) -> np.ndarray:
    """Returns [k f]: 1 where ours is significantly lower, -1 where higher, 0 for neither."""
    gain = np.log10(theirs) - np.log10(ours)
    p_values = report.holm([report.wilcoxon(g, 0 * g) for g in gain.reshape(-1, gain.shape[-1])])
    signs = np.sign(np.sum(np.sign(gain), axis=-1))
    return (signs * (np.reshape(p_values, signs.shape) < LEVEL)).astype(int)


def summary(
    found: dict[str, np.ndarray], judged: dict[str, np.ndarray], functions: tuple[str, ...]
) -> list[list[str]]:
    """Returns one row a rival and group of functions: how often EDNAG wins, ties, loses, by dimensions."""
    chosen_on = np.array([name in CHOSEN_ON for name in functions])
    groups = {"all": chosen_on | True, "held out": ~chosen_on}
    lines = []
    for label, verdict in judged.items():
        for group, mask in groups.items():
            counts = [*verdict[:, mask], verdict[:, mask].ravel()]
            cells = [" / ".join(str(int(np.sum(v == sign))) for sign in (1, 0, -1)) for v in counts]
            medians = [np.median(found[name][:, mask], axis=2) for name in ("EDNAG", label)]
            lower = f"{np.sum(medians[0] <= medians[1])} of {medians[0].size}"
            lines.append([label, f"{group}, {int(mask.sum())}", *cells, lower])
    return lines


def table(
    found: dict[str, np.ndarray], judged: dict[str, np.ndarray], row: int, functions: tuple[str, ...]
) -> list[list[str]]:
    """Returns one row a function: each method's median regret, marked by what EDNAG is beside it."""
    lines = []
    for i, name in enumerate(functions):
        cells = [f"{np.median(regrets[row, i]):.2g}" for regrets in found.values()]
        marks = ["", *({1: " +", 0: "", -1: " -"}[int(v[row, i])] for v in judged.values())]
        group = "" if name in CHOSEN_ON else " (held out)"
        lines.append([name + group, *(cell + mark for cell, mark in zip(cells, marks, strict=True))])
    return lines


def run(*, out: Path = Path("results/bbob"), smoke: bool = False) -> None:
    """Runs every method on every function; finished parts in `out` are kept."""
    require_writable(out)
    functions, dims = (FUNCTIONS[:2], DIMS[:1]) if smoke else (FUNCTIONS, DIMS)
    methods = ("EDNAG", "DiffusionEvolution", "CMA-ES") if smoke else tuple(METHODS)
    seeds, size = (range(3), Size(16, 8)) if smoke else (range(SEEDS), Size())
    found = {
        label: np.stack(
            [regrets_of(label, d, functions, seeds=seeds, size=size, folder=out / "parts") for d in dims]
        )
        for label in methods
    }
    ours, *rivals = found
    judged = {label: verdicts(found[ours], found[label]) for label in rivals}
    header = ("EDNAG against", "functions", *(f"{d} dims" for d in dims), "all dims", "median no higher")
    title = f"Wins / ties / losses of EDNAG, {len(seeds)} seeds, {size.evaluations:,} evaluations"
    tables = {title: (header, summary(found, judged, functions))}
    for row, d in enumerate(dims):
        tables[f"Median regret, {d} dimensions"] = (("function", *found), table(found, judged, row, functions))
    for name, (head, body) in tables.items():
        report.print_table(name, head, body)
    made = report.provenance("make bbob")
    text = "\n".join(f"## {name}\n\n{report.markdown_table(*content)}" for name, content in tables.items())
    write_atomic(out / "table.md", f"{text}\n{NOTE}\n\n{report.provenance_line(made)}")
    medians = {
        label: dict(zip(map(str, dims), np.median(r, axis=2).tolist(), strict=True))
        for label, r in found.items()
    }
    write_atomic(
        out / "results.json", json.dumps({**made, "functions": functions, "median regret": medians}) + "\n"
    )
    print(f"{NOTE}\nwritten to {out}/: results.json, table.md")


if __name__ == "__main__":
    import tyro

    tyro.cli(run)
