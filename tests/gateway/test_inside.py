"""Proven small versions run inside the replicas of a real gateway, if its settings say so."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from serve.control.client import ControlClient
from serve.models.in_hand import was_in_hand
from tests.gateway.asking import answer_of, ask, infer_path, register, tensor, wait_for
from tests.gateway.conftest import QUICK
from tests.gateway.load import keeps_up, load
from tests.gateway.running import Running, running_gateway
from tests.registry import models
from tests.serve.edge.test_grpc import Client, row

pytestmark = [pytest.mark.gateway, pytest.mark.slow]
MODEL = "inside"
BIAS = 1.0
REPLICAS = 2
BACK_S = 120.0
FOR_HOURS = [[1e18, 0.0, 0.0]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway of two replicas, with one model inside them."""
    settings = {**QUICK, "hosts": {"gateway_replicas": REPLICAS, "shared_in": "gateway"}}
    with running_gateway(tmp_path_factory.mktemp("inside"), settings) as running:
        with ControlClient(running.control, "ada") as control:
            register(control, MODEL, models.regressor(BIAS))
            control.set_route(MODEL, {1: 100})
        yield running


def test_a_proven_version_answers_inside_every_replica(home: Running) -> None:
    """Over HTTP and gRPC, with the processes of the gateway and no others."""
    gateway = home.pids("gateway")
    assert len(gateway) == REPLICAS
    assert home.pids("version", MODEL) == gateway
    with ControlClient(home.control, "ada") as control:
        (version,) = control.versions(MODEL)
    assert (version.state, version.state_reason) == ("ready", "in the gateway")

    for _ in range(8):  # Each on a connection of its own: both replicas are met.
        assert answer_of(ask(home, MODEL, [[1.0, 2.0, 3.0]])) == [6.0 + BIAS]
        client = Client(int(home.grpc.rpartition(":")[2]))
        with contextlib.closing(client.channel):
            answer = client.call("ModelInfer", row(1, 2, 3, name=MODEL))
        assert answer.raw_output_contents[0] == b"\0\0\xe0\x40"


def test_a_candidate_has_a_process_of_its_own(home: Running) -> None:
    """So has what it is compared with; once it is promoted, it is inside."""
    model = "trying"
    with ControlClient(home.control, "ada") as control:
        register(control, model, models.regressor(1.0), models.regressor(2.0))
        control.set_route(model, {1: 100})
        control.set_route(model, {1: 50, 2: 50})

        def hosts(version: int) -> set[int]:
            return home.pids("version", model, version)

        wait_for(lambda: not hosts(1) & home.pids("gateway"), "a host of its own", BACK_S)
        assert len(hosts(1) | hosts(2)) == 2
        answers = [answer_of(ask(home, model, [[0.0] * 3], version)) for version in (1, 2)]
        assert answers == [[1.0], [2.0]]

        control.promote(model, 2, "better")

        wait_for(lambda: hosts(2) == home.pids("gateway"), "it is inside", BACK_S)
        assert answer_of(ask(home, model, [[0.0] * 3])) == [2.0]


def test_a_replacement_loses_nothing(home: Running) -> None:
    """The models of the old replicas answer until those have let their clients go."""
    before = home.pids("gateway")
    with load(home, MODEL, BIAS) as tally:
        url = f"{home.control}/v1/system:replace"
        httpx.post(url, json={"what": "gateway"}, timeout=60, trust_env=False).raise_for_status()
        wait_for(lambda: _are_others(home.pids("gateway"), before), "new processes", BACK_S)
        keeps_up(tally)
    assert dict(tally.failures) == {}
    assert tally.silent == 0, "a connection was closed without notice"
    wait_for(lambda: home.pids("version", MODEL) == home.pids("gateway"), "it is inside", BACK_S)


def test_a_killed_replica_comes_back_with_its_models(home: Running) -> None:
    """The other one answers meanwhile; one crash moves no model out."""
    killed = min(home.pids("gateway"))
    _kill({killed})
    assert answer_of(ask(home, MODEL, [[1.0, 2.0, 3.0]])) == [6.0 + BIAS]

    wait_for(lambda: len(home.pids("gateway") - {killed}) == REPLICAS, "a new replica", BACK_S)
    wait_for(lambda: home.pids("version", MODEL) == home.pids("gateway"), "it is inside", BACK_S)

    for _ in range(8):  # Both replicas are met.
        assert answer_of(ask(home, MODEL, [[1.0, 2.0, 3.0]])) == [6.0 + BIAS]


def test_who_crashes_the_gateway_twice_gets_a_process_of_its_own(home: Running) -> None:
    """Both replicas die with its run in hand: they come back with all others, and without it."""
    model = "counting"
    with ControlClient(home.control, "ada") as control:
        register(control, model, models.counting_to())
        control.set_route(model, {1: 100})
    before = home.pids("gateway")
    assert home.pids("version", model) == before

    with ThreadPoolExecutor(32) as pool:
        wait_for(lambda: _at_work(home, model, pool) == before, "a run in each", BACK_S)
        _kill(before)
    wait_for(lambda: _are_others(home.pids("gateway"), before), "new replicas", BACK_S)

    assert answer_of(ask(home, MODEL, [[1.0, 2.0, 3.0]])) == [6.0 + BIAS]
    wait_for(lambda: home.pids("version", MODEL) == home.pids("gateway"), "it is inside", BACK_S)
    wait_for(lambda: _lives_apart(home, model), "a process of its own", BACK_S)
    wait_for(lambda: _answers(home, model), "an answer", BACK_S)


def _at_work(home: Running, model: str, pool: ThreadPoolExecutor) -> set[int]:
    """Ask once more, on a connection of its own, and give the replicas that are at work."""
    pool.submit(_ask_for_hours, home, model)
    return {
        int(path.stem)
        for path in home.launched.family.temp.rglob("*.hand")
        if was_in_hand(path, [(model, 1)])
    }


def _ask_for_hours(home: Running, model: str) -> None:
    body = {"inputs": [tensor(FOR_HOURS)]}
    with contextlib.suppress(httpx.HTTPError):
        httpx.post(home.http + infer_path(model), json=body, timeout=20, trust_env=False)


def _kill(pids: set[int]) -> None:
    """End processes of the gateway that this module started, by their ids."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def _are_others(now: set[int], before: set[int]) -> bool:
    return len(now) >= len(before) and not now & before


def _lives_apart(home: Running, model: str) -> bool:
    pids = home.pids("version", model)
    return len(pids) == 1 and not pids & home.pids("gateway")


def _answers(home: Running, model: str) -> bool:
    return ask(home, model, [[0.0] * 3]).status_code == 200
