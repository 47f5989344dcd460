"""Really training one architecture on images, and using it: no table, no predictor."""

from ednag_jax.training.classify import Classified, classify, classify_folder
from ednag_jax.training.metrics import EpochMetrics
from ednag_jax.training.saved import Trained, load_trained
from ednag_jax.training.sizes import SMALL
from ednag_jax.training.train import train_network

__all__ = [
    "SMALL",
    "Classified",
    "EpochMetrics",
    "Trained",
    "classify",
    "classify_folder",
    "load_trained",
    "train_network",
]
