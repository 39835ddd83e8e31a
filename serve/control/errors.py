"""The one place where errors become answers of the control API."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from secrets import token_hex

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from configs.errors import BadInput, InternalError, NotFound, WeirError
from serve.edge.errors import headers_of

_log = logging.getLogger("weir.control")
_EXPECTED = (WeirError, RequestValidationError, ClientDisconnect, HTTPException)


def answer(error: WeirError, scope: Scope) -> JSONResponse:
    """The answer to a request that failed: the error's status, sentence and code.

    One that may pass says when to try again; one for want of a key, how to show it; a wrong method,
    which are right.
    """
    return _json(scope, error.status, error.message, error.code, headers_of(error))


def install(app: FastAPI) -> None:
    """Let an application answer every expected error in one shape."""
    for kind in _EXPECTED:
        app.add_exception_handler(kind, _expected)


class Boundary:
    """ASGI middleware, the outermost: what nobody expected is counted, logged, and answered.

    It names every request by a random id, which is in the log and in the answer of an error.

    Without it the server would break off the connection, with whatever else was sent on it.
    """

    def __init__(self, app: ASGIApp, count: Callable[[], None]) -> None:
        self._app = app
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        begun = False
        request_id = scope.setdefault("state", {})["request_id"] = token_hex(16)

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            self._count()
            _log.exception("an unexpected error in request %s", request_id)
            if begun:
                raise
            surprise = InternalError(
                f"something went wrong inside the gateway: see its log for request {request_id}"
            )
            await answer(surprise, scope)(scope, receive, send)


async def _expected(request: Request, error: Exception) -> JSONResponse:
    match error:
        case WeirError():
            return answer(error, request.scope)
        case RequestValidationError():
            wrong = BadInput("; ".join(map(_sentence, error.errors())))
            return answer(wrong, request.scope)
        case HTTPException():
            return _http(request.scope, error)
        case _:
            gone = BadInput("the caller left before the whole body had arrived")
            return answer(gone, request.scope)


def _http(scope: Scope, error: HTTPException) -> JSONResponse:
    if error.status_code == 404:
        return answer(NotFound("there is nothing at this path: see /docs"), scope)
    return _json(scope, error.status_code, error.detail, BadInput.code, error.headers)


def _json(
    scope: Scope, status: int, sentence: str, code: str, headers: Mapping[str, str] | None
) -> JSONResponse:
    body = {"error": sentence, "code": code, "request_id": scope["state"]["request_id"]}
    return JSONResponse(body, status, headers)


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
