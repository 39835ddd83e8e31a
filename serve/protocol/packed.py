"""Packed tensors: little-endian elements in row-major order (v2 binary tensor data extension).

A boolean is one byte, 0 or 1. A string is its length in four bytes, then its bytes, which must be
UTF-8: the strings of ONNX are text.
"""

from __future__ import annotations

from struct import error as struct_error
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import BadTensor, Breach
from registry.signature import DTYPES, Datatype
from serve.models.frames import decode_strings, encode_strings


def unpack(data: memoryview, datatype: Datatype, count: int, name: str) -> NDArray[Any]:
    """Give the `count` elements in packed bytes, flat; a number's array is a view of `data`."""
    if datatype is Datatype.BYTES:
        return _strings(data, count, name)
    dtype = DTYPES[datatype]
    if len(data) != count * dtype.itemsize:
        raise BadTensor(
            f"input {name!r} has {len(data)} bytes of data, {count} elements of {datatype} "
            f"have {count * dtype.itemsize}",
            Breach.SHAPE,
        )
    if datatype is Datatype.BOOL and count and np.frombuffer(data, np.uint8).max() > 1:
        raise BadTensor(f"input {name!r}: a packed boolean must be 0 or 1")
    return np.frombuffer(data, dtype)


def pack(values: NDArray[Any]) -> bytes:
    """Give the elements of an array as packed bytes."""
    if values.dtype.kind == "O":
        return encode_strings(values.ravel().tolist())
    return values.tobytes()


def _strings(data: memoryview, count: int, name: str) -> NDArray[np.object_]:
    try:
        return decode_strings(data, count)
    except UnicodeDecodeError:
        raise BadTensor(f"input {name!r} has a string that is not UTF-8") from None
    except (ValueError, struct_error):
        raise BadTensor(
            f"input {name!r}: its data is not {count} strings, each behind its length"
        ) from None
