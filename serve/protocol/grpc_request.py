"""A gRPC inference request (v2 gRPC, "ModelInferRequest") as what a client asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from configs.errors import BadInput, BadTensor
from registry.signature import DTYPES, Datatype
from serve.protocol import parameters
from serve.protocol.asked import Asked, Given, GivenTensor
from serve.protocol.inference_pb2 import InferParameter, InferTensorContents, ModelInferRequest
from serve.protocol.tensors import shape_of

_CONTENTS: dict[str, str] = {
    Datatype.BOOL: "bool_contents",
    Datatype.INT8: "int_contents",
    Datatype.INT16: "int_contents",
    Datatype.INT32: "int_contents",
    Datatype.INT64: "int64_contents",
    Datatype.UINT8: "uint_contents",
    Datatype.UINT16: "uint_contents",
    Datatype.UINT32: "uint_contents",
    Datatype.UINT64: "uint64_contents",
    Datatype.FP32: "fp32_contents",
    Datatype.FP64: "fp64_contents",
    Datatype.BYTES: "bytes_contents",
}
"""The field that holds the elements of a datatype; FP16 has none."""
_PACKED = frozenset({Datatype.FP32, Datatype.FP64})


def read(message: ModelInferRequest) -> Asked:
    """Give the request in a message; `BadInput` or `BadTensor` says what is wrong with it."""
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise BadInput(f"{len(raw)} raw_input_contents for {len(message.inputs)} inputs")
    if not message.inputs:
        raise BadInput("'inputs' must be a list with at least one tensor")
    wishes = parameters.of_request(_values(message.parameters))
    return Asked(
        [
            _tensor(tensor, memoryview(raw[place]) if raw else None)
            for place, tensor in enumerate(message.inputs)
        ],
        [
            parameters.of_output(output.name, _values(output.parameters))
            for output in message.outputs
        ],
        message.id or None,
        wishes.timeout_s,
        binary=True,
    )


def _tensor(tensor: ModelInferRequest.InferInputTensor, raw: memoryview | None) -> GivenTensor:
    name = tensor.name
    shape = shape_of(list(tensor.shape), name)
    parameters.packed_size({"name": name, "parameters": _values(tensor.parameters)})
    if raw is None:
        return GivenTensor(name, tensor.datatype, shape, _contents(tensor))
    if tensor.HasField("contents") and tensor.contents.ByteSize():
        raise BadTensor(f"input {name!r} has both contents and raw_input_contents")
    return GivenTensor(name, tensor.datatype, shape, raw)


def _contents(tensor: ModelInferRequest.InferInputTensor) -> Given:
    if tensor.datatype == Datatype.FP16:
        raise BadTensor(f"input {tensor.name!r}: FP16 can be sent as raw_input_contents only")
    contents: InferTensorContents = tensor.contents
    values = getattr(contents, _CONTENTS.get(tensor.datatype, "int_contents"))
    if tensor.datatype == Datatype.BYTES:
        return _texts(list(values), tensor.name)
    if tensor.datatype in _PACKED:  # They can be NaN, which values never are.
        return memoryview(np.array(values, DTYPES[Datatype(tensor.datatype)]).tobytes())
    return list(values)


def _texts(values: list[bytes], name: str) -> list[str]:
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError:
        raise BadTensor(f"input {name!r} has a string that is not UTF-8") from None


def _values(given: Mapping[str, InferParameter]) -> dict[str, Any] | None:
    if not given:
        return None
    return {
        name: getattr(parameter, choice)
        for name, parameter in given.items()
        if (choice := parameter.WhichOneof("parameter_choice")) is not None
    }
