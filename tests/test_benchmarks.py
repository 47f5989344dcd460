"""Tables: the real NAS-Bench-201, tables of one's own, and what is wrong with broken ones."""

import json
import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax.benchmarks import nasbench201
from ednag_jax.storage import cache_dir

SPACE = ed.CategoricalSpace("mine", choices=(2, 3))
BEST = {"cifar10": 91.6067, "cifar100": 73.4933, "ImageNet16-120": 46.7333}


def load(dataset="cifar10", **options):
    return ed.load_benchmark("nasbench201", dataset=dataset, **options)


@pytest.mark.parametrize("dataset", nasbench201.DATASETS)
def test_validation_table_is_the_official_one(dataset):
    benchmark = load(dataset)
    assert benchmark.params.shape == (15_625,)
    assert benchmark.optimum == pytest.approx(BEST[dataset], abs=1e-3)
    assert (benchmark.metric, benchmark.epochs, benchmark.direction) == ("valid", 200, "max")


@pytest.mark.parametrize("dataset", nasbench201.DATASETS)
def test_package_and_data_directory_agree_in_every_row(dataset, data_dir):
    """Two independent copies of the table, joined by the ops of each official row."""
    with np.load(data_dir / "nasbench201" / "nasbench201.npz", allow_pickle=False) as table:
        rows = jnp.asarray(table["ops"], jnp.int32)
        benchmark = load(dataset, data_dir=data_dir)
        np.testing.assert_allclose(benchmark.lookup(rows), table[f"{dataset}_valid"], rtol=1e-6)
        np.testing.assert_allclose(benchmark.lookup(rows, "test"), table[f"{dataset}_test"], rtol=1e-6)
        for column in ("train_time", "latency", "model_size"):
            np.testing.assert_allclose(benchmark.lookup(rows, column), table[f"{dataset}_{column}"], rtol=1e-6)
    test = load(dataset, metric="test", data_dir=data_dir)
    np.testing.assert_array_equal(test.params, benchmark.test_params)
    assert test.oracle == "test accuracy"


def test_best_cell_is_the_official_one(data_dir):
    benchmark = load(metric="test", data_dir=data_dir)
    best = benchmark.space.to_str(benchmark.space.from_index(jnp.argmax(benchmark.params)))
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
    assert best != text  # that one is the best on validation
    assert load().space.to_str(load().space.from_index(jnp.argmax(load().params))) == text
    assert float(benchmark.lookup(benchmark.space.from_str(best)[None])[0]) == pytest.approx(94.3733, abs=1e-3)


def test_test_accuracy_is_missing_without_a_data_directory(monkeypatch, tmp_path):
    monkeypatch.delenv("EDNAG_DATA_DIR", raising=False)
    assert load().test_params is None
    with pytest.raises(ed.DataError, match=r"nasbench201/nasbench201.npz.* see `ednag data --help`"):
        load(metric="test", data_dir=tmp_path)


@pytest.mark.slow
def test_corrupted_cache_is_named_and_rebuilt():
    before = load().params
    path = cache_dir() / "nasbench201.npz"
    content = path.read_bytes()
    for broken in (content[: len(content) // 2], b"", content[:-4000] + b"\0" * 4000):
        path.write_bytes(broken)
        with pytest.warns(UserWarning, match=r"cache file .*nasbench201.npz.* is rebuilt"):
            np.testing.assert_array_equal(load().params, before)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            load()


def test_cache_with_other_numbers_is_rebuilt():
    tables = nasbench201.package_tables()
    path = cache_dir() / "nasbench201.npz"
    tables["cifar10_valid_seeds"] = tables["cifar10_valid_seeds"] + 1
    np.savez(path, **tables)
    with pytest.warns(UserWarning, match="does not match its checksum"):
        assert load().optimum == pytest.approx(BEST["cifar10"], abs=1e-3)


def test_an_unwritable_cache_is_no_reason_to_stop(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDNAG_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be written"):
        assert load().optimum == pytest.approx(BEST["cifar10"], abs=1e-3)


@pytest.fixture
def altered(tmp_path, data_dir):
    """Writes a NAS-Bench-201 data file with some arrays changed, and returns its folder."""

    def write(**changes):
        with np.load(data_dir / "nasbench201" / "nasbench201.npz", allow_pickle=False) as table:
            arrays = {"ops": table["ops"], "cifar10_test": table["cifar10_test"], **changes}
        (tmp_path / "nasbench201").mkdir(exist_ok=True)
        kept = {key: value for key, value in arrays.items() if value is not None}
        np.savez(tmp_path / "nasbench201" / "nasbench201.npz", **kept)
        return tmp_path

    return write


def test_a_file_made_from_the_official_one_is_read(altered):
    assert load(data_dir=altered()).test_params is not None


@pytest.mark.parametrize("kind", ["cut", "swapped", "shifted", "without", "repeated", "other epochs"])
def test_broken_data_files_are_named(altered, data_dir, kind):
    with np.load(data_dir / "nasbench201" / "nasbench201.npz", allow_pickle=False) as table:
        ops, test, c100 = table["ops"], table["cifar10_test"], table["cifar100_test"]
    changes, message = {
        "cut": ({"ops": ops[:-1], "cifar10_test": test[:-1]}, "has 15624 rows, expected 15625"),
        "swapped": ({"cifar10_test": c100}, "of another split or epoch budget"),
        "shifted": ({"cifar10_test": np.roll(test, 1)}, "altered"),
        "without": ({"cifar10_test": None}, r"lacks \['cifar10_test'\]"),
        "repeated": ({"ops": np.concatenate([ops[:-1], ops[:1]])}, "different cells"),
        "other epochs": ({"cifar10_test": test - 0.5}, "another split or epoch budget"),
    }[kind]
    with pytest.raises(ed.DataError, match=message):
        load(data_dir=altered(**changes))


def test_a_cut_file_is_named(altered):
    folder = altered()
    path = folder / "nasbench201" / "nasbench201.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ed.DataError, match=r"nasbench201.npz.* is no whole .npz"):
        load(data_dir=folder)


def test_unknown_names_list_what_there_is():
    with pytest.raises(ValueError, match=r"benchmark must be one of .*nasbench201.*, got 'nb999'"):
        ed.load_benchmark("nb999", dataset="cifar10")
    with pytest.raises(ValueError, match="cifar10, cifar100, ImageNet16-120, got 'mnist'"):
        load("mnist")
    with pytest.raises(ValueError, match="valid, test, noisy, got 'train'"):
        load(metric="train")


def test_a_table_of_ones_own_is_looked_up():
    benchmark = ed.Benchmark.from_table(
        SPACE, np.arange(6), np.arange(6) * 2, name="m", columns={"ms": -np.arange(6)}
    )
    arch = jnp.array([[1, 2], [0, 1]])
    assert benchmark.lookup(arch).tolist() == [5, 1]
    assert benchmark.lookup(arch, "test").tolist() == [10, 2]
    assert benchmark.lookup(arch, "ms").tolist() == [-5, -1]
    with pytest.raises(ValueError, match="no column 'size'; it has: oracle, test, ms"):
        benchmark.lookup(arch, "size")


@pytest.mark.parametrize(
    "values, message",
    [
        (np.arange(5), "has 5 rows in accuracy, expected 6"),
        (np.ones((6, 1)), r"has \(6, 1\) rows"),
        ([1, 2, np.nan, 4, np.inf, 6], "2 values that are not finite in accuracy, first in row 2"),
    ],
)
def test_tables_of_the_wrong_size_or_with_nan_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        ed.Benchmark.from_table(SPACE, np.asarray(values, float), name="mine")


def test_benchmark_is_a_pytree_of_its_columns():
    import jax

    benchmark = ed.Benchmark.from_table(SPACE, np.arange(6), name="m")
    assert len(jax.tree.leaves(benchmark)) == 1
    assert json.dumps(benchmark.table_hash)
