"""Starting and ending: however it ends, nothing of a gateway is left on the machine."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from registry.card import Card, Task
from serve.control.client import ControlClient
from tests.gateway.asking import answer_of, ask, wait_for
from tests.gateway.family import beyond_loopback
from tests.gateway.running import Running, launched, running_gateway, weir
from tests.registry import models

pytestmark = pytest.mark.gateway

REFUSED_S = 90.0
"""It takes a second; a machine that others use may take many."""


@pytest.mark.slow
def test_it_starts_again_where_it_ended(tmp_path: Path) -> None:
    """SIGTERM ends all of it with status 0; the next start has routes, audit and answers."""
    with running_gateway(tmp_path) as first, ControlClient(first.control, "ada") as control:
        artifact = control.upload(models.regressor(bias=4.0).SerializeToString())
        control.register("kept", artifact, Card(task=Task.REGRESSION))
        route = control.set_route("kept", {1: 100}, reason="first")
        assert answer_of(ask(first, "kept", [[1, 2, 3]])) == [10.0]
        entries = control.audit()

    with running_gateway(tmp_path) as again, ControlClient(again.control, "ada") as control:
        wait_for(lambda: _is_ready(again.control), "readiness", 90.0)
        answer = ask(again, "kept", [[1, 2, 3]])
        assert answer_of(answer) == [10.0]
        assert answer.headers["weir-version"] == "1"
        assert control.route("kept") == route
        assert control.audit() == entries
        assert control.verify_audit().intact


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """SIGINT drains and ends like SIGTERM."""
    with launched(tmp_path) as started:
        started.wait_ready()
        assert started.family.leftovers() != []
        assert started.end(signal.SIGINT) == 0
        assert started.family.leftovers() == []


@pytest.mark.parametrize("moment_s", [0.2, 1.0, 2.5, 4.0, 6.0])
def test_ending_while_it_starts_leaves_nothing(tmp_path: Path, moment_s: float) -> None:
    """SIGTERM at any moment of the start ends all that has been started by then."""
    with launched(tmp_path) as started:
        time.sleep(moment_s)  # the moment itself is what is tried here
        has_begun = len(started.family.processes()) > 1
        status = started.end()
        # Before Python can take a signal in, the signal itself ends it.
        assert status in ({0} if has_begun else {0, -signal.SIGTERM})
        assert started.family.leftovers() == []


def test_a_killed_driver_ends_all_with_one_line(tmp_path: Path) -> None:
    """Without its driver the gateway ends, says so in one line, and leaves nothing."""
    with launched(tmp_path) as started:
        started.wait_ready()
        os.kill(started.driver(), signal.SIGKILL)
        assert started.process.wait(20.0) == 1
        (line,) = started.complained().splitlines()
        assert "ended by itself" in line
        assert started.family.leftovers() == []


def test_a_killed_supervisor_ends_all(tmp_path: Path) -> None:
    """What SIGKILL ends cannot clean up; the driver does, within fifteen seconds.

    Also when nothing ends that is asked to: as on a machine that is busy, but surely so.
    """
    with launched(tmp_path) as started:
        started.wait_ready()
        for pid, name in started.family.processes().items():
            if name in {"raylet", "gcs_server"}:
                os.kill(pid, signal.SIGSTOP)
        started.process.kill()
        started.process.wait()
        assert started.family.wait_gone(15.0) == []


def test_a_data_folder_has_one_gateway(gateway: Running) -> None:
    """A second gateway on a data folder is refused at once, in one line."""
    data = gateway.launched.data
    refused = weir("up", "--data", str(data), folder=data.parent)
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert "another gateway" in line
    assert str(data) in line


@pytest.mark.parametrize("name", ["http_port", "control_port"])
def test_a_taken_port_is_named(tmp_path: Path, name: str) -> None:
    """A port that somebody else has is refused at once, in one line that names it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = {"listen": {"http_port": 0, "control_port": 0, name: port}}
        with launched(tmp_path, settings) as started:
            assert started.process.wait(REFUSED_S) == 1
            (line,) = started.complained().splitlines()
            assert f"127.0.0.1:{port}" in line
            assert started.family.leftovers() == []


def test_an_unknown_setting_is_refused_by_name(tmp_path: Path) -> None:
    """A key that does not exist is named, with the key that was probably meant."""
    with launched(tmp_path, {"limits": {"deadline_seconds": 3}}) as started:
        assert started.process.wait(REFUSED_S) == 1
        (line,) = started.complained().splitlines()
        assert "limits.deadline_seconds does not exist" in line
        assert "limits.deadline_s" in line


def test_a_provider_that_is_missing_is_named(tmp_path: Path) -> None:
    """On a machine without the GPU package it does not start, and says in one line why."""
    settings = {"hosts": {"providers": ["cuda"]}}
    with launched(tmp_path, settings) as started:
        assert started.process.wait(REFUSED_S) == 1
        (line,) = started.complained().strip().splitlines()
        assert line.startswith("weir: hosts.providers names 'cuda'")
        assert "onnxruntime-gpu" in line
        assert started.family.leftovers() == []


def test_nothing_listens_beyond_loopback(gateway: Running) -> None:
    """No process of the gateway can be reached from another machine."""
    listening = gateway.launched.family.listening()
    ports = {int(local.partition(":")[2], 16) for local in listening}
    grpc_port = int(gateway.grpc.rpartition(":")[2])
    assert {gateway.http_port, grpc_port, gateway.control_port} <= ports
    assert beyond_loopback(listening) == {}


def _is_ready(control: str) -> bool:
    return httpx.get(f"{control}/health/ready", trust_env=False).is_success
