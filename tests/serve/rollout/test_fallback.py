"""What a candidate does wrong costs users nothing: the stable version answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from configs.errors import ModelFailed, Unavailable
from configs.settings import Limits, Settings
from registry.records import FULL
from serve.models.frames import Tensors
from serve.rollout.tallies import JudgedArm, Tally, Times
from tests.serve.edge.test_grpc import Client, Gate, trailing
from tests.serve.edge.test_grpc import row as sent
from tests.serve.edge.test_http import INFER, row
from tests.serve.protocol.encoders import packed
from tests.serve.rollout.judged import (
    ALL_CANDIDATE,
    ALL_STABLE,
    CANDIDATE,
    STABLE,
    ask,
    durations,
    events,
    infinite,
    judged,
    not_a_number,
    nothing,
    tally,
    times,
    value,
    who,
    wrong_shape,
    wrong_type,
)
from tests.serve.stage import GRPC, Stage, stage
from tests.serve.versions import GROUPED, MODEL, Run, table, version
from tests.serve.waiting import PATIENCE_S, wait_until

DEADLINE_S = 20.0
"""Long: what answers here has half of it, also on a machine that stands still for seconds."""
SOON_S = 8.0
"""The deadline where something hangs that long."""


def failing(_tensors: Tensors) -> Tensors:
    """Fail."""
    raise ModelFailed("the model failed: it is no good")


@pytest.fixture
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """A gateway over HTTP and gRPC with a host of the stable version."""
    limits = Limits(drain_s=1.0, deadline_s=getattr(request, "param", DEADLINE_S))
    settings = Settings(limits=limits, listen=GRPC)
    with stage(tmp_path, settings=settings) as opened:
        opened.start_host(STABLE)
        yield opened


def leaves(served: Stage, after_s: float) -> None:
    """Ask, and leave without an answer after so long."""
    patience = httpx.Timeout(PATIENCE_S, read=after_s)
    with (
        httpx.Client(trust_env=False, timeout=patience) as client,
        pytest.raises(httpx.ReadTimeout),
    ):
        client.post(served.url + INFER, json=row(1, 2, 3))


@pytest.mark.parametrize(
    ("run", "metric", "code"),
    [
        pytest.param(failing, "error_ratio", "model_failed", id="fails"),
        pytest.param(not_a_number, "invalid_output", "model_failed", id="nan"),
        pytest.param(infinite, "invalid_output", "model_failed", id="infinite"),
        pytest.param(wrong_shape, "invalid_output", "model_failed", id="shape"),
        pytest.param(wrong_type, "invalid_output", "model_failed", id="datatype"),
        pytest.param(nothing, "invalid_output", "model_failed", id="no-output"),
    ],
)
def test_the_stable_version_answers_for_a_candidate_that_fails(
    served: Stage, run: Run, metric: str, code: str
) -> None:
    """The client gets its answer under its name; the failure is the candidate's."""
    served.start_host(CANDIDATE, run)
    served.apply(judged(1, ALL_CANDIDATE))

    replies = [ask(served) for _ in range(3)]

    assert [reply.status_code for reply in replies] == [200] * 3
    assert [(who(reply), value(reply)) for reply in replies] == [(("1", "stable"), 7.0)] * 3
    assert replies[0].json()["model_version"] == "1"
    assert replies[0].json()["parameters"]["weir_arm"] == "stable"
    once = events(**{metric: 3})
    assert tally(served, JudgedArm.CANDIDATE) == Tally(3, once, once)
    assert tally(served, JudgedArm.STABLE) == Tally(0, events(), events())
    assert durations(served, CANDIDATE, "canary", code) == 3
    assert durations(served, CANDIDATE, "canary") == 0
    wait_until(lambda: durations(served, STABLE, "stable") == 3, "all answers are recorded")


@pytest.mark.parametrize("served", [SOON_S], indirect=True)
def test_the_stable_version_answers_in_time_for_a_candidate_that_hangs(served: Stage) -> None:
    """It has half of the deadline, and what it says later is nobody's answer."""
    gate = Gate()
    gate.open.clear()
    served.start_host(CANDIDATE, gate.run)
    served.apply(judged(1, ALL_CANDIDATE, objective_s=0.1))

    reply = ask(served)

    assert (reply.status_code, who(reply), value(reply)) == (200, ("1", "stable"), 7.0)
    assert reply.elapsed.total_seconds() > SOON_S / 2 - 0.1
    gate.open.set()
    once = events(timeout_ratio=1, latency_over_slo=1)
    assert tally(served, JudgedArm.CANDIDATE) == Tally(1, once, once)
    # Longer than any answer: else a version that hangs would seem as fast as what it does answer.
    assert times(served, JudgedArm.CANDIDATE) == Times(none=1)
    assert times(served, JudgedArm.STABLE) == Times()
    assert durations(served, CANDIDATE, "canary", "deadline_exceeded") == 1
    wait_until(lambda: gate.waiting == 0, "the candidate has answered after all")
    assert ask(served).status_code == 200
    wait_until(lambda: durations(served, STABLE, "stable") >= 1, "the answer is recorded")


def test_a_candidate_without_hosts_costs_no_time(served: Stage) -> None:
    """A version that nobody can reach is not waited for, and nothing is counted of it."""
    served.apply(judged(1, ALL_CANDIDATE), connect_s=0.1)

    reply = ask(served)

    assert (reply.status_code, who(reply)) == (200, ("1", "stable"))
    assert reply.elapsed.total_seconds() < DEADLINE_S / 2
    assert all(tally(served, arm) == Tally(0, events(), events()) for arm in JudgedArm)
    assert durations(served, CANDIDATE, "canary", "not_ready") == 1


@pytest.mark.parametrize(
    ("full", "weights", "status"),
    [
        pytest.param(CANDIDATE, ALL_CANDIDATE, 200, id="candidate"),
        pytest.param(STABLE, ALL_STABLE, 503, id="stable"),
    ],
)
def test_what_is_never_sent_is_nobodys_failure(
    served: Stage, full: int, weights: dict[int, int], status: int
) -> None:
    """A version that has no room takes no request: it is counted for no arm, with a key or not."""
    served.start_host(CANDIDATE)
    served.apply(judged(1, weights))

    async def fill() -> None:
        served.gateway.model_version(MODEL, full).batcher.close(Unavailable("no room"))

    served.on_edge(fill())
    replies = [ask(served), ask(served, "ada")]

    assert [reply.status_code for reply in replies] == [status] * 2
    assert all(tally(served, arm) == Tally(0, events(), events()) for arm in JudgedArm)


@pytest.mark.parametrize("served", [SOON_S], indirect=True)
def test_a_candidate_that_dies_at_work_costs_no_answer(served: Stage) -> None:
    """Requests that were with it are answered by the stable version."""
    gate = Gate()
    gate.open.clear()
    host = served.start_host(CANDIDATE, gate.run)
    served.apply(judged(1, ALL_CANDIDATE))
    replies = []
    asking = threading.Thread(target=lambda: replies.append(ask(served)))
    asking.start()
    wait_until(lambda: gate.waiting == 1, "the candidate is at work")

    served.drain_host(host)

    asking.join(PATIENCE_S)
    gate.open.set()
    assert [(reply.status_code, who(reply)) for reply in replies] == [(200, ("1", "stable"))]
    assert sum(tally(served, JudgedArm.CANDIDATE).trials.values()) == 1


def test_nobody_waits_for_a_candidate_to_come_back(tmp_path: Path) -> None:
    """With its last host gone, what was out and what waited for it is answered at once."""
    gate = Gate()
    gate.open.clear()
    limits = Limits(drain_s=1.0, deadline_s=80.0)
    with stage(tmp_path, limits) as opened, ThreadPoolExecutor(2) as pool:
        opened.start_host(STABLE)
        host = opened.start_host(CANDIDATE, gate.run)
        opened.apply(judged(1, ALL_CANDIDATE))
        first = pool.submit(ask, opened)
        wait_until(lambda: gate.waiting == 1, "the candidate is at work")
        second = pool.submit(ask, opened)
        found = opened.gateway.model_version(MODEL, CANDIDATE).batcher
        wait_until(lambda: found.in_flight == 2, "another request waits for it")

        opened.drain_host(host)

        replies = [each.result(20.0) for each in (first, second)]
        gate.open.set()
        assert [(reply.status_code, who(reply)) for reply in replies] == [
            (200, ("1", "stable"))
        ] * 2
        assert tally(opened, JudgedArm.CANDIDATE).trials == events(error_ratio=2)


def test_there_is_no_second_fallback(tmp_path: Path) -> None:
    """If the stable version fails too, the client is told so, once."""
    with stage(tmp_path) as opened:
        for version in (STABLE, CANDIDATE):
            opened.start_host(version, failing)
        opened.apply(judged(1, ALL_CANDIDATE))

        reply = ask(opened)

        assert (reply.status_code, reply.json()["code"]) == (500, "model_failed")
        assert durations(opened, CANDIDATE, "canary", "model_failed") == 1
        assert durations(opened, STABLE, "stable", "model_failed") == 1
        assert tally(opened, JudgedArm.CANDIDATE).units == 1
        assert tally(opened, JudgedArm.STABLE).units == 0


def test_a_good_candidate_answers_itself(served: Stage) -> None:
    """Its answers are its own, and leave no event."""
    served.start_host(CANDIDATE)
    served.apply(judged(1, ALL_CANDIDATE))

    reply = ask(served)

    assert (who(reply), value(reply)) == (("2", "canary"), 8.0)
    assert tally(served, JudgedArm.CANDIDATE) == Tally(1, events(), events())


def test_what_clients_do_wrong_is_nobodys_failure(served: Stage) -> None:
    """A request that no version takes is refused, and counted for none."""
    served.start_host(CANDIDATE)
    served.apply(judged(1, ALL_CANDIDATE))

    assert ask(served, values=(1, 2)).status_code == 400
    assert ask(served, "someone", values=(1, 2)).status_code == 400

    assert tally(served, JudgedArm.CANDIDATE) == Tally(0, events(), events())


@pytest.mark.parametrize(
    ("objective_s", "late"),
    [pytest.param(0.1, 1, id="late"), pytest.param(0.4 * DEADLINE_S, 0, id="in-time")],
)
@pytest.mark.parametrize(
    ("number", "weights", "arm", "role"),
    [
        pytest.param(CANDIDATE, ALL_CANDIDATE, JudgedArm.CANDIDATE, "canary", id="candidate"),
        pytest.param(STABLE, {STABLE: FULL}, JudgedArm.STABLE, "stable", id="stable"),
    ],
)
def test_a_client_that_leaves_has_had_a_time_out(
    tmp_path: Path,
    number: int,
    weights: dict[int, int],
    arm: JudgedArm,
    role: str,
    objective_s: float,
    late: int,
) -> None:
    """Of whichever arm, long before half of its time: a version that hangs must not gain by it."""
    gate = Gate()
    gate.open.clear()
    limits = Limits(drain_s=1.0, deadline_s=DEADLINE_S)
    with stage(tmp_path, limits) as opened:
        opened.start_host(number, gate.run)
        if number != STABLE:
            opened.start_host(STABLE)
        opened.apply(judged(1, weights, objective_s=objective_s))
        leaves(opened, after_s=0.5)
        wait_until(lambda: durations(opened, number, role, "client_gone") == 1, "it is noticed")
        gate.open.set()

        once = events(timeout_ratio=1, latency_over_slo=late)
        wait_until(lambda: tally(opened, arm) == Tally(1, once, once), "it is counted")
        assert times(opened, arm) == Times(none=1)


def test_grpc_falls_back_alike(served: Stage) -> None:
    """A call whose candidate fails has the stable version's answer, and trailers that say so."""
    served.start_host(CANDIDATE, failing)
    served.apply(judged(1, ALL_CANDIDATE))
    client = Client(served.grpc_port)

    answer, call = client.method("ModelInfer").with_call(sent(1, 2, 3), timeout=30)

    told = trailing(call)
    assert list(answer.raw_output_contents) == [packed("FP32", [7.0])]
    assert (answer.model_version, told["weir-version"], told["weir-arm"]) == ("1", "1", "stable")
    assert tally(served, JudgedArm.CANDIDATE).trials == events(error_ratio=1)
    client.channel.close()


def test_a_request_that_only_the_candidate_refuses_is_its_failure(served: Stage) -> None:
    """It broke the contract: the client gets the stable version's answer."""
    served.start_host(CANDIDATE)
    made = judged(1, ALL_CANDIDATE, card=GROUPED)
    routed = made.models[MODEL]
    ungrouped = {**routed.versions, CANDIDATE: version(CANDIDATE)}
    served.apply(replace(made, models={MODEL: replace(routed, versions=ungrouped)}))
    sex = {"name": "sex", "datatype": "BYTES", "shape": [1], "data": ["f"]}
    sent = row(1, 2, 3)
    sent["inputs"] = [*sent["inputs"], sex]  # type: ignore[misc]

    reply = httpx.post(f"{served.url}{INFER}", json=sent, trust_env=False)

    assert (reply.status_code, who(reply), value(reply)) == (200, ("1", "stable"), 7.0)
    assert tally(served, JudgedArm.CANDIDATE).trials == events(error_ratio=1)
    assert durations(served, CANDIDATE, "canary", "bad_tensor") == 1


@pytest.mark.parametrize(
    ("run", "status"),
    [pytest.param(None, 200, id="answered"), pytest.param(failing, 500, id="fails")],
)
def test_a_request_that_only_the_stable_version_refuses_is_counted_for_nobody(
    served: Stage, run: Run | None, status: int
) -> None:
    """The stable arm would not count it; the client gets what the candidate says."""
    served.start_host(CANDIDATE, run)
    made = judged(1, ALL_CANDIDATE)
    routed = made.models[MODEL]
    grouped = {**routed.versions, CANDIDATE: version(CANDIDATE, card=GROUPED)}
    served.apply(replace(made, models={MODEL: replace(routed, versions=grouped)}))
    sex = {"name": "sex", "datatype": "BYTES", "shape": [1], "data": ["f"]}
    sent = row(1, 2, 3)
    sent["inputs"] = [*sent["inputs"], sex]  # type: ignore[misc]

    reply = httpx.post(f"{served.url}{INFER}", json=sent, trust_env=False)

    assert reply.status_code == status
    assert all(tally(served, arm) == Tally(0, events(), events()) for arm in JudgedArm)


def test_a_client_that_leaves_when_its_answer_is_overdue_is_a_time_out(tmp_path: Path) -> None:
    """Of the stable arm too: a candidate would have been given up by then."""
    gate = Gate()
    gate.open.clear()
    limits = Limits(drain_s=1.0, deadline_s=SOON_S)
    with stage(tmp_path, limits) as opened:
        opened.start_host(STABLE, gate.run)
        opened.apply(judged(1, {STABLE: FULL}))
        leaves(opened, after_s=0.7 * SOON_S)
        once = events(timeout_ratio=1)
        wait_until(lambda: tally(opened, JudgedArm.STABLE) == Tally(1, once, once), "it is counted")
        gate.open.set()


def test_answers_are_the_same_whether_anything_is_judged(served: Stage) -> None:
    """Byte for byte, but for the id of the prediction."""
    served.start_host(CANDIDATE)
    bodies = []
    for made in (table(1, {STABLE: FULL}), judged(2, ALL_STABLE, shadow_bp=FULL)):
        served.apply(made)
        replies = [ask(served, values=(number, 2, 3)) for number in range(10)]
        bodies.append(
            [
                reply.content.replace(reply.headers["weir-prediction-id"].encode(), b"")
                for reply in replies
            ]
        )

    assert bodies[0] == bodies[1]


def test_an_answer_that_is_far_too_large_costs_nobody_an_answer(tmp_path: Path) -> None:
    """It is longer than any frame may be, and goes to nobody."""

    def endless(_tensors: Tensors) -> Tensors:
        return (np.zeros((1, 20 * 2**20), np.float32),)

    with stage(tmp_path, Limits(drain_s=1.0, deadline_s=10.0, body_max_bytes=2**10)) as opened:
        opened.start_host(STABLE)
        opened.start_host(CANDIDATE, endless)
        opened.apply(judged(1, ALL_CANDIDATE))

        reply = ask(opened)

        assert (reply.status_code, who(reply), value(reply)) == (200, ("1", "stable"), 7.0)
        found = tally(opened, JudgedArm.CANDIDATE)
        assert (found.units, sum(found.trials.values())) == (1, 1)
