"""Proven small versions of several models live in one process of a real gateway."""

from __future__ import annotations

import httpx
import pytest

from serve.control.client import ControlClient
from tests.gateway.asking import answer_of, ask, register, wait_for
from tests.gateway.running import Running
from tests.registry import models

pytestmark = pytest.mark.gateway
ROW = [[0.0, 0.0, 0.0]]


def test_two_models_share_a_process(gateway: Running, control: ControlClient) -> None:
    """Each answers for itself; there is room for one, and the other comes back when it is asked."""
    for model, bias in (("sharing", 1.0), ("shared", 2.0)):
        register(control, model, models.regressor(bias))
        control.set_route(model, {1: 100})
    assert len(gateway.pids("version", "sharing") | gateway.pids("version", "shared")) == 1
    before = _unloads(gateway)

    answers = [answer_of(ask(gateway, model, ROW)) for model in ("sharing", "shared") * 5]

    assert answers == [[1.0], [2.0]] * 5
    wait_for(lambda: _unloads(gateway) >= before + 9, "nine departures on the page", 90.0)
    states = {version.state: version.state_reason for version in control.versions("shared")}
    assert states == {"ready": "in a shared host"}


def test_a_split_of_proven_versions_shares_a_process(
    gateway: Running, control: ControlClient
) -> None:
    """Two that were promoted stay where they are; a candidate and its rival leave."""
    model = "settled"
    register(control, model, *(models.regressor(bias) for bias in (1.0, 2.0, 3.0)))
    control.set_route(model, {1: 100})
    control.promote(model, 2, "better")
    shared = gateway.pids("version", model)
    assert len(shared) == 1

    control.set_route(model, {2: 90, 1: 10})

    assert gateway.pids("version", model, 1) == gateway.pids("version", model, 2) == shared
    answers = [answer_of(ask(gateway, model, ROW, version)) for version in (1, 2) * 3]
    assert answers == [[1.0], [2.0]] * 3

    control.set_route(model, {2: 90, 3: 10})

    def hosts(version: int) -> set[int]:
        return gateway.pids("version", model, version)

    wait_for(lambda: not (hosts(2) | hosts(3)) & shared, "hosts of their own", 90.0)
    assert len(hosts(2) | hosts(3)) == 2
    answers = [answer_of(ask(gateway, model, ROW, version)) for version in (2, 3)]
    assert answers == [[2.0], [3.0]]


def _unloads(gateway: Running) -> float:
    """How many models have had to make room, as the page says: no line until one has."""
    page = httpx.get(f"{gateway.control}/metrics", timeout=30, trust_env=False).text
    return sum(
        float(line.split()[-1])
        for line in page.splitlines()
        if line.startswith("weir_shelf_unloads_total")
    )
