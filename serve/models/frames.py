"""The frames that travel between a gateway replica and a version replica.

A frame is a fixed header, one short header for each tensor, and the tensors' raw bytes:

    u32 length of what follows | u8 kind | u8 traced | u16 tensors | u32 version | u64 sequence
    tensor header: u8 datatype | u8 dimensions | u16, u32 zero | u64 bytes | i64 dimensions
    tensors, packed, little-endian; strings as u32 length and bytes for each element

When `traced` is 1, the last tensor holds the trace contexts of the batch, one string each.

Both ends are processes of the same gateway; a frame that does not parse closes the link.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from struct import Struct
from struct import error as struct_error
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.signature import DTYPES, Datatype

Tensors = tuple[NDArray[Any], ...]

_HEADER = Struct("<IBBHIQ")
_PAYLOAD = Struct("<BBHIQ")
_TENSOR = Struct("<BBHIQ")
_LENGTH = Struct("<I")

MAX_FRAME = 2**31 - 1
"""No frame is longer, in bytes, whatever a link allows."""
_GROWTH = 8
"""A number of one byte on its way in may be one of eight in its tensor."""
_TOGETHER_BYTES = 65 * 2**20
"""For what runs together, and for the headers."""

_DTYPES = tuple(DTYPES[datatype] for datatype in Datatype)
_CODES = {
    np.dtype(character).num: _DTYPES.index(np.dtype(character))
    for character in str(np.typecodes["All"])
    if np.dtype(character) in _DTYPES
}
"""By numpy's number of the type: it has two for some integers, and ONNX Runtime uses either."""
_BYTES = _CODES[DTYPES[Datatype.BYTES].num]
_SHAPES = tuple(Struct(f"<{ndim}q") for ndim in range(65))
"""How the sizes of 0 to 64 dimensions are packed; numpy knows no more."""

COPIED_BYTES = 2**16
"""Up to here, copying a tensor costs less than lending its memory."""


class Kind(IntEnum):
    """What a frame is for."""

    RUN = 1
    ANSWER = 2
    FAILURE = 3
    GOODBYE = 4
    HELLO = 5
    PING = 6
    PONG = 7


_KINDS = {kind.value: kind for kind in Kind}


class BrokenFrame(Exception):
    """The bytes are not a frame; the link must be closed."""


class Frame(NamedTuple):
    """One message: a batch to run, its answer, a failure (one string tensor), or a goodbye.

    A hello may carry the curve of the version's runs (`serve.models.curve`).
    """

    kind: Kind
    version: int
    sequence: int
    tensors: Tensors = ()
    traces: tuple[str, ...] = ()


def longest(body_max_bytes: int) -> int:
    """Give how long a frame may be where a request's body has so many bytes at most."""
    return min(MAX_FRAME, _GROWTH * body_max_bytes + _TOGETHER_BYTES)


def encode(frame: Frame, most: int = MAX_FRAME) -> list[bytes | memoryview]:
    """The frame as a list of buffers, to be written without joining large tensors.

    Tensors of more than 64 KiB are lent, not copied: they must not change until they are written.
    A frame of more than `most` bytes is a `BrokenFrame`.
    """
    heads: list[bytes] = []
    bodies: list[bytes | memoryview] = []
    length = _PAYLOAD.size
    traces = (_strings(frame.traces),) if frame.traces else ()
    for tensor in (*frame.tensors, *traces):
        head, body = _encode_tensor(tensor)
        heads.append(head)
        bodies.append(body)
        length += len(head) + len(body)
    if length > most:
        raise BrokenFrame(f"a frame of {length} bytes is too long")
    header = _HEADER.pack(
        length, frame.kind, bool(traces), len(heads), frame.version, frame.sequence
    )
    return [b"".join((header, *heads)), *bodies]


def decode(data: memoryview) -> Frame:
    """The frame whose bytes, after its length, are `data`; `BrokenFrame` if they are not one.

    Numeric tensors are read-only views of `data`.
    """
    try:
        kind, traced, count, version, sequence = _PAYLOAD.unpack_from(data, 0)
        tensors = _decode_tensors(data, count)
        traces = tuple(tensors[-1].tolist()) if traced else ()
        return Frame(_KINDS[kind], version, sequence, tensors[: count - traced], traces)
    except (struct_error, ValueError, LookupError, TypeError) as error:
        raise BrokenFrame(str(error)) from error


def failure(version: int, sequence: int, code: str, message: str) -> Frame:
    """A frame that says why a batch could not be run."""
    return Frame(Kind.FAILURE, version, sequence, (_strings((code, message)),))


def _encode_tensor(tensor: NDArray[Any]) -> tuple[bytes, bytes | memoryview]:
    code = _CODES[tensor.dtype.num]
    if code == _BYTES:
        body: bytes | memoryview = encode_strings(tensor.ravel().tolist())
    elif tensor.nbytes <= COPIED_BYTES:
        body = tensor.tobytes()
    else:
        body = np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data
    head = _TENSOR.pack(code, tensor.ndim, 0, 0, len(body))
    return head + _SHAPES[tensor.ndim].pack(*tensor.shape), body


def _decode_tensors(data: memoryview, count: int) -> Tensors:
    offset = _PAYLOAD.size
    heads: list[tuple[int, tuple[int, ...], int]] = []
    for _ in range(count):
        code, ndim, _, _, size = _TENSOR.unpack_from(data, offset)
        offset += _TENSOR.size
        heads.append((code, _SHAPES[ndim].unpack_from(data, offset), size))
        offset += 8 * ndim
    tensors = []
    for code, shape, size in heads:
        body = data[offset : offset + size]
        offset += size
        if code == _BYTES:
            flat: NDArray[Any] = decode_strings(body, math.prod(shape))
        else:
            flat = np.frombuffer(body, dtype=_DTYPES[code])
        tensors.append(flat.reshape(shape))
    if offset != len(data):
        raise BrokenFrame(f"{len(data) - offset} bytes too many or too few")
    return tuple(tensors)


def encode_strings(values: Sequence[str | bytes]) -> bytes:
    """The strings, each behind its length in four bytes."""
    parts: list[bytes] = []
    for value in values:
        raw = value.encode() if isinstance(value, str) else bytes(value)
        parts += (_LENGTH.pack(len(raw)), raw)
    return b"".join(parts)


def decode_strings(data: memoryview, count: int) -> NDArray[np.object_]:
    """The `count` strings packed in `data`; `ValueError` if they are more, fewer, or not UTF-8."""
    if len(data) < count * _LENGTH.size:
        raise ValueError("there are too few strings")
    values: list[str] = []
    offset = 0
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(data, offset)
        offset += _LENGTH.size
        if offset + length > len(data):
            raise ValueError("a string reaches beyond its tensor")
        values.append(str(data[offset : offset + length], "utf-8"))
        offset += length
    if offset != len(data):
        raise ValueError("there are more strings than there should be")
    return _strings(values)


def _strings(values: Sequence[str]) -> NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
