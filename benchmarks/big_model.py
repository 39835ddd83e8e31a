"""A model as large as one likes: a chain of matrix products with random weights, in one file."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from benchmarks.model import FEATURES, INPUT, SCORES

_WIDTH = 2048
_OPSET = 17


def write(path: Path, megabytes: float, seed: int) -> None:
    """Write a model of about so many megabytes that takes what the benchmark model takes."""
    draw = np.random.default_rng(seed)
    layers = max(round(megabytes * 1e6 / (4 * _WIDTH * _WIDTH)), 1)
    sizes = [FEATURES, *[_WIDTH] * layers, 2]
    nodes, weights, last = [], [], INPUT
    for step, (rows, columns) in enumerate(pairwise(sizes)):
        values: NDArray[np.float32] = draw.standard_normal((rows, columns), np.float32)
        weights.append(numpy_helper.from_array(values / np.float32(rows**0.5), f"weight_{step}"))
        nodes.append(helper.make_node("MatMul", [last, f"weight_{step}"], [f"sum_{step}"]))
        nodes.append(helper.make_node("Relu", [f"sum_{step}"], [f"layer_{step}"]))
        last = f"layer_{step}"
    nodes.append(helper.make_node("Softmax", [last], [SCORES], axis=1))
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "big",
        [helper.make_tensor_value_info(INPUT, kind, ["rows", FEATURES])],
        [helper.make_tensor_value_info(SCORES, kind, ["rows", 2])],
        weights,
    )
    opsets = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())
