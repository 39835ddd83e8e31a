"""Errors as the Open Inference Protocol wants them: a status and `{"error": "..."}`."""

from __future__ import annotations

import orjson

from configs.errors import InternalError, MethodNotAllowed, WeirError

Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")


def as_weir_error(error: Exception) -> WeirError:
    """Give an error that may be shown: whatever is not ours becomes "internal error"."""
    if isinstance(error, WeirError):
        return error
    return InternalError("internal error")


def render(error: WeirError) -> tuple[int, Headers, bytes]:
    """Give the status, headers and body that tell a client of an error."""
    body = orjson.dumps({"error": error.message})
    headers = [JSON, (b"content-length", b"%d" % len(body))]
    if isinstance(error, MethodNotAllowed) and error.allowed:
        headers.append((b"allow", error.allowed.encode()))
    if error.retryable:
        headers.append((b"retry-after", b"1"))
    return error.status, headers, body
