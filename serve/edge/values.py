"""One JSON tensor to one array: its shape, its datatype, its data (v2 REST, "Tensor Data")."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import BadTensor
from registry.signature import DTYPES, Datatype, TensorSpec

_KNOWN_IN_TENSOR = frozenset({"name", "shape", "datatype", "parameters", "data"})
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
    if given != datatype.value:
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
    # Types are looked at before numpy sees them: it would widen every number to a long string.
    types = set(map(type, leaves))
    if datatype is Datatype.BYTES:
        return _strings(leaves, types, name)
    if datatype is Datatype.FP16:
        raise BadTensor(f"input {name!r}: FP16 cannot be sent as JSON")
    if datatype is Datatype.BOOL:
        if not types <= {bool}:
            raise BadTensor(f"input {name!r}: data must be true or false")
        return np.array(leaves, DTYPES[datatype])
    if datatype in FLOATS:
        return _floats(leaves, types, datatype, name, nullable=nullable)
    return _integers(leaves, types, datatype, name)


def _floats(
    leaves: list[object], types: set[type], datatype: Datatype, name: str, *, nullable: bool
) -> NDArray[Any]:
    if not types <= {int, float, NoneType}:
        raise BadTensor(f"input {name!r}: data must be numbers")
    if NoneType in types and not nullable:
        raise BadTensor(f"input {name!r} has a missing value (null), which is not allowed")
    with np.errstate(over="ignore"):
        values = np.array(leaves, DTYPES[datatype])
    if np.isinf(values).any():
        raise BadTensor(f"input {name!r} has a number that does not fit {datatype}")
    return values


def _integers(
    leaves: list[object], types: set[type], datatype: Datatype, name: str
) -> NDArray[Any]:
    if not types <= {int}:
        raise BadTensor(f"input {name!r}: data must be whole numbers that fit {datatype}")
    try:
        return np.array(leaves, DTYPES[datatype])
    except OverflowError:
        raise BadTensor(f"input {name!r} has a number that does not fit {datatype}") from None


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
