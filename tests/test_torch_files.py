"""Torch checkpoints built by hand, opcode by opcode, so that nothing here needs torch."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ednag_jax import torch_files
from ednag_jax.storage import DataError
from ednag_jax.torch_files import LEGACY_MAGIC, LEGACY_PROTOCOL, read_torch

PROTO, STOP = b"\x80\x02", b"."
LAYOUTS = ("zip", "legacy")


def plain(value: Any) -> bytes:
    """Returns the opcodes that push a plain value."""
    return pickle.dumps(value, 2)[len(PROTO) : -1]


def call(module: str, name: str, arguments: bytes) -> bytes:
    """Returns the opcodes that push what a global returns."""
    return f"c{module}\n{name}\n".encode() + b"(" + arguments + b"tR"


def storage(kind: str, key: str, size: int, layout: str) -> bytes:
    view = plain(None) if layout == "legacy" else b""
    head = plain("storage") + f"ctorch\n{kind}\n".encode()
    return b"(" + head + plain(key) + plain("cpu") + plain(size) + view + b"tQ"


def tensor(at: bytes, shape: tuple, stride: tuple, offset: int = 0) -> bytes:
    hooks = call("collections", "OrderedDict", b"")
    rest = plain(offset) + plain(shape) + plain(stride) + plain(False) + hooks
    return call("torch._utils", "_rebuild_tensor_v2", at + rest)


def mapping(**items: bytes) -> bytes:
    return b"}(" + b"".join(plain(key) + item for key, item in items.items()) + b"u"


def checkpoint(value: bytes, storages: dict[str, np.ndarray], layout: str, *, order: str = "<") -> bytes:
    """Returns a whole file in one of the two formats."""
    raw = {key: numbers.astype(numbers.dtype.newbyteorder(order)) for key, numbers in storages.items()}
    if layout == "zip":
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("net/data.pkl", PROTO + value + STOP)
            archive.writestr("net/byteorder", "little" if order == "<" else "big")
            for key, numbers in raw.items():
                archive.writestr(f"net/data/{key}", numbers.tobytes())
        return file.getvalue()
    system = {"protocol_version": LEGACY_PROTOCOL, "little_endian": order == "<", "type_sizes": {}}
    head = [pickle.dumps(part, 2) for part in (LEGACY_MAGIC, LEGACY_PROTOCOL, system)]
    numbers = [np.array(len(part), order + "i8").tobytes() + part.tobytes() for part in raw.values()]
    return b"".join([*head, PROTO + value + STOP, pickle.dumps(list(raw), 2), *numbers])


def one_tensor(layout: str, shape: tuple, stride: tuple, offset: int = 0, **options: Any) -> bytes:
    """Returns a file with one tensor over the float32 numbers 0 .. 23."""
    at = storage("FloatStorage", "0", 24, layout)
    numbers = {"0": np.arange(24, dtype=np.float32)}
    return checkpoint(tensor(at, shape, stride, offset), numbers, layout, **options)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("shape", "stride", "offset", "expected"),
    [
        ((4, 6), (6, 1), 0, np.arange(24).reshape(4, 6)),
        ((6, 4), (1, 6), 0, np.arange(24).reshape(4, 6).T),
        ((2, 3), (8, 2), 5, [[5, 7, 9], [13, 15, 17]]),
        ((3, 2), (0, 1), 22, [[22, 23]] * 3),
        ((), (), 7, 7),
        ((0, 5), (5, 1), 24, np.zeros((0, 5))),
    ],
    ids=("contiguous", "transposed", "strided view", "expanded", "scalar", "empty"),
)
def test_shape_stride_and_offset_give_the_tensors_numbers(layout, shape, stride, offset, expected):
    array = read_torch(one_tensor(layout, shape, stride, offset), "net.pth")
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, np.asarray(expected, np.float32), strict=True)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [kind for kind in torch_files.DTYPES if kind != "BFloat16Storage"])
def test_every_type_survives_in_both_byte_orders(layout, order, kind):
    numbers = np.array([0, 1, 5, 100]).astype(torch_files.DTYPES[kind])
    value = tensor(storage(kind, "7", 4, layout), (4,), (1,))
    array = read_torch(checkpoint(value, {"7": numbers}, layout, order=order), "net.pth")
    np.testing.assert_array_equal(array, numbers, strict=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bfloat16_becomes_the_same_number_in_float32(layout):
    bits = np.array([0x3F80, 0xC040, 0x0000, 0x7F80], np.uint16)
    value = tensor(storage("BFloat16Storage", "0", 4, layout), (4,), (1,))
    array = read_torch(checkpoint(value, {"0": bits}, layout), "net.pth")
    np.testing.assert_array_equal(array, np.array([1, -3, 0, np.inf], np.float32), strict=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_containers_parameters_and_shared_storages_keep_their_form(layout):
    at = storage("LongStorage", "a", 6, layout)
    parameter = call("torch._utils", "_rebuild_parameter", tensor(at, (3,), (1,), 3) + plain(True) + plain({}))
    rest = plain(["text", (1, None, 2.5)])
    ordered = call("collections", "OrderedDict", b"") + b"(" + plain("w") + parameter + b"u"
    metadata = ordered + mapping(_metadata=plain({"version": 1})) + b"b"
    value = mapping(state=metadata, whole=tensor(at, (2, 3), (3, 1)), rest=rest)
    found = read_torch(checkpoint(value, {"a": np.arange(6)}, layout), "net.pth")
    assert list(found) == ["state", "whole", "rest"]
    assert type(found["state"]) is dict
    np.testing.assert_array_equal(found["state"]["w"], [3, 4, 5])
    np.testing.assert_array_equal(found["whole"], [[0, 1, 2], [3, 4, 5]])
    assert found["rest"] == ["text", (1, None, 2.5)]


def test_an_object_met_twice_is_read_once():
    """Thirty lists of the list before, twice each: 2^30 items if each were read anew."""
    value = plain([1])
    for depth in range(30):
        value += b"q" + bytes([depth]) + b"0](" + (b"h" + bytes([depth])) * 2 + b"e"
    found = read_torch(checkpoint(value, {}, "zip"), "net.pth")
    assert found[0] is found[1]


class Malicious:
    """Pickles as a call of os.mkdir: harmless, but seen when it runs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_pickle_that_calls_something_is_refused_by_name_and_never_runs(layout, tmp_path):
    trap = tmp_path / "ran"
    content = checkpoint(plain([Malicious(trap)]), {}, layout)
    with pytest.raises(DataError, match=r"'evil\.pth'.*asks for (posix|nt)\.mkdir"):
        read_torch(content, "evil.pth")
    assert not trap.exists()
    pickle.loads(PROTO + plain([Malicious(trap)]) + STOP)  # the same pickle does run elsewhere
    assert trap.exists()


@pytest.mark.parametrize("part", range(5))
def test_every_pickle_of_the_old_format_is_restricted(part, tmp_path):
    system = {"little_endian": True}
    parts: list[Any] = [LEGACY_MAGIC, LEGACY_PROTOCOL, system, {}, []]
    parts[part] = Malicious(tmp_path / "ran")
    with pytest.raises(DataError, match=r"asks for (posix|nt)\.mkdir"):
        read_torch(b"".join(pickle.dumps(value, 2) for value in parts), "evil.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("module", "name"), [("builtins", "eval"), ("torch", "load"), ("numpy", "dtype")])
def test_globals_beside_those_of_tensors_are_refused_by_name(layout, module, name):
    content = checkpoint(call(module, name, plain("1")), {}, layout)
    with pytest.raises(DataError, match=f"asks for {module}.{name}; only tensors"):
        read_torch(content, "evil.pth")


def test_a_pickle_cannot_change_the_functions_that_it_may_call():
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    attributes = b"N" + mapping(make=plain(1)) + b"\x86"  # (no dict, slots to set)
    with pytest.raises(DataError, match="set attributes"):
        read_torch(checkpoint(rebuild + attributes + b"b", {}, "zip"), "evil.pth")
    np.testing.assert_array_equal(read_torch(one_tensor("zip", (2,), (1,)), "net.pth"), [0, 1])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("shape", "stride", "offset"),
    [
        ((25,), (1,), 0),
        ((4, 6), (6, 1), 1),
        ((2,), (24,), 0),
        ((3,), (-1,), 5),
        ((2,), (1,), -1),
        ((2, 2), (1,), 0),
    ],
    ids=(
        "too long",
        "offset past the end",
        "stride past the end",
        "negative stride",
        "negative offset",
        "ragged",
    ),
)
def test_a_tensor_that_leaves_its_storage_is_refused(layout, shape, stride, offset):
    with pytest.raises(DataError, match="tensor"):
        read_torch(one_tensor(layout, shape, stride, offset), "net.pth")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_cut_anywhere_is_refused(layout):
    content = one_tensor(layout, (4, 6), (6, 1))
    for length in range(0, len(content), 3):
        with pytest.raises(DataError, match=r"'net\.pth' cannot be read"):
            read_torch(content[:length], "net.pth")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_storage_of_another_size_than_declared_is_refused(layout):
    value = tensor(storage("FloatStorage", "0", 24, layout), (24,), (1,))
    content = checkpoint(value, {"0": np.arange(20, dtype=np.float32)}, layout)
    with pytest.raises(DataError, match="expected"):
        read_torch(content, "net.pth")


def test_a_compressed_archive_is_refused_before_it_is_unpacked():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", PROTO + plain({}) + STOP)
    with pytest.raises(DataError, match="uncompressed"):
        read_torch(file.getvalue(), "net.pth")


@pytest.mark.parametrize(
    "content",
    [b"", b"text", pickle.dumps({"a": 1}), pickle.dumps(LEGACY_MAGIC, 2) + pickle.dumps(3, 2), b"PK\x03\x04"],
    ids=("empty", "text", "another pickle", "another protocol", "another archive"),
)
def test_what_is_no_checkpoint_is_refused(content):
    with pytest.raises(DataError, match=r"'net\.pth' cannot be read as a torch checkpoint"):
        read_torch(content, "net.pth")


def test_trailing_bytes_are_refused():
    with pytest.raises(DataError, match="goes on"):
        read_torch(one_tensor("legacy", (2,), (1,)) + b"x", "net.pth")


def test_the_official_once_for_all_predictor_is_read_whole(data_dir):
    path = data_dir / "ofa_mobilenetv3" / "ofa_official_acc_predictor.pth"
    found = read_torch(path.read_bytes(), path.name)
    with np.load(path.with_name("acc_predictor_official_ofa.npz")) as expected:
        assert set(found) == set(expected.files)
        for name, array in found.items():
            np.testing.assert_array_equal(array, expected[name], strict=True)
