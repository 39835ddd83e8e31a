"""A version that answers as another does, only later: its graph holds work that nothing needs."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

SIZE = 320
PRODUCTS = 24
"""So many products of square matrices of this size: some thirty milliseconds of one core."""

_ANSWER = "probabilities"


def slower(model: bytes) -> bytes:
    """The same model with a needless chain of matrix products in the way of its answer.

    The chain begins with the features, so that it cannot be computed ahead, and ends as zero.
    """
    graph = onnx.load_from_string(model)
    body = graph.graph
    for node in body.node:
        for place, name in enumerate(node.output):
            if name == _ANSWER:
                node.output[place] = f"{_ANSWER}_in_time"
    matrix = np.full((SIZE, SIZE), 1 / SIZE, dtype=np.float32)
    body.initializer.extend(
        [
            numpy_helper.from_array(matrix, "idle_matrix"),
            numpy_helper.from_array(np.float32(0.0).reshape(1), "idle_zero"),
        ]
    )
    body.node.extend(
        [
            helper.make_node("ReduceSum", [body.input[0].name], ["idle_seed"], keepdims=0),
            helper.make_node("Mul", ["idle_seed", "idle_zero"], ["idle_nothing"]),
            helper.make_node("Add", ["idle_matrix", "idle_nothing"], ["idle_0"]),
            *(
                helper.make_node("MatMul", [f"idle_{k}", "idle_matrix"], [f"idle_{k + 1}"])
                for k in range(PRODUCTS)
            ),
            helper.make_node("ReduceSum", [f"idle_{PRODUCTS}"], ["idle_sum"], keepdims=0),
            helper.make_node("Mul", ["idle_sum", "idle_zero"], ["idle_end"]),
            helper.make_node("Add", [f"{_ANSWER}_in_time", "idle_end"], [_ANSWER]),
        ]
    )
    onnx.checker.check_model(graph)
    return bytes(graph.SerializeToString(deterministic=True))
