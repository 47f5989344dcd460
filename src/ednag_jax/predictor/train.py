"""Training of the predictor: squared error of standardised accuracies, stopped by tasks held out.

Between two calls of `run_epochs` the host looks: it reports, keeps a checkpoint, and ends the training once
every member has stopped. A member draws from its own key and the number of the epoch alone, so it is the same
in any ensemble and after any resume.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from ednag_jax.config import PredictorConfig, PredictorTrainingConfig
from ednag_jax.predictor.checkpoint import RunFolder, run_folder
from ednag_jax.predictor.epochs import (
    History,
    Recipe,
    TrainState,
    first_states,
    recipe_for,
    run_epochs,
    unraveller,
)
from ednag_jax.predictor.examples import (
    Examples,
    TaskTable,
    check_table,
    draw_groups,
    examples_of,
    fit_standards,
)
from ednag_jax.predictor.model import Predictor, PredictorNetwork, dataset_vectors
from ednag_jax.spaces import SearchSpace

HELD_OUT_SHARE = 0.2
"""Of the groups of tasks, where none are named."""
Report: TypeAlias = Callable[[int, History], None]
"""`report(epochs done, history so far [s e])`, called on the host between calls."""


def train_predictor(
    table: TaskTable,
    *,
    space: SearchSpace,
    backbone: str,
    config: PredictorConfig | None = None,
    training: PredictorTrainingConfig | None = None,
    held_out: Sequence[str] | None = None,
    seed: int = 0,
    directory: str | Path | None = None,
    report: Report | None = None,
) -> tuple[Predictor, History]:
    """Returns an ensemble trained on a table, and how the training went.

    Args:
        table: architectures run on tasks.
        space: what the table's phenotypes are of.
        backbone: the name of the network whose features the table has.
        config: shape of the network.
        training: how it is trained.
        held_out: groups of tasks that are not learnt from and stop the training; None draws a fifth of them,
            and () holds out none, so that the last weights are kept.
        seed: of the weights, the draws and the groups held out.
        directory: where checkpoints are kept after every call; a training that stopped there goes on, and ends
            bitwise as it would have without the interruption.
        report: called after every `epochs_per_call` epochs.

    Raises:
        ValueError: a table whose parts do not fit, an unknown group, or a directory of another training.
    """
    config, training = config or PredictorConfig(), training or PredictorTrainingConfig()
    check_table(table)
    held_out = draw_groups(table.groups, HELD_OUT_SHARE, seed) if held_out is None else tuple(held_out)
    learnt, kept = table.split(held_out)
    standards = fit_standards(learnt, config.components, blind=config.blind)
    network = PredictorNetwork(space, config)
    data = examples_of(learnt, standards), examples_of(kept, standards)
    keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(jnp.arange(training.num_members))
    about = {
        "table": table.table_hash,
        "space": space.name,
        "config": asdict(config),
        "training": asdict(training),
        "held_out": list(held_out),
        "seed": seed,
    }
    with run_folder(directory, about) as folder:
        recipe = recipe_for(learnt, network, training)
        state, epochs = _trained(keys, data, training, recipe=recipe, folder=folder, report=report)
    weights = jax.vmap(unraveller(network))(state.best)
    vectors = dataset_vectors(weights, data[0].features, data[0].mask, network=network)
    predictor = Predictor(weights, standards, space, config, backbone, learnt.tasks, vectors, table.table_hash)
    return predictor, _shown(state.history, epochs)


def _trained(
    keys: Key[Array, " s"],
    data: tuple[Examples, Examples],
    training: PredictorTrainingConfig,
    *,
    recipe: Recipe,
    folder: RunFolder,
    report: Report | None,
) -> tuple[TrainState, int]:
    """Returns the ensemble after the last epoch, and how many epochs there were."""
    state, epoch = folder.latest(first_states(keys, training, recipe.network))
    while epoch < training.num_epochs and not np.all(state.stopped):
        count = min(training.epochs_per_call, training.num_epochs - epoch)
        state = run_epochs(state, keys, jnp.int32(epoch), data, training, recipe=recipe, count=count)
        epoch += count
        folder.save(state, epoch)
        if report is not None:
            report(epoch, _shown(state.history, epoch))
    return state, epoch


def _shown(history: History, epochs: int) -> History:
    """Returns the epochs that there were."""
    return History(*(part[:, :epochs] for part in history))
