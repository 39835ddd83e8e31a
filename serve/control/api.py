"""The application of the control API: models, versions, routes, signals and the audit log."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from starlette.routing import BaseRoute

from serve.access.door import Door
from serve.control import errors, routes, watch_routes
from serve.control.alarm_routes import alarms
from serve.control.callers import KnownCallers
from serve.control.guard import LoopbackOnly
from serve.control.idempotency import IdempotentChanges
from serve.control.key_routes import keys
from serve.control.loading_routes import loading
from serve.control.methods import KnownMethods
from serve.control.needs import NeedsByRoute
from serve.control.rollout_routes import rollouts
from serve.control.service import Control

ROUTERS = (*routes.ROUTERS, loading, rollouts, *watch_routes.ROUTERS, alarms, keys)
_DOCS = "/docs"
_OPENAPI = "/openapi.json"
_DESCRIPTION = """\
Registers versions, splits their traffic, and says what the monitors see.

**Who calls.** Where `access.required` is on, callers send `Authorization: Bearer weir_...`, and the
name of the key goes into the audit log. Elsewhere the API listens on loopback only, anybody with an
account on this machine can use it, and `Weir-Actor` goes into the audit log as the caller gave it.

Every error is `{"error": "<one sentence>", "code": "<stable code>", "request_id": "<random>"}`, and
the log names the request by the same id. Changes take an `Idempotency-Key`: a change that is sent
again under the same key gets the answer of the first time, as long as the gateway has not been
restarted and fewer than 1,000 keyed changes came after it.
"""
_TAGS = [
    {"name": "models", "description": "Models, their versions, and the files they are made of."},
    {"name": "traffic", "description": "Which version answers how much of the traffic."},
    {"name": "rollouts", "description": "How a new version gets its traffic, on evidence."},
    {"name": "signals", "description": "What the monitors conclude, and the alarms they raise."},
    {"name": "keys", "description": "Who may call, as what, and how often."},
    {"name": "audit", "description": "Who changed what, when and why."},
    {"name": "health", "description": "For probes and scrapers."},
]


def create_app(control: Control, door: Door) -> FastAPI:
    """The ASGI application of a control plane; `state.unexpected_errors` counts what went wrong.

    Callers come in through the door. An unexpected error is written to the log, and answered
    without a word about the inside. Raises `ValueError` if a route declares no permission.
    """
    app = FastAPI(
        title="Weir control API",
        summary="Versions, traffic, signals and audit of a model-serving gateway.",
        description=_DESCRIPTION,
        version=_version(),
        openapi_tags=_TAGS,
        docs_url=_DOCS,
        openapi_url=_OPENAPI,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.control = control
    app.state.unexpected_errors = 0

    def count() -> None:
        app.state.unexpected_errors += 1

    errors.install(app)
    app.add_middleware(IdempotentChanges, streamed=lambda path: path == routes.ARTIFACTS)
    app.add_middleware(KnownMethods, routes=_all_routes(app))
    app.add_middleware(KnownCallers, door=door, needs=_needs(app))
    if not door.required:
        app.add_middleware(LoopbackOnly)
    app.add_middleware(errors.Boundary, count=count)
    for router in ROUTERS:
        app.include_router(router)
    return app


def _needs(app: FastAPI) -> NeedsByRoute:
    return NeedsByRoute(_all_routes(app), open_paths=(_DOCS, _OPENAPI))


def _all_routes(app: FastAPI) -> list[BaseRoute]:
    """The routes that a new application has by itself, and ours."""
    return [*app.routes, *(route for router in ROUTERS for route in router.routes)]


def _version() -> str:
    try:
        return version("weir-gateway")
    except PackageNotFoundError:
        return "unreleased"
