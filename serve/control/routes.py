"""The routes of models and their traffic: each reads a request, asks the plane, gives a view."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from configs.errors import NotFound
from serve.access.permissions import Permission
from serve.control.answers import FILE, errors, tagged
from serve.control.needs import needs
from serve.control.requests import (
    KEYED,
    Actor,
    IfGeneration,
    Plane,
    file_of,
    refuse_encoded,
)
from serve.control.schemas import (
    ArtifactView,
    ModelSummaryView,
    ModelsView,
    ModelView,
    PromoteBody,
    RegisterBody,
    RegisteredView,
    RollbackBody,
    RouteBody,
    RouteView,
    VersionsView,
    VersionView,
)
from serve.control.service import Control

ARTIFACTS = "/v1/artifacts"
_CHANGE = errors(404, 409, 412, 413, 503)

models = APIRouter(tags=["models"])
traffic = APIRouter(tags=["traffic"])
ROUTERS = (models, traffic)


@models.post(
    ARTIFACTS,
    summary="Send a file",
    status_code=201,
    responses=errors(413, 415, 503),
    openapi_extra={"requestBody": FILE},
    dependencies=[needs(Permission.DEPLOY)],
)
async def send_artifact(request: Request, control: Plane) -> ArtifactView:
    """Store an ONNX file or a reference profile by its content; sending it twice is harmless."""
    refuse_encoded(request)
    return ArtifactView(digest=await control.put_artifact(file_of(request)))


@models.get(
    "/v1/models", summary="List models", responses=errors(), dependencies=[needs(Permission.READ)]
)
async def list_models(control: Plane) -> ModelsView:
    """All registered models with their routes."""
    return ModelsView(
        models=tuple([await _summary(control, name) for name in await control.models()])
    )


@models.get(
    "/v1/models/{model}",
    summary="Show a model",
    responses=errors(404),
    dependencies=[needs(Permission.READ)],
)
async def show_model(model: str, control: Plane) -> ModelView:
    """A model with its versions and its route."""
    versions = await _versions(control, model)
    return ModelView(model=model, versions=versions, route=await _route(control, model))


@models.get(
    "/v1/models/{model}/versions",
    summary="List versions",
    responses=errors(404),
    dependencies=[needs(Permission.READ)],
)
async def list_versions(model: str, control: Plane) -> VersionsView:
    """All versions of a model, oldest first."""
    return VersionsView(versions=await _versions(control, model))


@models.post(
    "/v1/models/{model}/versions",
    summary="Register a version",
    status_code=201,
    responses=errors(404, 409, 413, 422, 503),
    dependencies=[needs(Permission.DEPLOY), KEYED],
)
async def register_version(
    model: str, body: RegisterBody, control: Plane, actor: Actor
) -> RegisteredView:
    """Check a stored ONNX file and make it the model's next version; says what was inferred."""
    made, inferred = await control.register(model, body.artifact, body.card, body.profile, actor)
    states = {status.version: status for status in await control.version_status(model)}
    return RegisteredView(version=VersionView.of(made, states.get(made.number)), inferred=inferred)


@traffic.get(
    "/v1/models/{model}/route",
    summary="Show the route",
    responses=errors(404),
    dependencies=[needs(Permission.READ)],
)
async def show_route(model: str, control: Plane, response: Response) -> RouteView:
    """How the traffic is split now; the `ETag` is the route's generation."""
    route = await control.route(model)
    if route is None:
        raise NotFound(f"model {model!r} has no route yet: split its traffic first")
    return tagged(route, response)


@traffic.put(
    "/v1/models/{model}/route",
    summary="Split the traffic",
    responses=_CHANGE,
    dependencies=[needs(Permission.DEPLOY), KEYED],
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
    dependencies=[needs(Permission.DEPLOY), KEYED],
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
    "/v1/models/{model}:rollback",
    summary="Roll back",
    responses=_CHANGE,
    dependencies=[needs(Permission.DEPLOY), KEYED],
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
