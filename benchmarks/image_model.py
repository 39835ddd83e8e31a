"""A small convolutional network over images of 3 x 224 x 224: a millisecond or two a run."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

INPUT = "image"
OUTPUT = "scores"
SHAPE = (3, 224, 224)
CLASSES = 10
CHANNELS = (3, 16, 32, 64)
STRIDES = (2, 2, 2)
SEED = 20240229


def build() -> bytes:
    """Strided 3 x 3 convolutions with ReLU, the mean over each channel, one dense layer."""
    draw = np.random.default_rng(SEED)
    nodes, weights = [], []
    last = INPUT
    for layer, stride in enumerate(STRIDES):
        before, after = CHANNELS[layer], CHANNELS[layer + 1]
        kernel = draw.normal(0.0, (2 / (9 * before)) ** 0.5, (after, before, 3, 3))
        weights.append(numpy_helper.from_array(kernel.astype(np.float32), f"kernel_{layer}"))
        given = [last, f"kernel_{layer}"]
        out = [f"conv_{layer}"]
        nodes.append(
            helper.make_node("Conv", given, out, strides=[stride, stride], pads=[1, 1, 1, 1])
        )
        nodes.append(helper.make_node("Relu", [f"conv_{layer}"], [f"relu_{layer}"]))
        last = f"relu_{layer}"
    dense = draw.normal(0.0, 0.2, (CHANNELS[-1], CLASSES))
    weights.append(numpy_helper.from_array(dense.astype(np.float32), "dense"))
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"]))
    nodes.append(helper.make_node("MatMul", ["flat", "dense"], [OUTPUT]))
    graph = helper.make_graph(
        nodes,
        "image",
        [helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, ["rows", *SHAPE])],
        [helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, ["rows", CLASSES])],
        initializer=weights,
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def images(count: int) -> NDArray[np.float32]:
    """So many images of noise, always the same."""
    return np.random.default_rng(SEED + 1).random((count, *SHAPE), dtype=np.float32)
