"""A version that answers in time and in form, and wrongly, is rolled back by labels alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

from registry.card import Card
from serve.control.client import ControlClient
from serve.control.rollout_schemas import RolloutView
from tests.gateway.asking import infer_path, register, tensor, wait_for
from tests.gateway.running import Running, weir
from tests.registry import models

pytestmark = pytest.mark.gateway

MODEL = "mistaken"
CARD = Card.model_validate(
    {
        "task": "binary",
        "score": {"output": "y"},
        "decision": {"threshold": 0.0},
        "label": {"type": "boolean"},
    }
)
POLICY: Mapping[str, Any] = {
    "steps": [50],
    "dwell_s": 600,
    "step_max_s": 6000,
    "shadow": {"fraction": 0.0},
    "guardrails": [{"metric": "quality_loss", "margin_abs": 0.1}],
}
UNHEARD = "unheard"
SHADOWED: Mapping[str, Any] = {
    "shadow": {"fraction": 1.0, "min_pairs": 0},
    "guardrails": [{"metric": "shadow_loss", "margin_abs": 0.1}],
}
ROWS = np.random.default_rng(5).standard_normal((50, 3)).tolist()


def test_a_version_that_is_wrong_is_rolled_back_by_labels_alone(
    gateway: Running, control: ControlClient
) -> None:
    """Real answers, and labels over the inference port; the log says that it rests on them."""
    register(control, MODEL, _sum(1.0), _sum(-1.0), card=CARD)
    control.set_route(MODEL, {1: 100}, reason="first")
    begun = control.start_rollout(MODEL, 2, POLICY).rollout
    _wait_for_state(control, begun.id, "canary")
    with httpx.Client(base_url=gateway.http, trust_env=False, timeout=40) as http:
        labels = [_asked(http, row) for row in ROWS]
        told = http.post(f"/v1/models/{MODEL}/feedback", json={"labels": labels})
    assert told.json()["accepted"] == len(ROWS), told.text

    ended = _wait_for_state(control, begun.id, "rolled back")

    (back,) = [each for each in control.rollout_changes(begun.id) if each.action == "roll back"]
    assert back.by == "weir"
    assert "labelled units were answered wrongly with the candidate, 0 of " in back.reason
    (found,) = back.evidence["findings"]
    assert found["events"]["candidate"] == found["units"]["candidate"] > 0
    assert [arm.version for arm in control.route(MODEL).arms] == [1]
    shown = weir("rollout", "explain", ended.id, "--url", gateway.control)
    assert "wrong of labelled units: candidate" in shown.stdout, shown.stderr


def test_a_shadow_that_is_wrong_is_rolled_back_before_anybody_hears_it(
    gateway: Running, control: ControlClient
) -> None:
    """Its answers are recorded beside those that left, and one label tells of both."""
    register(control, UNHEARD, _sum(1.0), _sum(-1.0), card=CARD)
    control.set_route(UNHEARD, {1: 100}, reason="first")
    begun = control.start_rollout(UNHEARD, 2, SHADOWED).rollout
    _wait_for_state(control, begun.id, "shadow")
    with httpx.Client(base_url=gateway.http, trust_env=False, timeout=40) as http:
        labels = [_asked(http, row, UNHEARD) for row in ROWS]
        told = http.post(f"/v1/models/{UNHEARD}/feedback", json={"labels": labels})
    assert told.json()["accepted"] == len(ROWS), told.text

    ended = _wait_for_state(control, begun.id, "rolled back")

    changes = control.rollout_changes(begun.id)
    (back,) = [each for each in changes if each.action == "roll back"]
    assert back.by == "weir"
    assert "answered wrongly with the candidate, 0 of " in back.reason
    assert not any(each.state.value == "canary" for each in changes)
    (found,) = back.evidence["findings"]
    assert found["metric"] == "shadow_loss"
    assert found["events"] == {"candidate": found["units"]["candidate"], "stable": 0}
    shown = weir("rollout", "explain", ended.id, "--url", gateway.control)
    assert "wrong of labelled rows that both versions answered" in shown.stdout, shown.stderr


def _asked(http: httpx.Client, row: list[float], model: str = MODEL) -> dict[str, object]:
    """Ask for one row; gives its label: whether its sum is at least nought."""
    answer = http.post(infer_path(model), json={"inputs": [tensor([row])]})
    assert answer.status_code == 200, answer.text
    return {"prediction_id": answer.headers["weir-prediction-id"], "label": sum(row) >= 0}


def _wait_for_state(control: ControlClient, rollout_id: str, state: str) -> RolloutView:
    wait_for(
        lambda: control.rollout(rollout_id).state.value == state,
        f"a rollout that is {state}",
        180.0,
    )
    return control.rollout(rollout_id)


def _sum(sign: float) -> ModelProto:
    """The sum of three numbers, or its opposite."""
    weights = np.full((3, 1), sign, np.float32)
    return models.model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [models.tensor("x", ["N", 3])],
        [models.tensor("y", ["N", 1])],
        [numpy_helper.from_array(weights, "w")],
    )
