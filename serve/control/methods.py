"""Refuses a method that a path does not take, before anything else of the request is judged."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from configs.errors import MethodNotAllowed
from serve.control.errors import answer


class KnownMethods:
    """ASGI middleware: 405 with all methods that the path does take (RFC 9110, 15.5.6).

    Of templates that fit a path the longest is meant: `/v1/models/{model}:promote` is no model.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        known = [route for route in routes if isinstance(route, Route)]
        self._routes = sorted(known, key=lambda route: len(route.path_format), reverse=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            path, method = scope["path"], scope["method"]
            allowed = self._allowed(path)
            if allowed and method not in allowed:
                sentence = f"{method} is not possible at this path: see /docs"
                refusal = MethodNotAllowed(sentence, ", ".join(sorted(allowed)))
                await answer(refusal, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _allowed(self, path: str) -> set[str]:
        fitting = [route for route in self._routes if route.path_regex.match(path)]
        meant = [route for route in fitting if route.path_format == fitting[0].path_format]
        return {method for route in meant for method in route.methods or ()}
