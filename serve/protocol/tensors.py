"""One tensor as a client gives it, to one array as the model's input wants it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import BadTensor
from registry.signature import Datatype, TensorSpec
from serve.protocol.asked import GivenTensor
from serve.protocol.json_values import convert, flatten
from serve.protocol.packed import unpack


def shape_of(sizes: object, name: str) -> tuple[int, ...]:
    """Give the shape that a client names for an input, each size from 0 to 2147483647."""
    if not isinstance(sizes, list) or not all(
        type(size) is int and 0 <= size < 2**31 for size in sizes
    ):
        raise BadTensor(f"input {name!r} needs a 'shape' of whole numbers from 0 to 2147483647")
    return tuple(sizes)


def read_tensor(tensor: GivenTensor, spec: TensorSpec, *, nullable: bool = False) -> NDArray[Any]:
    """Give the array of a tensor; `BadTensor` names the input and the fault.

    With `nullable`, null among the values becomes NaN.
    """
    name, shape = tensor.name, tensor.shape
    _check_datatype(tensor, spec.datatype)
    if len(shape) != len(spec.shape) or any(
        want not in (-1, got) for got, want in zip(shape, spec.shape, strict=True)
    ):
        raise BadTensor(f"input {name!r} must have shape {list(spec.shape)}, not {list(shape)}")
    count = math.prod(shape)
    if isinstance(tensor.data, memoryview):
        flat = unpack(tensor.data, spec.datatype, count, name)
    else:
        leaves = _leaves(tensor.data, tensor, count)
        flat = convert(leaves, spec.datatype, name, nullable=nullable)
    try:
        return flat.reshape(shape)
    except ValueError:  # No values, in a shape whose other sizes are astronomical.
        raise BadTensor(f"input {name!r}: the shape {list(shape)} is too large") from None


def read_strings(tensor: GivenTensor) -> NDArray[np.object_]:
    """Give the strings of a tensor of datatype BYTES, one after the other."""
    _check_datatype(tensor, Datatype.BYTES)
    name, shape = tensor.name, tensor.shape
    if len(shape) > 2:
        raise BadTensor(f"input {name!r} must have shape [-1] or [-1, 1], not {len(shape)} sizes")
    count = math.prod(shape)
    if isinstance(tensor.data, memoryview):
        return unpack(tensor.data, Datatype.BYTES, count, name)
    return convert(_leaves(tensor.data, tensor, count), Datatype.BYTES, name)


def _leaves(data: list[Any], tensor: GivenTensor, count: int) -> list[Any]:
    leaves = flatten(data, tensor.shape, tensor.name)
    if len(leaves) != count:
        raise BadTensor(
            f"input {tensor.name!r} has {len(leaves)} values, its shape {list(tensor.shape)} "
            f"wants {count}"
        )
    return leaves


def _check_datatype(tensor: GivenTensor, datatype: Datatype) -> None:
    if tensor.datatype != datatype:
        raise BadTensor(
            f"input {tensor.name!r} must have datatype {datatype}, not {str(tensor.datatype)[:32]}"
        )
