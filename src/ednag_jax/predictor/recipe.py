"""The recipe of the predictors that come with the package: which tasks they learn from, and how."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from ednag_jax.config import PredictorConfig, PredictorTrainingConfig
from ednag_jax.features import choose_backbone
from ednag_jax.figures import save
from ednag_jax.meta.table import MetaTable, read_table
from ednag_jax.predictor.curves import predictor_curves
from ednag_jax.predictor.data_sets import Progress, joined, task_table_of
from ednag_jax.predictor.examples import TaskTable
from ednag_jax.predictor.model import Predictor
from ednag_jax.predictor.saved import save_predictor
from ednag_jax.predictor.tables import space_table
from ednag_jax.predictor.train import Report, train_predictor
from ednag_jax.spaces import SPACES

BACKBONE = "efficientnet_lite0"
META_SPACE = "nasbench201"
"""The space whose cells the meta-training data has."""
TRAINING = {
    META_SPACE: PredictorTrainingConfig(num_epochs=12, epochs_per_call=2),
    "darts": PredictorTrainingConfig(num_epochs=20),
    "transnas101_micro": PredictorTrainingConfig(num_epochs=8, epochs_per_call=2),
}
"""Space -> how its predictor is trained. All tasks are learnt from, so nothing held out stops a training. Each
is drawn about 30 times: in the rounds of `make prove-predictor`, where tasks held out stop it, the best is met
at such numbers; of DARTS' as told in `make prove-spaces`."""

LEFT_OUT = {"darts": ("darts/scifar100", "darts/ninapro")}
"""Space -> groups that nothing is learnt from: no natural images, and what does well on one of these tasks does
so on no other (rank correlations from -0.16 to 0.12, with each other, with SVHN and with size)."""
BLIND = ("darts", "transnas101_micro")
"""Spaces whose tables have images of one data set, or of none: images tell nothing of a data set there."""


def learning_table(
    space_name: str = META_SPACE,
    *,
    without: Sequence[str] = (),
    meta: MetaTable | None = None,
    backbone: str = BACKBONE,
    directory: str | Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> TaskTable:
    """Returns the tasks that a space's predictor learns from: its tables, and the meta-training data of cells.

    Args:
        space_name: nasbench201, transnas101_micro or darts.
        without: groups that are left out besides those of `LEFT_OUT`, such as `digits/0` or
            `nasbench201/cifar10`; none of their images and accuracies are used.
        meta: the meta-training data; default is the table that comes with the package.
        backbone: name of the frozen network whose features of images are read.
        directory: the data directory; default is the setting `EDNAG_DATA_DIR`.
        seed: of the coresets, and of which architectures of a table are learnt from.
        progress: called after every task of the meta-training data.

    Raises:
        ValueError: a space without tables, or no table left.
        DataError: images, tables or the backbone's weights are missing.
    """
    without = (*LEFT_OUT.get(space_name, ()), *without)
    key_tables, key_meta = jax.random.split(jax.random.key(seed))
    places: dict[str, Any] = {"directory": directory}
    tables = [space_table(space_name, backbone, key=key_tables, without=without, **places)]
    if space_name == META_SPACE:
        meta = (read_table() if meta is None else meta).without(without)
        if meta.tasks:
            tables.append(task_table_of(meta, backbone, key=key_meta, progress=progress, **places))
    return joined(tables)


def make_predictor(
    space_name: str = META_SPACE,
    *,
    without: Sequence[str] = (),
    meta: MetaTable | None = None,
    config: PredictorConfig | None = None,
    training: PredictorTrainingConfig | None = None,
    backbone: str = BACKBONE,
    out: str | Path | None = None,
    directory: str | Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    report: Report | None = None,
) -> Predictor:
    """Returns the predictor of a space, trained from its tables; with `out` its file is written and read.

    Where images of two data sets are not to be had, the predictor is blind: it knows architectures, and the
    data set that it is asked about changes nothing.

    Args:
        space_name: nasbench201, transnas101_micro or darts.
        without: groups that are left out, see `learning_table`.
        meta: the meta-training data; default is the table that comes with the package.
        config: shape of the network; default is the published one, blind in a space of `BLIND`.
        training: how it is trained; default is the space's entry of `TRAINING`.
        backbone: name of the frozen network whose features of images it reads.
        out: file of the predictor, an .npz; a training that was stopped goes on from the checkpoints beside it,
            in a folder of its name.
        directory: the data directory; default is the setting `EDNAG_DATA_DIR`.
        seed: of all that is drawn.
        progress: called after every task whose images are read.
        report: called after every few epochs of the training.

    Raises:
        ValueError: a space without tables, or checkpoints of another training.
        DataError: images, tables or the backbone's weights are missing.
        OSError: a file cannot be written.
    """
    backbone = choose_backbone(backbone).name
    chosen: dict[str, Any] = {"without": without, "meta": meta, "directory": directory, "seed": seed}
    table = learning_table(space_name, backbone=backbone, progress=progress, **chosen)
    checkpoints = None if out is None else Path(out).with_suffix("")
    config = config or PredictorConfig(blind=space_name in BLIND or not table.mask.any())
    predictor, history = train_predictor(
        table,
        space=SPACES[space_name],
        backbone=backbone,
        config=config,
        training=training or TRAINING[space_name],
        held_out=(),
        seed=seed,
        directory=checkpoints,
        report=report,
    )
    if out is not None:
        save_predictor(predictor, out)
        save(predictor_curves(history), Path(out).with_suffix(".png"))
    return predictor
