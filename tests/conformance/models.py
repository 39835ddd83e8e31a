"""The models that the clients ask, built by hand, and how they come into a gateway."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from registry.card import Card, Task
from serve.control.client import ControlClient
from tests.registry.models import Shape, model, tensor

KINDS: Mapping[str, int] = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
}
"""Every datatype that can be sent in JSON and as bytes alike, and its number in ONNX."""


def simple() -> ModelProto:
    """Two inputs; their sum and their difference, as in the examples of Triton's clients."""
    nodes = [
        helper.make_node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]),
        helper.make_node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"]),
    ]
    return model(
        nodes,
        [tensor(f"INPUT{i}", ["N", 16], TensorProto.INT32) for i in (0, 1)],
        [tensor(f"OUTPUT{i}", ["N", 16], TensorProto.INT32) for i in (0, 1)],
    )


def adds(number: float) -> ModelProto:
    """Adds a number, so that the answer tells which version gave it."""
    node = helper.make_node("Add", ["x", "number"], ["y"])
    constant = numpy_helper.from_array(np.array([number], np.float32), "number")
    return model([node], [tensor("x", ["N", 1])], [tensor("y", ["N", 1])], [constant])


def identity(kinds: Mapping[str, int], shape: Shape) -> ModelProto:
    """Gives every input `in_<KIND>` back as `out_<KIND>`."""
    return model(
        [helper.make_node("Identity", [f"in_{kind}"], [f"out_{kind}"]) for kind in kinds],
        [tensor(f"in_{kind}", shape, number) for kind, number in kinds.items()],
        [tensor(f"out_{kind}", shape, number) for kind, number in kinds.items()],
    )


def slow(size: int = 512, rounds: int = 90) -> ModelProto:
    """Gives its input back plus 1, after some tenths of a second of multiplying matrices."""
    kept = tensor("kept", [size, size])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("MatMul", ["kept", "weights"], ["kept_on"]),
        ],
        "body",
        [tensor("round", [], TensorProto.INT64), tensor("go", [], TensorProto.BOOL), kept],
        [tensor("go_on", [], TensorProto.BOOL), tensor("kept_on", [size, size])],
    )
    nodes = [
        # It depends on the input, so that it cannot be worked out once and for all.
        helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["weights", "nothing"], ["begin"]),
        helper.make_node("Loop", ["rounds", "yes", "begin"], ["end"], body=body),
        helper.make_node("ReduceSum", ["end"], ["sum"], keepdims=0),
        helper.make_node("Div", ["sum", "size"], ["one"]),
        helper.make_node("Add", ["x", "one"], ["y"]),
    ]
    constants = {
        # Its powers are all the same, and its elements sum up to `size`.
        "weights": np.full((size, size), 1 / size, np.float32),
        "zero": np.float32(0),
        "size": np.float32(size),
        "rounds": np.int64(rounds),
        "yes": np.bool_(True),
    }
    return model(
        nodes,
        [tensor("x", ["N", 1])],
        [tensor("y", ["N", 1])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )


def all_models() -> dict[str, tuple[ModelProto, ...]]:
    """The versions of every model, by its name."""
    floats = {"FP32": TensorProto.FLOAT}
    return {
        "simple": (simple(),),
        "versions": (adds(1), adds(2)),
        "everything": (identity(KINDS, ["N", 3]),),
        "strings": (identity({"BYTES": TensorProto.STRING}, ["N", 2]),),
        "half": (identity({"FP16": TensorProto.FLOAT16}, ["N", 3]),),
        "dynamic": (identity(floats, ["N", "M"]),),
        "image": (identity(floats, ["N", 3, 4, 4]),),
        "labels": (identity(floats, ["N", 5]),),
        "slow": (slow(),),
    }


def register(control: ControlClient, models: Mapping[str, tuple[ModelProto, ...]]) -> None:
    """Register models; the first version of each is stable, the second, if any, the candidate."""
    for name, made in models.items():
        for each in made:
            control.register(name, control.upload(each.SerializeToString()), Card(task=Task.OTHER))
        control.set_route(name, {1: 100} if len(made) == 1 else {1: 90, 2: 10})
