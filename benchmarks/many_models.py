"""Small models registered in a data folder: many of one kind, or one with features and versions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.processes import BenchmarkError
from configs.settings import Verify
from registry.card import Card, Lineage, Task
from registry.inference import onnxruntime
from registry.registry import Registry
from registry.signature import Signature
from serve.control.prepare import Files, prepare

FEATURES = 30
WIDTH = 128
"""Two hidden layers of this width make a file of 81 kB."""
QUESTIONS = 64
REFERENCE_ROWS = 2000
_TOLERANCE = 1e-4


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
    row = _rows(1, FEATURES)[0]
    asked = []
    try:
        for number in range(count):
            name = f"model-{number:03d}"
            model = _model(number, (FEATURES, WIDTH, WIDTH, 1))
            digest = registry.put_artifact(model)
            registry.register(name, digest, Card(task=Task.REGRESSION), None, "benchmark")
            registry.set_route(name, {1: 100}, None, "benchmark", "benchmark")
            asked.append(Asked(name, _body(row), *_answers(model, row[None])))
    finally:
        registry.close()
    return asked


def build_one(folder: Path, data: Path, features: int, versions: int = 1) -> list[Asked]:
    """Register one linear model in a new data folder, all its features watched; gives questions.

    Its versions answer alike and have equal shares of the traffic; files are left in the folder.
    """
    name, rows = "model", _rows(REFERENCE_ROWS, features)
    files = Files(folder / "model.onnx", folder / "reference.parquet", folder / "card.yaml")
    model = _model(0, (features, 1))
    files.model.write_bytes(model)
    (folder / "card.yaml").write_text(f"task: {Task.REGRESSION}\n", encoding="utf-8")
    columns = {f"f{column:04d}": rows[:, column] for column in range(features)}
    pq.write_table(pa.table(columns), files.reference)
    prepared = prepare(files, Verify(), lambda *_: None)
    assert prepared.profile is not None
    registry = Registry.open(data, Verify())
    try:
        digest = registry.put_artifact(model)
        profile = registry.put_artifact(prepared.profile.to_json())
        for number in range(versions):
            use = Lineage(intended_use=f"version {number + 1}")
            card = prepared.card.model_copy(update={"lineage": use})
            registry.register(name, digest, card, profile, "benchmark")
        shares = {number + 1: 100 / versions for number in range(versions)}
        registry.set_route(name, shares, None, "benchmark", "benchmark")
    finally:
        registry.close()
    asked = rows[:QUESTIONS]
    return [
        Asked(name, _body(row), answer)
        for row, answer in zip(asked, _answers(model, asked), strict=True)
    ]


def check(asked: Asked, answer: httpx.Response) -> None:
    """Compare an answer with the right one; `BenchmarkError` if it is another, or a refusal."""
    if answer.status_code != httpx.codes.OK:
        message = f"{asked.model} answered {answer.status_code}: {answer.text[:200]}"
        raise BenchmarkError(message)
    got = answer.json()["outputs"][0]["data"][0]
    if not abs(got - asked.answer) <= _TOLERANCE:
        message = f"{asked.model} answered {got}, and {asked.answer} is right"
        raise BenchmarkError(message)


def write_lines(file: Path, asked: Sequence[Asked]) -> Path:
    """Write what `post_paths.lua` reads."""
    file.write_bytes(b"".join(b"%s %s\n" % (each.path.encode(), each.line) for each in asked))
    return file


def _rows(count: int, features: int) -> NDArray[np.float32]:
    return np.random.default_rng(7).standard_normal((count, features)).astype(np.float32).round(5)


def _model(seed: int, sizes: tuple[int, ...]) -> bytes:
    random = np.random.default_rng(seed)
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
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", sizes[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])],
        weights,
    )
    opset = [helper.make_opsetid("", 17)]
    made_model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    content: bytes = made_model.SerializeToString()
    return content


def _answers(model: bytes, rows: NDArray[np.float32]) -> list[float]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return [float(answer) for answer in session.run(None, {"x": rows})[0][:, 0]]


def _body(row: NDArray[np.float32]) -> bytes:
    """As an array, each number has the digits that it needs, and no more."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, row.size], "data": row}
    return orjson.dumps({"inputs": [tensor]}, option=orjson.OPT_SERIALIZE_NUMPY)
