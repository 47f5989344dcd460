"""Finished runs read from files: what is a result, what is not, and what each run is called."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ednag_jax.result import Result
from ednag_jax.storage import DataError

RESULT_FILES = ("result.json", "results.json")
"""What `ednag search --out` and the experiments write; a folder with neither may hold single results."""
KEY_SEPARATOR = " / "
"""In the experiments' files a result's key is panel / ... / method."""


class Run(NamedTuple):
    """A finished run."""

    label: str
    result: Result
    path: Path | None = None
    """Its file, where it was read from one."""


def read_runs(paths: Sequence[str | Path]) -> list[Run]:
    """Returns the runs in files and folders, in the order given; a run that is met twice counts once.

    A folder stands for its `result.json` or `results.json`; where it has neither, for those of the folders in
    it, and where there is none for every JSON file in it that is a result.

    Raises:
        DataError: there is no such path, no result in it, or a file is no whole result.
    """
    if not paths:
        raise DataError("no run was given; name result files, or folders that `ednag search --out` wrote")
    files = dict.fromkeys(file.resolve() for path in paths for file in _files(Path(path)))
    return with_distinct_labels([run for file in files for run in runs_of(file)])


def _files(path: Path) -> list[Path]:
    """Returns the result files that a path stands for."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{str(path)!r} is neither a file nor a folder; give what `ednag search --out` wrote")
    written = [path / name for name in RESULT_FILES if (path / name).is_file()]
    written = written or sorted(file for name in RESULT_FILES for file in path.rglob(name))
    found = written or [file for file in sorted(path.rglob("*.json")) if _is_result(_parsed(file))]
    if not found:
        raise DataError(
            f"folder {str(path)!r} holds no result; expected {' or '.join(RESULT_FILES)}, which "
            "`ednag search --out` and `ednag reproduce` write"
        )
    return found


def runs_of(path: Path) -> list[Run]:
    """Returns the runs in a file: one result, or several under their names.

    Raises:
        DataError: the file is no result, is cut, or is of another version.
    """
    content = _parsed(path)
    if _is_result(content):
        return [Run(_label_of_file(path, content), _result(content, path), path)]
    stored = content.get("results") if isinstance(content, dict) else None
    if not isinstance(stored, dict) or not stored:
        raise DataError(f"{str(path)!r} is no result of a search; give what `ednag search --out` wrote")
    others = [key for key, value in stored.items() if not _is_result(value)]
    if others:
        raise DataError(
            f"{str(path)!r}: {others[0]!r} is no result of a search, so the file cannot be compared"
        )
    return [Run(_label_of_key(key, value), _result(value, path), path) for key, value in stored.items()]


def _parsed(path: Path) -> Any:
    """Returns what a JSON file says, None where it is none."""
    try:
        return json.loads(path.read_text())
    except (UnicodeDecodeError, ValueError):
        return None
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read ({error.strerror})") from error


def _is_result(content: Any) -> bool:
    """Returns whether this is one result as `Result.to_dict` gives it."""
    return isinstance(content, dict) and {"strategy", "benchmark", "seeds", "curve"} <= set(content)


def _result(content: dict[str, Any], path: Path) -> Result:
    """Returns the result, after a look at whether its parts fit together."""
    try:
        result = Result.from_dict(content)
        num = len(result.seeds)
        fits = result.curve.shape[0] == len(result.best_accuracy) == len(set(result.seeds)) == num > 0
        fits &= result.curve.ndim == 2 and result.curve.shape[1] > 0
        named = {"name", "dataset", "metric", "oracle", "unit", "optimum", "table_hash"} <= set(
            result.benchmark
        )
    except (TypeError, ValueError, IndexError) as error:
        raise DataError(f"{str(path)!r} is a result of another version ({error}); run it again") from error
    if not fits or not named:
        raise DataError(
            f"{str(path)!r} is no whole result: its seeds, accuracies and curves do not fit together"
        )
    return result


def _label_of_key(key: str, content: dict[str, Any]) -> str:
    """Returns the method in a key; its strategy where the key names the data set alone."""
    last = key.rsplit(KEY_SEPARATOR, 1)[-1]
    return str(content["strategy"]) if last == content["benchmark"]["dataset"] else last


def _label_of_file(path: Path, content: dict[str, Any]) -> str:
    """Returns the method in the name of a single result's file, as `compare.Part` names it, or its strategy."""
    benchmark, objectives = content["benchmark"], content.get("objectives", ["accuracy"])
    names = (benchmark["name"], benchmark["dataset"], benchmark["metric"], *objectives[1:])
    prefix = " ".join(names) + " "
    return path.stem.removeprefix(prefix) if path.stem.startswith(prefix) else str(content["strategy"])


def benchmark_key(result: Result) -> tuple[Any, ...]:
    """Returns what results must share to be comparable: table, what the search saw, and what it was asked."""
    about = result.benchmark
    names = ("name", "dataset", "metric", "epochs", "table_hash", "optimum")
    asked = (
        tuple(result.objectives),
        *(str(sorted((d or {}).items())) for d in (result.constraints, result.reference)),
    )
    return (*(about.get(name) for name in names), *asked)


def with_distinct_labels(runs: Sequence[Run]) -> list[Run]:
    """Returns the runs with a label of their own on each benchmark: those that share one are told by their
    folder, and where that does not do by a number."""
    for naming in (_by_folder, _by_number):
        shared = Counter((benchmark_key(run.result), run.label) for run in runs)
        count: Counter[Any] = Counter()
        renamed = []
        for run in runs:
            key = (benchmark_key(run.result), run.label)
            count[key] += 1
            renamed.append(run if shared[key] == 1 else run._replace(label=naming(run, count[key])))
        runs = renamed
    return list(runs)


def _by_folder(run: Run, number: int) -> str:
    del number
    return run.label if run.path is None else f"{run.label} ({run.path.parent.name})"


def _by_number(run: Run, number: int) -> str:
    return f"{run.label} #{number}"
