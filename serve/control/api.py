"""The application of the control API: models, versions, routes, signals and the audit log."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from serve.control import errors
from serve.control.guard import LoopbackOnly
from serve.control.idempotency import IdempotentChanges
from serve.control.methods import KnownMethods
from serve.control.routes import ARTIFACTS, ROUTERS
from serve.control.service import Control

_DESCRIPTION = """\
Registers versions, splits their traffic, and says what the monitors see.

**Nobody proves who they are yet.** The API listens on loopback only, and `Weir-Actor` goes into the
audit log as the caller gave it. Anybody with an account on this machine can use it.

Every error is `{"error": "<one sentence>", "code": "<stable code>"}`. Changes take an
`Idempotency-Key`: a change that is sent again under the same key gets the answer of the first time,
as long as the gateway has not been restarted and fewer than 1,000 keyed changes came after it.
"""
_TAGS = [
    {"name": "models", "description": "Models, their versions, and the files they are made of."},
    {"name": "traffic", "description": "Which version answers how much of the traffic."},
    {"name": "signals", "description": "What the monitors conclude, and the numbers behind it."},
    {"name": "keys", "description": "Who may call, as what, and how often."},
    {"name": "audit", "description": "Who changed what, when and why."},
    {"name": "health", "description": "For probes and scrapers."},
]


def create_app(control: Control) -> FastAPI:
    """The ASGI application of a control plane; `state.unexpected_errors` counts what went wrong.

    An unexpected error is written to the log, and answered without a word about the inside.
    """
    app = FastAPI(
        title="Weir control API",
        summary="Versions, traffic, signals and audit of a model-serving gateway.",
        description=_DESCRIPTION,
        version=_version(),
        openapi_tags=_TAGS,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.control = control
    app.state.unexpected_errors = 0

    def count() -> None:
        app.state.unexpected_errors += 1

    errors.install(app)
    app.add_middleware(IdempotentChanges, streamed=lambda path: path == ARTIFACTS)
    routes = [*app.routes, *(route for router in ROUTERS for route in router.routes)]
    app.add_middleware(KnownMethods, routes=routes)
    app.add_middleware(LoopbackOnly)
    app.add_middleware(errors.Boundary, count=count)
    for router in ROUTERS:
        app.include_router(router)
    return app


def _version() -> str:
    try:
        return version("weir-gateway")
    except PackageNotFoundError:
        return "unreleased"
