"""The one place where errors become answers of the control API."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from configs.errors import BadInput, InternalError, MethodNotAllowed, NotFound, WeirError

_log = logging.getLogger("weir.control")
_EXPECTED = (WeirError, RequestValidationError, ClientDisconnect, HTTPException)


def answer(error: WeirError) -> JSONResponse:
    """An error as `{"error", "code"}` with its status; one that may pass says when to try again."""
    headers = {"Retry-After": "1"} if error.retryable else {}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = error.allowed
    return _json(error.status, error.message, error.code, headers)


def install(app: FastAPI) -> None:
    """Let an application answer every expected error in one shape."""
    for kind in _EXPECTED:
        app.add_exception_handler(kind, _expected)


class Boundary:
    """ASGI middleware, the outermost: what nobody expected is counted, logged, and answered.

    Without it the server would break off the connection, with whatever else was sent on it.
    """

    def __init__(self, app: ASGIApp, count: Callable[[], None]) -> None:
        self._app = app
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            self._count()
            if begun:
                raise
            _log.exception("an unexpected error in %s", scope.get("path"))
            surprise = InternalError("something went wrong inside the gateway: see its log")
            await answer(surprise)(scope, receive, send)


async def _expected(request: Request, error: Exception) -> JSONResponse:
    match error:
        case WeirError():
            return answer(error)
        case RequestValidationError():
            return answer(BadInput("; ".join(map(_sentence, error.errors()))))
        case HTTPException():
            return _http(request, error)
        case _:
            return answer(BadInput("the caller left before the whole body had arrived"))


def _http(request: Request, error: HTTPException) -> JSONResponse:
    path = request.url.path
    if error.status_code == 404:
        return answer(NotFound(f"there is nothing at {path}: see /docs"))
    return _json(error.status_code, error.detail, BadInput.code, error.headers)


def _json(status: int, sentence: str, code: str, headers: Mapping[str, str] | None) -> JSONResponse:
    return JSONResponse({"error": sentence, "code": code}, status, headers)


def _sentence(problem: Mapping[str, object]) -> str:
    """What is wrong with one field, beginning with its dotted name, such as `weights.2`."""
    kind, loc = problem["type"], problem["loc"]
    place, *keys = loc if isinstance(loc, tuple) else ("body",)
    if kind == "json_invalid":
        return "the body is not JSON"
    name = ".".join(str(key) for key in keys if key != "[key]") or f"the {place}"
    if kind == "extra_forbidden":
        return f"{name} does not exist"
    if kind == "missing":
        return f"{name} is missing"
    if kind == "model_attributes_type":
        return f"{name} must be a JSON object, sent as Content-Type: application/json"
    text = str(problem["msg"]).removeprefix("Value error, ")
    return f"{name}: {text[:1].lower()}{text[1:]}"
