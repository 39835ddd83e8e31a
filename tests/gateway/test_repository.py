"""Loading, unloading and API keys over the control API of a real gateway."""

from __future__ import annotations

import httpx
import pytest

from configs.errors import Conflict
from registry.keys import AccessRole
from serve.control.client import ControlClient
from tests.gateway.asking import answer_of, ask, register, wait_for
from tests.gateway.running import Running, weir
from tests.registry import models

pytestmark = pytest.mark.gateway
ROW = [[0.0, 0.0, 0.0]]


def test_a_model_is_loaded_and_unloaded(gateway: Running, control: ControlClient) -> None:
    """What is unloaded answers nobody and has no process; loaded again it answers as before."""
    model = "shelved"
    register(control, model, models.regressor(bias=1.0), models.regressor(bias=2.0))
    assert control.load(model, "go").stable == 2
    assert answer_of(ask(gateway, model, ROW)) == [2.0]

    assert not control.unload(model, "not needed").served

    assert ask(gateway, model, ROW).status_code == 404
    wait_for(lambda: gateway.pids("version", model) == set(), "its process has ended", 90.0)
    assert httpx.get(f"{gateway.control}/health/ready", trust_env=False).status_code == 200
    with pytest.raises(Conflict):
        control.unload(model, "again")

    assert control.load(model, "needed").served
    assert answer_of(ask(gateway, model, ROW)) == [2.0]
    entries = [e for e in control.audit(limit=1000) if e.resource == f"models/{model}/route"]
    assert [(e.action, e.reason) for e in entries] == [
        ("load", "go"),
        ("unload", "not needed"),
        ("load", "needed"),
    ]


def test_keys_come_and_go(gateway: Running, control: ControlClient) -> None:
    """Replicas have settled on each change when it returns, and the log is whole."""
    made = control.create_key("robot", AccessRole.CLIENT, 100.0)
    gone = control.revoke_key(made.key.id, "lost")

    assert httpx.get(f"{gateway.control}/health/ready", trust_env=False).status_code == 200
    listed = control.keys()
    assert gone in listed
    assert control.verify_audit().intact
    log = httpx.get(f"{gateway.control}/v1/audit", params={"limit": 1000}, trust_env=False).text
    assert made.token.rpartition("_")[2] not in log
    assert made.token.rpartition("_")[2] not in gateway.log


def test_a_running_gateway_keeps_its_folder(gateway: Running) -> None:
    """`weir keys --data` says that the gateway runs, in one line, and leaves it alone."""
    done = weir("keys", "create", "root", "--role", "admin", "--data", str(gateway.launched.data))

    assert (done.returncode, done.stdout) == (1, "")
    assert "gateway is running on" in done.stderr
    assert done.stderr.count("\n") == 1
