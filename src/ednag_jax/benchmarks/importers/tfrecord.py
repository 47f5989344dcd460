"""Records of a TFRecord file, every checksum compared: the format that TensorFlow writes, read without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt32

from ednag_jax.storage import DataError

POLYNOMIAL = 0x82F63B78
"""Of CRC-32C (Castagnoli), bits reversed."""
MASK = 0xA282EAD8
"""A stored checksum is the CRC rotated right by 15 bits, plus this."""
LENGTH_BYTES, CHECKSUM_BYTES = 8, 4
BATCH_BYTES = 2**22
"""Checksums are computed for this much at once, each record as wide as the longest."""


class _Frame(NamedTuple):
    """One record as it lies in the file."""

    length: bytes
    length_checksum: bytes
    record: bytes
    record_checksum: bytes


def read_records(path: Path) -> Iterator[bytes]:
    """Yields the records of a file in order, each after its two checksums were compared.

    A record is its length (uint64), the length's masked CRC-32C, the bytes, and their masked CRC-32C, all
    little-endian.

    Raises:
        DataError: the file is cut, or a bit of it altered; the text says in which record.
    """
    batch: list[_Frame] = []
    first = widest = 0
    for frame in _frames(path):
        batch.append(frame)
        widest = max(widest, len(frame.record))
        if len(batch) * widest >= BATCH_BYTES:
            yield from _checked(batch, first)
            first, widest, batch = first + len(batch), 0, []
    yield from _checked(batch, first)


def _frames(path: Path) -> Iterator[_Frame]:
    left = path.stat().st_size
    with path.open("rb") as file:
        while left:
            length, checksum = file.read(LENGTH_BYTES), file.read(CHECKSUM_BYTES)
            size = int.from_bytes(length, "little")
            left -= LENGTH_BYTES + size + 2 * CHECKSUM_BYTES
            if left < 0:  # tested before reading: an altered length may be any number
                raise DataError("its last record is cut, or the length of a record is altered")
            yield _Frame(length, checksum, file.read(size), file.read(CHECKSUM_BYTES))


def _checked(batch: list[_Frame], first: int) -> Iterator[bytes]:
    """Yields the records of a batch, of which the first has the number `first`."""
    for contents, stored in (
        ([frame.length for frame in batch], [frame.length_checksum for frame in batch]),
        ([frame.record for frame in batch], [frame.record_checksum for frame in batch]),
    ):
        altered = np.flatnonzero(masked_crc32c(contents) != np.frombuffer(b"".join(stored), "<u4"))
        if altered.size:
            raise DataError(f"record {first + altered[0]} does not match its checksum, so it is altered")
    yield from (frame.record for frame in batch)


def masked_crc32c(contents: Sequence[bytes]) -> UInt32[np.ndarray, " n"]:
    """Returns the masked CRC-32C of each of n byte strings, computed side by side, byte by byte."""
    length = np.array([len(content) for content in contents], np.intp)
    order = np.argsort(-length, kind="stable")  # longest first: those not ended yet are a slice
    width = int(length.max(initial=0))
    padded = b"".join(contents[row].ljust(width, b"\0") for row in order)
    columns = np.ascontiguousarray(np.frombuffer(padded, np.uint8).reshape(len(contents), width).T)
    unfinished = np.searchsorted(-length[order], -np.arange(width), side="left")
    state = np.full(len(contents), 0xFFFFFFFF, np.uint32)
    for column, count in zip(columns, unfinished, strict=True):
        part = state[:count]
        part[:] = _TABLE[(part ^ column[:count]) & 0xFF] ^ (part >> 8)
    crc = np.empty_like(state)
    crc[order] = ~state
    return (crc >> 15 | crc << 17) + np.uint32(MASK)


def _byte_table() -> UInt32[np.ndarray, "256"]:
    """Returns what each byte does to the CRC."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


_TABLE = _byte_table()
