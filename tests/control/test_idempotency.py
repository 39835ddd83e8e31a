"""A keyed change is made once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from configs.errors import Unavailable
from registry.keys import AccessRole
from serve.access.principal import ANONYMOUS, Principal
from serve.control.idempotency import ANSWERS_MAX, IdempotentChanges
from tests.control.serving import Api
from tests.control.test_api import error_of

pytestmark = pytest.mark.usefixtures("two_versions")

ROLLBACK = "/v1/models/credit:rollback"
ROUTE = "/v1/models/credit/route"
KEY = {"Idempotency-Key": "k1"}


def test_the_same_change_again_gets_the_same_answer(http: httpx.Client, api: Api) -> None:
    """A repeated request changes nothing, and cannot tell that it was repeated."""
    body = {"weights": {"1": 95, "2": 5}}

    first, second = (http.put(ROUTE, json=body, headers=KEY) for _ in range(2))

    assert second.content == first.content
    assert second.headers["ETag"] == first.headers["ETag"] == '"2"'
    assert len(api.control.routes["credit"]) == 2


def test_without_a_key_a_change_is_made_each_time(http: httpx.Client, api: Api) -> None:
    """The promise is the key's, not the body's."""
    for _ in range(2):
        http.put(ROUTE, json={"weights": {"1": 95, "2": 5}})

    assert len(api.control.routes["credit"]) == 3


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        pytest.param(ROUTE, {"weights": {"1": 90, "2": 10}}, {}, id="body"),
        pytest.param("/v1/models/other/route", {"weights": {"1": 95, "2": 5}}, {}, id="path"),
        pytest.param(ROUTE, {"weights": {"1": 95, "2": 5}}, {"Weir-Actor": "bob"}, id="actor"),
        pytest.param(ROUTE, {"weights": {"1": 95, "2": 5}}, {"If-Match": '"7"'}, id="condition"),
    ],
)
def test_a_key_belongs_to_one_change(
    http: httpx.Client, path: str, body: object, headers: dict[str, str]
) -> None:
    """The same key for anything else is a conflict, and nothing changes."""
    http.put(ROUTE, json={"weights": {"1": 95, "2": 5}}, headers=KEY)

    error_of(http.put(path, json=body, headers={**KEY, **headers}), 409, "conflict")

    assert http.get(ROUTE).json()["generation"] == 2


def test_a_refusal_is_repeated_too(http: httpx.Client, api: Api) -> None:
    """What was refused stays refused under its key, even when it would now be possible."""
    first = http.post(ROLLBACK, json={}, headers=KEY)
    http.post("/v1/models/credit:promote", json={"version": 2, "reason": "x"})

    second = http.post(ROLLBACK, json={}, headers=KEY)

    error_of(first, 409, "conflict")
    assert second.content == first.content
    assert api.control.routes["credit"][-1].stable == 2


@pytest.mark.parametrize("failure", [Unavailable("later"), KeyError("x")])
def test_a_failure_on_our_side_is_not_repeated(
    http: httpx.Client, api: Api, failure: Exception
) -> None:
    """After a 5xx the same key makes the change at last."""
    digest = http.post("/v1/artifacts", content=b"three").json()["digest"]
    api.control.fails = failure
    first = http.post("/v1/models/credit/versions", json={"artifact": digest}, headers=KEY)
    api.control.fails = None

    second = http.post("/v1/models/credit/versions", json={"artifact": digest}, headers=KEY)

    assert first.status_code >= 500
    assert second.status_code == 201


def test_the_same_change_at_the_same_time_is_made_once(http: httpx.Client, api: Api) -> None:
    """Whoever comes while the change is being made waits for its answer."""

    def change(_: int) -> bytes:
        return http.put(ROUTE, json={"weights": {"1": 95, "2": 5}}, headers=KEY).content

    with ThreadPoolExecutor(8) as callers:
        answers = set(callers.map(change, range(8)))

    assert len(answers) == 1
    assert len(api.control.routes["credit"]) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_a_key_must_be_short_and_printable(http: httpx.Client, key: str) -> None:
    """A key that could not be kept is refused before anything changes."""
    response = http.put(ROUTE, json={"weights": {"1": 100}}, headers={"Idempotency-Key": key})

    assert "Idempotency-Key" in error_of(response, 400, "bad_input")


class Counting:
    """An ASGI application that answers with the number of the call; the first waits."""

    def __init__(self) -> None:
        self.calls = 0
        self.entered = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, _: Scope, __: Receive, send: Send) -> None:
        """Answer one call."""
        self.calls += 1
        number = self.calls
        self.entered.set()
        if number == 1:
            await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(number).encode()})


async def ask(app: IdempotentChanges, key: str, caller: Principal = ANONYMOUS) -> bytes:
    """Send one keyed change, and give the body of its answer."""
    body = b""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: object) -> None:
        nonlocal body
        assert isinstance(message, dict)
        body += message.get("body", b"")

    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "headers": [(b"idempotency-key", key.encode())],
        "state": {"caller": caller},
    }
    await app(scope, receive, send)
    return body


async def test_only_the_last_answers_are_kept() -> None:
    """The oldest answer is forgotten when there are too many, a change under way never is."""
    inner = Counting()
    app = IdempotentChanges(inner, streamed=lambda _: False)
    slow = asyncio.create_task(ask(app, "slow"))
    await inner.entered.wait()
    second = await ask(app, "second")
    for number in range(ANSWERS_MAX):
        await ask(app, f"filler {number}")

    same = asyncio.create_task(ask(app, "slow"))
    await asyncio.sleep(0)
    inner.go.set()

    assert await slow == await same == b"1"
    assert await ask(app, f"filler {ANSWERS_MAX - 1}") == str(ANSWERS_MAX + 2).encode()
    assert await ask(app, "second") != second


async def test_no_caller_gets_the_answer_of_another() -> None:
    """Two callers that chose the same key make two changes."""
    inner = Counting()
    inner.go.set()
    app = IdempotentChanges(inner, streamed=lambda _: False)
    ada, bob = (Principal(name, AccessRole.DEPLOYER, name) for name in ("ada", "bob"))

    answers = [await ask(app, "key", caller) for caller in (ada, bob, ada, bob)]

    assert answers == [b"1", b"2", b"1", b"2"]


async def test_who_waits_for_a_change_that_fails_makes_it() -> None:
    """A second caller is not lost when the first one's change comes to nothing."""
    calls = 0
    entered = asyncio.Event()
    fail = asyncio.Event()

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            entered.set()
            await fail.wait()
            raise ConnectionError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"made"})

    app = IdempotentChanges(inner, streamed=lambda _: False)
    first = asyncio.create_task(ask(app, "key"))
    await entered.wait()
    second = asyncio.create_task(ask(app, "key"))
    await asyncio.sleep(0)
    fail.set()

    with pytest.raises(ConnectionError):
        await first
    assert await second == b"made"
