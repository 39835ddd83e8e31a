"""From traffic that moved to whoever is to know of it, and back to monitors that begin anew."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from standardwebhooks import Webhook

from tests.gateway.asking import wait_for
from tests.gateway.conftest import QUICK
from tests.gateway.running import READY_S, Running, launched, running_gateway, weir
from tests.gateway.watching import FEATURES, REGIONS, files_in, register, rows, send
from tests.serve.alarms.listening import Listening, listening

pytestmark = pytest.mark.gateway
SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()


@dataclass(frozen=True, slots=True)
class Told:
    """A gateway, and the server that it tells of alarms."""

    gateway: Running
    server: Listening

    def weir(self, *args: str) -> str:
        """Run a command; gives what it printed."""
        done = weir(*args, "--url", self.gateway.control)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def events(self) -> list[dict[str, Any]]:
        """What the server was told of `debt`, each once, after its signature was verified."""
        seen = {}
        for posted in list(self.server.posted):
            event = Webhook(SECRET).verify(posted.body, posted.headers)
            if event["data"]["subject"] == "debt" and event["data"]["name"] == "input_drift":
                seen[posted.headers["webhook-id"]] = event
        return list(seen.values())

    def types(self) -> list[str]:
        """What happened to the alarms, in the order in which it was told."""
        return [event["type"] for event in self.events()]

    def wait_for_types(self, *types: str) -> None:
        """Wait until the server was told just this."""
        wait_for(lambda: self.types() == [f"alarm.{each}" for each in types], f"{types}", 60.0)


@pytest.fixture(name="told")
def telling_gateway(tmp_path: Path) -> Iterator[Told]:
    """A gateway that tells a server of alarms, with one model that is watched."""
    (tmp_path / "secret").write_text(SECRET)
    with ExitStack() as stack:
        server = stack.enter_context(listening())
        alarms = {"webhook": server.url, "webhook_secret_file": str(tmp_path / "secret")}
        (tmp_path / "gateway").mkdir()
        running = running_gateway(tmp_path / "gateway", {**QUICK, "alarms": alarms})
        told = Told(stack.enter_context(running), server)
        _register(told, tmp_path)
        yield told


@pytest.mark.slow
def test_an_alarm_is_told_answered_and_begun_anew(told: Told) -> None:
    """Over a server that fails at first, and the deaths of control plane and monitors."""
    told.server.answers = [503]
    _move(told)
    told.wait_for_types("raised")
    (raised,) = told.events()
    alarm_id = raised["data"]["id"]
    assert (raised["data"]["model"], raised["data"]["version"]) == ("credit", 1)
    assert raised["data"]["log10_evidence"] > 2
    assert told.weir("alarms", "credit").splitlines()[1].split()[0] == "raised"

    told.weir("alarms", "acknowledge", alarm_id, "--reason", "looking")
    told.wait_for_types("raised", "acknowledged")
    (control_plane,) = told.gateway.pids("control")
    os.kill(control_plane, signal.SIGKILL)
    wait_for(lambda: _answers(told), "the control plane after its death", 90.0)
    assert json.loads(told.weir("alarms", "credit", "--state", "acknowledged", "--json"))

    told.weir("alarms", "rearm", alarm_id, "--reason", "the feed is repaired")
    told.wait_for_types("raised", "acknowledged", "closed")
    wait_for(lambda: _verdict(told) not in ("", "alarm"), "monitors that begin anew", 90.0)

    for pid in told.gateway.pids("observer"):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: bool(_verdict(told)), "the monitors after their death", 90.0)
    _move(told)
    told.wait_for_types("raised", "acknowledged", "closed", "raised")
    again = told.events()[-1]["data"]
    assert (again["id"] != alarm_id, again["arming"]) == (True, 2)
    told.weir("alarms", "adopt", again["id"], "--reason", "these are our customers now")
    told.wait_for_types("raised", "acknowledged", "closed", "raised", "closed")
    assert "learning a reference" in told.weir("signals", "credit")
    log = told.weir("audit", "list", "--limit", "1000")
    for action in ("raise-alarm", "acknowledge-alarm", "rearm-alarm", "adopt-reference"):
        assert action in log
    assert "whole" in told.weir("audit", "verify")
    page = httpx.get(f"{told.gateway.control}/metrics", trust_env=False).text
    assert 'weir_alarm_deliveries_total{weir_outcome="delivered"}' in page


def _register(told: Told, folder: Path) -> None:
    register(told.gateway, "credit", files_in(folder))
    told.weir("route", "credit", "--set", "1=100")


def _move(told: Told) -> None:
    """Send rows of which one feature has moved by two standard deviations."""
    rng = np.random.default_rng(3)
    asked = rows(rng, 400)
    asked[:, FEATURES.index("debt")] += 2.0
    send(told.gateway, "credit", asked, rng.choice(REGIONS, len(asked)).tolist())


def _answers(told: Told) -> bool:
    return weir("models", "--url", told.gateway.control).returncode == 0


def _verdict(told: Told) -> str:
    """What the monitors say of `debt` now, nothing while they are not there."""
    done = weir("signals", "credit", "--json", "--url", told.gateway.control)
    arms = json.loads(done.stdout)["arms"] if done.returncode == 0 else []
    found = [
        signal["verdict"]
        for arm in arms
        for signal in arm["signals"]
        if (signal["name"], signal["subject"]) == ("input_drift", "debt")
    ]
    return found[0] if found else ""


def test_a_webhook_without_its_secret_stops_the_start(tmp_path: Path) -> None:
    """Better than to find out at the first alarm; the sentence names the file."""
    (tmp_path / "secret").write_text("whsec_short")
    alarms = {
        "webhook": "http://127.0.0.1:9/",
        "webhook_secret_file": str(tmp_path / "secret"),
    }
    with launched(tmp_path, {"alarms": alarms}) as started:
        assert started.process.wait(READY_S) == 1
        assert f"{tmp_path / 'secret'} holds no secret" in started.complained()
