"""Weir's own client against the real API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from configs.errors import (
    BadInput,
    Conflict,
    DeadlineExceeded,
    ModelNotFound,
    NotFound,
    NotReady,
    PreconditionFailed,
    Refused,
    Unavailable,
    VersionNotFound,
    WeirError,
)
from monitors.signal import Verdict
from registry.card import Card, Feature, Task
from serve.control import connection as connection_module
from serve.control.client import ControlClient
from serve.control.service import ArmSignals
from tests.control.memory import signal
from tests.control.serving import Api, Stage
from tests.tools.ports import free_port


def errors_below(base: type[WeirError]) -> Iterator[type[WeirError]]:
    """Every class of error."""
    for kind in base.__subclasses__():
        yield kind
        yield from errors_below(kind)


def test_a_version_from_file_to_traffic_and_back(client: ControlClient, tmp_path: Path) -> None:
    """Upload, register, split, promote, roll back: each answer is the state that it made."""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"model" * 2**19)
    card = Card(task=Task.OTHER)
    profile = client.upload(b"{}")
    first = client.register("credit", client.upload(path), card, profile)
    second = client.register("credit", client.upload(b"two"))

    split = client.set_route("credit", {1: 97, 2: 3}, reason="canary")
    promoted = client.promote("credit", 2, "good")
    back = client.rollback("credit", "bad")

    assert (first.version.card, first.version.profile, first.inferred) == (card, profile, ())
    assert first.version.size_bytes == 5 * 2**19
    assert second.inferred
    assert [(arm.version, arm.weight) for arm in split.arms] == [(1, 97.0), (2, 3.0)]
    assert (promoted.stable, promoted.reason) == (2, "good")
    assert back.stable == 1
    assert client.route("credit") == back
    assert {entry.actor for entry in client.audit()} == {"ada"}
    assert [entry.sequence for entry in client.audit(after=2, limit=2)] == [3, 4]
    assert client.verify_audit().intact


def test_a_card_of_ten_thousand_features_can_be_sent(client: ControlClient) -> None:
    """It is larger than what a change may bring, but for what goes without saying."""
    features = [Feature(name=f"measurement_{at}", input="x", column=at) for at in range(10_000)]
    card = Card(task=Task.OTHER, features=tuple(features))
    made = client.register("wide", client.upload(b"one"), card)
    assert made.version.card == card


def test_reading(two_versions: ControlClient, api: Api) -> None:
    """Models, versions, signals, history, metrics and health come as views."""
    api.control.arms = (ArmSignals(1, "stable", 9, (signal("weir.drift", Verdict.ALARM),)),)
    two_versions.set_route("credit", {1: 100}, shadow=(2, 12.5))

    (model,) = two_versions.models()
    (arm,) = two_versions.signals("credit").arms

    assert model.route is not None
    assert model.route.shadow is not None
    assert (model.route.shadow.version, model.route.shadow.share) == (2, 12.5)
    assert two_versions.model("credit").versions == two_versions.versions("credit")
    assert [version.state for version in two_versions.versions("credit")] == ["ready", "ready"]
    assert (arm.role, arm.signals[0].verdict) == ("stable", Verdict.ALARM)
    assert two_versions.served_at("credit", datetime.now(UTC)).generation == 2
    assert two_versions.metrics() == "weir_up 1\n"
    assert two_versions.health().status == "ready"


def test_errors_come_back_as_the_classes_that_they_were(
    two_versions: ControlClient, api: Api
) -> None:
    """Whoever calls can catch what the control plane raised."""
    with pytest.raises(ModelNotFound, match="no model 'nobody'"):
        two_versions.model("nobody")
    with pytest.raises(NotFound):
        two_versions.route("a/b")
    with pytest.raises(VersionNotFound):
        two_versions.promote("credit", 7, "why not")
    with pytest.raises(Conflict):
        two_versions.rollback("credit")
    with pytest.raises(PreconditionFailed):
        two_versions.set_route("credit", {2: 100}, if_generation=9)
    api.control.fails = Refused("the model has a custom operator")
    with pytest.raises(Refused, match="custom operator"):
        two_versions.register("credit", "sha256:" + "0" * 64)
    api.control.is_ready = False
    with pytest.raises(NotReady):
        two_versions.health()


def test_every_code_leads_back_to_its_class(client: ControlClient, api: Api) -> None:
    """No error that has a code of its own turns into another on its way."""
    for kind in errors_below(WeirError):
        if "code" in vars(kind):
            api.control.fails = kind("sentence")
            with pytest.raises(WeirError, match=r"^sentence$") as caught:
                client.register("credit", "sha256:" + "0" * 64)
            assert type(caught.value) is kind


def test_values_that_cannot_be_right_are_refused_before_they_are_sent(
    client: ControlClient,
) -> None:
    """The sentence names the field."""
    with pytest.raises(BadInput, match="reason"):
        client.promote("credit", 1, "")
    with pytest.raises(BadInput, match="weights"):
        client.set_route("credit", {1: 101})
    with pytest.raises(BadInput, match="artifact"):
        client.register("credit", "model.onnx")


def test_nobody_listens() -> None:
    """The sentence says what to do."""
    url = f"http://127.0.0.1:{free_port()}"

    with (
        ControlClient(url, "ada") as client,
        pytest.raises(Unavailable, match=f"no gateway answers at {url}; start one with `weir up`"),
    ):
        client.models()


@pytest.mark.parametrize("url", ["gateway", "ftp://127.0.0.1", "http://127.0.0.1:x", "http://"])
def test_a_wrong_address_is_said_to_be_one(url: str) -> None:
    """A typing error is no missing gateway."""
    with ControlClient(url, "ada") as client, pytest.raises(BadInput, match="no address"):
        client.models()


@pytest.mark.parametrize("status", [200, 404, 502])
def test_somebody_else_listens(stage: Stage, status: int) -> None:
    """Another server on the port is named as such, whatever it answers."""
    stage.put(HTMLResponse("<h1>hello</h1>", status))

    with ControlClient(stage.url, "ada") as client, pytest.raises(Unavailable, match="not the con"):
        client.models()


def test_an_answer_that_does_not_come(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that hangs does not hang its callers."""
    asked = asyncio.Event()

    async def silent(_: Scope, receive: Receive, __: Send) -> None:
        await receive()
        await receive()
        asked.set()

    stage.put(silent)
    monkeypatch.setattr(connection_module, "ANSWER_S", 0.05)

    with (
        ControlClient(stage.url, "ada") as client,
        pytest.raises(DeadlineExceeded, match=r"0\.05 s"),
    ):
        client.models()


def test_no_proxy_stands_between(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment is for the internet, not for this machine."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{free_port()}")

    with ControlClient(api.url, "ada") as client:
        assert client.models() == ()
