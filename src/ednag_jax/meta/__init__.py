"""Meta-training data: cells of NAS-Bench-201 really trained on many small image tasks."""

from ednag_jax.meta.build import build_table, collect_table
from ednag_jax.meta.table import MetaTable, read_table, write_table
from ednag_jax.meta.tasks import Task, held_out_images, meta_tasks, task_images

__all__ = [
    "MetaTable",
    "Task",
    "build_table",
    "collect_table",
    "held_out_images",
    "meta_tasks",
    "read_table",
    "task_images",
    "write_table",
]
