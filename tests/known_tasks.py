"""Tasks of which it is known what architectures they like, and a small predictor that learnt from them."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

import ednag_jax as ed
from ednag_jax.config import PredictorConfig, PredictorTrainingConfig
from ednag_jax.predictor import TaskTable, train_predictor

SPACE = ed.SPACES["nasbench201"]
SMALL = PredictorConfig(
    components=8, set_width=16, num_heads=2, dataset_size=4, graph_width=16, head_width=16, dropout=0.0
)
SHORT = PredictorTrainingConfig(
    num_members=2, num_epochs=60, tasks_per_step=4, epochs_per_call=20, learning_rate=5e-3, patience=60
)


def drawn_weights(init, *inputs, seed=0):
    """Returns weights of the shapes that `init` draws, by NumPy: its own program takes long to compile."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        if path[-1].key == "scale":
            return jnp.ones(leaf.shape)
        spread = 0.1 if leaf.ndim == 1 else 1 / np.sqrt(leaf.shape[0])
        return jnp.asarray(rng.normal(0, spread, leaf.shape), jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, jax.eval_shape(init, jax.random.key(0), *inputs))


def known_table(num_tasks=30, num_archs=24, seed=0, width=10):
    """Returns tasks of which the order of architectures is known: the more a task likes convolutions or pools.

    A task's taste is where its images lie, and its accuracies are around a level of its own.
    """
    rng = np.random.default_rng(seed)
    taste = rng.uniform(-1, 1, num_tasks)
    features = rng.normal(size=(num_tasks, 3, 5, width)) + taste[:, None, None, None] * np.linspace(1, 3, width)
    archs = np.asarray(SPACE.random(jax.random.key(seed), num_tasks * num_archs)).reshape(
        num_tasks, num_archs, -1
    )
    convolutions, pools = (np.isin(archs, kind).sum(axis=-1) for kind in ((2, 3), (4,)))
    accuracy = 60 + 5 * taste[:, None] + 4 * (convolutions * taste[:, None] - pools * taste[:, None] ** 2)
    names = tuple(f"task {i}" for i in range(num_tasks))
    groups = tuple(f"images {i % 6}" for i in range(num_tasks))
    mask = np.ones(features.shape[:-1], bool)
    return TaskTable(features.astype(np.float32), mask, archs.astype(np.int32), accuracy, names, groups)


TABLE = known_table()
LEARNING = {"space": SPACE, "backbone": "made up", "config": SMALL, "training": SHORT}


@cache
def trained():
    """Returns the predictor and the history of its training; made once for all files."""
    return train_predictor(TABLE, **LEARNING)
