"""From traffic that moved to which feature did it, by asking the model again."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import httpx
import numpy as np
import pytest
import yaml

from serve.control.client import ControlClient
from tests.gateway.asking import infer_path, tensor, wait_for
from tests.gateway.running import Running, weir
from tests.gateway.watching import (
    CARD,
    FEATURES,
    REGIONS,
    files_in,
    register,
    rows,
    seen,
    send,
    wait_for_signals,
)

pytestmark = pytest.mark.gateway
MODEL = "explained"
ROWS = 400


def _scores(asked: np.ndarray) -> np.ndarray:
    """What the classifier of these tests answers."""
    logits = 2 * asked @ np.array([1.0, -0.5, 0.1])
    return np.asarray(1 / (1 + np.exp(-logits)))


def test_the_feature_that_moved_is_blamed_for_the_score(
    gateway: Running, control: ControlClient, tmp_path: Path
) -> None:
    """With its part of the change, while the model answers as before."""
    register(gateway, MODEL, files_in(tmp_path))
    control.set_route(MODEL, {1: 100}, reason="first")
    rng = np.random.default_rng(7)
    asked = rows(rng, ROWS)
    send(gateway, MODEL, asked, rng.choice(REGIONS, ROWS).tolist())
    wait_for_signals(gateway, MODEL, lambda found: seen(found) == ROWS)
    moved = rows(rng, ROWS)
    moved[:, FEATURES.index("debt")] += 2.0
    send(gateway, MODEL, moved, rng.choice(REGIONS, ROWS).tolist())

    def raised() -> list[str]:
        return [
            each.id
            for each in control.alarms(MODEL)
            if (each.name, each.subject) == ("input_drift", "debt")
        ]

    wait_for(lambda: bool(raised()), "the alarm", 60.0)
    (alarm_id,) = raised()
    stop = threading.Event()
    answered: list[bool] = []

    def go_on() -> None:
        while not stop.is_set():
            more = rows(rng, 20)
            more[:, FEATURES.index("debt")] += 2.0
            scores = send(gateway, MODEL, more, rng.choice(REGIONS, len(more)).tolist())
            answered.append(bool(np.allclose(scores, _scores(more), atol=1e-4)))

    serving = threading.Thread(target=go_on)
    serving.start()
    try:
        done = weir("alarms", "why", alarm_id, "--json", "--url", gateway.control)
    finally:
        stop.set()
        serving.join()
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    assert found["attribution"] is not None, found["notes"]
    assert found["attribution"]["same"] == 1.0
    score = found["attribution"]["outcomes"][0]
    parts = {part["feature"]: part["value"] for part in score["parts"]}
    without = _scores(rows(np.random.default_rng(8), 5000)).mean()
    part = _scores(moved).mean() - without
    assert part < -0.15
    assert parts["debt"] == pytest.approx(part, abs=0.06), found
    assert max(parts, key=lambda name: abs(parts[name])) == "debt"
    assert sum(parts.values()) == pytest.approx(score["now"] - score["without"])
    actions = [(each["action"], each["resource"]) for each in found["nearby"]]
    assert ("set-route", f"models/{MODEL}/route") in actions
    assert ("register", f"models/{MODEL}/versions/1") in actions

    assert answered
    assert all(answered)
    shown = weir("alarms", "why", alarm_id, "--url", gateway.control)
    assert "What it did to the mean score" in shown.stdout, shown.stderr


def test_an_alarm_about_labels_has_its_sentence_and_blames_no_feature(
    gateway: Running, control: ControlClient, tmp_path: Path
) -> None:
    """Rows in memory have no labels: what drifted is told, and what it rests on."""
    model = "wrong"
    files = files_in(tmp_path)
    declared = {"label": {"type": "boolean"}, "performance": {"minimum": {"accuracy": 0.9}}}
    files.card.write_text(yaml.safe_dump(CARD | declared))
    register(gateway, model, files)
    control.set_route(model, {1: 100}, reason="first")
    rng = np.random.default_rng(9)
    with httpx.Client(base_url=gateway.http, trust_env=False, timeout=30) as client:
        asked = rows(rng, ROWS)
        answer = client.post(infer_path(model), json={"inputs": [tensor(asked.tolist())]})
        prediction = answer.headers["weir-prediction-id"]
        labels = [
            {"prediction_id": prediction, "row": row, "label": bool(score < 0.5)}
            for row, score in enumerate(_scores(asked))
        ]
        told = client.post(f"/v1/models/{model}/feedback", json={"labels": labels})
        assert told.json()["accepted"] == ROWS, told.text

    def raised() -> list[str]:
        return [
            each.id
            for each in control.alarms(model)
            if (each.name, each.subject) == ("realised", "accuracy")
        ]

    wait_for(lambda: bool(raised()), "the alarm", 60.0)
    shown = weir("alarms", "why", raised()[0], "--url", gateway.control)
    assert shown.returncode == 0, shown.stderr
    assert f"What it says (now alarm, {ROWS} rows)\n0, 95 % sure at every look" in shown.stdout
    assert "allowed from 0.9" in shown.stdout
    assert "it is about how right the model is" in shown.stdout
    assert "it rests on labels, which count after their predictions" in shown.stdout
    assert "register" in shown.stdout
    assert "What it did" not in shown.stdout
    assert "Slices" not in shown.stdout
