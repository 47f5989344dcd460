"""The section on populations: how many decide, how far apart they are, what their children are worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ednag_jax.diagnostics import DIAGNOSTICS
from ednag_jax.reports.document import Picture, Section, Table
from ednag_jax.reports.groups import Group
from ednag_jax.reports.pictures import steps_figure
from ednag_jax.result import Result

MEANING = (
    "Individuals that decide in (8): the effective sample size of its weights, from 1 to the size of the "
    "population; at 1 every individual is drawn towards one alone. Spread: root mean square of the genotypes "
    "about their mean, 1 for pure noise. Distinct: different architectures among a step's children; new: those "
    "never asked before in the run, which are its queries; invalid: those that decode to no architecture."
)
AVERAGED = "Means over the seeds that had queries left; steps after the last query of all seeds are left out."


def population_section(groups: Sequence[Group]) -> Section | None:
    """Returns the section on populations, None where no run has one."""
    if not any(result.diagnostics for group in groups for result in group.runs.values()):
        return None
    rows, pictures, without = [], [], []
    for number, group in enumerate(groups, 1):
        known = {label: result for label, result in group.runs.items() if result.diagnostics}
        without += [label for label in group.runs if label not in known]
        where = group.title if len(groups) > 1 else ""
        rows += [[label, *([where] if where else []), *_row(result)] for label, result in known.items()]
        pictures += _pictures(number, group, known)
    header = ("method", *(["benchmark"] if len(groups) > 1 else []), "steps", *DIAGNOSTICS.values())
    missing = ", ".join(dict.fromkeys(without))
    notes = [MEANING, AVERAGED]
    if missing:
        notes.append(
            f"Not known of {missing}: no population that is denoised, or a file from before they were kept."
        )
    return Section("Population", notes, [Table("At the first, middle and last step", header, rows)], pictures)


def _row(result: Result) -> list[str]:
    """Returns the number of steps, and every number at the first, middle and last."""
    known = result.diagnostics or {}
    num = len(next(iter(known.values())))
    return [str(num), *(_ends(known.get(name)) for name in DIAGNOSTICS)]


def _ends(values: np.ndarray | None) -> str:
    """Returns a number at the first, middle and last step."""
    if values is None or np.isnan(values).all():
        return "-"
    return ", ".join(f"{values[i]:.2f}" for i in (0, len(values) // 2, -1))


def _pictures(number: int, group: Group, known: dict[str, Result]) -> list[Picture]:
    """Returns a picture of every number that is not 0 throughout."""
    pictures = []
    for name, words in DIAGNOSTICS.items():
        values = {label: (result.diagnostics or {}).get(name) for label, result in known.items()}
        drawn = {label: of_run for label, of_run in values.items() if of_run is not None and np.nansum(of_run)}
        if drawn:
            text = f"{words[0].upper()}{words[1:]} at each denoising step on {group.title}, mean over seeds."
            pictures.append(Picture(f"{name}_{number}", steps_figure(drawn, words), text))
    return pictures
