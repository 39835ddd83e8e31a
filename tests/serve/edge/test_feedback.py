"""Labels come in over the inference port, and cost inference nothing."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from configs.errors import ModelNotFound, Overloaded, Unavailable
from configs.settings import Limits, Settings
from monitors.labels.receipt import Receipt
from monitors.telemetry import names
from registry.card import Card, Group, Label, Task
from registry.records import FULL, RouteTable
from serve.edge.feedback import UNDER_WAY_MAX, Feedback
from serve.gateway import Gateway
from serve.protocol.feedback import BODY_MAX_BYTES, MESSAGES_MAX, Sent
from serve.protocol.paths import Ask, Endpoint
from serve.traces import Tracer
from tests.serve.edge.test_bodies import GOOD
from tests.serve.edge.test_http import INFER
from tests.serve.observing import AWAITING, BAD, Observing
from tests.serve.stage import Stage, stage
from tests.serve.versions import CARD, MODEL, table
from tests.serve.waiting import until, wait_until

FEEDBACK = f"/v1/models/{MODEL}/feedback"
GROUPS = f"/v1/models/{MODEL}/groups"
ONE = {"prediction_id": "0" * 32, "label": 1.5}
LINES = {"content-type": "application/x-ndjson; charset=utf-8"}


@pytest.fixture(scope="module")
def observer() -> Observing:
    """What all of these labels come to."""
    return Observing()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, observer: Observing) -> Iterator[Stage]:
    """A gateway in front of a version."""
    with stage(tmp_path_factory.mktemp("run"), observer=observer) as opened:
        opened.start_host(1)
        yield opened


@pytest.fixture
def http(served: Stage, observer: Observing) -> Iterator[httpx.Client]:
    """A client of a gateway whose version awaits labels, and whose observer has heard nothing."""
    route(served, AWAITING)
    observer.sent.clear()
    observer.gone = observer.holds = False
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        yield client


def route(served: Stage, card: Card) -> None:
    """Have a version with this card serve alone."""
    served.apply(RouteTable(served.next_generation()))  # What is served keeps its card.
    models = table(served.next_generation(), {1: FULL}, card=card).models
    registered = {MODEL: (1,), "unloaded": (1,)}
    served.apply(RouteTable(served.next_generation(), models, registered))


def test_labels_reach_the_observer_as_they_came(http: httpx.Client, observer: Observing) -> None:
    """As one object or as lines; the answer says what became of them."""
    whole, lines = orjson.dumps({"labels": [ONE, ONE]}), orjson.dumps(ONE) + b"\n"

    replies = [
        http.post(FEEDBACK, content=whole),
        http.post(FEEDBACK, content=lines, headers=LINES),
    ]

    assert observer.sent == [
        Sent(MODEL, whole, versions=(1,)),
        Sent(MODEL, lines, lines=True, versions=(1,)),
    ]
    assert [(reply.status_code, reply.json()["accepted"]) for reply in replies] == [
        (200, 2),
        (200, 1),
    ]
    assert replies[0].json() == {
        "accepted": 2,
        "joined": 2,
        "waiting": 0,
        "repeated": 0,
        "corrected": 0,
        "refused": [],
        "refused_count": 0,
    }


def test_group_attributes_come_by_a_channel_of_their_own(
    http: httpx.Client, observer: Observing
) -> None:
    """The observer is told by which channel something came."""
    body = orjson.dumps({"groups": [{"prediction_id": "0" * 32, "groups": {"sex": "F"}}]})

    assert http.post(GROUPS, content=body).status_code == 200
    assert observer.sent == [Sent(MODEL, body, audit=True, versions=(1,))]


@pytest.mark.parametrize("path", [FEEDBACK, GROUPS])
def test_what_nobody_awaits_is_refused(
    http: httpx.Client, served: Stage, observer: Observing, path: str
) -> None:
    """The sentence says what the card lacks; a model that is none is not found."""
    route(served, CARD)

    refused = http.post(path, content=orjson.dumps({"labels": [ONE]}))
    unknown = http.post(path.replace(MODEL, "nobody"), content=b"{")

    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert "card" in refused.json()["error"]
    assert (unknown.status_code, unknown.json()["code"]) == (404, "model_not_found")
    assert observer.sent == []


@pytest.mark.parametrize(
    ("card", "ask"),
    [
        (Card(task=Task.REGRESSION, label=Label()), Ask.GROUPS),
        (
            Card(task=Task.REGRESSION, label=Label(), groups=(Group(name="sex", source="label"),)),
            Ask.GROUPS,
        ),
        (Card(task=Task.REGRESSION, groups=(Group(name="sex", source="audit"),)), Ask.FEEDBACK),
        (Card(task=Task.REGRESSION, groups=(Group(name="sex", source="audit"),)), Ask.GROUPS),
    ],
)
def test_each_channel_is_declared_by_itself(
    http: httpx.Client, served: Stage, observer: Observing, card: Card, ask: Ask
) -> None:
    """A card that declares the one has not declared the other."""
    route(served, card)

    reply = http.post(ask.value.replace("{model}", MODEL), content=b"{")

    assert reply.status_code == 409
    assert observer.sent == []


def test_labels_of_a_model_that_is_unloaded_come_in(
    http: httpx.Client, observer: Observing
) -> None:
    """Truth may come when nobody asks the model any more."""
    reply = http.post(FEEDBACK.replace(MODEL, "unloaded"), json={"labels": [ONE]})

    assert reply.status_code == 200
    assert [(sent.model, sent.versions) for sent in observer.sent] == [("unloaded", ())]


def test_what_is_wrong_with_a_body_is_told(http: httpx.Client) -> None:
    """No JSON is 400; a single message that is refused is 422, one of several has its place."""
    broken = http.post(FEEDBACK, content=b"{")
    alone = http.post(FEEDBACK, json={"labels": [BAD]})
    among = http.post(FEEDBACK, json={"labels": [ONE, BAD]})
    many = http.post(FEEDBACK, content=b"{}\n" * (MESSAGES_MAX + 1), headers=LINES)

    assert (broken.status_code, broken.json()["code"]) == (400, "bad_input")
    assert (alone.status_code, alone.json()["code"]) == (422, "refused")
    assert alone.json()["error"] == "it is bad"
    assert among.status_code == 200
    assert among.json()["refused"] == [{"index": 1, "reason": "it is bad"}]
    assert (many.status_code, many.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("how", ["plain", "in parts", "inflated"])
def test_a_body_has_an_end(http: httpx.Client, observer: Observing, how: str) -> None:
    """However a body comes, one that is larger than allowed reaches nobody."""
    body = b" " * (BODY_MAX_BYTES + 1)
    headers = {"content-encoding": "gzip"} if how == "inflated" else {}
    sent: Any = {"plain": body, "in parts": iter([body]), "inflated": gzip.compress(body)}[how]

    reply = http.post(FEEDBACK, content=sent, headers=headers)

    assert (reply.status_code, reply.json()["code"]) == (413, "too_large")
    assert observer.sent == []


def test_a_compressed_body_is_inflated(http: httpx.Client, observer: Observing) -> None:
    """As that of any other request."""
    body = orjson.dumps({"labels": [ONE]})
    encoded = {"content-encoding": "gzip"}

    assert http.post(FEEDBACK, content=gzip.compress(body), headers=encoded).status_code == 200
    assert observer.sent == [Sent(MODEL, body, versions=(1,))]


@pytest.mark.parametrize("path", [FEEDBACK, GROUPS])
def test_pages_in_a_browser_send_nothing(
    http: httpx.Client, observer: Observing, path: str
) -> None:
    """A page of somebody else could reach this machine, and make up labels."""
    reply = http.post(path, json={"labels": [ONE]}, headers={"origin": "http://example.org"})

    assert (reply.status_code, reply.json()["code"]) == (403, "forbidden")
    assert observer.sent == []


def test_an_observer_that_is_gone(http: httpx.Client, observer: Observing) -> None:
    """Whoever sent something hears that it was not taken, and when to try again."""
    observer.gone = True

    reply = http.post(FEEDBACK, json={"labels": [ONE]})

    assert (reply.status_code, reply.json()["code"]) == (503, "unavailable")
    assert int(reply.headers["retry-after"]) >= 1


def test_an_observer_that_is_slow_delays_nothing_else(
    http: httpx.Client, observer: Observing
) -> None:
    """So many bodies wait for it, the next is refused, and inference is answered meanwhile."""
    observer.holds = True
    with ThreadPoolExecutor(UNDER_WAY_MAX) as senders:
        waiting = [
            senders.submit(http.post, FEEDBACK, json={"labels": [ONE]})
            for _ in range(UNDER_WAY_MAX)
        ]
        wait_until(lambda: len(observer.sent) == UNDER_WAY_MAX, "all are on their way")
        refused = http.post(FEEDBACK, json={"labels": [ONE]})
        asked = http.post(INFER, content=GOOD)
        observer.holds = False
        answered = [each.result().status_code for each in waiting]

    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert "retry-after" in refused.headers
    assert asked.status_code == 200
    assert answered == [200] * UNDER_WAY_MAX
    assert http.post(FEEDBACK, json={"labels": [ONE]}).status_code == 200


def test_it_is_counted_by_its_route(http: httpx.Client, served: Stage) -> None:
    """As every request, by what was asked and what became of it."""
    series = (names.REQUEST_DURATION.name, ("POST", Ask.FEEDBACK.value, "200", ""))

    def counted() -> int:
        found = served.counts().histograms.get(series)
        return sum(found.buckets) if found else 0

    before = counted()
    http.post(FEEDBACK, json={"labels": [ONE]})

    wait_until(lambda: counted() == before + 1, "it is counted")


@pytest.fixture
async def gateway(tmp_path: Path) -> Gateway:
    """A gateway that serves nothing."""
    return Gateway(Settings(), tmp_path, Tracer(None, 0.0))


async def test_nobody_waits_for_ever(gateway: Gateway) -> None:
    """After a while, or at the deadline, the sender hears that it must send again."""
    observer = Observing()
    observer.holds = True
    feedback = Feedback(gateway, Limits(), observer, answer_s=0.01)
    now = asyncio.get_running_loop().time()

    with pytest.raises(Unavailable, match="not answered in time"):
        await feedback.hand_over(Sent(MODEL, b""), now + 60)
    patient = Feedback(gateway, Limits(), observer, answer_s=60)
    with pytest.raises(Unavailable, match="not answered in time"):
        await patient.hand_over(Sent(MODEL, b""), now)


async def test_a_place_is_taken_until_the_observer_is_done(gateway: Gateway) -> None:
    """Senders that gave up must not let more and more bodies pile up before an observer."""
    observer = Observing()
    observer.holds = True
    feedback = Feedback(gateway, Limits(), observer, answer_s=0.0)
    later = asyncio.get_running_loop().time() + 60
    sent = Sent(MODEL, orjson.dumps({"labels": [ONE]}))
    for _ in range(UNDER_WAY_MAX):
        with pytest.raises(Unavailable, match="not answered in time"):
            await feedback.hand_over(sent, later)
    with pytest.raises(Overloaded):
        await feedback.hand_over(sent, later)

    observer.holds = False
    await until(lambda: not feedback._under_way, "the observer is done")
    feedback._answer_s = 60.0
    assert await feedback.hand_over(sent, later) == Receipt(1, 1)


async def test_a_model_that_nobody_registered(gateway: Gateway) -> None:
    """Before any table has come, no model is known."""
    with pytest.raises(ModelNotFound):
        Feedback(gateway, Limits(), Observing()).awaiting(Endpoint(Ask.FEEDBACK, MODEL))
