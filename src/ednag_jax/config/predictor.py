"""Settings of the transferable predictor: the shape of its network, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from ednag_jax.config.base import Swept, check_range, static


@dataclass(frozen=True)
class PredictorConfig:
    """Shape of the network. All of it is static: another shape is another program, and other weights.

    Raises:
        ValueError: a size below 1, a width that heads do not divide, or a rate out of range.
    """

    components: int = 64
    """Principal components of the image features that the set encoder reads."""
    set_width: int = 64
    """Of the attention blocks."""
    num_heads: int = 4
    num_set_layers: int = 1
    """Self-attention blocks (SAB) over the images of a class, and again over the classes."""
    dataset_size: int = 16
    """Numbers that describe a data set."""
    graph_width: int = 64
    """Of a node's state in either direction."""
    head_width: int = 64
    dropout: float = 0.0
    """Share of the head's inner numbers set to 0 while training; on 500 cells of a real table 0.1 did harm."""
    blind: bool = False
    """True sets the data set's numbers to 0: the same predictor without the data set, to compare with."""

    def __post_init__(self) -> None:
        sizes = ("components", "set_width", "num_heads", "num_set_layers", "dataset_size", "graph_width")
        for size in (*sizes, "head_width"):
            check_range(size, getattr(self, size), 1)
        check_range("dropout", self.dropout, 0, 0.9)
        if self.set_width % self.num_heads:
            raise ValueError(
                f"set_width must be a multiple of num_heads {self.num_heads}, got {self.set_width}: "
                "every head takes an equal part"
            )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PredictorTrainingConfig:
    """How the predictor is trained. Counts shape the program; rates and weights are traced.

    Raises:
        ValueError: a count below 1, or a rate out of range.
    """

    num_members: int = static(5)
    """Networks of the ensemble, each with its own seed."""
    num_epochs: int = static(200)
    """At most; an epoch draws each task about once for every `archs_per_task` architectures run on it."""
    tasks_per_step: int = static(16)
    archs_per_task: int = static(32)
    """Architectures drawn for each task of a step, among those run on it."""
    epochs_per_call: int = static(10)
    """Epochs between two reports, checkpoints and looks at whether to stop."""
    warmup_share: float = static(0.05)
    """Of all steps, over which the learning rate rises; it then falls to 0 along a cosine."""
    learning_rate: Swept = 5e-3
    """Peak, after the warm-up."""
    weight_decay: Swept = 1e-2
    clip_norm: Swept = 1.0
    """Greatest norm of a step's gradient."""
    level_weight: Swept = 0.1
    """Of the squared error of a task's mean and deviation, beside that of standardised accuracy."""
    ranking_weight: Swept = 0.0
    """Of the pairwise ranking loss; 0 is the paper's squared error alone, and 0.3 was hardly better."""
    image_rate: Swept = 0.5
    """Share of the images that a step shows the set encoder, in (0, 1]."""
    patience: Swept = 40
    """Epochs without a better loss on the held-out tasks after which a member stops."""

    def __post_init__(self) -> None:
        counts = ("num_members", "num_epochs", "tasks_per_step", "archs_per_task", "epochs_per_call")
        for count in (*counts, "patience"):
            check_range(count, getattr(self, count), 1)
        for weight in ("learning_rate", "weight_decay", "level_weight", "ranking_weight"):
            check_range(weight, getattr(self, weight), 0)
        check_range("warmup_share", self.warmup_share, 0, 1)
        check_range("clip_norm", self.clip_norm, 1e-6)
        check_range("image_rate", self.image_rate, 0.01, 1)
