"""How one network is really trained: the recipe of NAS-Bench-201, and how much of it to spend."""

from __future__ import annotations

from dataclasses import dataclass

from ednag_jax.config.base import check_range

PUBLISHED_EPOCHS = 200
PUBLISHED_BATCH = 256
STEPS_PER_EPOCH = 16
"""Wanted of an epoch, so that a small set is not done after a handful of steps; CIFAR-10 has 196."""
LEAST_BATCH = 16
"""Images over which batch normalisation still makes sense."""
CROP_DIVISOR = 8
"""Image size over the published padding: 4 pixels for 32, 2 for 16."""


@dataclass(frozen=True)
class TrainingConfig:
    """The recipe of NAS-Bench-201 (Dong and Yang 2020), at the share `budget` of its 200 epochs.

    Stochastic gradient descent with Nesterov's momentum on the cross entropy; the learning rate falls from
    epoch to epoch along a cosine to 0, and the weight decay is on all parameters, normalisations and biases
    included, as in the release. Images are mirrored and moved at random, and normalised by the mean and
    deviation of those trained on. Not as published: the batch of a small set is smaller.

    Raises:
        ValueError: a number out of range.
    """

    budget: float = 0.25
    """Share of the published 200 epochs, at least one epoch; above 1 trains longer than published."""
    batch_size: int | None = None
    """Images of a step; None is the published 256, halved down to 16 as long as an epoch of a small set has
    fewer than 16 steps."""
    learning_rate: float = 0.1
    """Of the first epoch."""
    momentum: float = 0.9
    weight_decay: float = 5e-4
    flip_rate: float = 0.5
    """Share of the images that are mirrored left to right, as published. Set 0 where that changes what an image
    shows: digits, letters, signs."""
    padding: int | None = None
    """Black pixels around an image, from which its size is then cut out at random; None is an eighth of the
    size, as published for 16 and 32 pixels. 0 moves nothing."""
    held_out: float = 0.2
    """Share of every class that is not trained on but measured by; 0 trains on all, and measures nothing."""
    checkpoint_every: int = 10
    """Epochs between checkpoints; what is lost at most when a training is stopped. Changes no result."""
    seed: int = 0
    """Of what is held out, the start, the order of the images and their random moves."""

    def __post_init__(self) -> None:
        check_range("budget", self.budget, 1e-6)
        check_range("checkpoint_every", self.checkpoint_every, 1)
        if self.batch_size is not None:
            check_range("batch_size", self.batch_size, 2)
        if self.padding is not None:
            check_range("padding", self.padding, 0)
        check_range("learning_rate", self.learning_rate, 1e-8)
        for name in ("weight_decay", "seed"):
            check_range(name, getattr(self, name), 0)
        for name in ("momentum", "flip_rate"):
            check_range(name, getattr(self, name), 0, 1)
        check_range("held_out", self.held_out, 0, 0.9)

    @property
    def num_epochs(self) -> int:
        """How often every image is seen."""
        return max(1, round(self.budget * PUBLISHED_EPOCHS))

    def batch_for(self, num_images: int) -> int:
        """Returns how many of so many images a step sees.

        >>> [TrainingConfig().batch_for(count) for count in (50_000, 1_437, 100, 9)]
        [256, 64, 16, 9]
        """
        size = self.batch_size or PUBLISHED_BATCH
        while self.batch_size is None and size > LEAST_BATCH and num_images < size * STEPS_PER_EPOCH:
            size //= 2
        return min(size, num_images)

    def padding_for(self, size: int) -> int:
        """Returns the padding of images whose shorter side has so many pixels."""
        return size // CROP_DIVISOR if self.padding is None else self.padding
