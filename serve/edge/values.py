"""One JSON tensor to one array: its shape, its datatype, its data (v2 REST, "Tensor Data")."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import chain
from struct import Struct
from struct import error as struct_error
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import BadTensor
from registry.signature import DTYPES, Datatype, TensorSpec

_KNOWN_IN_TENSOR = frozenset({"name", "shape", "datatype", "parameters", "data"})
_PACKERS = 1024
_WHOLE = (frozenset({int}), "whole numbers")
_REAL = (frozenset({int, float}), "numbers")
_NUMBERS: dict[Datatype, tuple[frozenset[type], str, str]] = {
    Datatype.BOOL: (frozenset({bool}), "true or false", "?"),
    Datatype.UINT8: (*_WHOLE, "B"),
    Datatype.UINT16: (*_WHOLE, "H"),
    Datatype.UINT32: (*_WHOLE, "I"),
    Datatype.UINT64: (*_WHOLE, "Q"),
    Datatype.INT8: (*_WHOLE, "b"),
    Datatype.INT16: (*_WHOLE, "h"),
    Datatype.INT32: (*_WHOLE, "i"),
    Datatype.INT64: (*_WHOLE, "q"),
    Datatype.FP32: (*_REAL, "f"),
    Datatype.FP64: (*_REAL, "d"),
}
"""The JSON types that a datatype takes, how to say so, and its code in `struct`."""

FLOATS = frozenset({Datatype.FP16, Datatype.FP32, Datatype.FP64})
"""The datatypes in which NaN can stand for a missing value."""


def read_tensor(
    tensor: Mapping[str, Any], spec: TensorSpec, *, nullable: bool = False
) -> NDArray[Any]:
    """Give the array of one JSON tensor, as the model's input `spec` wants it.

    Data may be nested or flat, row by row. `BadTensor` names the input and the fault.
    """
    name = spec.name
    _check_head(tensor, spec.datatype)
    shape = _shape(tensor, name)
    if len(shape) != len(spec.shape) or any(
        want not in (-1, got) for got, want in zip(shape, spec.shape, strict=True)
    ):
        raise BadTensor(f"input {name!r} must have shape {list(spec.shape)}, not {list(shape)}")
    flat = _values(_leaves(tensor, shape), spec.datatype, name, nullable=nullable)
    if flat.size != math.prod(shape):
        raise BadTensor(
            f"input {name!r} has {flat.size} values, its shape {list(shape)} wants "
            f"{math.prod(shape)}"
        )
    try:
        return flat.reshape(shape)
    except ValueError:  # No values, in a shape whose other sizes are astronomical.
        raise BadTensor(f"input {name!r}: the shape {list(shape)} is too large") from None


def _check_head(tensor: Mapping[str, Any], datatype: Datatype) -> None:
    name = tensor["name"]
    unknown = tensor.keys() - _KNOWN_IN_TENSOR
    if unknown:
        raise BadTensor(f"input {name!r} has an unknown key {min(unknown)!r}")
    given = tensor.get("datatype")
    if given != datatype:
        raise BadTensor(f"input {name!r} must have datatype {datatype}, not {given}")


def _shape(tensor: Mapping[str, Any], name: str) -> tuple[int, ...]:
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(
        type(size) is int and 0 <= size < 2**31 for size in shape
    ):
        raise BadTensor(f"input {name!r} needs a 'shape' of whole numbers from 0 to 2147483647")
    return tuple(shape)


def _leaves(tensor: Mapping[str, Any], shape: tuple[int, ...]) -> list[object]:
    """Give the elements in order, of data that is flat or nested as the shape says."""
    name = tensor["name"]
    data = tensor.get("data")
    if not isinstance(data, list):
        raise BadTensor(f"input {name!r} needs 'data', a list")
    if not data or not isinstance(data[0], list):
        return data
    leaves: list[Any] = data
    regular = bool(shape) and len(leaves) == shape[0]
    for size in shape[1:]:
        regular = regular and set(map(type, leaves)) <= {list} and set(map(len, leaves)) <= {size}
        if not regular:
            break
        leaves = list(chain.from_iterable(leaves))
    if not regular:
        raise BadTensor(f"input {name!r}: data is not nested as its shape {list(shape)} says")
    return leaves


def _values(leaves: list[object], datatype: Datatype, name: str, *, nullable: bool) -> NDArray[Any]:
    types = set(map(type, leaves))
    if datatype is Datatype.BYTES:
        return _strings(leaves, types, name)
    if datatype is Datatype.FP16:
        raise BadTensor(f"input {name!r}: FP16 cannot be sent as JSON")
    allowed, wanted, code = _NUMBERS[datatype]
    if not types <= allowed:
        if types <= {*allowed, NoneType} and datatype in FLOATS:
            if not nullable:
                raise BadTensor(f"input {name!r} has a missing value (null), which is not allowed")
            leaves = [math.nan if value is None else value for value in leaves]
        else:
            raise BadTensor(f"input {name!r}: data must be {wanted}")
    try:
        # Unlike numpy's, this conversion refuses what does not fit, and is quick for a few values.
        packed = _packer(len(leaves), code)(*leaves)
    except (struct_error, OverflowError):
        raise BadTensor(f"input {name!r} has a number that does not fit {datatype}") from None
    return np.frombuffer(packed, DTYPES[datatype])


@lru_cache(_PACKERS)
def _packer(count: int, code: str) -> Callable[..., bytes]:
    return Struct(f"<{count}{code}").pack


def _strings(leaves: list[object], types: set[type], name: str) -> NDArray[np.object_]:
    if not types <= {str}:
        raise BadTensor(f"input {name!r}: data must be strings")
    values = np.empty(len(leaves), dtype=object)
    values[:] = leaves
    return values


def read_strings(tensor: Mapping[str, Any]) -> NDArray[np.object_]:
    """Give the strings of one JSON tensor of datatype BYTES, one after the other."""
    _check_head(tensor, Datatype.BYTES)
    leaves = _leaves(tensor, _shape(tensor, tensor["name"]))
    return _strings(leaves, set(map(type, leaves)), tensor["name"])
