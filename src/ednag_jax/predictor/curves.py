"""How the training of a predictor went, as a picture."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ednag_jax.figures import COLOURS, new_figure
from ednag_jax.predictor.epochs import History


def predictor_curves(history: History) -> Figure:
    """Returns the loss over the epochs, and where tasks were held out their error and rank correlation.

    Args:
        history: [s e] of s members; each is a thin line, their mean a thick one.
    """
    held_out = np.isfinite(np.asarray(history.held_out_error)).any()
    figure, panels = new_figure(3 if held_out else 1)
    _lines(panels[0], history.loss, "loss of the steps", log=True)
    if held_out:
        _lines(panels[1], history.held_out_error, "squared error, tasks held out", log=True)
        _lines(panels[2], history.held_out_spearman, "rank correlation, tasks held out")
    return figure


def _lines(axes: Axes, values: object, label: str, *, log: bool = False) -> None:
    """Draws members and their mean over the epochs from 1."""
    members = np.asarray(values)
    epochs = np.arange(1, members.shape[1] + 1)
    axes.plot(epochs, members.T, color=COLOURS[0], alpha=0.3, linewidth=0.8)
    axes.plot(epochs, members.mean(axis=0), color=COLOURS[0], linewidth=2)
    axes.set(xlabel="epoch", ylabel=label, **({"yscale": "log"} if log else {}))
