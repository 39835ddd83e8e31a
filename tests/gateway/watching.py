"""A small classifier that is watched: its files, rows for it, and what the monitors say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import yaml
from numpy.typing import NDArray
from onnx import ModelProto, helper

from tests.gateway.asking import infer_path, tensor, wait_for
from tests.gateway.running import Running, weir
from tests.registry import models

FEATURES = ("income", "debt", "age")
REGIONS = ("north", "south")
CARD = {
    "task": "binary",
    "score": {"output": "scores", "column": 1},
    "decision": {"threshold": 0.5},
    "features": [
        {"name": name, "input": "x", "column": column, "nullable": name == "age"}
        for column, name in enumerate(FEATURES)
    ],
    "groups": [{"name": "region", "max_gap": 0.9}],
}
Signals = dict[tuple[str, str], dict[str, Any]]
"""The signals of the stable version, by name and subject."""


@dataclass(frozen=True, slots=True)
class Files:
    """What the owner of a model brings."""

    model: Path
    card: Path
    reference: Path


def files_in(folder: Path) -> Files:
    """A linear classifier of three features, its card, and 4,000 reference rows."""
    made = Files(folder / "model.onnx", folder / "card.yaml", folder / "reference.parquet")
    made.model.write_bytes(classifier().SerializeToString())
    made.card.write_text(yaml.safe_dump(CARD))
    rng = np.random.default_rng(1)
    drawn = rows(rng, 4000)
    columns = {name: drawn[:, place] for place, name in enumerate(FEATURES)}
    regions = rng.choice(REGIONS, len(drawn)).tolist()
    pyarrow.parquet.write_table(pa.table({**columns, "region": regions}), made.reference)
    return made


def register(gateway: Running, name: str, files: Files) -> None:
    """Make it a version by the command."""
    done = weir(
        *("register", name, str(files.model), "--reference", str(files.reference)),
        *("--card", str(files.card), "--url", gateway.control),
    )
    assert done.returncode == 0, done.stderr
    assert f"Registered {name} version 1." in done.stdout


def classifier() -> ModelProto:
    """Two classes over three features, with probabilities."""
    node = helper.make_node(
        "LinearClassifier",
        ["x"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        coefficients=[-1.0, 0.5, -0.1, 1.0, -0.5, 0.1],
        intercepts=[0.0, 0.0],
        classlabels_ints=[0, 1],
        post_transform="SOFTMAX",
    )
    outputs = [models.tensor("label", [None], models.INT64), models.tensor("scores", [None, 2])]
    return models.model([node], [models.tensor("x", [None, 3])], outputs)


def rows(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Rows like those of the reference."""
    return rng.standard_normal((count, len(FEATURES)))


def send(
    gateway: Running, model: str, asked: NDArray[np.float64], regions: list[str]
) -> NDArray[np.float64]:
    """One request a row, on one connection; gives the score of each."""
    scores = []
    with httpx.Client(base_url=gateway.http, trust_env=False) as client:
        for row, region in zip(asked.tolist(), regions, strict=True):
            group = {"name": "region", "datatype": "BYTES", "shape": [1], "data": [region]}
            values = [None if np.isnan(value) else value for value in row]
            answer = client.post(infer_path(model), json={"inputs": [tensor([values]), group]})
            assert answer.status_code == 200, answer.text
            scores.append(answer.json()["outputs"][1]["data"][1])
    return np.array(scores, dtype=np.float64)


def signals(gateway: Running, model: str) -> Signals:
    """What the command prints, as a process of its own."""
    done = weir("signals", model, "--json", "--url", gateway.control)
    assert done.returncode == 0, done.stderr
    (arm,) = json.loads(done.stdout)["arms"] or [{"signals": ()}]
    return {(signal["name"], signal["subject"]): signal for signal in arm["signals"]}


def wait_for_signals(gateway: Running, model: str, enough: Callable[[Signals], bool]) -> Signals:
    """The signals once there are enough of them."""
    found: list[Signals] = []

    def arrived() -> bool:
        found.append(signals(gateway, model))
        return enough(found[-1])

    try:
        wait_for(arrived, "signals of all rows", 60.0)
    except AssertionError as late:
        message = f"{late}; {seen(found[-1]) if found else 0} rows were seen"
        raise AssertionError(message) from None
    return found[-1]


def seen(found: Signals) -> int:
    """The rows that the missing-value monitor of a feature has taken in."""
    return int(found["missing_values", "income"]["rows"]) if found else 0
