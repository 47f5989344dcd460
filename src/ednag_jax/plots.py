"""Pictures of results: regret against queries, the denoising trajectory, seeds against seconds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ednag_jax.figures import COLOURS, line_styles, new_figure
from ednag_jax.figures import save as save
from ednag_jax.result import Result


def band(
    axes: Axes, x: np.ndarray, values: Float[np.ndarray, "s x"], label: str, style: Mapping[str, Any]
) -> None:
    """Draws the mean over seeds and the band between the 10th and 90th percentile, from the first number on."""
    known = ~np.isnan(values).all(axis=0)
    x, values = x[known], values[:, known]
    if known.any():  # else no seed met the constraints
        low, high = np.nanpercentile(values, (10, 90), axis=0)
        axes.fill_between(x, low, high, color=style["color"], alpha=0.15, linewidth=0)
    axes.plot(x, np.nanmean(values, axis=0), label=label, linewidth=1.6, **style)


def progress_by_queries(groups: Mapping[str, Mapping[str, Result]]) -> Figure:
    """Returns one panel a data set: regret after q queries, or accuracy where the optimum is not known.

    On the logarithmic axis a regret within the tolerance of "at the optimum" is drawn as the tolerance.
    """
    figure, panels = new_figure(len(groups))
    for axes, (title, results) in zip(panels, groups.items(), strict=True):
        optimum = next(iter(results.values())).benchmark["optimum"]
        for style, (label, result) in zip(line_styles(), results.items(), strict=False):
            curve = result.curve if optimum is None else np.maximum(optimum - result.curve, result.tolerance)
            band(axes, np.arange(1, curve.shape[1] + 1), curve, label, style)
        axes.set(title=title, xlabel="distinct architectures queried")
        axes.set_ylabel("best so far" if optimum is None else "regret to the table's best")
        axes.set_yscale("linear" if optimum is None else "log")
    panels[0].legend(frameon=False, loc="best", fontsize=8, title="line: mean, band: 10-90 % of seeds")
    return figure


def hypervolume_by_queries(groups: Mapping[str, Mapping[str, Float[np.ndarray, "s q"]]]) -> Figure:
    """Returns one panel a group: what is missing of the table's hypervolume after q queries, by method."""
    figure, panels = new_figure(len(groups))
    for axes, (title, curves) in zip(panels, groups.items(), strict=True):
        for style, (label, curve) in zip(line_styles(), curves.items(), strict=False):
            band(axes, np.arange(1, curve.shape[1] + 1), 1 - curve, label, style)
        axes.set(title=title, xlabel="distinct architectures queried", yscale="log")
        axes.set_ylabel("missing share of the hypervolume")
    panels[0].legend(frameon=False, fontsize=8, title="line: mean, band: 10-90 % of seeds")
    return figure


def fronts(results: Mapping[str, Result]) -> Figure:
    """Returns accuracy over the first cost, one panel a method: each seed's front, as a step line."""
    figure, panels = new_figure(len(results))
    for axes, (label, result) in zip(panels, results.items(), strict=True):
        cost = result.objectives[1]
        for front in result.fronts or []:
            order = np.argsort(front[cost])
            x, y = (np.array(front[name])[order] for name in (cost, "accuracy"))
            axes.step(x, np.maximum.accumulate(y), where="post", color=COLOURS[0], alpha=0.3, linewidth=0.8)
        axes.set(title=label, xlabel=cost, ylabel="accuracy")
    return figure


def denoising_trajectory(
    accuracy: Mapping[str, Float[np.ndarray, "s t n"]],
    alpha_bar: Float[np.ndarray, " t"],
    optimum: float | None,
) -> Figure:
    """Returns one panel a preset: accuracy of the children of every step, over all seeds, with alpha_bar.

    Args:
        accuracy: per label, NaN where a child was invalid or failed.
        alpha_bar: signal share after each step; every label's schedule is stretched to these steps.
        optimum: the table's best, where known.
    """
    figure, panels = new_figure(len(accuracy))
    for axes, (label, values) in zip(panels, accuracy.items(), strict=True):
        steps = np.linspace(0, 1, values.shape[1])
        pooled = values.transpose(1, 0, 2).reshape(values.shape[1], -1)
        for low, high, alpha in ((5, 95, 0.12), (25, 75, 0.25)):
            edges = np.nanpercentile(pooled, (low, high), axis=1)
            axes.fill_between(
                steps, *edges, color=COLOURS[0], alpha=alpha, linewidth=0, label=f"{low}-{high} %"
            )
        axes.plot(steps, np.nanmedian(pooled, axis=1), color=COLOURS[0], label="median child")
        best = np.fmax.accumulate(np.fmax.reduce(values, axis=2), axis=1)
        axes.plot(steps, np.nanmean(best, axis=0), color=COLOURS[1], label="best so far, mean of seeds")
        if optimum is not None:
            axes.axhline(optimum, color="black", linewidth=0.8, linestyle=":", label="table's best")
        axes.set(
            title=label, xlabel="share of the denoising steps done", ylabel="oracle accuracy of children (%)"
        )
        twin = axes.twinx()
        twin.plot(np.linspace(0, 1, len(alpha_bar)), alpha_bar, color="grey", linewidth=0.8, linestyle="--")
        twin.set(ylabel="alpha_bar (dashed)", ylim=(0, 1))
    panels[0].legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def generations(accuracy: Mapping[str, Float[np.ndarray, "s t n"]], optimum: float | None) -> Figure:
    """Returns the children's accuracy step by step, a line a setting: their mean, and the best of them.

    Lines are means over seeds, bands their 95 % confidence intervals.

    Args:
        accuracy: per label, NaN where a child was invalid or failed; a step without any other is left out.
        optimum: the table's best, where known.
    """
    figure, panels = new_figure(2)
    reductions: dict[str, Callable[..., Any]] = {
        "mean of a step's children": np.nanmean,
        "best of a step's children": np.nanmax,
    }
    for axes, (title, reduced) in zip(panels, reductions.items(), strict=True):
        for colour, (label, values) in zip(COLOURS, accuracy.items(), strict=False):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # a population may have nothing valid
                of_seed = reduced(values, axis=2)
                mean = np.nanmean(of_seed, axis=0)
                error = 1.96 * np.nanstd(of_seed, axis=0) / np.sqrt(np.sum(np.isfinite(of_seed), axis=0))
            steps = np.linspace(0, 1, values.shape[1])
            axes.fill_between(steps, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0)
            axes.plot(steps, mean, color=colour, label=label)
        if optimum is not None:
            axes.axhline(optimum, color="black", linewidth=0.8, linestyle=":", label="table's best")
        axes.set(title=title, xlabel="share of the denoising steps done", ylabel="oracle accuracy (%)")
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8)
    return figure


def seeds_against_seconds(
    seeds: Sequence[int], seconds: Mapping[str, Sequence[float]], compile_seconds: float | None = None
) -> Figure:
    """Returns run time over the number of seeds, one line a way of running them, both axes logarithmic."""
    figure, (axes,) = new_figure(1)
    for colour, (label, times) in zip(COLOURS, seconds.items(), strict=False):
        axes.plot(seeds[: len(times)], times, "o-", color=colour, label=label, markersize=4)
    if compile_seconds is not None:
        axes.axhline(compile_seconds, color="grey", linestyle=":", label="compile once")
    axes.set(xscale="log", yscale="log", xlabel="seeds", ylabel="seconds")
    axes.legend(frameon=False, fontsize=8)
    return figure
