"""What `ednag generate` leaves in a folder: a report to read, the same for programs, a picture a cell."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ednag_jax import report
from ednag_jax.cell_plots import architecture_figure
from ednag_jax.figures import save
from ednag_jax.generate import MILLION, NUM_RANDOM, Generated
from ednag_jax.result import plain
from ednag_jax.spaces import SPACES
from ednag_jax.storage import write_atomic

BLIND = (
    "This predictor does not look at the images: it ranks architectures by how well they do on all of the "
    "{} tasks that it learnt from, and says the same of every data set."
)
MEANING = (
    "The predicted accuracy is a score to compare architectures by: {}, not what a training of an architecture "
    "on your images reaches."
)
PREDICTED = {
    "nasbench201": "that of the recipe of the tasks that the predictor learnt from (tiny networks, few steps)",
    "transnas101_micro": "the percentage of architectures that one beats, mean over the tasks learnt from",
}
"""Space -> what is predicted."""
OTHERS_PREDICTED = "that of the published trainings that the predictor learnt from"
HEADER = ("", "predicted", "parameters", "as trained", "measured", "architecture")
MEASURED = "held_out_accuracy"


def picture(rank: int) -> str:
    """Returns the file name of the picture of an architecture, the best being 1."""
    return f"cell_{rank}.png"


def training_folder(rank: int) -> str:
    """Returns the folder that an architecture is trained in."""
    return f"architecture_{rank}"


def write_generated(
    found: Generated, out: Path, *, made: dict[str, Any], measured: Sequence[dict[str, Any]] = ()
) -> None:
    """Writes `report.md`, `architectures.json` and the pictures; each file whole or not at all.

    Args:
        found: what was generated.
        out: the folder.
        made: of `report.provenance`.
        measured: results of the trainings so far, the best architecture's first.

    Raises:
        OSError: the folder cannot be written.
    """
    for rank, architecture in enumerate(found.architectures, 1):
        save(architecture_figure(SPACES[found.space], architecture.phenotype), out / picture(rank))
    write_atomic(out / "architectures.json", as_json(found, made, measured))
    write_atomic(out / "report.md", as_markdown(found, made, measured))


def as_json(found: Generated, made: dict[str, Any], measured: Sequence[dict[str, Any]]) -> str:
    """Returns all that is known of the architectures."""
    content = plain(dataclasses.asdict(found))
    for rank, entry in enumerate(content["architectures"], 1):
        entry |= {"rank": rank, "picture": picture(rank)}
        if rank <= len(measured):
            entry |= {"folder": training_folder(rank), "measured": plain(measured[rank - 1])}
    return json.dumps({**made, **content}, indent=2, allow_nan=False) + "\n"


def as_markdown(found: Generated, made: dict[str, Any], measured: Sequence[dict[str, Any]]) -> str:
    """Returns the report: a table, the reason, then text form, picture and code of each architecture."""
    height, width, _ = found.image_shape
    parts = [
        f"# Architectures for {found.dataset}",
        f"Space {found.space}, {len(found.classes)} classes, images of {height} x {width} pixels.",
        report.markdown_table(HEADER, rows(found, measured)).rstrip(),
        *notes(found, measured),
    ]
    for rank, architecture in enumerate(found.architectures, 1):
        parts += [f"## {rank}", f"`{architecture.arch}`", f"![architecture {rank}]({picture(rank)})"]
        if rank <= len(measured):
            folder = training_folder(rank)
            parts += [
                f"![learning curves of architecture {rank}]({folder}/curves.png)",
                f"Classify a folder of images with it: `ednag predict --model {folder} --images FOLDER`",
            ]
        parts.append(f"```python\n{architecture.code}```")
    return "\n\n".join([*parts, report.provenance_line(made)])


def rows(found: Generated, measured: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Returns one row an architecture under `HEADER`."""
    return [
        [
            str(rank),
            f"{each.predicted:.2f} ± {each.deviation:.2f}",
            _in_millions(each.num_params),
            _in_millions(each.num_params_small),
            _accuracy(measured[rank - 1]) if rank <= len(measured) else "-",
            each.arch,
        ]
        for rank, each in enumerate(found.architectures, 1)
    ]


def notes(found: Generated, measured: Sequence[dict[str, Any]] = ()) -> list[str]:
    """Returns what must be said of the numbers, a paragraph an entry."""
    median, greatest = found.random_predicted
    compared = (
        f"Predicted: percent, mean of the predictor's networks ± by how much they differ. Of {NUM_RANDOM} "
        f"architectures drawn at random it expects {median:.2f} (median), at most {greatest:.2f}. The "
        f"denoising had {found.num_scored:,} different architectures scored by the predictor; none was trained."
    )
    sizes = (
        "Parameters: of the network at its published size; as trained: of the small one that `--train` trains."
    )
    if found.max_params is not None:
        sizes += f" At most {found.max_params:g} million were allowed at the published size."
    lines = [reason(found), meaning(found), compared, sizes]
    if len(found.architectures) < found.top:
        lines.append(
            f"{found.top} architectures were asked for, and no more than {len(found.architectures)} of "
            "different structure were met: raise --seeds, or allow more parameters."
        )
    if measured:
        lines.append(
            f"Measured: accuracy on the images held out, after {measured[0]['epoch']} epochs of training; they "
            "were used for nothing else."
            if measured[0][MEASURED] is not None
            else "Measured: nothing, as no images were held out."
        )
    return lines


def meaning(found: Generated) -> str:
    """Returns what the predicted accuracy is."""
    return MEANING.format(PREDICTED.get(found.space, OTHERS_PREDICTED))


def reason(found: Generated) -> str:
    """Returns why the predictor expects so much of these architectures."""
    if found.is_blind:
        return BLIND.format(found.num_tasks)
    nearest = ", ".join(f"{name} (distance {distance:.2f})" for name, distance in found.nearest_tasks)
    return (
        f"Why these: of the {found.num_tasks} tasks that the predictor learnt from, your images are most like "
        f"{nearest}, and it ranks architectures as on tasks like these. A distance of 1 is how far the tasks "
        f"lie from their mean on average. Images were looked at by {found.backbone}."
    )


def _in_millions(number: int) -> str:
    return f"{number / MILLION:.3f} M"


def _accuracy(result: dict[str, Any]) -> str:
    return "-" if result[MEASURED] is None else f"{result[MEASURED]:.2f} %"
