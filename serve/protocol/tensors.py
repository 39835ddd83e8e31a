"""One tensor as a client gives it, to one array as the model's input wants it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import BadTensor, Breach
from registry.signature import Datatype, TensorSpec
from serve.protocol.asked import GivenTensor
from serve.protocol.json_values import convert, flatten
from serve.protocol.packed import unpack

_MOST_SIZES = 64
"""The dimensions that an array can have at most."""
_SIZES = 2**31
_LONGEST_NAME = 512


def check_name(name: str, what: str) -> None:
    """Refuse the name of an input or output that is too long to be told back in a sentence."""
    if len(name) > _LONGEST_NAME:
        raise BadTensor(
            f"{what} {name[:64]!r}... has a name of {len(name)} characters, "
            f"{_LONGEST_NAME} are allowed"
        )


def shape_of(sizes: object, name: str) -> tuple[int, ...]:
    """Give the shape that a client names for an input: at most 64 sizes from 0 to 2147483647."""
    if not isinstance(sizes, list):
        raise _no_shape(name)
    for size in sizes:
        if type(size) is not int or not 0 <= size < _SIZES:
            raise _no_shape(name)
    if len(sizes) > _MOST_SIZES:
        raise BadTensor(
            f"input {name!r} has a shape of {len(sizes)} sizes, {_MOST_SIZES} are allowed",
            Breach.SHAPE,
        )
    return tuple(sizes)


def read_tensor(tensor: GivenTensor, spec: TensorSpec, *, nullable: bool = False) -> NDArray[Any]:
    """Give the array of a tensor; `BadTensor` names the input and the fault.

    With `nullable`, null among the values becomes NaN.
    """
    name, shape = tensor.name, tensor.shape
    _check_datatype(tensor, spec.datatype)
    if not _fits(shape, spec.shape):
        raise BadTensor(
            f"input {name!r} must have shape {list(spec.shape)}, not {list(shape)}", Breach.SHAPE
        )
    count = math.prod(shape)
    if isinstance(tensor.data, memoryview):
        flat = unpack(tensor.data, spec.datatype, count, name)
    elif spec.datatype is Datatype.FP16:
        raise BadTensor(f"input {name!r}: FP16 cannot be sent as values: send it as packed bytes")
    else:
        leaves = _leaves(tensor.data, tensor, count)
        flat = convert(leaves, spec.datatype, name, nullable=nullable)
    try:
        return flat.reshape(shape)
    except ValueError:  # No values, in a shape whose other sizes are astronomical.
        too_large = f"input {name!r}: the shape {list(shape)} is too large"
        raise BadTensor(too_large, Breach.SHAPE) from None


def read_strings(tensor: GivenTensor) -> NDArray[np.object_]:
    """Give the strings of a tensor of datatype BYTES, one after the other."""
    _check_datatype(tensor, Datatype.BYTES)
    name, shape = tensor.name, tensor.shape
    if len(shape) > 2:
        raise BadTensor(
            f"input {name!r} must have shape [-1] or [-1, 1], not {len(shape)} sizes", Breach.SHAPE
        )
    count = math.prod(shape)
    if isinstance(tensor.data, memoryview):
        return unpack(tensor.data, Datatype.BYTES, count, name)
    return convert(_leaves(tensor.data, tensor, count), Datatype.BYTES, name)


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a shape is the one that is wanted, in which -1 stands for any size."""
    if len(shape) != len(wanted):
        return False
    for got, want in zip(shape, wanted, strict=True):  # noqa: SIM110 - on every request's way
        if want not in (got, -1):
            return False
    return True


def _no_shape(name: str) -> BadTensor:
    return BadTensor(
        f"input {name!r} needs a 'shape' of whole numbers from 0 to 2147483647", Breach.SHAPE
    )


def _leaves(data: list[Any], tensor: GivenTensor, count: int) -> list[Any]:
    leaves = flatten(data, tensor.shape, tensor.name)
    if len(leaves) != count:
        raise BadTensor(
            f"input {tensor.name!r} has {len(leaves)} values, its shape {list(tensor.shape)} "
            f"wants {count}",
            Breach.SHAPE,
        )
    return leaves


def _check_datatype(tensor: GivenTensor, datatype: Datatype) -> None:
    if tensor.datatype != datatype:
        told = tensor.datatype[:32] if isinstance(tensor.datatype, str) else "what was sent"
        raise BadTensor(
            f"input {tensor.name!r} must have datatype {datatype}, not {told}", Breach.DATATYPE
        )
