"""Values as JSON has them, to arrays (v2 REST, "Tensor Data").

The typed contents of a gRPC message are values too, and go the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import chain
from struct import Struct
from struct import error as struct_error
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import BadTensor, Breach
from registry.signature import DTYPES, Datatype

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


def flatten(data: list[Any], shape: tuple[int, ...], name: str) -> list[Any]:
    """Give the elements in order, of data that is flat or nested as the shape says."""
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
        raise BadTensor(
            f"input {name!r}: data is not nested as its shape {list(shape)} says", Breach.SHAPE
        )
    return leaves


def convert(
    leaves: list[Any], datatype: Datatype, name: str, *, nullable: bool = False
) -> NDArray[Any]:
    """Give an array of values that all fit the datatype; null becomes NaN where `nullable`.

    FP16 has no values.
    """
    if datatype is Datatype.BYTES:
        return _strings(leaves, name)
    allowed, wanted, code = _NUMBERS[datatype]
    if datatype is Datatype.BOOL or _any_constant(leaves):
        types = set(map(type, leaves))
        if types <= {*allowed, NoneType} and datatype in FLOATS:
            if not nullable:
                raise BadTensor(f"input {name!r} has a missing value (null), which is not allowed")
            leaves = [math.nan if value is None else value for value in leaves]
        elif not types <= allowed:
            raise BadTensor(f"input {name!r}: data must be {wanted}")
    try:
        # Unlike numpy's, this conversion refuses what does not fit, and is quick for a few values.
        packed = _packer(len(leaves), code)(*leaves)
    except (struct_error, OverflowError):
        if set(map(type, leaves)) <= allowed:
            raise BadTensor(f"input {name!r} has a number that does not fit {datatype}") from None
        raise BadTensor(f"input {name!r}: data must be {wanted}") from None
    return np.frombuffer(packed, DTYPES[datatype])


def _any_constant(leaves: list[Any]) -> bool:
    """Whether true, false or null is among some values: `struct` would take two for numbers."""
    for leaf in leaves:  # noqa: SIM110 - compiled, ten times as quick as a set of the types
        if leaf is True or leaf is False or leaf is None:
            return True
    return False


@lru_cache(_PACKERS)
def _packer(count: int, code: str) -> Callable[..., bytes]:
    return Struct(f"<{count}{code}").pack


def _strings(leaves: list[Any], name: str) -> NDArray[np.object_]:
    if not set(map(type, leaves)) <= {str}:
        raise BadTensor(f"input {name!r}: data must be strings")
    values = np.empty(len(leaves), dtype=object)
    values[:] = leaves
    return values
