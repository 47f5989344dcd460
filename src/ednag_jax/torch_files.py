"""Reads torch checkpoints without torch: tensors become NumPy arrays, and no code of the file ever runs."""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ednag_jax.storage import DataError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
"""First two pickles of a file that torch wrote before version 1.6, or later when asked for it."""
DTYPES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
    "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16",
}
"""torch's storage type -> NumPy's dtype; NumPy has no bfloat16, so it is widened to float32, exactly."""


class _Dtype(NamedTuple):
    """What a pickle's storage type stands for."""

    name: str

    @property
    def stored(self) -> np.dtype:
        """The numbers as they lie in the file."""
        return np.dtype("u2" if self.name == "bfloat16" else self.name)


class _Storage(NamedTuple):
    """A flat run of numbers that lies outside the pickle."""

    dtype: _Dtype
    key: str
    size: int


class _Tensor(NamedTuple):
    """A tensor whose numbers are not read yet; nothing in it is checked before `_view`."""

    storage: Any
    offset: Any
    shape: Any
    stride: Any


class _Dict(dict):
    """Stands for an ordered dict, without the attributes that torch hangs on it."""

    def __setstate__(self, state: Any) -> None:
        del state


class _Known:
    """Stands for a function or class that a pickle may call, and cannot be changed by it."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make

    def __call__(self, *args: Any) -> Any:
        return self.make(*args)

    def __setstate__(self, state: Any) -> None:
        raise DataError("it tries to set attributes of a function")


KNOWN_GLOBALS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _Known(_Dict),
    ("torch._utils", "_rebuild_tensor_v2"): _Known(lambda *args: _Tensor(*args[:4])),  # no gradient, no hooks
    ("torch._utils", "_rebuild_parameter"): _Known(lambda *args: args[0]),
    **{("torch", name): _Dtype(dtype) for name, dtype in DTYPES.items()},
}
"""All that a pickle may ask for, and what it gets instead: none of it touches anything outside the result."""


class _TensorUnpickler(pickle.Unpickler):
    """Reads plain containers and placeholders of tensors; `storages` is filled by key."""

    def __init__(self, file: io.BytesIO, storages: dict[str, _Storage]) -> None:
        super().__init__(file)
        self.storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in KNOWN_GLOBALS:
            raise DataError(f"it asks for {module}.{name}; only tensors, parameters and containers are read")
        return KNOWN_GLOBALS[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, size, *view = pid
        if kind != "storage" or not isinstance(dtype, _Dtype) or any(view):
            raise DataError(f"it refers to {pid!r}, which is no storage of numbers")
        storage = _Storage(dtype, str(key), int(size))
        if self.storages.setdefault(storage.key, storage) != storage:
            raise DataError(f"it gives storage {key!r} two types or sizes")
        return storage


def read_torch(content: bytes, name: str) -> Any:
    """Returns what a torch checkpoint holds, with every tensor and parameter as a NumPy array.

    Both formats are read: the zip archive, and the older one of five pickles followed by the numbers. The
    arrays are read-only and keep the tensors' shapes, strides and types; bfloat16 comes as float32. Ordered
    dicts come as dicts. The pickle may name tensors, parameters, storages and ordered dicts alone.

    Args:
        content: the whole file.
        name: of the file, for errors.

    Raises:
        DataError: no torch checkpoint; cut or altered; or it asks for anything else than tensors, in
            which case the text names what it asked for.
    """
    try:
        if content.startswith(b"PK"):
            return _read_zip(content)
        return _read_legacy(content)
    except Exception as error:  # a damaged pickle can raise nearly anything
        reason = str(error) or type(error).__name__
        raise DataError(f"{name!r} cannot be read as a torch checkpoint: {reason}; get it anew") from error


def _read_zip(content: bytes) -> Any:
    """Returns the contents of an archive: `data.pkl`, and one uncompressed entry a storage."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}

        def read(path: str, size: int | None = None) -> bytes:
            entry = entries.get(path)
            if entry is None:
                raise DataError(f"the archive has no entry {path!r}")
            if entry.compress_type != zipfile.ZIP_STORED or size not in (None, entry.file_size):
                raise DataError(f"entry {path!r} holds {entry.file_size} bytes, expected {size} uncompressed")
            return archive.read(entry)

        storages: dict[str, _Storage] = {}
        value = _TensorUnpickler(io.BytesIO(read("data.pkl")), storages).load()
        is_big = "byteorder" in entries and read("byteorder") == b"big"
        numbers = {}
        for key, storage in storages.items():
            raw = read(f"data/{key}", storage.size * storage.dtype.stored.itemsize)
            numbers[key] = _numbers(raw, storage.dtype, is_big)
    return _with_arrays(value, numbers, {})


def _read_legacy(content: bytes) -> Any:
    """Returns the contents of the old format: magic, protocol, system, object, storage keys, then numbers."""
    file, storages = io.BytesIO(content), {}  # type: tuple[io.BytesIO, dict[str, _Storage]]
    magic, protocol = (_TensorUnpickler(file, {}).load() for _ in range(2))
    if magic != LEGACY_MAGIC or protocol != LEGACY_PROTOCOL:
        raise DataError("it starts neither as an archive nor with torch's magic number")
    system = _TensorUnpickler(file, {}).load()
    value = _TensorUnpickler(file, storages).load()
    keys = _TensorUnpickler(file, {}).load()
    if sorted(keys) != sorted(storages):
        raise DataError("the storages that it lists are not those that its tensors use")
    is_big, numbers = not system["little_endian"], {}
    for key in keys:
        dtype, size = storages[key].dtype, storages[key].size
        count = int.from_bytes(file.read(8), "big" if is_big else "little")
        raw = file.read(size * dtype.stored.itemsize)
        if count != size or len(raw) != size * dtype.stored.itemsize:
            raise DataError(
                f"storage {key!r} has {count} numbers in {len(raw)} bytes, expected {size} {dtype.name}"
            )
        numbers[key] = _numbers(raw, dtype, is_big)
    if file.read(1):
        raise DataError("it goes on after its last storage")
    return _with_arrays(value, numbers, {})


def _numbers(raw: bytes, dtype: _Dtype, is_big: bool) -> np.ndarray:
    """Returns a storage's numbers in this machine's byte order."""
    stored = np.frombuffer(raw, dtype.stored)
    if is_big != (sys.byteorder == "big"):
        stored = stored.byteswap()
    if dtype.name == "bfloat16":  # the upper half of a float32
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return stored


def _with_arrays(value: Any, numbers: dict[str, np.ndarray], done: dict[int, Any]) -> Any:
    """Returns the containers with arrays for the tensors; each object once, so that sharing costs nothing."""
    if not isinstance(value, dict | list | tuple):  # numbers and text, of which there may be millions
        return value
    if id(value) in done:
        return done[id(value)]
    result: Any
    if isinstance(value, _Tensor):
        result = _view(value, numbers)
    elif isinstance(value, dict):
        result = {key: _with_arrays(item, numbers, done) for key, item in value.items()}
    else:
        items = [_with_arrays(item, numbers, done) for item in value]
        result = items if isinstance(value, list) else tuple(items)
    done[id(value)] = result
    return result


def _view(tensor: _Tensor, numbers: dict[str, np.ndarray]) -> np.ndarray:
    """Returns a tensor as a read-only array over its storage, after checking that it stays inside."""
    flat, shape, stride = numbers[tensor.storage.key], tuple(tensor.shape), tuple(tensor.stride)
    if len(shape) != len(stride) or min((tensor.offset, *shape, *stride)) < 0:
        raise DataError(f"a tensor has shape {shape}, stride {stride} and offset {tensor.offset}")
    last = tensor.offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if 0 not in shape and last >= len(flat):
        raise DataError(f"a tensor reaches number {last} of a storage of {len(flat)}")
    steps = tuple(step * flat.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(flat[tensor.offset :], shape, steps, writeable=False)
