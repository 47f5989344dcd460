"""What every picture is made with: colours, a row of panels, a file that is whole or not there."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ednag_jax.storage import write_atomic

# Okabe and Ito's colours, which colour-blind readers tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", ":", "-.")
DPI = 120


def line_styles() -> Iterator[dict[str, Any]]:
    """Yields colour and dash of one line after the other: every colour once, then all again in other dashes."""
    for dash in DASHES:
        for colour in COLOURS:
            yield {"color": colour, "linestyle": dash}


def save(figure: Figure, path: str | Path) -> Path:
    """Writes a figure as PNG, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return write_atomic(path, buffer.getvalue())


def new_figure(columns: int, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    """Returns a figure with one row of panels; no global state of matplotlib is touched."""
    with matplotlib.rc_context({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9}):
        figure = Figure(figsize=(4.2 * columns, height), layout="constrained")
        return figure, [figure.add_subplot(1, columns, i + 1) for i in range(columns)]
