"""Errors as the Open Inference Protocol wants them: a status and `{"error": "..."}`.

Beside the sentence stand the error's stable code and the id under which the log has the request.
"""

from __future__ import annotations

import math

import orjson

from configs.errors import MethodNotAllowed, Unauthenticated, WeirError

Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")


def render(error: WeirError, request_id: str) -> tuple[int, Headers, bytes]:
    """Give the status, headers and body that tell a client of an error."""
    body = orjson.dumps({"error": error.message, "code": error.code, "request_id": request_id})
    headers = [JSON, (b"content-length", b"%d" % len(body))]
    if isinstance(error, MethodNotAllowed) and error.allowed:
        headers.append((b"allow", error.allowed.encode()))
    if isinstance(error, Unauthenticated):
        headers.append((b"www-authenticate", b"Bearer"))
    if error.retryable:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after_s))))
    return error.status, headers, body
