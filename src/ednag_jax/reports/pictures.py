"""Pictures of a comparison: regret by queries, ranks with their critical difference, a population by steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ednag_jax.figures import COLOURS, line_styles, new_figure
from ednag_jax.plots import progress_by_queries
from ednag_jax.reports.groups import Group
from ednag_jax.reports.ranking import Ranking

SHORT, LONG = 22, 36
"""Letters of a name that two columns below a figure have room for, and one column."""


def regret_figure(group: Group) -> Figure:
    """Returns regret after each number of queries, mean and band over seeds, a line a run."""
    figure = progress_by_queries({"": {drawable(label): run for label, run in group.runs.items()}})
    (axes,) = figure.axes
    _legend_below(figure, axes)
    if group.measure == "hypervolume":
        is_known = next(iter(group.runs.values())).benchmark["optimum"] is not None
        axes.set_ylabel("missing share of the hypervolume" if is_known else "hypervolume")
    return figure


def steps_figure(values: Mapping[str, Float[np.ndarray, " t"]], ylabel: str) -> Figure:
    """Returns one number of a population at each step, a line a run."""
    figure, (axes,) = new_figure(1, height=2.8)
    for style, (label, of_run) in zip(line_styles(), values.items(), strict=False):
        axes.plot(np.arange(1, len(of_run) + 1), of_run, label=drawable(label), linewidth=1.4, **style)
    axes.set(xlabel="denoising step", ylabel=ylabel)
    axes.set_ylim(bottom=0)
    _legend_below(figure, axes)
    return figure


def _legend_below(figure: Figure, axes: Axes) -> None:
    """Puts the names of the lines below the axes, where they hide none; one line needs no name."""
    lines, names = axes.get_legend_handles_labels()
    for drawn in filter(None, [axes.get_legend()]):
        drawn.remove()
    if len(lines) > 1:
        columns = 2 if max(map(len, names)) <= SHORT else 1
        figure.legend(lines, names, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)


def rank_figure(ranking: Ranking) -> Figure:
    """Returns mean ranks, the best on top, each with an interval of the critical difference about it.

    Two methods differ where their intervals do not overlap.
    """
    num = len(ranking.labels)
    figure, (axes,) = new_figure(1, height=1.0 + 0.3 * num)
    height = np.arange(num)
    half = ranking.critical_difference / 2
    is_best = ranking.mean_ranks - half <= ranking.mean_ranks[0] + half
    for is_drawn, colour in ((is_best, COLOURS[0]), (~is_best, COLOURS[1])):
        x, y = ranking.mean_ranks[is_drawn], height[is_drawn]
        axes.errorbar(x, y, xerr=half, fmt="o", color=colour, markersize=5, linewidth=1.6, capsize=3)
    axes.axvline(ranking.mean_ranks[0] + half, color="grey", linewidth=0.8, linestyle=":")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_yticks(height, [drawable(label) for label in ranking.labels])
    axes.set(xlabel=f"mean rank over {ranking.num_blocks} {ranking.over}", ylim=(num - 0.5, -0.5))
    return figure


def drawable(label: str) -> str:
    """Returns a label that matplotlib draws as it stands: `$` would be mathematics, a leading `_` hides it.

    A long one is cut in its middle: tables have it whole.

    >>> drawable("_hidden")
    ' _hidden'
    """
    if len(label) > LONG:
        label = f"{label[: LONG // 2]}…{label[-LONG // 2 :]}"
    return (" " if label.startswith("_") else "") + label.replace("$", r"\$")
