"""The body of an answer over HTTP: JSON, and packed tensors behind it where they are wanted.

v2 REST, "Inference Response JSON Object", and the binary tensor data extension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serve.protocol.contract import OutputTensor
from serve.protocol.packed import pack

_KNOWN = 4096


def write(
    model: str,
    version: str,
    request_id: str | None,
    parameters: Mapping[str, str],
    outputs: Sequence[OutputTensor],
) -> tuple[bytes, int | None]:
    """Give the body, and how many of its bytes are JSON, None for all.

    Numbers that are not finite become null in JSON.
    """
    blobs: list[bytes] = []
    parts = [_beginning(model, version)]
    if request_id is not None:
        parts += (b',"id":', orjson.dumps(request_id))
    parts += (b',"parameters":', orjson.dumps(parameters), b',"outputs":[')
    for output in outputs:
        name, datatype, values, binary = output
        parts.append(_skeleton(name, datatype, values.shape))
        if binary:
            blobs.append(pack(values))
            parts.append(b'"parameters":{"binary_data_size":%d}},' % len(blobs[-1]))
        else:
            parts += (b'"data":', _data(values), b"},")
    if outputs:
        parts[-1] = parts[-1][:-1]  # The last tensor has no comma behind it.
    parts.append(b"]}")
    head = b"".join(parts)
    if not blobs:
        return head, None
    return b"".join((head, *blobs)), len(head)


def explained(model: str, version: str, request_id: str | None, said: bytes) -> bytes:
    """Give the body of an explanation, of which `said` is what was found, a JSON object."""
    parts = [_beginning(model, version)]
    if request_id is not None:
        parts += (b',"id":', orjson.dumps(request_id))
    return b"".join((*parts, b",", said[1:]))


def _data(values: NDArray[Any]) -> bytes:
    if values.dtype.kind == "O":
        return orjson.dumps(values.ravel().tolist())
    if values.ndim != 1 or not values.flags.c_contiguous:
        values = np.ascontiguousarray(values).reshape(-1)
    return orjson.dumps(values, None, orjson.OPT_SERIALIZE_NUMPY)


@lru_cache(_KNOWN)
def _beginning(model: str, version: str) -> bytes:
    """The object up to the version; it is closed by what follows."""
    return orjson.dumps({"model_name": model, "model_version": version})[:-1]


@lru_cache(_KNOWN)
def _skeleton(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    """An output up to its elements."""
    return orjson.dumps({"name": name, "datatype": datatype, "shape": shape})[:-1] + b","
