"""Encodes and decodes tensors as a client of the protocol would, with nothing but `struct`."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from serve.protocol.inference_pb2 import InferParameter, ModelInferRequest

CODES = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
FIELDS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def packed(datatype: str, values: Sequence[Any]) -> bytes:
    """The elements, packed; strings are `str` or `bytes`."""
    if datatype == "BYTES":
        raws = [value.encode() if isinstance(value, str) else value for value in values]
        return b"".join(struct.pack("<I", len(raw)) + raw for raw in raws)
    return struct.pack(f"<{len(values)}{CODES[datatype]}", *values)


def unpacked(datatype: str, data: bytes) -> list[Any]:
    """The elements in packed bytes."""
    if datatype != "BYTES":
        size = struct.calcsize("<" + CODES[datatype])
        return list(struct.unpack(f"<{len(data) // size}{CODES[datatype]}", data))
    values = []
    while data:
        (length,) = struct.unpack_from("<I", data)
        values.append(data[4 : 4 + length].decode())
        data = data[4 + length :]
    return values


def tensor(name: str, datatype: str, shape: Sequence[int], **more: object) -> dict[str, Any]:
    """The JSON of a tensor without its elements."""
    return {"name": name, "datatype": datatype, "shape": list(shape), **more}


def framed(
    inputs: Sequence[tuple[Mapping[str, Any], bytes | None]], **more: object
) -> tuple[bytes, int]:
    """A body of tensors, each with its packed elements or None, and how much of it is JSON."""
    told = [
        {**head, "parameters": {"binary_data_size": len(blob)}} if blob is not None else head
        for head, blob in inputs
    ]
    head = json.dumps({"inputs": told, **more}).encode()
    return head + b"".join(blob for _, blob in inputs if blob is not None), len(head)


def parameter(value: object) -> InferParameter:
    """A parameter of a gRPC message."""
    if isinstance(value, bool):
        return InferParameter(bool_param=value)
    if isinstance(value, int):
        return InferParameter(int64_param=value)
    if isinstance(value, float):
        return InferParameter(double_param=value)
    return InferParameter(string_param=str(value))


def message(request: Mapping[str, Any], *, raw: bool = False) -> ModelInferRequest:
    """The gRPC message that says what a JSON request with flat data says."""
    sent = ModelInferRequest(model_name="credit", id=request.get("id", ""))
    for name, value in request.get("parameters", {}).items():
        sent.parameters[name].CopyFrom(parameter(value))
    for given in request.get("inputs", ()):
        added = sent.inputs.add(name=given["name"], datatype=given["datatype"])
        added.shape.extend(given["shape"])
        for name, value in given.get("parameters", {}).items():
            added.parameters[name].CopyFrom(parameter(value))
        if raw:
            sent.raw_input_contents.append(packed(given["datatype"], given["data"]))
        elif given["datatype"] == "BYTES":
            added.contents.bytes_contents.extend(value.encode() for value in given["data"])
        elif given["datatype"] in FIELDS:
            getattr(added.contents, FIELDS[given["datatype"]]).extend(given["data"])
    for given in request.get("outputs", ()):
        wanted = sent.outputs.add(name=given["name"])
        for name, value in given.get("parameters", {}).items():
            wanted.parameters[name].CopyFrom(parameter(value))
    return sent
