"""The model that everyone serves, and the rows that everyone is asked about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray
from skl2onnx import to_onnx
from sklearn.datasets import make_classification
from sklearn.ensemble import GradientBoostingClassifier

from registry.inference import onnxruntime as ort

NAME = "benchmark"
FEATURES = 30
INPUT = "X"
SCORES = "probabilities"
POSITIVE = 1
SEED = 20240229
DIGITS = 5


@dataclass(frozen=True, slots=True)
class Workload:
    """The files of one model and the questions to it.

    `bodies` holds one Open Inference Protocol request a line, one row each; `scores[i]` is the
    probability of the positive class that is the right answer to line i.
    """

    model: Path
    card: Path
    reference: Path
    bodies: Path
    scores: NDArray[np.float32]

    @property
    def lines(self) -> list[bytes]:
        """The request bodies, in the order of the scores."""
        return self.bodies.read_bytes().splitlines()


def build(folder: Path, questions: int = 256) -> Workload:
    """Train the model with a fixed seed and write all files of the workload into a folder."""
    rows, labels = make_classification(
        n_samples=6000, n_features=FEATURES, n_informative=12, random_state=SEED
    )
    # As many digits as a request carries: no row lies on the other side of a split once sent.
    rows = rows.round(DIGITS).astype(np.float32)
    trained = GradientBoostingClassifier(n_estimators=100, max_depth=3, random_state=SEED)
    trained.fit(rows[:4000], labels[:4000])
    exported = to_onnx(trained, rows[:1], options={"zipmap": False}, target_opset=17)

    asked = rows[-questions:]
    workload = Workload(
        model=folder / "model.onnx",
        card=folder / "card.yaml",
        reference=folder / "reference.parquet",
        bodies=folder / "bodies.jsonl",
        scores=scores(exported.SerializeToString(), asked),
    )
    workload.model.write_bytes(exported.SerializeToString())
    workload.card.write_text(yaml.safe_dump(card(), sort_keys=False), encoding="utf-8")
    columns = {name: rows[:4000, column] for column, name in enumerate(feature_names())}
    pq.write_table(pa.table(columns), workload.reference)
    workload.bodies.write_bytes(b"".join(body(row) + b"\n" for row in asked))
    return workload


def scores(model: bytes, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The right answers: what onnxruntime itself gives, row by row."""
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    answers = [session.run([SCORES], {INPUT: row[None, :]})[0][0, POSITIVE] for row in rows]
    return np.array(answers, dtype=np.float32)


def body(row: NDArray[np.float32]) -> bytes:
    """One row as an Open Inference Protocol request."""
    tensor = {
        "name": INPUT,
        "shape": [1, FEATURES],
        "datatype": "FP32",
        "data": [round(float(value), DIGITS) for value in row],
    }
    return orjson.dumps({"inputs": [tensor]})


def feature_names() -> list[str]:
    """The names of the columns of the input, in order."""
    return [f"f{column:02d}" for column in range(FEATURES)]


def card() -> dict[str, object]:
    """What the version declares about itself."""
    return {
        "task": "binary",
        "score": {"output": SCORES, "column": POSITIVE},
        "decision": {"threshold": 0.5},
        "features": [
            {"name": name, "input": INPUT, "column": column}
            for column, name in enumerate(feature_names())
        ],
        "label": {"type": "boolean"},
    }
