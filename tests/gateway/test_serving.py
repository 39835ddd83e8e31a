"""Inference through a real gateway: the right version answers, and says which it was."""

from __future__ import annotations

import math
import re
from collections import Counter

import httpx
import pytest

from serve.control.client import ControlClient
from tests.gateway.asking import answer_of, ask, infer_path, register, tensor, wait_for
from tests.gateway.running import Running
from tests.registry import models

pytestmark = pytest.mark.gateway
MODEL = "serving"
KEYS = 2000


@pytest.fixture(scope="module", autouse=True)
def _split(control: ControlClient) -> None:
    """Two versions that answer differently, 70 to 30."""
    register(control, MODEL, models.regressor(bias=1.0), models.regressor(bias=2.0))
    control.set_route(MODEL, {1: 70, 2: 30})


def test_an_answer_says_who_gave_it(gateway: Running) -> None:
    """The answer's number, its body and its headers all name the same version."""
    answer = ask(gateway, MODEL, [[1, 2, 3], [4, 5, 6]], weir_key="somebody")
    version = int(answer.headers["weir-version"])
    assert answer_of(answer) == [6.0 + version, 15.0 + version]
    assert answer.json()["model_version"] == str(version)
    assert answer.headers["weir-arm"] == {1: "stable", 2: "canary"}[version]
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["weir-prediction-id"])


@pytest.mark.parametrize("version", [1, 2])
def test_a_pin_is_obeyed(gateway: Running, version: int) -> None:
    """Whoever names a version gets that one, whatever the split."""
    answer = ask(gateway, MODEL, [[0, 0, 0]], version=version)
    assert answer_of(answer) == [float(version)]
    assert answer.headers["weir-version"] == str(version)
    assert answer.headers["weir-arm"] == "pinned"


def test_metadata_and_health(gateway: Running) -> None:
    """Server and model say what they are, in the protocol's words."""
    with httpx.Client(base_url=gateway.http, trust_env=False) as client:
        assert client.get("/v2").json()["name"] == "weir"
        assert client.get("/v2/health/live").json() == {"live": True}
        assert client.get("/v2/health/ready").status_code == 200
        assert client.get(f"/v2/models/{MODEL}/ready").status_code == 200
        found = client.get(f"/v2/models/{MODEL}").json()
    assert found["versions"] == ["1", "2"]
    assert found["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]


def test_keys_divide_as_declared_and_stay_after_a_replacement(
    gateway: Running, control: ControlClient
) -> None:
    """2,000 keys divide 70 to 30 within five sigma; a new gateway replica moves none of them."""
    met = _versions_of(gateway, KEYS)
    sigma = math.sqrt(KEYS * 0.7 * 0.3)
    assert abs(Counter(met.values())["1"] - 0.7 * KEYS) < 5 * sigma

    before = gateway.pids("gateway")
    httpx.post(
        f"{gateway.control}/v1/system:replace",
        json={"what": "gateway"},
        timeout=60,
        trust_env=False,
    ).raise_for_status()
    wait_for(lambda: not gateway.pids("gateway") & before, "only the new replica", 90.0)
    assert _versions_of(gateway, 500) == {key: met[key] for key in list(met)[:500]}


def test_without_a_key_every_request_draws_anew(gateway: Running) -> None:
    """Requests without a key meet both versions, each under an id of its own."""
    with httpx.Client(base_url=gateway.http, trust_env=False) as client:
        answers = [
            client.post(infer_path(MODEL), json={"inputs": [tensor([[0, 0, 0]])]})
            for _ in range(60)
        ]
    assert {answer.headers["weir-version"] for answer in answers} == {"1", "2"}
    assert len({answer.headers["weir-prediction-id"] for answer in answers}) == 60


def _versions_of(gateway: Running, keys: int) -> dict[str, str]:
    """The version that each of the first keys meets."""
    body = {"inputs": [tensor([[0, 0, 0]])]}
    with httpx.Client(base_url=gateway.http, trust_env=False) as client:
        return {
            key: client.post(infer_path(MODEL), json=body, headers={"Weir-Key": key}).headers[
                "weir-version"
            ]
            for key in (f"customer {number}" for number in range(keys))
        }
