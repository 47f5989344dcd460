"""Official downloads, written here in their published forms: whole, cut, altered, malicious."""

from __future__ import annotations

import base64
import bz2
import io
import json
import os
import pickle
import struct
import sys
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

import ednag_jax as ed
from ednag_jax import cli
from ednag_jax.benchmarks import importers, nasbench101, transnas101
from ednag_jax.benchmarks.importers import import_file, protobuf, tfrecord
from ednag_jax.benchmarks.importers import nasbench101 as import101
from ednag_jax.benchmarks.importers import nasbench201 as import201
from ednag_jax.benchmarks.importers import transnas101 as import_trans
from ednag_jax.spaces.nasbench101_graph import official_hash
from ednag_jax.storage import DataError

OPS = {-1: "input", 0: "conv3x3-bn-relu", 1: "conv1x1-bn-relu", 2: "maxpool3x3", -2: "output"}


def written(path, content):
    path.write_bytes(content)
    return path


def nothing_in(folder):
    return not [path for path in folder.rglob("*") if path.is_file()]


# TFRecord


def crc32c(content):
    """Bit by bit."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(content):
    crc = crc32c(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def tfrecord_of(records):
    lengths = [struct.pack("<Q", len(record)) for record in records]
    parts = [
        (length, masked(length), record, masked(record))
        for length, record in zip(lengths, records, strict=True)
    ]
    return b"".join(b"".join(part) for part in parts)


def records_of(path):
    return list(tfrecord.read_records(path))


RECORDS = [b"first", b"", bytes(range(70)), b"last one"]


def test_checksums_have_the_published_check_value():
    assert crc32c(b"123456789") == 0xE3069283  # of the CRC catalogue, so that the oracle itself is right
    assert tfrecord.masked_crc32c([b"123456789"])[0] == int.from_bytes(masked(b"123456789"), "little")


def test_checksums_side_by_side_equal_those_bit_by_bit():
    rng = np.random.default_rng(0)
    contents = [rng.bytes(size) for size in [0, 1, 8, 8, 300, 2, *rng.integers(0, 40, 30)]]
    expected = [int.from_bytes(masked(content), "little") for content in contents]
    np.testing.assert_array_equal(tfrecord.masked_crc32c(contents), expected)


@pytest.mark.parametrize("batch_bytes", [1, 100, 10**6])
def test_records_come_in_order_in_batches_of_any_size(batch_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr(tfrecord, "BATCH_BYTES", batch_bytes)
    assert records_of(written(tmp_path / "a", tfrecord_of(RECORDS))) == RECORDS
    assert records_of(written(tmp_path / "b", b"")) == []


def test_a_flipped_bit_is_found_wherever_it_is(tmp_path):
    whole = tfrecord_of(RECORDS)
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= 1 << place % 8
        with pytest.raises(DataError, match="altered"):
            records_of(written(tmp_path / "a", bytes(altered)))


def test_a_cut_file_is_found_wherever_it_is_cut(tmp_path):
    whole = tfrecord_of(RECORDS)
    ends = {len(tfrecord_of(RECORDS[:count])) for count in range(len(RECORDS))}
    for length in set(range(len(whole))) - ends:
        with pytest.raises(DataError, match="its last record is cut"):
            records_of(written(tmp_path / "a", whole[:length]))


# Protocol buffers


def varint(number):
    head = [number >> shift & 0x7F | 0x80 for shift in range(0, max(1, number.bit_length()), 7)]
    return bytes([*head[:-1], head[-1] & 0x7F])


def field(number, value):
    """A double, an int, or bytes."""
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def test_fields_are_those_of_the_formats_own_examples():
    assert list(protobuf.fields(b"\x08\x96\x01")) == [(1, 150)]
    assert list(protobuf.fields(b"\x12\x07testing")) == [(2, b"testing")]
    assert list(protobuf.fields(b"\x1a\x03\x08\x96\x01\x25\0\1\2\3")) == [
        (3, b"\x08\x96\x01"),
        (4, b"\0\1\2\3"),
    ]


def test_fields_of_any_number_and_size_come_back():
    pairs = [(1, 0), (15, 127), (16, 128), (2047, 2**40), (3, b""), (4, b"x" * 300), (5, 2**63)]
    assert list(protobuf.fields(b"".join(field(*pair) for pair in pairs))) == pairs
    ((number, value),) = protobuf.fields(field(3, -0.25))
    assert (number, protobuf.double(value)) == (3, -0.25)


@pytest.mark.parametrize("message", [field(2, 300), field(3, 1.5), field(4, b"text"), b"\xff" * 12])
def test_a_cut_message_is_found(message):
    for length in range(1, len(message)):
        with pytest.raises(DataError, match="cut"):
            list(protobuf.fields(message[:length]))


def test_fields_of_an_unknown_kind_are_refused():
    with pytest.raises(DataError, match="field 1 of a message is of the unknown kind 3"):
        list(protobuf.fields(b"\x0b"))
    for value in (None, 3, b"1234"):
        with pytest.raises(DataError, match="where a number of 8 bytes is expected"):
            protobuf.double(value)


# NAS-Bench-101


def evaluation(epoch, valid, test):
    numbers = (float(epoch), 900.0, 0.999, valid, test)
    return b"".join(field(i, number) for i, number in enumerate(numbers, 1)) + field(6, b"model.ckpt")


def metrics(valid, test, params):
    ends = ((0, 0.1, 0.1), (54, valid / 2, test / 2), (108, valid, test))
    return b"".join(field(1, evaluation(*end)) for end in ends) + field(2, params) + field(3, 1234.5)


def record(name, ops, matrix, accuracies=(0.9, 0.8), **changes):
    message = base64.b64encode(metrics(*accuracies, changes.get("params", 7))).decode()
    parts = [name, 108, matrix, ",".join(OPS.get(op, str(op)) for op in ops), message]
    return json.dumps(
        [changes.get(key, parts[i]) for i, key in enumerate(("name", "epochs", "matrix", "ops", "metrics"))]
    )


def trainings(name, ops, matrix, accuracies=((0.9, 0.8),) * 3, **changes):
    return [record(name, ops, matrix, each, **changes).encode() for each in accuracies]


A, B, C = ("0" * 32, "a" * 32, "f" * 32)
PATH = ([-1, -2], "0100")
SQUARE = ([-1, 2, 0, -2], "0110000100010000")
CHAIN = ([-1, 1, 1, 0, 2, 0, -2], "".join("1" if y == x + 1 else "0" for x in range(7) for y in range(7)))


def test_trainings_become_rows_in_the_order_of_their_hashes():
    accuracies = {A: [(0.5, 0.1), (0.6, 0.2), (0.7, 0.6)], B: [(0.25, 0.125)] * 3, C: [(0.9, 0.8)] * 3}
    modules = {C: (*SQUARE, 8_000_000), A: (*CHAIN, 3), B: (*PATH, 0)}
    records = [
        row
        for name, (ops, matrix, params) in modules.items()
        for row in trainings(name, ops, matrix, accuracies[name], params=params)
    ]
    other_epochs = record(C, *SQUARE, epochs=36).encode()
    table = import101.table_of([*records[::2], other_epochs, *records[1::2]])
    np.testing.assert_array_equal(table["num_vertices"], [7, 2, 4])
    # bits count (0,1), (0,2), (1,2), (0,3), (1,3), (2,3), (0,4), ...
    chain = sum(1 << y * (y - 1) // 2 + y - 1 for y in range(1, 7))
    np.testing.assert_array_equal(table["adj_bits"], [chain, 0b1, 0b110011])
    pad = -9
    ops = [[-1, 1, 1, 0, 2, 0, -2], [-1, -2, *[pad] * 5], [-1, 2, 0, -2, pad, pad, pad]]
    np.testing.assert_array_equal(table["ops"], ops)
    np.testing.assert_array_equal(table["params"], [3, 0, 8_000_000])
    np.testing.assert_allclose(table["valid_acc108_mean3"], [0.6, 0.25, 0.9], rtol=1e-6)
    np.testing.assert_allclose(table["test_acc108_mean3"], [0.3, 0.125, 0.8], rtol=1e-6)


def test_rows_of_the_real_table_survive_the_official_form(data_dir, tmp_path):
    with np.load(data_dir / nasbench101.FILE, allow_pickle=False) as file:
        real = dict(file)
    rng = np.random.default_rng(1)
    chosen = np.sort(rng.choice(len(real["params"]), 40, replace=False))
    records = []
    for row in chosen:
        count, test = int(real["num_vertices"][row]), float(real["test_acc108_mean3"][row])
        matrix = np.zeros((count, count), int)
        for y in range(count):
            for x in range(y):
                matrix[x, y] = real["adj_bits"][row] >> np.uint32(x + y * (y - 1) // 2) & 1
        labels = real["ops"][row, :count].tolist()
        accuracies = [(test + 0.01, test + shift) for shift in (-0.002, 0.0, 0.002)]
        text, name = "".join(map(str, matrix.ravel())), official_hash(matrix, labels)
        records += trainings(name, labels, text, accuracies, params=int(real["params"][row]))
    order = rng.permutation(len(records))
    path = written(tmp_path / "some.tfrecord", tfrecord_of([records[i] for i in order]))
    table = import101.table_of(tfrecord.read_records(path))
    for key, column in real.items():
        np.testing.assert_allclose(table[key], column[chosen], rtol=1e-6)
        assert table[key].dtype == column.dtype


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "0 of its 0 modules do not have 3 trainings"),
        (trainings(A, *PATH)[:2], f"1 of its 1 modules .* such as {A} with 2; was it cut"),
        (trainings(A, *PATH) + trainings(A, *PATH)[:1], "such as 0* with 4"),
        (trainings(A, *PATH)[:2] + trainings(A, *SQUARE), "record 2 gives module 0* another graph"),
        (trainings(A, *PATH, params=3) + trainings(A, *PATH, params=4), "record 3 gives module"),
        (trainings(A[1:], *PATH), "record 0 is no training of a module"),
        (trainings(A, [-1, 5, -2], "010001000"), "'input,5,output' is not input, up to 5 of conv3x3-bn-relu"),
        (trainings(A, [-1, 0, 0], "010001000"), "is not input, up to 5"),
        (trainings(A, [-1, *[0] * 6, -2], "0" * 64), "is not input, up to 5"),
        (trainings(A, [-1, -2], "010"), "has matrix '010' for the ops 'input,output'"),
        (trainings(A, [-1, -2], "0200"), "has matrix '0200'"),
        (trainings(A, [-1, -2], "0110"), "an edge that does not point forwards"),
        (trainings(A, *PATH, metrics="!"), "record 0 is no training"),
        (trainings(A, *PATH, metrics=base64.b64encode(field(2, 7)).decode()), "record 0 is no training"),
        (trainings(A, *PATH, metrics=base64.b64encode(field(1, b"") + field(2, 7)).decode()), "8 bytes"),
        ([b"\xff"], "record 0 is no training"),
        ([b"{}"], "record 0 is no training"),
        ([b"[1, 108, 3, 4, 5]"], "record 0 is no training"),
    ],
)
def test_records_that_are_no_complete_trainings_are_refused(records, message):
    with pytest.raises(DataError, match=message):
        import101.table_of(records)


def test_a_file_of_few_modules_is_refused_by_name_and_nothing_is_written(tmp_path):
    path = written(tmp_path / "few.tfrecord", tfrecord_of(trainings(A, *PATH)))
    with pytest.raises(DataError, match=r"few.tfrecord' is not imported: .*expected .*423624.*google-research"):
        import_file("nasbench101", path, tmp_path / "data")
    assert nothing_in(tmp_path / "data")


@pytest.fixture(scope="module")
def with_validation(data_dir):
    """The real file with a made-up validation accuracy beside it."""
    with np.load(data_dir / nasbench101.FILE, allow_pickle=False) as file:
        table = dict(file)
    valid = np.minimum(table["test_acc108_mean3"][::-1] + 0.003, 0.95)
    valid[12345] = 0.950554
    return {**table, "valid_acc108_mean3": valid.astype(np.float32)}


def saved(folder, target, table):
    (folder / target).parent.mkdir(parents=True)
    np.savez(folder / target, **table)
    return folder


@pytest.mark.slow
def test_validation_accuracy_is_searched_where_the_file_has_it(with_validation, tmp_path):
    folder = saved(tmp_path, nasbench101.FILE, with_validation)
    benchmark = ed.load_benchmark("nasbench101", dataset="cifar10", data_dir=folder)
    rows = slice(12300, 12400)
    columns = ("num_vertices", "adj_bits", "ops")
    modules = jnp.asarray(nasbench101.phenotypes(*(with_validation[key][rows] for key in columns)))
    assert (benchmark.metric, benchmark.oracle) == ("valid", "validation accuracy")
    assert benchmark.optimum == pytest.approx(95.0554, abs=1e-4)
    assert set(benchmark.columns) == {"valid", "params"}  # test accuracy is `test_params` and nowhere else
    for column, key in (("oracle", "valid_acc108_mean3"), ("test", "test_acc108_mean3"), ("params", "params")):
        factor = 1 if column == "params" else 100
        np.testing.assert_allclose(
            benchmark.lookup(modules, column), factor * with_validation[key][rows], rtol=1e-6
        )


def test_altered_validation_accuracy_is_refused(with_validation):
    valid = with_validation["valid_acc108_mean3"]
    for broken in (100 * valid, np.where(np.arange(len(valid)) == 3, np.nan, valid)):
        with pytest.raises(DataError, match=r"it: valid_acc108_mean3 has greatest .*it is altered"):
            nasbench101.checked({**with_validation, "valid_acc108_mean3": broken}, "it")
    with pytest.raises(DataError, match="was it cut"):
        nasbench101.checked({**with_validation, "valid_acc108_mean3": valid[1:]}, "it")


# TransNAS-Bench-101


def checkpoint(pickled, layout):
    """A torch file without tensors, around the pickle of its object."""
    if layout == "zip":
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", pickled)
        return file.getvalue()
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    head = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, system)]
    return b"".join([*head, pickled, pickle.dumps([], 2)])


@pytest.fixture(scope="module")
def real_trans(data_dir):
    with np.load(data_dir / transnas101.FILE, allow_pickle=False) as file:
        return dict(file)


def database(real, rows=slice(None)):
    """The published structure, with the real numbers after the last of two epochs."""
    tasks = {task: described.file_metric for task, described in transnas101.TASKS.items()}
    data = {
        space: {
            arch: {
                task: {"total_epochs": 2, "model_info": {}, "metrics": {metric: [0.5, value]}}
                for (task, metric), value in zip(tasks.items(), row, strict=True)
            }
            for arch, row in zip(real[f"{space}_arch"][rows].tolist(), real[space][rows].tolist(), strict=True)
        }
        for space in ("macro", "micro")
    }
    return {"metrics_dict": {}, "info_names": [], "task_list": list(tasks)[::-1], "data": data}


def imported(content, tmp_path, layout="zip"):
    path = written(tmp_path / "trans.pth", checkpoint(pickle.dumps(content, 2), layout))
    return import_file("transnas101", path, tmp_path / "data")


@pytest.mark.slow
def test_transnas_import_gives_the_real_table_back(real_trans, tmp_path):
    target = imported(database(real_trans, slice(None, None, -1)), tmp_path)
    with np.load(target, allow_pickle=False) as made:
        assert sorted(made) == ["macro", "macro_arch", "metric", "micro", "micro_arch", "tasks"]
        for space in ("macro", "micro"):
            order = np.argsort(real_trans[f"{space}_arch"])
            for key in (space, f"{space}_arch"):
                np.testing.assert_array_equal(made[key], real_trans[key][order])
        for key in ("tasks", "metric"):
            np.testing.assert_array_equal(made[key], real_trans[key])
    benchmark = ed.load_benchmark("transnas101_micro", dataset="jigsaw", data_dir=tmp_path / "data")
    assert benchmark.optimum == pytest.approx(95.3722, abs=1e-3)


def test_transnas_numbers_of_another_epoch_are_refused(real_trans, tmp_path, monkeypatch):
    content = database({**real_trans, "micro": real_trans["micro"] * 0.99})
    monkeypatch.setattr(
        import_trans, "read_torch", lambda *_: content
    )  # reading it takes long and is not tested
    with pytest.raises(
        DataError, match=r"trans.pth' is not imported: .*of another epoch.*yawen-d/TransNASBench"
    ):
        import_file("transnas101", written(tmp_path / "trans.pth", b""), tmp_path / "data")
    assert nothing_in(tmp_path / "data")


FEW = {
    "micro_arch": np.array(["64-41414-1_02_333", "64-41414-0_00_001"]),
    "macro_arch": np.array(["64-1114-basic"]),
    "micro": np.full((2, 7), 0.5),
    "macro": np.full((1, 7), 0.5),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: None, "2 different micro architectures in 2 rows"),
        (
            lambda data: data["micro"].update({"64-9999": data["micro"].pop(FEW["micro_arch"][0])}),
            "'64-9999', no arch",
        ),
        (lambda data: data["micro"].update({7: {}}), r"no dict at \['data'\]\['micro'\]"),
        (lambda data: data.pop("micro"), r"no dict at \['data'\]\['micro'\]"),
        (lambda data: data.update(micro=3), r"no dict at \['data'\]\['micro'\]"),
        (
            lambda data: data["micro"][FEW["micro_arch"][0]].pop("jigsaw"),
            "1_02_333' has no valid_top1 of jigsaw",
        ),
        (lambda data: metrics_in(data).clear(), "1_02_333' has no valid_top1 of jigsaw"),
        (lambda data: metrics_in(data)["valid_top1"].clear(), "1_02_333' has no valid_top1 of jigsaw"),
        (lambda data: metrics_in(data).update(valid_top1=["x"]), "1_02_333' has no valid_top1 of jigsaw"),
    ],
)
def test_transnas_files_of_another_content_are_refused(change, message, tmp_path):
    content = database(FEW)
    change(content["data"])
    with pytest.raises(DataError, match=message):
        imported(content, tmp_path)
    assert nothing_in(tmp_path / "data")


def metrics_in(data):
    return data["micro"]["64-41414-1_02_333"]["jigsaw"]["metrics"]


class Malicious:
    """Unpickled without care, it makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_no_code_of_a_malicious_file_runs(layout, tmp_path):
    harm = tmp_path / "harm"
    pickled = pickle.dumps({"data": Malicious(harm)}, 2)
    path = written(tmp_path / "bad.pth", checkpoint(pickled, layout))
    with pytest.raises(
        DataError, match=r"bad.pth' is not imported: .*asks for posix.mkdir.*yawen-d/TransNASBench"
    ):
        import_file("transnas101", path, tmp_path / "data")
    assert not harm.exists()
    assert nothing_in(tmp_path / "data")
    pickle.loads(pickled)  # so that the test is one
    assert harm.exists()


# NATS-Bench


class FakeApi:
    """As much of the package's interface as is used, over the real table."""

    fast_mode = True

    def __init__(self, real):
        self.real, self.arch2infos_dict, self.most_held = real, {}, 0

    def __len__(self):
        return len(self.real["ops"])

    def arch(self, index):
        return ed.SPACES["nasbench201"].to_str(self.real["ops"][index])

    def get_more_info(self, index, dataset, iepoch=None, hp="12", is_random=True):
        assert (iepoch, hp, is_random) == (None, "200", False)
        self.arch2infos_dict[index] = "read"
        self.most_held = max(self.most_held, len(self.arch2infos_dict))
        splits = {"cifar10": ["test"], "cifar10-valid": ["valid"]}.get(dataset, ["valid", "test"])
        return {f"{split}-accuracy": self.real[f"{dataset.split('-v')[0]}_{split}"][index] for split in splits}


@pytest.fixture(scope="module")
def real_201(data_dir):
    with np.load(data_dir / "nasbench201" / "nasbench201.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files if key == "ops" or key.endswith(("_valid", "_test"))}


@pytest.mark.slow
def test_nats_import_gives_the_real_table_back(real_201, tmp_path, monkeypatch):
    api = FakeApi(real_201)
    monkeypatch.setattr(import201, "opened", lambda folder: api)
    target = import_file("nasbench201", tmp_path, tmp_path / "data")
    with np.load(target, allow_pickle=False) as made:
        assert sorted(made) == sorted(real_201)
        for key, column in real_201.items():
            np.testing.assert_array_equal(made[key], column)
    assert api.most_held == 1  # else the whole download would be held in memory
    test = ed.load_benchmark("nasbench201", dataset="cifar100", metric="test", data_dir=tmp_path / "data")
    assert test.optimum == pytest.approx(73.5133, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda real: {key: column[1:] for key, column in real.items()}, "has 15624 architectures"),
        (lambda real: {**real, "cifar10_test": real["cifar10_valid"]}, "another split or epoch budget"),
        (
            lambda real: {key: real[key] for key in real if key != "cifar100_valid"},
            "cannot read architecture 0",
        ),
    ],
)
def test_other_nats_content_is_refused(change, message, real_201, tmp_path, monkeypatch):
    monkeypatch.setattr(import201, "opened", lambda folder: FakeApi(change(real_201)))
    with pytest.raises(DataError, match=f"is not imported: .*{message}.*D-X-Y/NATS-Bench"):
        import_file("nasbench201", tmp_path, tmp_path / "data")
    assert nothing_in(tmp_path / "data")


ACCURACY = {("cifar10-valid", "x-valid"): 80.0, ("cifar10", "ori-test"): 90.0}
for _name, _base in (("cifar100", 60.0), ("ImageNet16-120", 40.0)):
    ACCURACY |= {(_name, split): _base + i for i, split in enumerate(("x-valid", "x-test", "ori-test"))}
TEXTS = [
    "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    "|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|",
]


@pytest.fixture
def nats_folder(tmp_path):
    """Two cells in the package's own format; seed s has the base plus s, and half of it after 12 epochs."""
    nats = pytest.importorskip("nats_bench", reason="needs the extra nats: pip install 'ednag-jax[nats]'")

    def results(index, epochs):
        arch = nats.ArchResults(index, TEXTS[index])
        for dataset in sorted({name for name, _ in ACCURACY}):
            for seed in (0, 2):
                last = epochs - 1
                result = nats.ResultsCount(
                    dataset, None, {last: 1.0}, {last: 1.0}, 1, 1, {}, seed, epochs, None
                )
                for (owner, split), base in ACCURACY.items():
                    if owner == dataset:
                        result.eval_acc1es[f"{split}@{last}"] = (base + seed) * (1 if epochs == 200 else 0.5)
                        result.eval_losses[f"{split}@{last}"] = 1.0
                arch.all_results[dataset, seed] = result
                arch.dataset_seed.setdefault(dataset, []).append(seed)
        return arch.state_dict()

    def store(name, value):
        (tmp_path / f"{name}.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(value)))

    store("meta", {"meta_archs": TEXTS})
    for index in range(len(TEXTS)):
        store(f"{index:06d}", {str(epochs): results(index, epochs) for epochs in (12, 200)})
    return tmp_path


def test_the_packages_own_reader_gives_means_after_200_epochs(nats_folder):
    api = import201.opened(nats_folder)
    for index in range(2):
        expected = {"cifar10_valid": 81, "cifar10_test": 91, "cifar100_valid": 61, "cifar100_test": 62}
        expected |= {"ImageNet16-120_valid": 41, "ImageNet16-120_test": 42}
        assert import201.accuracies(api, index) == expected
        assert not api.arch2infos_dict
    with pytest.raises(DataError, match="it has 2 architectures, expected 15625"):
        import201.table_of(api)


def test_a_damaged_nats_folder_is_named_with_the_architecture(nats_folder, tmp_path):
    for content in (bz2.compress(b"no pickle"), b"no archive"):
        (nats_folder / "000001.pickle.pbz2").write_bytes(content)
        with pytest.raises(DataError, match="cannot read architecture 1 "):
            import201.accuracies(import201.opened(nats_folder), 1)
    (nats_folder / "000001.pickle.pbz2").unlink()
    with pytest.raises(DataError, match="cannot read architecture 1 "):
        import201.accuracies(import201.opened(nats_folder), 1)
    (nats_folder / "meta.pickle.pbz2").unlink()
    with pytest.raises(DataError, match="is not imported: nats-bench cannot open it"):
        import_file("nasbench201", nats_folder, tmp_path / "data")


def test_without_the_package_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nats_bench", None)
    with pytest.raises(DataError, match=r"pip install 'ednag-jax\[nats\]'"):
        import_file("nasbench201", tmp_path, tmp_path / "data")
    with pytest.raises(DataError, match="it is no folder"):
        import_file("nasbench201", written(tmp_path / "x.tar", b""), tmp_path / "data")


# Writing


@pytest.mark.parametrize("name", importers.IMPORTERS)
def test_a_missing_or_empty_download_is_named_with_where_it_is_published(name, tmp_path):
    with pytest.raises(DataError, match=r"'.*none' is missing; it should be .*https://github.com/"):
        import_file(name, tmp_path / "none", tmp_path / "data")
    with pytest.raises(DataError, match=r"'.*empty' is not imported: .*https://github.com/"):
        import_file(name, written(tmp_path / "empty", b""), tmp_path / "data")
    assert nothing_in(tmp_path / "data")


def test_a_data_file_that_is_there_is_not_replaced(tmp_path):
    target = tmp_path / import_trans.TARGET
    target.parent.mkdir()
    target.write_text("mine")
    with pytest.raises(DataError, match="is there already; move it away"):
        import_file("transnas101", written(tmp_path / "x", b""), tmp_path)
    assert target.read_text() == "mine"


def test_unknown_names_and_a_missing_data_directory_are_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("EDNAG_DATA_DIR", raising=False)
    with pytest.raises(ValueError, match="importer must be one of nasbench101"):
        import_file("nasbench301", tmp_path)
    with pytest.raises(DataError, match=r"no data directory .* set EDNAG_DATA_DIR or --data-dir"):
        import_file("nasbench101", written(tmp_path / "x", b""))


def test_the_command_writes_or_exits_with_2_and_one_line(tmp_path, capsys, monkeypatch):
    arguments = [
        "import",
        "nasbench101",
        str(written(tmp_path / "x", b"")),
        "--data-dir",
        str(tmp_path / "data"),
    ]
    assert cli.main(arguments) == cli.USER_ERROR
    assert "0 of its 0 modules" in capsys.readouterr().err.strip().splitlines()[-1]
    monkeypatch.setattr(import101, "read", lambda path: {"params": np.arange(3)})
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out.strip() == f"written to {tmp_path / 'data' / nasbench101.FILE}"
    with np.load(tmp_path / "data" / nasbench101.FILE) as made:
        np.testing.assert_array_equal(made["params"], [0, 1, 2])


def test_every_file_that_is_read_is_described(capsys):
    with pytest.raises(SystemExit):
        cli.main(["data", "--help"])
    described = "".join(capsys.readouterr().out.split())
    for module in ed.BENCHMARKS.values():
        for source in module.SOURCES:
            assert source.path in described
    for name, module in importers.IMPORTERS.items():
        assert f"ednagimport{name}" in described
        assert str(module.TARGET) in described
