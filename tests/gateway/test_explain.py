"""A decision explained by a real gateway, in a process that ends with it."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from serve.control.client import ControlClient
from tests.gateway.asking import infer_path, tensor
from tests.gateway.asking import register as register_alone
from tests.gateway.running import Running, weir
from tests.gateway.watching import FEATURES, files_in, register
from tests.registry.models import regressor

pytestmark = pytest.mark.gateway
MODEL = "shared_out"


def test_a_score_is_shared_out_among_its_features(
    gateway: Running, control: ControlClient, tmp_path: Path
) -> None:
    """Exactly, with the sign of each feature's weight, while others are answered."""
    register(gateway, MODEL, files_in(tmp_path))
    control.set_route(MODEL, {1: 100}, reason="first")
    request = {"inputs": [tensor([[1.5, 1.0, 0.0]])], "parameters": {"budget_ms": 2000}}
    with httpx.Client(base_url=gateway.http, trust_env=False, timeout=40) as client:
        score = client.post(infer_path(MODEL), json=request).json()["outputs"][1]["data"][1]
        reply = client.post(f"/v2/models/{MODEL}/explain", json=request)
    assert reply.status_code == 200, reply.text
    assert reply.headers["weir-version"] == "1"
    (row,) = reply.json()["explanations"]
    parts = {each["feature"]: each["value"] for each in row["contributions"]}
    assert tuple(parts) == FEATURES
    assert row["prediction"] == pytest.approx(score)
    assert row["base_value"] + sum(parts.values()) == pytest.approx(row["prediction"], abs=1e-9)
    assert row["base_value"] == pytest.approx(0.5, abs=4 * row["base_error"])
    assert parts["income"] > 0.1
    assert parts["debt"] < 0.0

    file = tmp_path / "request.json"
    file.write_text(json.dumps(request))
    done = weir("explain", MODEL, str(file), "--json", "--url", gateway.http)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["explanations"] == [row]


def test_a_model_without_a_reference_says_what_it_lacks(
    gateway: Running, control: ControlClient
) -> None:
    """And how to give it one."""
    register_alone(control, "bare", regressor())
    control.set_route("bare", {1: 100}, reason="first")
    reply = httpx.post(
        f"{gateway.http}/v2/models/bare/explain",
        json={"inputs": [tensor([[1.0, 2.0, 3.0]])]},
        timeout=40,
        trust_env=False,
    )
    assert (reply.status_code, reply.json()["code"]) == (422, "refused")
    assert "--reference" in reply.json()["error"]
