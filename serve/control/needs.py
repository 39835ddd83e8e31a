"""What each route of the control API asks of its caller, declared where the route is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, Security
from fastapi.params import Security as SecurityDependency
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from serve.access.permissions import Permission

# Only for the documentation: the middleware has acted on the header before.
_BEARER = HTTPBearer(
    scheme_name="API key",
    bearerFormat="weir_<id>_<secret>",
    description="Asked for where the setting `access.required` is on; see `weir keys create`.",
    auto_error=False,
)


async def _everybody() -> None:
    """Ask nothing."""


OPEN = Depends(_everybody)
"""Declares that a route answers everybody."""


def needs(permission: Permission) -> Any:
    """Declare that a route is for callers that have a permission."""
    return Security(_BEARER, scopes=[permission.value])


@dataclass(frozen=True, slots=True)
class Need:
    """What a request needs: whether a key at all, and a permission unless any key will do."""

    key: bool
    permission: Permission | None = None


class NeedsByRoute:
    """Says what a request needs, by the very routes that will answer it.

    A request that no route answers needs a key, so that nobody unknown learns what there is.
    Raises `ValueError` for a route that declares nothing.
    """

    def __init__(self, routes: Iterable[BaseRoute], open_paths: Sequence[str]) -> None:
        self._routes = [(route, _declared(route, open_paths)) for route in routes]

    def of(self, scope: Scope) -> Need:
        """Give what the request of an ASGI scope needs."""
        for route, declared in self._routes:
            if route.matches(scope)[0] is Match.FULL:
                return declared
        return Need(key=True)


def _declared(route: BaseRoute, open_paths: Sequence[str]) -> Need:
    if isinstance(route, APIRoute):
        for dependency in route.dependencies:
            if isinstance(dependency, SecurityDependency) and dependency.dependency is _BEARER:
                (scope,) = dependency.scopes or ()
                return Need(key=True, permission=Permission(scope))
            if dependency == OPEN:
                return Need(key=False)
    elif isinstance(route, Route) and route.path in open_paths:
        return Need(key=False)
    message = f"{route!r} declares no permission: give it needs(...) or OPEN"
    raise ValueError(message)
