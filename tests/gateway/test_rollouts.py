"""Versions come in by themselves, or go; through a real gateway, under load."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

from configs.errors import WeirError
from serve.control.client import ControlClient
from serve.control.rollout_schemas import RolloutView
from tests.gateway.asking import register, wait_for
from tests.gateway.conftest import QUICK as QUICK_GATEWAY
from tests.gateway.load import keeps_up, load
from tests.gateway.running import Running, running_gateway, weir
from tests.registry import models

pytestmark = pytest.mark.gateway

QUICK: Mapping[str, Any] = {
    "steps": [20, 50],
    "dwell_s": 1,
    "min_units": 50,
    "bake_s": 2,
    "shadow": {"min_pairs": 100},
    "guardrails": [
        {"metric": "error_ratio", "margin_abs": 0.05},
        {"metric": "timeout_ratio", "margin_abs": 0.05},
        {"metric": "invalid_output", "margin_abs": 0.05},
        {"metric": "latency_over_slo", "margin_rel": 10.0, "optional": True, "objective_s": 5.0},
        {"metric": "signals", "optional": True},
    ],
}
GOOD_S = 180.0


def test_a_good_version_is_promoted_by_itself(gateway: Running, control: ControlClient) -> None:
    """From nothing to all of the traffic, with no request lost; the log says how."""
    model = "rising"
    register(control, model, models.regressor(1.0), _retrained())
    control.set_route(model, {1: 100}, reason="first")
    with load(gateway, model, 1.0) as tally:
        begun = control.start_rollout(model, 2, QUICK, "retrained").rollout
        _wait_for_state(control, begun.id, "completed")
        keeps_up(tally)

    assert tally.failures == {}
    route = control.route(model)
    assert (route.stable, route.previous) == (2, 1)
    changes = control.rollout_changes(begun.id)
    states = [change.state.value for change in changes]
    assert states == ["starting", "shadow", *["canary"] * 2, "promoting", "baking", "completed"]
    assert {change.by for change in changes[1:]} == {"weir"}
    promoted = changes[4].evidence["findings"]
    assert all(each["good"] or each["optional"] for each in promoted)
    entries = [e for e in control.audit(limit=1000) if e.resource == f"rollouts/{begun.id}"]
    assert len(entries) == len(changes)
    assert control.verify_audit().intact


@pytest.mark.parametrize("name", ["failing", "nonsense"])
def test_a_bad_version_is_rolled_back_by_itself(
    gateway: Running, control: ControlClient, name: str
) -> None:
    """Nobody sees a failure of it: what it cannot answer is answered by the version before."""
    register(control, name, models.regressor(1.0), _failing() if name == "failing" else _nonsense())
    control.set_route(name, {1: 100}, reason="first")
    policy = {**QUICK, "shadow": {"fraction": 0.0}}
    with load(gateway, name, 1.0) as tally:
        begun = control.start_rollout(name, 2, policy).rollout
        ended = _wait_for_state(control, begun.id, "rolled back")
        keeps_up(tally)

    assert tally.failures == {}
    assert control.route(name).stable == 1
    assert [arm.version for arm in control.route(name).arms] == [1]
    assert ended.reason
    changes = control.rollout_changes(begun.id)
    (back,) = [change for change in changes if change.action == "roll back"]
    assert back.by == "weir"
    harmful = [each for each in back.evidence["findings"] if each["harmful"]]
    assert harmful
    assert harmful[0]["harm_log10"] >= harmful[0]["harm_at"]


def test_a_rollout_that_is_aborted_under_load_loses_nothing(
    gateway: Running, control: ControlClient
) -> None:
    """At every point on its way; the command answers when everybody is back."""
    model = "aborted"
    register(control, model, models.regressor(1.0), _retrained())
    control.set_route(model, {1: 100}, reason="first")
    slow = {**QUICK, "dwell_s": 600, "step_max_s": 6000}
    with load(gateway, model, 1.0) as tally:
        for state in ("shadow", "canary", "baking"):
            policy = {**QUICK, "bake_s": 600} if state == "baking" else slow
            if state == "canary":
                policy = {**policy, "shadow": {"fraction": 0.0}}
            begun = control.start_rollout(model, 2, policy).rollout
            _wait_for_state(control, begun.id, state)
            keeps_up(tally, 100)
            done = control.command_rollout(begun.id, "abort", "changed our minds")
            assert [arm.version for arm in control.route(model).arms] == [1]
            assert done.rollout.state.value in ("rolling back", "rolled back")
            _wait_for_state(control, begun.id, "rolled back")
        keeps_up(tally)

    assert tally.failures == {}


def test_the_same_by_commands(gateway: Running, control: ControlClient, tmp_path: Path) -> None:
    """Two commands bring a version in; others steer, and say how it stands."""
    model = "told"
    register(control, model, models.regressor(1.0), _retrained())
    control.set_route(model, {1: 100}, reason="first")
    url = ("--url", gateway.control)
    file = tmp_path / "policy.yaml"
    file.write_text(json.dumps({**QUICK, "dwell_s": 600, "step_max_s": 6000}))
    tried = weir("rollout", "start", model, "2", "--policy", str(file), "--dry-run", *url)
    assert tried.stdout.startswith("Would: "), tried.stderr
    assert control.rollouts(model) == ()

    for command in (
        ("start", model, "2", "--policy", str(file)),
        ("pause", model, "--reason", "lunch"),
        ("resume", model),
        ("abort", model),
    ):
        done = weir("rollout", *command, *url)
        assert done.returncode == 0, done.stderr
    (ended,) = control.rollouts(model)
    _wait_for_state(control, ended.id, "rolled back", "failed")
    shown = weir("rollout", "explain", model, *url)
    assert "pause" in shown.stdout, shown.stderr


@pytest.mark.slow
def test_the_control_plane_may_die_on_the_way(tmp_path: Path) -> None:
    """The rollout goes on from what was committed, and requests go on all the while."""
    model = "surviving"
    with ExitStack() as stack:
        gateway = stack.enter_context(running_gateway(tmp_path, QUICK_GATEWAY))
        control = stack.enter_context(ControlClient(gateway.control, "ada"))
        register(control, model, models.regressor(1.0), _retrained())
        control.set_route(model, {1: 100}, reason="first")
        policy = {**QUICK, "dwell_s": 15, "shadow": {"fraction": 0.0}}
        with load(gateway, model, 1.0) as tally:
            begun = control.start_rollout(model, 2, policy).rollout
            _wait_for_state(control, begun.id, "canary")
            keeps_up(tally, 200)
            (control_plane,) = gateway.pids("control")
            os.kill(control_plane, signal.SIGKILL)
            wait_for(lambda: _answers(control, begun.id), "the control plane", 60.0)
            assert [arm.version for arm in control.route(model).arms] == [1, 2]
            _wait_for_state(control, begun.id, "completed")
            keeps_up(tally)

        assert tally.failures == {}
        changes = control.rollout_changes(begun.id)
        assert [change.number for change in changes] == list(range(1, len(changes) + 1))
        assert control.verify_audit().intact


def _answers(control: ControlClient, rollout_id: str) -> bool:
    try:
        control.rollout(rollout_id)
    except WeirError:
        return False
    return True


def _wait_for_state(control: ControlClient, rollout_id: str, *states: str) -> RolloutView:
    def there() -> bool:
        return control.rollout(rollout_id).state.value in states

    try:
        wait_for(there, f"a rollout that is {' or '.join(states)}", GOOD_S)
    except AssertionError as late:
        account = control.explain_rollout(rollout_id)
        message = f"{late}; {account.model_dump_json(indent=1)}"
        raise AssertionError(message) from None
    return control.rollout(rollout_id)


def _retrained() -> ModelProto:
    """The same model in another file."""
    made = models.regressor(1.0)
    made.producer_name = "retrained"
    return made


def _failing() -> ModelProto:
    """The regressor's signature; its run fails on any number above 3, of which there are many."""
    return models.model(
        [
            helper.make_node("Cast", ["x"], ["places"], to=models.INT64),
            helper.make_node("Gather", ["table", "places"], ["found"]),
            helper.make_node("ReduceSum", ["found", "axes"], ["y"]),
        ],
        [models.tensor("x", ["N", 3])],
        [models.tensor("y", ["N", 1])],
        [
            numpy_helper.from_array(np.ones(4, np.float32), "table"),
            numpy_helper.from_array(np.array([1], np.int64), "axes"),
        ],
    )


def _nonsense() -> ModelProto:
    """The regressor's signature; it answers NaN to any number above 3."""
    return models.model(
        [
            helper.make_node("Sub", ["three", "x"], ["left"]),
            helper.make_node("Sqrt", ["left"], ["roots"]),
            helper.make_node("ReduceSum", ["roots", "axes"], ["y"]),
        ],
        [models.tensor("x", ["N", 3])],
        [models.tensor("y", ["N", 1])],
        [
            numpy_helper.from_array(np.array([3], np.float32), "three"),
            numpy_helper.from_array(np.array([1], np.int64), "axes"),
        ],
    )
