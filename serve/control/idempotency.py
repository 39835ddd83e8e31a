"""Answers a repeated change with the answer that it got the first time.

A caller that sends `Idempotency-Key` can send the same change again after a lost connection: it is
made once. The last answers are kept in memory, so the promise ends when the gateway restarts.
"""

from __future__ import annotations

import hashlib
from asyncio import Event
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from configs.errors import BadInput, Conflict, TooLarge, WeirError
from serve.control.callers import caller
from serve.control.errors import answer

ANSWERS_MAX = 1000
BODY_MAX_BYTES = 2**20
_CHANGING = ("POST", "PUT", "PATCH", "DELETE")
_Key = tuple[str, str]
"""Whose key it is, and the key: no caller gets the answer of another."""


@dataclass(slots=True)
class _Kept:
    """What was asked under a key, and the answer once there is one worth keeping."""

    fingerprint: bytes
    done: Event = field(default_factory=Event)
    messages: list[Message] = field(default_factory=list)


class IdempotentChanges:
    """ASGI middleware: reads the small body of a change, and makes each keyed change once.

    `streamed` names the paths whose bodies are large and whose changes can be repeated as they
    are; these pass untouched. Answers that may be different next time (5xx) are not kept.
    """

    def __init__(self, app: ASGIApp, streamed: Callable[[str], bool]) -> None:
        self._app = app
        self._streamed = streamed
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if (
            scope["type"] != "http"
            or scope["method"] not in _CHANGING
            or self._streamed(scope["path"])
        ):
            await self._app(scope, receive, send)
            return
        try:
            body = await _read(receive)
            key = _key(scope)
            if key is None:
                await self._app(scope, _replay(body, receive), send)
                return
            kept, first = await self._claim(key, _fingerprint(scope, body))
        except WeirError as error:
            await answer(error, scope)(scope, receive, send)
            return
        if first:
            await self._make(key, kept, (scope, _replay(body, receive), send))
        else:
            for message in kept.messages:
                await send(message)

    async def _claim(self, key: _Key, fingerprint: bytes) -> tuple[_Kept, bool]:
        """The entry of a key, and whether this request is the one that makes the change."""
        while (kept := self._kept.get(key)) is not None:
            if kept.fingerprint != fingerprint:
                raise Conflict(
                    "this Idempotency-Key was used for another change: take a new key for a new one"
                )
            await kept.done.wait()
            if kept.messages:
                return kept, False
        kept = self._kept[key] = _Kept(fingerprint)
        return kept, True

    async def _make(self, key: _Key, kept: _Kept, call: tuple[Scope, Receive, Send]) -> None:
        """Make the change, and keep its answer unless it was a failure on our side."""
        scope, receive, send = call
        messages: list[Message] = []

        async def watch(message: Message) -> None:
            messages.append(message)
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            if _worth_keeping(messages):
                kept.messages = messages
            else:
                del self._kept[key]
            kept.done.set()
            self._forget()

    def _forget(self) -> None:
        """Drop the oldest answers above the cap, but no change that is still being made."""
        surplus = len(self._kept) - ANSWERS_MAX
        if surplus > 0:
            answered = [key for key, kept in self._kept.items() if kept.done.is_set()]
            for key in answered[:surplus]:
                del self._kept[key]


def _worth_keeping(messages: list[Message]) -> bool:
    """Whether an answer is whole, no failure on our side, and may be kept at all."""
    if not messages or messages[0]["status"] >= 500:
        return False
    if (b"cache-control", b"no-store") in messages[0]["headers"]:
        return False
    last = messages[-1]
    return last["type"] == "http.response.body" and not last.get("more_body", False)


async def _read(receive: Receive) -> bytes:
    """The whole body; `TooLarge` above the cap."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadInput("the caller left before the whole body had arrived")
        body += message.get("body", b"")
        if len(body) > BODY_MAX_BYTES:
            raise TooLarge(f"the body is larger than {BODY_MAX_BYTES} bytes")
        more = message.get("more_body", False)
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body that was read already, then what comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def _key(scope: Scope) -> _Key | None:
    key = Headers(scope=scope).get("idempotency-key")
    if key is None:
        return None
    if not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise BadInput("Idempotency-Key must be 1 to 255 printable characters")
    return caller(scope).key_id, key


def _fingerprint(scope: Scope, body: bytes) -> bytes:
    """What makes two requests the same: who asks for what, under which condition."""
    headers = Headers(scope=scope)
    parts = [
        scope["method"].encode(),
        scope["path"].encode(),
        scope["query_string"],
        headers.get("if-match", "").encode(),
        headers.get("weir-actor", "").encode(),
        body,
    ]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()
