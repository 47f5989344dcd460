"""What a search found: every seed of it, where it comes from, and its form as a file."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from ednag_jax.storage import write_atomic

OPTIMUM_TOLERANCE = 1e-3
"""Percentage points within which an accuracy is the best; a hundredth of it where the unit is not percent."""
JSON_DECIMALS = 6
"""Kept of every number in a result file: finer than the tables' own steps and than the tolerance."""


@dataclass(frozen=True)
class Result:
    """What a search found, every seed of it; accuracies in the benchmark's unit, higher is better."""

    strategy: str
    benchmark: dict[str, Any]
    """Name, data set, split, epochs, direction, unit, table hash, optimum."""
    config: dict[str, Any]
    seeds: list[int]
    budget: int | None
    """Distinct queries allowed to each seed; None means all that the run made."""
    best_accuracy: Float[np.ndarray, " s"]
    """Oracle accuracy of the best architecture of each seed; under a noisy oracle the true one of what a seed
    would end with: what it praised most, or what the strategy recommends."""
    test_accuracy: Float[np.ndarray, " s"] | None
    """Test accuracy of the same architecture, looked up once; None where not available."""
    best_arch: list[str]
    queries: Int[np.ndarray, " s"]
    """Distinct valid architectures asked about."""
    curve: Float[np.ndarray, "s q"]
    """Best so far after 1 .. q queries; under a noisy oracle the true accuracy of that one, so it may fall."""
    num_invalid: Int[np.ndarray, " s"]
    """Genotypes in the whole run that decoded to no valid architecture."""
    num_failed: Int[np.ndarray, " s"]
    """Evaluations in the whole run that were NaN or infinite."""
    compile_seconds: float
    """0 where the process already had the program."""
    run_seconds: float
    environment: dict[str, str]
    observed_accuracy: Float[np.ndarray, " s"] | None = None
    """What a noisy oracle said of that architecture; None under an oracle that says the truth."""
    objectives: list[str] = field(default_factory=lambda: ["accuracy"])
    """`accuracy`, then the costs that were minimised."""
    constraints: dict[str, float] = field(default_factory=dict)
    """Cost -> the most that was allowed. Accuracies are then those of architectures within the constraints, NaN
    where a seed met none (its `best_arch` is the one nearest to them), and so is the optimum."""
    fronts: list[dict[str, list[Any]]] | None = None
    """Each seed's queries that no other dominates, the most accurate first: `arch`, the text forms, and the
    values of each objective in the unit of its column. None with one objective."""
    hypervolume: Float[np.ndarray, "s q"] | None = None
    """What the front dominates after 1 .. q queries, measured from `reference`: as a share of what the whole
    table dominates, or where the benchmark is no table in the product of the objectives' units."""
    reference: dict[str, float] | None = None
    """Objective -> where its hypervolume begins: the worst value in the table, unless the user gave another."""
    diagnostics: dict[str, Float[np.ndarray, " t"]] | None = None
    """Name -> its value at each step, the mean over the seeds that had queries left: `diagnostics.DIAGNOSTICS`
    says what they are. None where the method has no population of genotypes, and in files from before."""
    root: int = 0
    """Of the seeds' keys: the same number is another seed under another root."""

    @property
    def at_optimum(self) -> np.ndarray:
        """Whether each seed found the table's best, within `OPTIMUM_TOLERANCE`."""
        return self.is_optimal(self.best_accuracy)

    def share_at_optimum(self, queries: int | None = None) -> float:
        """Returns the share of seeds at the table's best, at the end or after so many queries.

        Raises:
            ValueError: the benchmark's optimum is not known.
        """
        values = self.best_accuracy if queries is None else self.best_after(queries)
        return float(np.mean(self.is_optimal(values)))

    def best_after(self, queries: int) -> Float[np.ndarray, " s"]:
        """Returns each seed's best accuracy after so many queries."""
        return self.curve[:, min(queries, self.curve.shape[1]) - 1]

    def is_optimal(self, accuracy: Float[np.ndarray, "*s"]) -> np.ndarray:
        """Returns which accuracies are the table's best, within the tolerance; ValueError if unknown."""
        if self.benchmark["optimum"] is None:
            raise ValueError(f"the optimum of benchmark {self.benchmark['name']!r} is not known")
        return accuracy >= self.benchmark["optimum"] - self.tolerance

    @property
    def is_percent(self) -> bool:
        """Whether accuracies are in percent, so that two decimals tell them apart."""
        return bool(self.benchmark["unit"].startswith("percent"))

    @property
    def tolerance(self) -> float:
        """How near to the optimum an accuracy is at it."""
        return OPTIMUM_TOLERANCE if self.is_percent else OPTIMUM_TOLERANCE / 100

    def to_dict(self) -> dict[str, Any]:
        """Returns the result as plain lists and numbers; NaN becomes None."""
        return {item.name: plain(getattr(self, item.name)) for item in dataclasses.fields(self)}

    def to_json(self, path: str | Path) -> Path:
        """Writes the result as JSON, whole or not at all, and returns the path."""
        return write_atomic(path, json.dumps(self.to_dict(), allow_nan=False) + "\n")

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Result:
        """Returns the result that `to_dict` gave, to `JSON_DECIMALS` decimals.

        Raises:
            TypeError: fields are missing or unknown.
        """
        fields = dict(stored)
        for name in ("best_accuracy", "test_accuracy", "observed_accuracy", "curve", "hypervolume"):
            if fields.get(name) is not None:
                fields[name] = np.array(fields[name], np.float64)  # None becomes NaN
        for name in ("queries", "num_invalid", "num_failed"):
            if name in fields:
                fields[name] = np.array(fields[name], np.int64)
        if fields.get("diagnostics") is not None:
            stored_steps = fields["diagnostics"].items()
            fields["diagnostics"] = {name: np.array(values, np.float64) for name, values in stored_steps}
        return cls(**fields)


def plain(value: Any) -> Any:
    """Returns a value as JSON knows it."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | jax.Array | list | tuple):
        return [plain(item) for item in (value if isinstance(value, list | tuple) else value.tolist())]
    if isinstance(value, float):
        return round(value, JSON_DECIMALS) if math.isfinite(value) else None
    return value
