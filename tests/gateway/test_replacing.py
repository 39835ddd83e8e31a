"""Processes come and go under load, by order and by SIGKILL: no client notices."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from configs.errors import Unavailable
from serve.control.client import ControlClient
from serve.control.schemas import ArmSignalsView
from tests.gateway.asking import register, wait_for
from tests.gateway.conftest import QUICK
from tests.gateway.load import CONNECTIONS, keeps_up, load
from tests.gateway.running import Running, running_gateway
from tests.registry import models
from tests.serve.edge.grpc_load import Load

pytestmark = pytest.mark.gateway
MODEL = "busy"
BIAS = 1.0
BACK_S = 90.0
REPLICAS = 2


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway of its own, of two replicas: other tests must not meet one whose processes die."""
    settings = {**QUICK, "hosts": {"gateway_replicas": REPLICAS, "replicas_max": 2}}
    with running_gateway(tmp_path_factory.mktemp("busy"), settings) as running:
        with ControlClient(running.control, "ada") as control:
            register(control, MODEL, models.regressor(BIAS))
            control.set_route(MODEL, {1: 100})
        yield running


@contextmanager
def nobody_notices(busy: Running) -> Iterator[None]:
    """Under load while the block runs and for a while after it, no request fails."""
    with load(busy, MODEL, BIAS) as tally:
        yield
        keeps_up(tally)
    assert dict(tally.failures) == {}
    assert tally.silent == 0, "a connection was closed without notice"


@pytest.mark.parametrize("what", ["gateway", "version"])
def test_a_replacement_loses_nothing(busy: Running, what: str) -> None:
    """New processes take over from the old ones without a failed request."""
    model = MODEL if what == "version" else ""
    before = busy.pids(what, model)
    with nobody_notices(busy):
        order = {"what": what, "model": model, "version": 1 if model else 0}
        url = f"{busy.control}/v1/system:replace"
        httpx.post(url, json=order, timeout=60, trust_env=False).raise_for_status()
        wait_for(lambda: _are_others(busy.pids(what, model), before), "new processes", BACK_S)


def test_a_replacement_loses_no_call_over_grpc(busy: Running) -> None:
    """The old replicas let their clients go, and answer what is on its way."""
    before = busy.pids("gateway")
    with Load(int(busy.grpc.rpartition(":")[2]), MODEL) as load:
        load.more(200)
        url = f"{busy.control}/v1/system:replace"
        httpx.post(url, json={"what": "gateway"}, timeout=60, trust_env=False).raise_for_status()
        wait_for(lambda: _are_others(busy.pids("gateway"), before), "new processes", BACK_S)
        load.more(200)

    assert load.failures == []


def test_a_killed_gateway_replica_loses_what_it_had_in_hand(busy: Running) -> None:
    """Its clients find the other one at once, and then the next one; nobody else notices."""
    before = busy.pids("gateway")
    assert len(before) == REPLICAS
    killed = min(before)
    with load(busy, MODEL, BIAS) as tally:
        _kill({killed})
        keeps_up(tally)
        wait_for(lambda: len(busy.pids("gateway") - {killed}) == REPLICAS, "a new replica", BACK_S)
        met = tally.failures.total()
        keeps_up(tally)
    assert met <= CONNECTIONS
    assert tally.failures.total() == met
    assert tally.failures.keys() <= {"ConnectionResetError", "IncompleteReadError"}


def test_a_killed_version_loses_nothing(busy: Running) -> None:
    """What a version's process had in hand when it died is answered by the next one."""
    before = busy.pids("version", MODEL)
    with nobody_notices(busy):
        _kill(before)
        wait_for(lambda: _are_others(busy.pids("version", MODEL), before), "a new host", BACK_S)


def test_without_the_observer_requests_are_answered(busy: Running) -> None:
    """The monitors die: nobody waits for them, what they miss is counted, they come back."""
    with ControlClient(busy.control, "ada") as control:
        before = busy.pids("observer")
        with nobody_notices(busy):
            wait_for(lambda: _rows(control) > 0, "signals", BACK_S)
            _kill(before)
            wait_for(lambda: _pids_or_none(busy, "observer") not in (None, before), "it", BACK_S)
            wait_for(lambda: _rows(control) > 0, "signals again", BACK_S)
        wait_for(lambda: _dropped(control) > 0, "rows that are counted as lost", BACK_S)


def test_without_telemetry_requests_are_answered(busy: Running) -> None:
    """The exporter dies: counts go on in the gateway, and the next exporter shows all of them.

    All are those of the replicas that live: the first death forgets the replicas of other tests.
    """
    with ControlClient(busy.control, "ada") as control, nobody_notices(busy):
        _kill_exporter(busy)
        wait_for(lambda: _answered(control) > 0, "counts", BACK_S)
        answered = _answered(control)
        _kill_exporter(busy)
        wait_for(lambda: _answered(control) > answered, "all counts again", BACK_S)


def _kill_exporter(busy: Running) -> None:
    """End the exporter, and wait for the next one."""
    wait_for(lambda: bool(_pids_or_none(busy, "telemetry")), "the exporter", BACK_S)
    before = busy.pids("telemetry")
    _kill(before)
    wait_for(lambda: _pids_or_none(busy, "telemetry") not in (None, before), "it", BACK_S)


def test_without_control_requests_are_answered(busy: Running) -> None:
    """The control plane dies: inference goes on, and the next one knows every route."""
    with ControlClient(busy.control, "ada") as control:
        before = control.route(MODEL)
        pid = busy.pids("control")
        with nobody_notices(busy):
            _kill(pid)
            wait_for(lambda: _pids_or_none(busy, "control") not in (None, pid), "it", BACK_S)
        assert control.route(MODEL) == before
        wait_for(lambda: _is_ready(busy), "readiness", BACK_S)
        assert control.verify_audit().intact
        assert control.set_route(MODEL, {1: 100}).generation == before.generation + 1


def _kill(pids: set[int]) -> None:
    """End processes of the gateway that this module started, by their ids."""
    assert len(pids) == 1
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def _are_others(now: set[int], before: set[int]) -> bool:
    return len(now) >= len(before) and not now & before


def _pids_or_none(busy: Running, role: str) -> set[int] | None:
    """The processes of a role, or None while nobody can tell."""
    try:
        return busy.pids(role) or None
    except httpx.HTTPError:
        return None


def _is_ready(busy: Running) -> bool:
    return httpx.get(f"{busy.control}/health/ready", timeout=30, trust_env=False).is_success


def _rows(control: ControlClient) -> int:
    return sum(arm.rows for arm in _or_nothing(control))


def _or_nothing(control: ControlClient) -> tuple[ArmSignalsView, ...]:
    try:
        return control.signals(MODEL).arms
    except Unavailable:
        return ()


def _dropped(control: ControlClient) -> float:
    return _total(control, "weir_recorder_samples_dropped_total")


def _answered(control: ControlClient) -> float:
    return _total(control, "weir_inference_duration_seconds_count")


def _total(control: ControlClient, name: str) -> float:
    """The sum over all series of a name on the Prometheus page; 0 while there is no page."""
    try:
        page = control.metrics()
    except Unavailable:
        return 0.0
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(name))
