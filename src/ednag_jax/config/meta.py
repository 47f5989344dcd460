"""The recipe of the meta-training data: how small the networks are, how long they train, on how many tasks."""

from __future__ import annotations

from dataclasses import dataclass

from ednag_jax.config.base import check_range


@dataclass(frozen=True)
class MetaConfig:
    """The recipe; another one gives other accuracies, so it is kept with them.

    Raises:
        ValueError: a number out of range.
    """

    num_tasks: int = 160
    num_cells_drawn: int = 15
    """Architectures of each task that are drawn for it."""
    num_cells_shared: int = 5
    """Architectures that every task has."""
    num_repeats: int = 2
    """Trainings of each architecture on each task, from other starts."""
    channels: int = 4
    num_cells: int = 3
    """Of each of the network's three stages; with 1, the blocks between them do the work of any cell."""
    num_steps: int = 200
    batch_size: int = 32
    learning_rate: float = 0.1
    """At its greatest, after `warmup`; it falls to 0 along a cosine."""
    warmup: float = 0.1
    """Share of the steps in which it rises from 0."""
    momentum: float = 0.9
    weight_decay: float = 5e-4
    seed: int = 0
    """Of the tasks, the architectures and the trainings."""

    def __post_init__(self) -> None:
        for name in ("num_tasks", "num_repeats", "channels", "num_cells", "num_steps"):
            check_range(name, getattr(self, name), 1)
        check_range("batch_size", self.batch_size, 2)
        for name in ("num_cells_drawn", "num_cells_shared", "seed", "weight_decay"):
            check_range(name, getattr(self, name), 0)
        check_range("learning_rate", self.learning_rate, 1e-6)
        for name in ("warmup", "momentum"):
            check_range(name, getattr(self, name), 0, 1)
        if self.cells_per_task < 1:
            raise ValueError("num_cells_drawn and num_cells_shared are 0: a task needs an architecture")

    @property
    def cells_per_task(self) -> int:
        """How many architectures are trained on each task."""
        return self.num_cells_drawn + self.num_cells_shared
