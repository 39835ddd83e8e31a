"""Inference requests in JSON, and contracts of small made-up models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from registry.card import Card, Feature, Group, Task
from registry.signature import Datatype, Signature, TensorSpec
from serve.models.frames import Tensors
from serve.protocol import http_answer, http_request
from serve.protocol.contract import Contract, InferRequest

Y = TensorSpec(name="y", datatype=Datatype.FP32, shape=(-1, 1))


def contract(
    datatype: Datatype = Datatype.FP32,
    shape: Sequence[int] = (-1, 3),
    *,
    features: Sequence[Feature] = (),
    groups: Sequence[str] = (),
) -> Contract:
    """The contract of a model with one input `x` and one output `y`."""
    inputs = (TensorSpec(name="x", datatype=datatype, shape=tuple(shape)),)
    return contract_of(inputs, (Y,), features=features, groups=groups)


def contract_of(
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    *,
    features: Sequence[Feature] = (),
    groups: Sequence[str] = (),
) -> Contract:
    """The contract of a version of a model called `credit`."""
    card = Card(
        task=Task.OTHER,
        features=tuple(features),
        groups=tuple(Group(name=name) for name in groups),
    )
    return Contract("credit", Signature(inputs=tuple(inputs), outputs=tuple(outputs)), card)


def x(data: object, shape: object = (1, 3), datatype: object = "FP32", **more: object) -> Any:
    """The JSON tensor `x`."""
    return {"name": "x", "datatype": datatype, "shape": shape, "data": data, **more}


def body(*inputs: object, **more: object) -> bytes:
    """A request of these inputs."""
    return orjson.dumps({"inputs": inputs, **more})


def read(reads: Contract, sent: bytes, json_bytes: int | None = None) -> InferRequest:
    """What a contract makes of a body."""
    return reads.fit(http_request.read(sent, json_bytes))


def parse(reads: Contract, *inputs: object, **more: object) -> InferRequest:
    """What a contract makes of a request of these inputs."""
    return read(reads, body(*inputs, **more))


def rendered(writes: Contract, request: InferRequest, answer: Tensors) -> Any:
    """The JSON of an answer of version 3 to a request."""
    outputs = writes.outputs(request, answer)
    return orjson.loads(http_answer.write("credit", "3", request.id, {}, outputs)[0])
