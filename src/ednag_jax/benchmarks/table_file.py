"""Tables of one's own: a file with a text and an accuracy in each row, as .csv or .npz."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ednag_jax.benchmarks.base import Benchmark
from ednag_jax.spaces import SearchSpace
from ednag_jax.storage import DataError, read_npz

TEXT, ACCURACY = "architecture", "accuracy"


def benchmark_from_table_file(
    space: SearchSpace, path: str | Path, *, name: str = "", dataset: str = ""
) -> Benchmark:
    """Returns a benchmark over the accuracies that a file lists, one for each architecture of a space.

    The file has two columns: `architecture`, the text form (`space.to_str`), and `accuracy`, higher is better:
    a .csv with these names in its first line (a text with commas in double quotes), or an .npz of two arrays.

    Args:
        space: one with a table index: those of NAS-Bench-201 and TransNAS-Bench-101, and `CategoricalSpace`.
        path: the file.
        name: for reports; default is the space's.
        dataset: for reports; default is the file's name.

    Raises:
        ValueError: the space has no table index.
        DataError: the file is missing or of another form, a text is no architecture of the space, a number is
            not finite, or an architecture is missing or there twice; the text names file and architecture.
    """
    path = Path(path)
    from_index = getattr(space, "from_index", None)
    if not space.is_indexable or from_index is None:
        raise ValueError(
            f"space {space.name!r} has no table index, so a file cannot list all its architectures; make a "
            "Benchmark.from_function over a hash table instead"
        )
    texts, accuracy = read_columns(path, TEXT)
    rows = _rows(space, texts, path)
    missing = np.setdiff1d(np.arange(space.size), rows)
    if missing.size:
        example = space.to_str(np.asarray(from_index(jnp.int32(missing[0]))))
        raise DataError(
            f"file {str(path)!r} lacks {missing.size} of {space.size} architectures, such as {example!r}; "
            "was it cut?"
        )
    table = np.empty(space.size)
    table[rows] = accuracy
    return Benchmark.from_table(
        space, table, name=name or space.name, dataset=dataset or path.stem, metric=f"accuracy of {path.name}"
    )


def _rows(space: SearchSpace, texts: Sequence[str], path: Path) -> Int[np.ndarray, " m"]:
    """Returns the table row of each text, after checking that they differ."""
    try:
        phenotypes = np.stack([np.asarray(space.from_str(text)) for text in texts])
    except ValueError as error:
        raise DataError(f"file {str(path)!r}: {error}") from error
    rows = np.asarray(space.arch_index(jnp.asarray(phenotypes)))
    count = np.bincount(rows)
    if count.max() > 1:
        places = np.flatnonzero(rows == count.argmax())
        raise DataError(
            f"file {str(path)!r} has {np.sum(count > 1)} architectures more than once, such as "
            f"{texts[places[0]]!r} in rows {places.tolist()}"
        )
    return rows


def read_columns(path: Path, text: str) -> tuple[Sequence[str], Float[np.ndarray, " m"]]:
    """Returns the column named `text` and the column `accuracy` of a file, one row or more.

    Raises:
        DataError: the file is missing or of another form, or a number is not finite.
    """
    if not path.is_file():
        raise DataError(f"file {str(path)!r} is missing")
    read = _npz_columns if path.suffix == ".npz" else _csv_columns
    texts, accuracies = read(path.read_bytes(), str(path), text)
    try:
        accuracy = np.array(accuracies, np.float64)
    except ValueError as error:
        raise DataError(f"file {str(path)!r} has an accuracy that is no number ({error})") from error
    if accuracy.shape != (len(texts),) or not len(accuracy):
        raise DataError(f"file {str(path)!r} has {len(texts)} {text}s and accuracies {accuracy.shape}")
    broken = np.flatnonzero(~np.isfinite(accuracy))
    if broken.size:
        raise DataError(f"file {str(path)!r} has {broken.size} accuracies not finite, first in row {broken[0]}")
    return texts, accuracy


def _csv_columns(content: bytes, name: str, text: str) -> tuple[list[str], list[str]]:
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{name!r} is no .csv ({error})") from error
    columns = (text, ACCURACY)
    # more values than columns are under None: a text without quotes falls apart at its commas
    if not rows or any(None in row or row.get(column) is None for row in rows for column in columns):
        raise DataError(f"{name!r} needs the columns {', '.join(columns)} in every line, texts in quotes")
    texts, accuracies = ([row[column] for row in rows] for column in columns)
    return texts, accuracies


def _npz_columns(content: bytes, name: str, text: str) -> tuple[list[str], np.ndarray]:
    table, columns = read_npz(content, name), (text, ACCURACY)
    if not set(columns) <= set(table) or table[text].ndim != 1:
        raise DataError(f"{name!r} needs arrays {', '.join(columns)}, one value a row; has {sorted(table)}")
    return [str(value) for value in table[text]], table[ACCURACY]
