"""The routes of the control API: each reads a request, asks the control plane, gives a view."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from configs.errors import NotFound, NotReady
from serve.control.answers import errors, tagged
from serve.control.key_routes import keys
from serve.control.loading_routes import loading
from serve.control.requests import (
    KEYED,
    Actor,
    IfGeneration,
    Moment,
    Plane,
    file_of,
    refuse_encoded,
)
from serve.control.schemas import (
    ArmSignalsView,
    ArtifactView,
    AuditCheckView,
    AuditPageView,
    AuditView,
    HealthView,
    ModelSummaryView,
    ModelsView,
    ModelView,
    ProcessesView,
    ProcessView,
    PromoteBody,
    RegisterBody,
    RegisteredView,
    ReplaceBody,
    RollbackBody,
    RouteBody,
    RouteView,
    SignalsView,
    VersionsView,
    VersionView,
)
from serve.control.service import Control

ARTIFACTS = "/v1/artifacts"
_CHANGE = errors(404, 409, 412, 413, 503)
_FILE = {
    "required": True,
    "content": {
        "application/octet-stream": {
            "schema": {"type": "string", "format": "binary", "minLength": 1}
        }
    },
}
_PAGE = {
    "description": "Prometheus text or OpenMetrics, as `Accept` asks.",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}

models = APIRouter(tags=["models"])
traffic = APIRouter(tags=["traffic"])
signals = APIRouter(tags=["signals"])
audit = APIRouter(tags=["audit"])
health = APIRouter(tags=["health"])
system = APIRouter(tags=["system"])
ROUTERS = (models, traffic, loading, signals, audit, keys, system, health)


@models.post(
    ARTIFACTS,
    summary="Send a file",
    status_code=201,
    responses=errors(413, 415, 503),
    openapi_extra={"requestBody": _FILE},
)
async def send_artifact(request: Request, control: Plane) -> ArtifactView:
    """Store an ONNX file or a reference profile by its content; sending it twice is harmless."""
    refuse_encoded(request)
    return ArtifactView(digest=await control.put_artifact(file_of(request)))


@models.get("/v1/models", summary="List models", responses=errors())
async def list_models(control: Plane) -> ModelsView:
    """All registered models with their routes."""
    return ModelsView(
        models=tuple([await _summary(control, name) for name in await control.models()])
    )


@models.get("/v1/models/{model}", summary="Show a model", responses=errors(404))
async def show_model(model: str, control: Plane) -> ModelView:
    """A model with its versions and its route."""
    versions = await _versions(control, model)
    return ModelView(model=model, versions=versions, route=await _route(control, model))


@models.get("/v1/models/{model}/versions", summary="List versions", responses=errors(404))
async def list_versions(model: str, control: Plane) -> VersionsView:
    """All versions of a model, oldest first."""
    return VersionsView(versions=await _versions(control, model))


@models.post(
    "/v1/models/{model}/versions",
    summary="Register a version",
    status_code=201,
    responses=errors(404, 409, 413, 422, 503),
    dependencies=[KEYED],
)
async def register_version(
    model: str, body: RegisterBody, control: Plane, actor: Actor
) -> RegisteredView:
    """Check a stored ONNX file and make it the model's next version; says what was inferred."""
    made, inferred = await control.register(model, body.artifact, body.card, body.profile, actor)
    states = {status.version: status for status in await control.version_status(model)}
    return RegisteredView(version=VersionView.of(made, states.get(made.number)), inferred=inferred)


@traffic.get("/v1/models/{model}/route", summary="Show the route", responses=errors(404))
async def show_route(model: str, control: Plane, response: Response) -> RouteView:
    """How the traffic is split now; the `ETag` is the route's generation."""
    route = await control.route(model)
    if route is None:
        raise NotFound(f"model {model!r} has no route yet: split its traffic first")
    return tagged(route, response)


@traffic.put(
    "/v1/models/{model}/route", summary="Split the traffic", responses=_CHANGE, dependencies=[KEYED]
)
async def set_route(
    model: str,
    body: RouteBody,
    control: Plane,
    actor: Actor,
    if_generation: IfGeneration,
    response: Response,
) -> RouteView:
    """Replace the whole split; answers when every gateway replica routes so."""
    shadow = (body.shadow.version, body.shadow.share) if body.shadow else None
    route = await control.set_route(model, body.weights, shadow, actor, body.reason, if_generation)
    return tagged(route, response)


@traffic.post(
    "/v1/models/{model}:promote",
    summary="Promote a version",
    responses=_CHANGE,
    dependencies=[KEYED],
)
async def promote(
    model: str,
    body: PromoteBody,
    control: Plane,
    actor: Actor,
    if_generation: IfGeneration,
    response: Response,
) -> RouteView:
    """Give a version all of the traffic; the one before stays warm for a rollback."""
    route = await control.promote(model, body.version, actor, body.reason, if_generation)
    return tagged(route, response)


@traffic.post(
    "/v1/models/{model}:rollback", summary="Roll back", responses=_CHANGE, dependencies=[KEYED]
)
async def rollback(
    model: str,
    body: RollbackBody,
    control: Plane,
    actor: Actor,
    if_generation: IfGeneration,
    response: Response,
) -> RouteView:
    """Return to the version that was stable before; a split ends at its stable version."""
    return tagged(await control.rollback(model, actor, body.reason, if_generation), response)


@signals.get("/v1/models/{model}/signals", summary="Show signals", responses=errors(404, 503))
async def show_signals(model: str, control: Plane) -> SignalsView:
    """What the monitors say of every version in every role that has had traffic."""
    arms = tuple(ArmSignalsView.of(arm) for arm in await control.signals(model))
    return SignalsView(model=model, arms=arms)


@audit.get("/v1/models/{model}/served-at", summary="What served then", responses=errors(404))
async def served_at(model: str, control: Plane, t: Moment) -> RouteView:
    """The route that was in force at a moment."""
    route = await control.served_at(model, t)
    if route is None:
        raise NotFound(f"model {model!r} had no route at {t.isoformat()}")
    return RouteView.of(route)


@audit.get("/v1/audit", summary="List changes", responses=errors())
async def list_audit(
    control: Plane,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="The last sequence known.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many entries at most.")] = 100,
) -> AuditPageView:
    """Audit entries in order, from the one after `after`."""
    entries = await control.audit(after, limit)
    return AuditPageView(entries=tuple(AuditView.of(entry) for entry in entries))


@audit.get("/v1/audit:verify", summary="Check the log", responses=errors())
async def verify_audit(control: Plane) -> AuditCheckView:
    """Whether the chain of hashes is whole, else the first entry that breaks it."""
    broken = await control.verify_audit()
    return AuditCheckView(intact=broken is None, first_broken=broken)


@system.get("/v1/system/processes", summary="List processes", responses=errors(503))
async def list_processes(control: Plane) -> ProcessesView:
    """What is running now, by role and process id."""
    return ProcessesView(
        processes=tuple(
            ProcessView(role=each.role, pid=each.pid, model=each.model, version=each.version)
            for each in await control.processes()
        )
    )


@system.post(
    "/v1/system:replace",
    summary="Replace processes",
    responses=errors(404, 413, 422, 503),
    dependencies=[KEYED],
)
async def replace(body: ReplaceBody, control: Plane) -> ProcessesView:
    """Put new processes in the place of the gateway's or a version's, losing no request."""
    await control.replace(body.what, body.model, body.version)
    return await list_processes(control)


@health.get(
    "/metrics",
    summary="Prometheus page",
    response_class=Response,
    responses={**errors(503), 200: _PAGE},
)
async def metrics(control: Plane, accept: Annotated[str, Header()] = "*/*") -> Response:
    """All operational counts, in the format that `Accept` asks for."""
    page, kind = await control.metrics(accept)
    return Response(page, headers={"Content-Type": kind, "Cache-Control": "no-store"})


@health.get("/health/live", summary="Lives", responses=errors())
async def live() -> HealthView:
    """Answers as long as the control API runs."""
    return HealthView(status="live")


@health.get("/health/ready", summary="Is ready", responses=errors(503))
async def ready(control: Plane) -> HealthView:
    """Whether every gateway replica serves the present routes."""
    if not await control.ready():
        raise NotReady("not every gateway replica serves the present routes yet")
    return HealthView(status="ready")


async def _versions(control: Control, model: str) -> tuple[VersionView, ...]:
    versions = await control.versions(model)
    states = {status.version: status for status in await control.version_status(model)}
    return tuple(VersionView.of(version, states.get(version.number)) for version in versions)


async def _route(control: Control, model: str) -> RouteView | None:
    route = await control.route(model)
    return RouteView.of(route) if route else None


async def _summary(control: Control, model: str) -> ModelSummaryView:
    count = len(await control.versions(model))
    return ModelSummaryView(model=model, versions=count, route=await _route(control, model))
