"""Asking a gateway as a client would."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
from onnx import ModelProto

from registry.card import Card, Task
from serve.control.client import ControlClient
from tests.gateway.running import Running

REGRESSION = Card(task=Task.REGRESSION)


def tensor(rows: Sequence[Sequence[float | None]], name: str = "x") -> dict[str, Any]:
    """One FP32 matrix as the protocol writes it."""
    shape = [len(rows), len(rows[0])]
    return {"name": name, "datatype": "FP32", "shape": shape, "data": rows}


def ask(
    gateway: Running,
    model: str,
    rows: Sequence[Sequence[float]],
    version: int | None = None,
    **headers: str,
) -> httpx.Response:
    """One inference request; header names are written with underscores."""
    return httpx.post(
        gateway.http + infer_path(model, version),
        json={"inputs": [tensor(rows)]},
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        timeout=40,
        trust_env=False,
    )


def infer_path(model: str, version: int | None = None) -> str:
    """The path of inference, with the version pinned if one is given."""
    pin = f"/versions/{version}" if version is not None else ""
    return f"/v2/models/{model}{pin}/infer"


def answer_of(response: httpx.Response, output: str = "y") -> list[float]:
    """The data of one output; fails with the body of an error."""
    assert response.status_code == 200, response.text
    outputs: Mapping[str, Any] = {each["name"]: each for each in response.json()["outputs"]}
    return list(outputs[output]["data"])


def register(
    control: ControlClient, model: str, *versions: ModelProto, card: Card = REGRESSION
) -> None:
    """Register versions of a model, in order."""
    for made in versions:
        control.register(model, control.upload(made.SerializeToString()), card)


def wait_for(true: Callable[[], bool], what: str, deadline_s: float) -> None:
    """Poll until a condition holds; fails when it does not in time."""
    end = time.monotonic() + deadline_s
    while not true():
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.05)
