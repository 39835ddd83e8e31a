"""What answers of the control API have in common: how they are documented, how routes look."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from registry.records import Route
from serve.control.schemas import ErrorView, RouteView, etag

_MEANINGS = {
    400: "The request cannot be understood.",
    401: "There is no API key, or it is not valid.",
    403: "The API key may not do this.",
    404: "No such model, version, key, alarm or rollout.",
    409: "The change does not fit the present state, or its key was used for another change.",
    412: "Somebody else changed it first.",
    413: "The body is too large.",
    415: "The body is in an encoding that is not understood.",
    422: "The model, card or profile cannot be accepted; the sentence says why.",
    429: "The API key has used up its rate: try again.",
    503: "Not ready, or overloaded: try again.",
}
_KEYED = (401, 403, 429)

Errors = dict[int | str, dict[str, Any]]

FILE = {
    "required": True,
    "content": {
        "application/octet-stream": {
            "schema": {"type": "string", "format": "binary", "minLength": 1}
        }
    },
}
PAGE = {
    "description": "Prometheus text or OpenMetrics, as `Accept` asks.",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}


def errors(*statuses: int) -> Errors:
    """What a route that needs a permission can answer besides its success."""
    return open_errors(*_KEYED, *statuses)


def open_errors(*statuses: int) -> Errors:
    """What a route that is open to everybody can answer besides its success."""
    named: Errors = {
        status: {"model": ErrorView, "description": _MEANINGS[status]}
        for status in sorted({400, *statuses})
    }
    return {**named, "default": {"model": ErrorView, "description": "Any other error."}}


def tagged(route: Route, response: Response) -> RouteView:
    """The view of a route, whose generation is the `ETag` of the answer."""
    response.headers["ETag"] = etag(route.generation)
    return RouteView.of(route)
