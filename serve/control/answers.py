"""What answers of the control API have in common: how errors are documented, how routes look."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from registry.records import Route
from serve.control.schemas import ErrorView, RouteView, etag

_MEANINGS = {
    400: "The request cannot be understood.",
    404: "No such model, version or key.",
    409: "The change does not fit the present state, or its key was used for another change.",
    412: "Somebody else changed the route first.",
    413: "The body is too large.",
    415: "The body is in an encoding that is not understood.",
    422: "The model, card or profile cannot be accepted; the sentence says why.",
    503: "Not ready, or overloaded: try again.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route can answer besides its success, for the documentation."""
    named: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorView, "description": _MEANINGS[status]}
        for status in sorted({400, *statuses})
    }
    return {**named, "default": {"model": ErrorView, "description": "Any other error."}}


def tagged(route: Route, response: Response) -> RouteView:
    """The view of a route, whose generation is the `ETag` of the answer."""
    response.headers["ETag"] = etag(route.generation)
    return RouteView.of(route)
