"""The predictors that come with the package: a file a space, where there is one."""

from __future__ import annotations

from pathlib import Path

from ednag_jax.config import check_choice
from ednag_jax.predictor.model import Predictor
from ednag_jax.predictor.saved import load_predictor
from ednag_jax.predictor.tables import COLUMNS
from ednag_jax.spaces import SPACES
from ednag_jax.storage import DataError

FOLDER = Path(__file__).parent / "files"


def packaged_predictor(space_name: str) -> Predictor:
    """Returns the predictor that comes with the package for a space.

    Raises:
        ValueError: unknown space.
        DataError: none comes for this space, or its file is damaged; the text says what to run.
    """
    check_choice("space", space_name, tuple(SPACES))
    path = FOLDER / f"{space_name}.npz"
    if not path.is_file():
        found = ", ".join(sorted(file.stem for file in FOLDER.glob("*.npz"))) or "none"
        raise DataError(
            f"no predictor for space {space_name!r} comes with the package (spaces that have one: {found}): "
            f"{_way_to_one(space_name)}, then give `--predictor FILE`, in Python predictor=load_predictor(FILE)"
        )
    return load_predictor(path)


def _way_to_one(space_name: str) -> str:
    """Returns what to do for a predictor of a space."""
    if space_name in COLUMNS:
        return f"run `ednag predictor train --space {space_name} --out FILE`"
    return (
        "take one of those, or train one on accuracies of your own by ednag_jax.predictor.train_predictor and "
        "write it by save_predictor(predictor, FILE)"
    )
