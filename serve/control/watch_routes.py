"""The routes of what can be watched: signals, the audit log, processes, metrics and health."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from configs.errors import NotFound, NotReady
from serve.access.permissions import Permission
from serve.control.answers import PAGE, errors, open_errors
from serve.control.label_schemas import LabelsView
from serve.control.needs import OPEN, needs
from serve.control.requests import KEYED, Moment, Plane
from serve.control.schemas import (
    ArmBinsView,
    ArmSignalsView,
    AuditCheckView,
    AuditPageView,
    AuditView,
    BinsView,
    HealthView,
    ProcessesView,
    ProcessView,
    ReplaceBody,
    RouteView,
    SignalsView,
)

signals = APIRouter(tags=["signals"])
audit = APIRouter(tags=["audit"])
health = APIRouter(tags=["health"])
system = APIRouter(tags=["system"])
ROUTERS = (signals, audit, system, health)


@signals.get(
    "/v1/models/{model}/signals",
    summary="Show signals",
    responses=errors(404, 503),
    dependencies=[needs(Permission.READ)],
)
async def show_signals(model: str, control: Plane) -> SignalsView:
    """What the monitors say of every version in every role that has had traffic."""
    arms = tuple(ArmSignalsView.of(arm) for arm in await control.signals(model))
    return SignalsView(model=model, arms=arms)


@signals.get(
    "/v1/models/{model}/bins",
    summary="Show where a subject moved",
    responses=errors(404, 503),
    dependencies=[needs(Permission.READ)],
)
async def show_bins(
    model: str,
    control: Plane,
    subject: Annotated[str, Query(description="A feature, `score`, `score[1]` or `decision`.")],
    minutes: Annotated[
        int | None,
        Query(ge=1, le=43_200, description="Rows of the last minutes only; all, if left out."),
    ] = None,
) -> BinsView:
    """The bins of a feature, a score or the decision: shares of the rows, and what each bin adds.

    Rows of less than two hours are told by the minute, of less than two days by the hour, of longer
    times by the day.
    """
    arms = tuple(ArmBinsView.of(arm) for arm in await control.bins(model, subject, minutes))
    if not arms:
        raise NotFound(
            f"nothing is known of the bins of {subject!r} in model {model!r}: it takes a watched "
            "feature, a score or the decision, with a reference, and traffic"
        )
    return BinsView(model=model, subject=subject, minutes=minutes, arms=arms)


@signals.get(
    "/v1/models/{model}/labels",
    summary="Show what is known of labels",
    responses=errors(404, 503),
    dependencies=[needs(Permission.READ)],
)
async def show_labels(model: str, control: Plane) -> LabelsView:
    """How many predictions have their label, by age and by decision, and how late labels come."""
    return LabelsView.of(await control.labels(model), await control.versions(model))


@audit.get(
    "/v1/models/{model}/served-at",
    summary="What served then",
    responses=errors(404),
    dependencies=[needs(Permission.READ)],
)
async def served_at(model: str, control: Plane, t: Moment) -> RouteView:
    """The route that was in force at a moment."""
    route = await control.served_at(model, t)
    if route is None:
        raise NotFound(f"model {model!r} had no route at {t.isoformat()}")
    return RouteView.of(route)


@audit.get(
    "/v1/audit", summary="List changes", responses=errors(), dependencies=[needs(Permission.READ)]
)
async def list_audit(
    control: Plane,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="The last sequence known.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many entries at most.")] = 100,
) -> AuditPageView:
    """Audit entries in order, from the one after `after`."""
    entries = await control.audit(after, limit)
    return AuditPageView(entries=tuple(AuditView.of(entry) for entry in entries))


@audit.get(
    "/v1/audit:verify",
    summary="Check the log",
    responses=errors(),
    dependencies=[needs(Permission.READ)],
)
async def verify_audit(control: Plane) -> AuditCheckView:
    """Whether the chain of hashes is whole, else the first entry that breaks it."""
    broken = await control.verify_audit()
    return AuditCheckView(intact=broken is None, first_broken=broken)


@system.get(
    "/v1/system/processes",
    summary="List processes",
    responses=errors(503),
    dependencies=[needs(Permission.READ)],
)
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
    dependencies=[needs(Permission.DEPLOY), KEYED],
)
async def replace(body: ReplaceBody, control: Plane) -> ProcessesView:
    """Put new processes in the place of the gateway's or a version's, losing no request."""
    await control.replace(body.what, body.model, body.version)
    return await list_processes(control)


@health.get(
    "/metrics",
    summary="Prometheus page",
    response_class=Response,
    responses={**errors(503), 200: PAGE},
    dependencies=[needs(Permission.READ)],
)
async def metrics(control: Plane, accept: Annotated[str, Header()] = "*/*") -> Response:
    """All operational counts, in the format that `Accept` asks for."""
    page, kind = await control.metrics(accept)
    return Response(page, headers={"Content-Type": kind, "Cache-Control": "no-store"})


@health.get("/health/live", summary="Lives", responses=open_errors(), dependencies=[OPEN])
async def live() -> HealthView:
    """Answers as long as the control API runs."""
    return HealthView(status="live")


@health.get("/health/ready", summary="Is ready", responses=open_errors(503), dependencies=[OPEN])
async def ready(control: Plane) -> HealthView:
    """Whether every gateway replica serves the present routes."""
    if not await control.ready():
        raise NotReady("not every gateway replica serves the present routes yet")
    return HealthView(status="ready")
