"""Benchmarks by name: what their architectures score, and where the data is."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from ednag_jax.benchmarks import (
    autoformer,
    autoformer_surrogate,
    darts,
    darts_tasks,
    mobilenetv3,
    nasbench101,
    nasbench201,
    transnas101,
)
from ednag_jax.benchmarks.base import Benchmark
from ednag_jax.benchmarks.table_file import benchmark_from_table_file
from ednag_jax.config import check_choice

BENCHMARKS: dict[str, ModuleType | transnas101.TransNas101] = {
    "autoformer_surrogate": autoformer_surrogate,
    "autoformer_tiny": autoformer,
    "darts": darts,
    "darts_tasks": darts_tasks,
    "mobilenetv3": mobilenetv3,
    "nasbench101": nasbench101,
    "nasbench201": nasbench201,
    "transnas101_micro": transnas101.MICRO,
    "transnas101_macro": transnas101.MACRO,
}
"""Name -> module, or what stands for one: DATASETS, METRICS, SOURCES and load(dataset, metric, directory)."""


def load_benchmark(
    name: str, *, dataset: str, metric: str | None = None, data_dir: str | Path | None = None
) -> Benchmark:
    """Returns a benchmark by name.

    Args:
        name: a key of `BENCHMARKS`.
        dataset: one of the benchmark's data sets.
        metric: what a search sees: one of the benchmark's METRICS, such as `valid`, or `test` (protocol
            `paper`); None is the first of them that its file has.
        data_dir: folder of the user's benchmark files; default is the setting `EDNAG_DATA_DIR`.

    Raises:
        ValueError: unknown name, data set or metric.
        DataError: a file that is missing, cut or altered.
    """
    check_choice("benchmark", name, tuple(BENCHMARKS))
    benchmark = BENCHMARKS[name]
    chosen = {} if metric is None else {"metric": metric}
    return benchmark.load(dataset, directory=data_dir, **chosen)


__all__ = ["BENCHMARKS", "Benchmark", "benchmark_from_table_file", "load_benchmark"]
