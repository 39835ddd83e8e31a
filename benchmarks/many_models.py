"""Many small models of one kind, each with weights of its own, registered in a data folder."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from configs.settings import Verify
from registry.card import Card, Task
from registry.inference import onnxruntime
from registry.registry import Registry
from registry.signature import Signature

FEATURES = 30
WIDTH = 128
"""Two hidden layers of this width make a file of 81 kB."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to a model, and the right answer."""

    model: str
    line: bytes
    answer: float

    @property
    def path(self) -> str:
        """Where it is sent."""
        return f"/v2/models/{self.model}/infer"


class OneSignature(Registry):
    """A registry that checks the first model and takes the signature of the others from it."""

    _known: Signature | None = None

    def _signature(self, digest: str) -> Signature:
        if self._known is None:
            self._known = super()._signature(digest)
        return self._known


def build(data: Path, count: int) -> list[Asked]:
    """Register and route so many models in a new data folder; gives a question to each."""
    registry = OneSignature.open(data, Verify())
    row = np.random.default_rng(7).standard_normal(FEATURES).astype(np.float32).round(5)
    asked = []
    try:
        for number in range(count):
            name = f"model-{number:03d}"
            model = _model(number)
            digest = registry.put_artifact(model)
            registry.register(name, digest, Card(task=Task.REGRESSION), None, "benchmark")
            registry.set_route(name, {1: 100}, None, "benchmark", "benchmark")
            asked.append(Asked(name, _body(row), _answer(model, row)))
    finally:
        registry.close()
    return asked


def write_lines(file: Path, asked: Sequence[Asked]) -> Path:
    """Write what `post_paths.lua` reads."""
    file.write_bytes(b"".join(b"%s %s\n" % (each.path.encode(), each.line) for each in asked))
    return file


def _model(seed: int) -> bytes:
    random = np.random.default_rng(seed)
    sizes = (FEATURES, WIDTH, WIDTH, 1)
    nodes, weights, name = [], [], "x"
    for layer, (rows, columns) in enumerate(itertools.pairwise(sizes)):
        values = random.standard_normal((rows, columns)) / rows**0.5
        weights.append(numpy_helper.from_array(values.astype(np.float32), f"w{layer}"))
        last = layer == len(sizes) - 2
        made = "y" if last else f"h{layer}"
        nodes.append(helper.make_node("MatMul", [name, f"w{layer}"], [made]))
        name = made
        if not last:
            nodes.append(helper.make_node("Relu", [made], [f"r{layer}"]))
            name = f"r{layer}"
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])],
        weights,
    )
    opset = [helper.make_opsetid("", 17)]
    made_model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    content: bytes = made_model.SerializeToString()
    return content


def _answer(model: bytes, row: NDArray[np.float32]) -> float:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return float(session.run(None, {"x": row[None]})[0][0, 0])


def _body(row: NDArray[np.float32]) -> bytes:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, FEATURES], "data": row.tolist()}
    return orjson.dumps({"inputs": [tensor]}, option=orjson.OPT_SERIALIZE_NUMPY)
