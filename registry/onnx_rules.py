"""What an ONNX file may hold: standard operators only, and nothing outside the file itself.

Everything here reads a hostile file: it runs in the checking process and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from google.protobuf.message import DecodeError, Message
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto

from configs.errors import Refused

STANDARD_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
"""The operator domains of the ONNX standard that inference needs."""

_OTHER_FORMATS = (
    (0, b"\x80", "a Python pickle"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (4, b"ORTM", "a model in .ort format"),
)


def parse(data: bytes) -> ModelProto:
    """The model in the bytes, without looking at any other file; `Refused` if there is none."""
    if not data:
        raise Refused("the file is empty")
    for offset, magic, name in _OTHER_FORMATS:
        if data[offset:].startswith(magic):
            raise Refused(f"the file is {name}: export the model to ONNX")
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError:
        raise Refused("the file is not an ONNX model, or it is truncated") from None
    if not model.HasField("graph"):
        raise Refused("the file is not an ONNX model, or it is truncated: it has no graph")
    return model


def refuse_external_data(model: ModelProto) -> None:
    """`Refused` if any tensor, wherever it stands, keeps its values outside the file."""
    for message in _walk(model):
        if isinstance(message, TensorProto) and (
            message.data_location == TensorProto.EXTERNAL or message.external_data
        ):
            raise Refused(
                f"tensor {message.name[:80]!r} keeps its values in another file: "
                "save the model as one file, without external data"
            )


def refuse_custom_operators(model: ModelProto) -> None:
    """`Refused` if a node or a function is not from the ONNX standard, with its domain."""
    for message in _walk(model):
        if not isinstance(message, NodeProto | FunctionProto):
            continue
        if message.domain not in STANDARD_DOMAINS:
            kind, name = (
                ("operator", message.op_type)
                if isinstance(message, NodeProto)
                else ("function", message.name)
            )
            raise Refused(
                f"{kind} {name[:80]!r} is of the custom domain {message.domain[:80]!r}: "
                "only operators of ai.onnx and ai.onnx.ml are allowed"
            )


def _walk(model: ModelProto) -> Iterator[Message]:
    """Every message of the model that can hold nodes or values, without recursion."""
    waiting: list[Message] = [model]
    while waiting:
        message = waiting.pop()
        yield message
        waiting.extend(_inside(message))


def _inside(message: Message) -> Iterator[Message]:
    """The messages directly inside one that can hold nodes or values."""
    match message:
        case ModelProto():
            yield message.graph
            yield from message.functions
            for training in message.training_info:
                yield from (training.initialization, training.algorithm)
        case GraphProto():
            yield from message.node
            yield from message.initializer
            for sparse in message.sparse_initializer:
                yield from (sparse.values, sparse.indices)
        case FunctionProto():
            yield from message.node
            yield from message.attribute_proto
        case NodeProto():
            yield from message.attribute
        case AttributeProto():
            yield from _values(message)
        case _:
            return


def _values(attribute: AttributeProto) -> Iterator[Message]:
    """The tensors and graphs that an attribute holds, one or many."""
    yield from (attribute.t, attribute.g)
    yield from attribute.tensors
    yield from attribute.graphs
    for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
        yield from (sparse.values, sparse.indices)
