"""How long an answer may take over HTTP: what the client says counts, up to what is allowed."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from configs.errors import BadInput
from configs.settings import Limits
from registry.records import FULL
from serve.edge.caller import Caller
from tests.serve.edge.test_grpc import Gate
from tests.serve.edge.test_http import INFER, row
from tests.serve.stage import Stage, stage
from tests.serve.versions import table
from tests.serve.waiting import PATIENCE_S

DEADLINE_S = 1.0
EARLY_S = 0.05
"""A loop's timer may fire a little early, and a client's clock is not the loop's."""
Headers = list[tuple[str, str]]


@pytest.fixture
def held(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A gateway that gives up after so many seconds, with a model that answers nobody."""
    gate = Gate()
    limits = Limits(drain_s=1.0, deadline_s=getattr(request, "param", DEADLINE_S))
    with stage(tmp_path_factory.mktemp("run"), limits) as opened:
        opened.start_host(1, gate.run)
        opened.apply(table(1, {1: FULL}))
        gate.open.clear()
        yield opened
        gate.open.set()


def waited(served: Stage, headers: Headers, **more: object) -> float:
    """After how many seconds a request is given up."""
    began = time.monotonic()
    reply = httpx.post(
        served.url + INFER,
        json=row(1, 2, 3, **more),
        headers=headers,
        timeout=2 * PATIENCE_S,
        trust_env=False,
    )
    assert (reply.status_code, reply.json()["code"]) == (504, "deadline_exceeded")
    return time.monotonic() - began


@pytest.mark.parametrize("held", [PATIENCE_S], indirect=True)
@pytest.mark.parametrize(
    ("headers", "more"),
    [
        pytest.param([("weir-timeout-ms", "100")], {}, id="header"),
        pytest.param([("weir-timeout-ms", "100"), ("weir-timeout-ms", "9e9")], {}, id="two"),
        pytest.param([], {"parameters": {"timeout": 100_000}}, id="parameter"),
        pytest.param([("weir-timeout-ms", "9e9")], {"parameters": {"timeout": 1}}, id="shorter"),
    ],
)
def test_a_client_may_wait_for_less(held: Stage, headers: Headers, more: dict[str, object]) -> None:
    """The shortest time that is named is when the request is given up."""
    assert waited(held, headers, **more) < PATIENCE_S / 2


@pytest.mark.parametrize("value", ["1e308", "inf", "1e5"])
def test_a_client_may_not_wait_for_more(held: Stage, value: str) -> None:
    """What is allowed is never lifted."""
    assert DEADLINE_S - EARLY_S < waited(held, [("weir-timeout-ms", value)]) < PATIENCE_S


@pytest.mark.parametrize("value", ["0", "-1", "nan", "", "soon"])
def test_a_time_that_is_none(held: Stage, value: str) -> None:
    """It is refused before anything runs."""
    reply = httpx.post(
        held.url + INFER,
        json=row(1, 2, 3),
        headers={"weir-timeout-ms": value},
        trust_env=False,
    )

    assert reply.status_code == 400
    assert "Weir-Timeout-Ms" in reply.json()["error"]


@pytest.mark.parametrize("value", [b"0", b"-1", b"nan", b"-inf", b"", b"x", b"5e-324", b"1 2"])
def test_times_that_are_none(value: bytes) -> None:
    """A time-out that cannot be kept is refused."""
    with pytest.raises(BadInput, match="Weir-Timeout-Ms"):
        Caller.of([(b"weir-timeout-ms", value)]).timeout_s()


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([b"1500"], 1.5),
        ([b"0.5"], 0.0005),
        ([b"inf"], float("inf")),
        ([b"1e308"], 1e305),
        ([b"100", b"50"], 0.05),
        ([b"50", b"100"], 0.05),
        ([], None),
    ],
)
def test_times_that_are_named(values: list[bytes], wanted: float | None) -> None:
    """Of several the shortest counts."""
    assert Caller.of([(b"weir-timeout-ms", value) for value in values]).timeout_s() == wanted
