"""Inference requests in JSON, and codecs of small made-up models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from registry.card import Card, Feature, Group, Task
from registry.signature import Datatype, Signature, TensorSpec
from serve.edge.tensors import Codec, InferRequest

Y = TensorSpec(name="y", datatype=Datatype.FP32, shape=(-1, 1))


def codec(
    datatype: Datatype = Datatype.FP32,
    shape: Sequence[int] = (-1, 3),
    *,
    features: Sequence[Feature] = (),
    groups: Sequence[str] = (),
) -> Codec:
    """The codec of a model with one input `x` and one output `y`."""
    inputs = (TensorSpec(name="x", datatype=datatype, shape=tuple(shape)),)
    return codec_of(inputs, (Y,), features=features, groups=groups)


def codec_of(
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    *,
    features: Sequence[Feature] = (),
    groups: Sequence[str] = (),
) -> Codec:
    """The codec of version 3 of a model called `credit`."""
    card = Card(
        task=Task.OTHER,
        features=tuple(features),
        groups=tuple(Group(name=name) for name in groups),
    )
    return Codec("credit", 3, Signature(inputs=tuple(inputs), outputs=tuple(outputs)), card)


def x(data: object, shape: object = (1, 3), datatype: object = "FP32", **more: object) -> Any:
    """The JSON tensor `x`."""
    return {"name": "x", "datatype": datatype, "shape": shape, "data": data, **more}


def body(*inputs: object, **more: object) -> bytes:
    """A request of these inputs."""
    return orjson.dumps({"inputs": inputs, **more})


def parse(reads: Codec, *inputs: object, **more: object) -> InferRequest:
    """What a codec makes of a request of these inputs."""
    return reads.parse(body(*inputs, **more))
