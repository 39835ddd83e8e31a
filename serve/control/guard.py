"""Keeps web pages away from an API that asks nobody for a key.

A page from anywhere can make a browser send requests to this machine. Such a request carries the
page's `Origin`, or (when the page's own name was made to point here) a `Host` that is not ours.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from configs.errors import BadInput
from serve.control.errors import answer

_OURS = ("127.0.0.1", "localhost", "::1")
_OPEN = ("/metrics", "/health/live", "/health/ready")


class LoopbackOnly:
    """ASGI middleware: answers only requests that were addressed to this machine by its own name.

    Metrics and health stay open to any name, since scrapers and probes choose their own.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"] not in _OPEN:
            headers = Headers(scope=scope)
            host, origin = headers.get("host", ""), headers.get("origin")
            if _hostname(f"//{host}") not in _OURS:
                refusal = BadInput("this API answers only to 127.0.0.1, localhost and [::1]")
                await answer(refusal, scope)(scope, receive, send)
                return
            if origin is not None and origin.partition("//")[2] != host:
                refusal = BadInput("this API does not answer pages of other sites")
                await answer(refusal, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
