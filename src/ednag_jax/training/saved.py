"""A trained network read back from its folder, every part of it checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from ednag_jax.networks import NETWORKS
from ednag_jax.networks.variables import variable_shapes
from ednag_jax.spaces import SPACES
from ednag_jax.storage import DataError
from ednag_jax.training.checkpoints import read_variables
from ednag_jax.training.description import FILE, normalisation_in, read_description
from ednag_jax.training.sizes import sized_network

CHECKPOINT = "checkpoint"


class Trained(NamedTuple):
    """A trained network; `module.apply(variables, normalised(images, ...))` gives logits [b classes]."""

    module: nn.Module
    variables: dict[str, Any]
    """`params`, and where the network normalises batches their averages, `batch_stats`."""
    description: dict[str, Any]
    """What `architecture.json` holds: architecture, classes, normalisation, recipe, result."""


def load_trained(folder: str | Path) -> Trained:
    """Returns a trained network from the folder that `train_network` wrote.

    Raises:
        DataError: the folder has no finished training, or one of its files is missing, cut, altered or does
            not fit the others; the text says which and what to do.
    """
    folder = Path(folder)
    description = read_description(folder)
    if description is None:
        raise DataError(
            f"folder {str(folder)!r} has no {FILE}: train a network into it, or name another folder"
        )
    try:
        module = _checked_network(description)
        result = description["result"]
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
        raise DataError(f"{str(folder / FILE)!r} is damaged ({reason}); train the network anew") from error
    if result is None:
        raise DataError(
            f"the training in {str(folder)!r} is not finished; start it again as before, it goes on"
        )
    shapes = variable_shapes(module, tuple(description["image_shape"]))
    variables = read_variables(folder / CHECKPOINT, shapes, result["digest"])
    return Trained(module, variables, description)


def _checked_network(description: dict[str, Any]) -> nn.Module:
    """Returns the network of a description.

    Raises:
        KeyError: a part is missing.
        TypeError: a part is of another kind.
        ValueError: a part does not fit another.
    """
    name, phenotype, classes = (description[key] for key in ("space", "phenotype", "classes"))
    if name not in NETWORKS:
        raise ValueError(f"space {name!r} is none of {', '.join(NETWORKS)}")
    normalisation = normalisation_in(description)
    if not all(array.shape == (3,) and np.isfinite(array).all() for array in normalisation):
        raise ValueError(f"normalisation {description['normalisation']} is not three numbers each")
    if not (normalisation.std > 0).all():
        raise ValueError(f"normalisation has std {normalisation.std.tolist()}, which must be above 0")
    if len(classes) != description["num_classes"]:
        raise ValueError(f"{len(classes)} classes are named, num_classes is {description['num_classes']}")
    shape = tuple(description["image_shape"])
    module = sized_network(
        name, phenotype, num_classes=len(classes), image_shape=shape, settings=description["network"]
    )
    if SPACES[name].to_str(jnp.asarray(phenotype, jnp.int32)) != description["arch"]:
        raise ValueError(f"phenotype {phenotype} is not {description['arch']!r}")
    return module
