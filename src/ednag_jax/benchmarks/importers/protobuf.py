"""The wire format of Protocol Buffers: the fields of a message by number, without its compiled schema."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ednag_jax.storage import DataError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
MAX_VARINT_BYTES = 10


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yields number and value of each field: an int for a varint, else its bytes.

    Numbers of fixed size come as their 8 or 4 bytes; text, bytes and messages as what they hold.

    Raises:
        DataError: the message is cut, or has a field of another kind.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == BYTES:
            size, at = _varint(message, at)
        elif kind in FIXED_SIZES:
            size = FIXED_SIZES[kind]
        else:
            raise DataError(f"field {number} of a message is of the unknown kind {kind}")
        if at + size > len(message):
            raise DataError(f"field {number} of a message is cut")
        yield number, message[at : at + size]
        at += size


def double(value: int | bytes | None) -> float:
    """Returns a field's value as the number of 8 bytes that it is.

    Raises:
        DataError: the field is missing, or is no such number.
    """
    if not isinstance(value, bytes) or len(value) != FIXED_SIZES[FIXED64]:
        raise DataError(f"a message has {value!r} where a number of 8 bytes is expected")
    return float(struct.unpack("<d", value)[0])


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Returns the number that starts at a place, 7 bits a byte, lowest first, and where it ends."""
    value = 0
    for place, byte in enumerate(message[at : at + MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise DataError("a number in a message is cut")
