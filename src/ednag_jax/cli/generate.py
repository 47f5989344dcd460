"""`ednag generate` and `ednag predict`: from images to architectures, to a trained network, to answers."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ednag_jax import report
from ednag_jax.cli.progress import progress
from ednag_jax.config import TrainingConfig
from ednag_jax.generate import NUM_SEEDS, Generated
from ednag_jax.generate import generate as run_generate
from ednag_jax.generated_report import HEADER, notes, rows, training_folder, write_generated
from ednag_jax.images import ImageSet, load_images
from ednag_jax.predictor import load_predictor, packaged_predictor
from ednag_jax.storage import DataError, require_writable, write_atomic
from ednag_jax.training import Classified, EpochMetrics, classify_folder, train_network
from ednag_jax.training.batches import stratified_split
from ednag_jax.training.description import FILE as DESCRIPTION


class Divided(NamedTuple):
    """Images to learn from, and those that nothing is learnt from."""

    learnt: ImageSet
    held_out: ImageSet | None


def generate(
    *,
    images: str,
    out: Path,
    space: str = "nasbench201",
    top: int = 3,
    max_params: float | None = None,
    predictor: Path | None = None,
    train: bool = False,
    budget: float = TrainingConfig.budget,
    flips: bool = True,
    held_out: float = TrainingConfig.held_out,
    held_out_images: str | None = None,
    size: int | None = None,
    seeds: int = NUM_SEEDS,
    root: int = 0,
    selection: str = "coreset",
    data_dir: Path | None = None,
) -> None:
    """Generates architectures for your images, and with --train trains them.

    Example: ednag generate --images photos/ --top 3 --max-params 1.0 --train --out generated/

    No architecture is trained or looked up to find them: EDNAG's denoising asks a predictor that has learnt
    from many small tasks. A training that was stopped goes on when the same command is given again.

    Args:
        images: a folder with one sub-folder of images a class; an .npz with arrays x and y; or digits, mnist,
            cifar10, cifar100.
        out: folder for report.md, architectures.json, cell_1.png .., and with --train architecture_1 .., each
            with architecture.json, checkpoint, metrics.jsonl and curves.png.
        space: a search space that has a predictor; `ednag list` names the spaces.
        top: how many architectures.
        max_params: the most parameters allowed, in millions, of the network at its published size.
        predictor: file of a predictor; default is the one that comes with the package.
        train: train the architectures for real, at the small size that a CPU can train.
        budget: share of the 200 epochs of NAS-Bench-201's recipe; 0.25 are 50 epochs.
        flips: mirror images at random in training; --no-flips where that changes what an image shows: digits,
            letters, signs.
        held_out: share of every class that neither the predictor nor the training sees, to measure by.
        held_out_images: a folder, .npz or name of images to measure by in place of that share.
        size: side of the images in pixels; default is their own, for a folder at most 224. Training time grows
            with its square: 32 for --train on a CPU.
        seeds: runs of the denoising, all in one compiled call.
        root: of everything drawn: the same root gives the same architectures and trainings.
        selection: of the images that the predictor sees: coreset (the most typical of each class) or random.
        data_dir: folder of cifar10 and cifar100; default is EDNAG_DATA_DIR.
    """
    recipe = TrainingConfig(budget=budget, flip_rate=0.5 if flips else 0.0, held_out=held_out, seed=root)
    require_writable(out)
    given = packaged_predictor(space) if predictor is None else load_predictor(predictor)
    divided = _divided(images, held_out_images, recipe, size=size, directory=data_dir)
    with progress(f"generating for {divided.learnt.name}") as show:
        found = run_generate(
            divided.learnt,
            space=space,
            top=top,
            max_params=max_params,
            predictor=given,
            seeds=seeds,
            root=root,
            selection=selection,
            progress=lambda done, total: show(f"features of {done} of {total} images"),
        )
    made = report.provenance(" ".join(["ednag", *sys.argv[1:]]))
    write_generated(found, out, made=made)
    measured = _trained(found, divided, out, recipe=recipe, made=made) if train else []
    _print(found, measured)
    print(f"written to {out}/")


def predict(*, model: Path, images: Path, out: Path | None = None) -> None:
    """Classifies every image in a folder with a network that `ednag generate --train` trained.

    Example: ednag predict --model generated/architecture_1 --images new/ --out answers.csv

    Args:
        model: folder of the trained network, such as generated/architecture_1.
        images: folder of image files; folders inside it are looked into, too.
        out: CSV file with columns file, label and probability; default prints it.
    """
    _check_model(model)
    with progress(f"classifying {images}") as show:
        found = classify_folder(model, images, progress=lambda done, total: show(f"{done} of {total}"))
    text = _as_csv(found, images)
    if out is None:
        print(text, end="")
        return
    write_atomic(out, text)
    counts = sorted(Counter(each.label for each in found).items())
    report.print_table(f"{len(found)} images", ("class", "images"), [[name, str(n)] for name, n in counts])
    print(f"written to {out}")


def _divided(
    source: str, held_out: str | None, recipe: TrainingConfig, *, size: int | None, directory: Path | None
) -> Divided:
    """Returns the images, those held out apart: a share of each class, or another source.

    Raises:
        ValueError: images that cannot be read, or classes too small for a share of them to be held out.
    """
    with progress(f"reading {source}") as show:
        options: dict[str, Any] = {
            "directory": directory,
            "progress": lambda done, total: show(f"{done} of {total} files"),
        }
        images = load_images(source, size=size, **options)
        if held_out is not None:
            return Divided(images, load_images(held_out, size=images.images.shape[1], **options))
    split = stratified_split(images.labels, share=recipe.held_out, seed=recipe.seed)
    if recipe.held_out == 0:
        return Divided(images, None)
    if not len(split.held_out):
        raise ValueError(
            f"{images.name!r} has one image a class, so none can be held out: add images, or give --held-out 0"
        )
    return Divided(images.take(split.train), images.take(split.held_out))


def _trained(
    found: Generated, divided: Divided, out: Path, *, recipe: TrainingConfig, made: dict[str, Any]
) -> list[dict[str, Any]]:
    """Returns the results of the trainings, one after the other; the report is written after each."""
    measured = []
    for rank, architecture in enumerate(found.architectures, 1):
        with progress(f"training architecture {rank} of {len(found.architectures)}") as show:

            def shown(row: EpochMetrics, epochs: int, show: Any = show) -> None:
                reached = row.held_out_accuracy
                said = "" if reached is None else f", held out {reached:.1f} %"
                show(f"epoch {row.epoch} of {epochs}{said}")

            trained = train_network(
                found.space,
                architecture.phenotype,
                divided.learnt,
                out / training_folder(rank),
                held_out=divided.held_out,
                config=recipe,
                report=shown,
            )
        measured.append(trained.description["result"])
        write_generated(found, out, made=made, measured=measured)
    return measured


def _print(found: Generated, measured: Sequence[dict[str, Any]]) -> None:
    """Prints the architectures and what must be said of them."""
    report.print_table(f"{found.dataset}: {found.space}", HEADER, rows(found, measured), only=HEADER[:-1])
    texts = [f"{rank}: {architecture.arch}" for rank, architecture in enumerate(found.architectures, 1)]
    print("\n".join([*texts, "", *notes(found, measured)]))


def _check_model(model: Path) -> None:
    """Raises DataError where a folder holds no trained network but folders that do."""
    if (model / DESCRIPTION).is_file():
        return
    inside = sorted(path.parent for path in model.glob(f"*/{DESCRIPTION}"))
    if inside:
        names = ", ".join(map(str, inside))
        raise DataError(f"folder {str(model)!r} is no trained network, but it has some: give one of {names}")


def _as_csv(found: Sequence[Classified], folder: Path) -> str:
    """Returns a line a file, with its path inside the folder."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "label", "probability"))
    root = folder.expanduser()
    for each in found:
        writer.writerow((each.file.relative_to(root), each.label, f"{each.probability:.4f}"))
    return text.getvalue()
