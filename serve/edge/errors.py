"""Errors as the Open Inference Protocol wants them: a status and `{"error": "..."}`.

Beside the sentence stand the error's stable code and the id under which the log has the request.
"""

from __future__ import annotations

import math

import orjson

from configs.errors import MethodNotAllowed, Unauthenticated, WeirError

Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")


def headers_of(error: WeirError) -> dict[str, str]:
    """Give the headers that go with an error, over either port."""
    headers = {}
    if isinstance(error, MethodNotAllowed) and error.allowed:
        headers["allow"] = error.allowed
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    if error.retryable:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s)))
    return headers


def render(error: WeirError, request_id: str) -> tuple[int, Headers, bytes]:
    """Give the status, headers and body that tell a client of an error."""
    body = orjson.dumps({"error": error.message, "code": error.code, "request_id": request_id})
    headers = [JSON, (b"content-length", b"%d" % len(body))]
    headers += [(name.encode(), value.encode()) for name, value in headers_of(error).items()]
    return error.status, headers, body


def fields(headers: Headers) -> bytes:
    """Give header fields as they stand in the head of an answer."""
    return b"".join([b"%b: %b\r\n" % field for field in headers])
