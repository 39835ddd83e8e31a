"""Knows who calls the control API before anything else of a request is read."""

from __future__ import annotations

import time

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from configs.errors import WeirError
from serve.access.door import Door
from serve.access.principal import ANONYMOUS, Principal
from serve.control.errors import answer
from serve.control.needs import NeedsByRoute


class KnownCallers:
    """ASGI middleware: lets a request in if its caller may make it, and notes who that is."""

    def __init__(self, app: ASGIApp, door: Door, needs: NeedsByRoute) -> None:
        self._app = app
        self._door = door
        self._needs = needs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            try:
                scope.setdefault("state", {})["caller"] = self._admit(scope)
            except WeirError as error:
                await answer(error, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> Principal:
        need = self._needs.of(scope)
        if not need.key:
            return ANONYMOUS
        # Two headers become one that is no key: which of them counts must not be a question.
        shown = Headers(scope=scope).getlist("authorization")
        authorization = ", ".join(shown).encode("latin-1") if shown else None
        return self._door.admit(authorization, need.permission, time.time())


def caller(scope: Scope) -> Principal:
    """Give who makes a request that has been let in."""
    known: Principal = Request(scope).state.caller
    return known
