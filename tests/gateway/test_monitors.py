"""From a reference through real traffic to `weir signals`: quiet when nothing has changed."""

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
import pytest
import yaml
from numpy.typing import NDArray
from onnx import ModelProto, helper

from serve.control.client import ControlClient
from tests.gateway.asking import infer_path, tensor, wait_for
from tests.gateway.running import Running, weir
from tests.registry import models

pytestmark = pytest.mark.gateway
FEATURES = ("income", "debt", "age")
REGIONS = ("north", "south")
ROWS = 400
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


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A linear classifier of three features, its card, and 4,000 reference rows."""
    folder = tmp_path_factory.mktemp("files")
    made = Files(folder / "model.onnx", folder / "card.yaml", folder / "reference.parquet")
    made.model.write_bytes(_classifier().SerializeToString())
    made.card.write_text(yaml.safe_dump(CARD))
    rng = np.random.default_rng(1)
    rows = _rows(rng, 4000)
    columns = {name: rows[:, place] for place, name in enumerate(FEATURES)}
    regions = rng.choice(REGIONS, len(rows)).tolist()
    pyarrow.parquet.write_table(pa.table({**columns, "region": regions}), made.reference)
    return made


@pytest.fixture
def served(
    request: pytest.FixtureRequest, gateway: Running, control: ControlClient, files: Files
) -> str:
    """A model of the test's own, registered by the command, with all of the traffic."""
    name: str = request.node.name.replace("test_", "")
    done = weir(
        *("register", name, str(files.model), "--reference", str(files.reference)),
        *("--card", str(files.card), "--url", gateway.control),
    )
    assert done.returncode == 0, done.stderr
    assert f"Registered {name} version 1." in done.stdout
    control.set_route(name, {1: 100})
    return name


def test_unchanged_traffic_raises_no_alarm(gateway: Running, served: str) -> None:
    """Rows like those of the reference: every row is seen, and nothing is in alarm.

    The difference of each group's selection rate is that of the answers its clients got, with
    bounds around it.
    """
    rng = np.random.default_rng(2)
    regions = rng.choice(REGIONS, ROWS)
    selected = _send(gateway, served, _rows(rng, ROWS), regions.tolist()) >= 0.5
    signals = _wait_for_signals(gateway, served, lambda found: _seen(found) == ROWS)
    assert {signal["verdict"] for signal in signals.values()} <= {"ok", "insufficient data"}
    assert {subject for name, subject in signals if name == "input_drift"} == set(FEATURES)
    assert any(name == "prediction_drift" for name, _ in signals)

    north = signals["selection_rate", "region=north"]
    rates = [selected[regions == name].mean() for name in REGIONS]
    assert north["rows"] == (regions == "north").sum()
    assert north["value"] == pytest.approx(rates[0] - rates[1])
    assert north["lower"] < north["value"] < north["upper"]
    assert signals["selection_rate", "region=south"]["value"] == pytest.approx(-north["value"])


def test_a_shifted_feature_is_named(gateway: Running, served: str) -> None:
    """A feature that moves by two standard deviations is in alarm, and no other feature is."""
    rng = np.random.default_rng(3)
    rows = _rows(rng, ROWS)
    rows[:, FEATURES.index("debt")] += 2.0
    _send(gateway, served, rows, rng.choice(REGIONS, ROWS).tolist())
    signals = _wait_for_signals(gateway, served, lambda found: _seen(found) == ROWS)
    moved = {
        subject
        for (name, subject), signal in signals.items()
        if name == "input_drift" and signal["verdict"] == "alarm"
    }
    assert moved == {"debt"}
    assert signals["input_drift", "debt"]["value"] == pytest.approx(2.0, abs=0.4)
    assert signals["input_drift", "debt"]["log10_evidence"] > 2

    table = weir("signals", served, "--url", gateway.control)
    assert table.returncode == 0
    alarms = [line for line in table.stdout.splitlines() if line.startswith("alarm")]
    assert [line for line in alarms if "input_drift" in line and "debt" in line]


def test_missing_values_are_counted(gateway: Running, served: str) -> None:
    """A nullable feature that goes missing is in alarm, by the share that is missing."""
    rng = np.random.default_rng(4)
    rows = _rows(rng, ROWS)
    age = FEATURES.index("age")
    rows[: ROWS // 4, age] = np.nan
    rng.shuffle(rows)
    _send(gateway, served, rows, rng.choice(REGIONS, ROWS).tolist())
    signals = _wait_for_signals(gateway, served, lambda found: _seen(found) == ROWS)
    missing = signals["missing_values", "age"]
    assert missing["verdict"] == "alarm"
    assert missing["value"] == pytest.approx(0.25, abs=0.05)
    assert signals["missing_values", "income"]["verdict"] == "ok"


def _classifier() -> ModelProto:
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


def _rows(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return rng.standard_normal((count, len(FEATURES)))


def _send(
    gateway: Running, model: str, rows: NDArray[np.float64], regions: list[str]
) -> NDArray[np.float64]:
    """One request a row, on one connection; gives the score of each."""
    scores = []
    with httpx.Client(base_url=gateway.http, trust_env=False) as client:
        for row, region in zip(rows.tolist(), regions, strict=True):
            group = {"name": "region", "datatype": "BYTES", "shape": [1], "data": [region]}
            values = [None if np.isnan(value) else value for value in row]
            answer = client.post(infer_path(model), json={"inputs": [tensor([values]), group]})
            assert answer.status_code == 200, answer.text
            scores.append(answer.json()["outputs"][1]["data"][1])
    return np.array(scores, dtype=np.float64)


def _signals(gateway: Running, model: str) -> Signals:
    """What the command prints, as a process of its own."""
    done = weir("signals", model, "--json", "--url", gateway.control)
    assert done.returncode == 0, done.stderr
    (arm,) = json.loads(done.stdout)["arms"] or [{"signals": ()}]
    return {(signal["name"], signal["subject"]): signal for signal in arm["signals"]}


def _wait_for_signals(gateway: Running, model: str, enough: Callable[[Signals], bool]) -> Signals:
    found: list[Signals] = []

    def arrived() -> bool:
        found.append(_signals(gateway, model))
        return enough(found[-1])

    try:
        wait_for(arrived, "signals of all rows", 20.0)
    except AssertionError as late:
        message = f"{late}; {_seen(found[-1])} rows were seen"
        raise AssertionError(message) from None
    return found[-1]


def _seen(found: Signals) -> int:
    """The rows that the missing-value monitor of a feature has taken in."""
    return int(found["missing_values", "income"]["rows"]) if found else 0
