"""A model of three classes with names, and a boolean input, from registration to its signals."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from serve.control.client import ControlClient
from tests.gateway.asking import infer_path, tensor
from tests.gateway.running import Running, weir
from tests.gateway.watching import Files, Signals, register, wait_for_signals
from tests.registry import models

pytestmark = pytest.mark.gateway
NAMES = ("cat", "dog", "owl")
CARD = {
    "task": "multiclass",
    "decision": {"output": "label"},
    "features": [
        {"name": "size", "input": "x", "column": 0},
        {"name": "noise", "input": "x", "column": 1},
        {"name": "flies", "input": "flies", "type": "categorical"},
    ],
}
BATCH, BATCHES = 20, 20
SUBJECTS = {"score[0]", "score[1]", "score[2]", "decision"}


def classifier() -> ModelProto:
    """Three named classes, with probabilities, over two numbers and a truth value."""
    nodes = [
        helper.make_node("Cast", ["flies"], ["wings"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["x", "wings"], ["all"], axis=1),
        helper.make_node(
            "LinearClassifier",
            ["all"],
            ["label", "scores"],
            domain="ai.onnx.ml",
            coefficients=[1.5, 0.2, -1.0, -1.5, 0.2, -1.0, 0.0, -0.4, 2.0],
            intercepts=[0.0, 0.0, -0.5],
            classlabels_strings=list(NAMES),
            multi_class=0,
            post_transform="SOFTMAX",
        ),
    ]
    inputs = [models.tensor("x", [None, 2]), models.tensor("flies", [None, 1], TensorProto.BOOL)]
    outputs = [models.tensor("label", [None], models.STRING), models.tensor("scores", [None, 3])]
    return models.model(nodes, inputs, outputs)


def rows(rng: np.random.Generator, count: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Two numbers and whether it flies, of so many animals."""
    return rng.standard_normal((count, 2)), rng.random((count, 1)) < 0.3


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The model, its card, and 4,000 reference rows."""
    folder = tmp_path_factory.mktemp("classes")
    made = Files(folder / "model.onnx", folder / "card.yaml", folder / "reference.parquet")
    made.model.write_bytes(classifier().SerializeToString())
    made.card.write_text(yaml.safe_dump(CARD))
    numbers, flies = rows(np.random.default_rng(1), 4000)
    columns = {"size": numbers[:, 0], "noise": numbers[:, 1], "flies": flies[:, 0]}
    pyarrow.parquet.write_table(pa.table(columns), made.reference)
    return made


def served(gateway: Running, control: ControlClient, name: str, files: Files) -> str:
    """The model under a name of the test's own, with all of the traffic."""
    register(gateway, name, files)
    control.set_route(name, {1: 100})
    return name


def send(gateway: Running, model: str, seed: int, shift: float = 0.0) -> Counter[str]:
    """Ask of 400 animals whose size is shifted; gives what was answered, and how often."""
    rng = np.random.default_rng(seed)
    answered = Counter[str]()
    with httpx.Client(base_url=gateway.http, trust_env=False) as client:
        for _ in range(BATCHES):
            numbers, flies = rows(rng, BATCH)
            numbers[:, 0] += shift
            wings = {"name": "flies", "datatype": "BOOL", "shape": [BATCH, 1]}
            asked = [tensor(numbers.tolist()), {**wings, "data": flies.ravel().tolist()}]
            answer = client.post(infer_path(model), json={"inputs": asked})
            assert answer.status_code == 200, answer.text
            outputs = {each["name"]: each["data"] for each in answer.json()["outputs"]}
            answered.update(outputs["label"])
    return answered


def all_seen(found: Signals) -> bool:
    """Whether every row has come to the monitors."""
    return bool(found) and found["prediction_drift", "decision"]["rows"] == BATCH * BATCHES


def bins(gateway: Running, model: str, subject: str) -> dict[str, dict[str, Any]]:
    """What the command says of a subject's bins, by their labels."""
    done = weir("bins", model, subject, "--json", "--url", gateway.control)
    assert done.returncode == 0, done.stderr
    (arm,) = json.loads(done.stdout)["arms"]
    assert arm["rows"] == BATCH * BATCHES
    return {each["label"]: each for each in arm["bins"]}


def test_classes_and_decisions_of_clean_traffic_are_ok(
    gateway: Running, control: ControlClient, files: Files
) -> None:
    """Each class has a signal, the decision too, by the names that callers got."""
    model = served(gateway, control, "animals", files)
    answered = send(gateway, model, 2)
    found = wait_for_signals(gateway, model, all_seen)
    assert {subject for name, subject in found if name == "prediction_drift"} == SUBJECTS
    assert {signal["verdict"] for signal in found.values()} <= {"ok", "insufficient data"}
    assert {found["prediction_drift", subject]["verdict"] for subject in SUBJECTS} == {"ok"}
    assert found["input_drift", "flies"]["verdict"] == "ok"

    decisions = bins(gateway, model, "decision")
    for name in NAMES:
        share = answered[name] / answered.total()
        assert decisions[name]["live"] == pytest.approx(share), name
    assert {"true", "false"} <= bins(gateway, model, "flies").keys()
    assert sum(each["live"] for each in bins(gateway, model, "score[1]").values()) == (
        pytest.approx(1)
    )


def test_a_change_shows_in_the_classes_and_in_what_is_decided(
    gateway: Running, control: ControlClient, files: Files
) -> None:
    """Larger animals are more often taken for cats; the table says so, in a line of its own."""
    model = served(gateway, control, "larger_animals", files)
    send(gateway, model, 3, shift=1.5)
    found = wait_for_signals(gateway, model, all_seen)
    alarms = {key for key, signal in found.items() if signal["verdict"] == "alarm"}
    assert ("input_drift", "size") in alarms
    assert {("prediction_drift", name) for name in ("score[0]", "score[1]", "decision")} <= alarms
    assert ("input_drift", "flies") not in alarms
    assert "category" in found["prediction_drift", "decision"]["message"]

    table = weir("signals", model, "--url", gateway.control)
    lines = [line.split() for line in table.stdout.splitlines() if line.startswith("alarm")]
    assert ["alarm", "prediction_drift", "score[0]"] in [line[:3] for line in lines]
