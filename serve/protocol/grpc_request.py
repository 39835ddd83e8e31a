"""A gRPC inference request (v2 gRPC, "ModelInferRequest") as what a client asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from configs.errors import BadInput, BadTensor
from registry.signature import Datatype
from serve.protocol import parameters
from serve.protocol.asked import Asked, GivenTensor, WantedOutput
from serve.protocol.inference_pb2 import InferParameter, InferTensorContents, ModelInferRequest
from serve.protocol.tensors import check_name, shape_of

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
        [_output(output) for output in message.outputs],
        message.id or None,
        wishes.timeout_s,
        binary=True,
    )


def _tensor(tensor: ModelInferRequest.InferInputTensor, raw: memoryview | None) -> GivenTensor:
    name = tensor.name
    check_name(name, "input")
    shape = shape_of(list(tensor.shape), name)
    parameters.packed_size({"name": name, "parameters": _values(tensor.parameters)})
    if raw is None:
        return GivenTensor(name, tensor.datatype, shape, _contents(tensor), nan=True)
    if tensor.HasField("contents") and tensor.contents.ByteSize():
        raise BadTensor(f"input {name!r} has both contents and raw_input_contents")
    return GivenTensor(name, tensor.datatype, shape, raw)


def _output(output: ModelInferRequest.InferRequestedOutputTensor) -> WantedOutput:
    check_name(output.name, "output")
    return parameters.of_output(output.name, _values(output.parameters))


def _contents(tensor: ModelInferRequest.InferInputTensor) -> list[Any]:
    contents: InferTensorContents = tensor.contents
    field = _CONTENTS.get(tensor.datatype)
    values = list(getattr(contents, field)) if field is not None else []
    return _texts(values, tensor.name) if tensor.datatype == Datatype.BYTES else values


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
