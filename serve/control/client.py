"""Asks the control API, and raises the errors that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from configs.errors import BadInput
from configs.explain import explain
from registry.alarms import AlarmState
from registry.card import Card
from registry.keys import AccessRole
from serve.control.alarm_schemas import (
    AcknowledgeBody,
    AlarmsView,
    AlarmView,
    CloseBody,
    SilenceBody,
)
from serve.control.connection import Connection, shown, stranger
from serve.control.key_schemas import (
    CreatedKeyView,
    CreateKeyBody,
    KeysView,
    KeyView,
    RevokeKeyBody,
)
from serve.control.label_schemas import LabelsView
from serve.control.rollout_schemas import (
    AccountView,
    ApproveBody,
    CommandBody,
    DoneView,
    RolloutChangesView,
    RolloutChangeView,
    RolloutsView,
    RolloutView,
    StartBody,
)
from serve.control.schemas import (
    ArtifactView,
    AuditCheckView,
    AuditPageView,
    AuditView,
    BinsView,
    Body,
    HealthView,
    LoadBody,
    ModelSummaryView,
    ModelsView,
    ModelView,
    PromoteBody,
    RegisterBody,
    RegisteredView,
    RollbackBody,
    RouteBody,
    RouteView,
    SignalsView,
    VersionsView,
    VersionView,
    etag,
)
from serve.control.why_schemas import WhyView

_CHUNK = 2**20

V = TypeVar("V", bound=BaseModel)
B = TypeVar("B", bound=Body)


class ControlClient:
    """Asks one control API; the audit log names the `key` that is shown, without one the `actor`.

    `ca` is a PEM file of the certificates to trust, in place of those that browsers trust.

    Every method raises the `WeirError` that the API names, `Unavailable` when nobody answers, and
    `DeadlineExceeded` when the answer does not come. Close it, or use it in a `with` block.
    """

    def __init__(
        self, base_url: str, actor: str, key: str | None = None, ca: Path | None = None
    ) -> None:
        self._connection = Connection(base_url, {"Weir-Actor": actor, **shown(key)}, ca)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def health(self) -> HealthView:
        """The state `ready`; `NotReady` if it is not."""
        return self._get("/health/ready", HealthView)

    def upload(self, file: Path | bytes) -> str:
        """Store a file by its content, sent piece by piece; gives `sha256:<hex>`."""
        content = file if isinstance(file, bytes) else _pieces(file)
        headers = {"Content-Type": "application/octet-stream"}
        return _view(
            self._connection.ask("POST", "/v1/artifacts", content=content, headers=headers),
            ArtifactView,
        ).digest

    def register(
        self, model: str, artifact: str, card: Card | None = None, profile: str | None = None
    ) -> RegisteredView:
        """Make a stored ONNX file the model's next version; says what was inferred."""
        body = _body(RegisterBody, artifact=artifact, card=card, profile=profile)
        return self._change("POST", f"{_model(model)}/versions", body, RegisteredView)

    def models(self) -> tuple[ModelSummaryView, ...]:
        """All registered models with their routes."""
        return self._get("/v1/models", ModelsView).models

    def model(self, name: str) -> ModelView:
        """A model with its versions and its route."""
        return self._get(_model(name), ModelView)

    def versions(self, name: str) -> tuple[VersionView, ...]:
        """All versions of a model, oldest first."""
        return self._get(f"{_model(name)}/versions", VersionsView).versions

    def route(self, name: str) -> RouteView:
        """How the traffic is split now; `NotFound` before the first split."""
        return self._get(f"{_model(name)}/route", RouteView)

    def set_route(
        self,
        name: str,
        weights: Mapping[int, float],
        shadow: tuple[int, float] | None = None,
        reason: str = "",
        if_generation: int | None = None,
    ) -> RouteView:
        """Replace the whole split, in percent; `PreconditionFailed` if it has moved on."""
        share = {"version": shadow[0], "share": shadow[1]} if shadow else None
        body = _body(RouteBody, weights=weights, shadow=share, reason=reason)
        return self._change("PUT", f"{_model(name)}/route", body, RouteView, if_generation)

    def promote(self, name: str, version: int, reason: str) -> RouteView:
        """Give a version all of the traffic."""
        body = _body(PromoteBody, version=version, reason=reason)
        return self._change("POST", f"{_model(name)}:promote", body, RouteView)

    def rollback(self, name: str, reason: str = "") -> RouteView:
        """Return to the version that was stable before."""
        body = _body(RollbackBody, reason=reason)
        return self._change("POST", f"{_model(name)}:rollback", body, RouteView)

    def load(self, name: str, reason: str = "") -> RouteView:
        """Serve a model as it was before, or its latest version if it never was served."""
        body = _body(LoadBody, reason=reason)
        return self._change("POST", f"{_model(name)}:load", body, RouteView)

    def unload(self, name: str, reason: str = "") -> RouteView:
        """Serve a model no longer."""
        body = _body(LoadBody, reason=reason)
        return self._change("POST", f"{_model(name)}:unload", body, RouteView)

    def keys(self) -> tuple[KeyView, ...]:
        """All API keys, oldest first, also those that were revoked or have expired."""
        return self._get("/v1/keys", KeysView).keys

    def create_key(
        self,
        name: str,
        role: AccessRole,
        rate_per_s: float | None = None,
        expires_at: datetime | None = None,
    ) -> CreatedKeyView:
        """Make an API key; its token is in this answer and nowhere else."""
        values = {"role": role, "rate_per_s": rate_per_s, "expires_at": expires_at}
        body = _body(CreateKeyBody, name=name, **values)
        return self._change("POST", "/v1/keys", body, CreatedKeyView)

    def revoke_key(self, key_id: str, reason: str = "") -> KeyView:
        """End an API key; no gateway replica takes it any more when this returns."""
        body = _body(RevokeKeyBody, reason=reason)
        return self._change("POST", f"/v1/keys/{quote(key_id, safe='')}:revoke", body, KeyView)

    def signals(self, name: str) -> SignalsView:
        """What the monitors say of every version in every role that has had traffic."""
        return self._get(f"{_model(name)}/signals", SignalsView)

    def alarms(
        self, model: str | None = None, state: AlarmState | None = None, limit: int = 100
    ) -> tuple[AlarmView, ...]:
        """Alarms, those that are raised first: of one model or all, in one state or any."""
        query = {"model": model, "state": state and state.value, "limit": limit}
        given = {name: value for name, value in query.items() if value is not None}
        return self._get("/v1/alarms", AlarmsView, **given).alarms

    def alarm(self, alarm_id: str) -> AlarmView:
        """One alarm as it is now."""
        return self._get(_alarm(alarm_id), AlarmView)

    def why(self, alarm_id: str) -> WhyView:
        """Why an alarm was raised; takes seconds."""
        return self._get(f"{_alarm(alarm_id)}/why", WhyView)

    def acknowledge_alarm(self, alarm_id: str, reason: str = "") -> AlarmView:
        """Say that somebody has taken an alarm on."""
        body = _body(AcknowledgeBody, reason=reason)
        return self._change("POST", f"{_alarm(alarm_id)}:acknowledge", body, AlarmView)

    def silence_alarm(self, alarm_id: str, until: datetime | float, reason: str) -> AlarmView:
        """Tell nobody of an alarm until a moment, or for so many seconds."""
        end = {"until" if isinstance(until, datetime) else "for_s": until}
        body = _body(SilenceBody, reason=reason, **end)
        return self._change("POST", f"{_alarm(alarm_id)}:silence", body, AlarmView)

    def rearm_alarm(self, alarm_id: str, reason: str) -> AlarmView:
        """Close an alarm; the monitor begins anew with the same reference."""
        body = _body(CloseBody, reason=reason)
        return self._change("POST", f"{_alarm(alarm_id)}:rearm", body, AlarmView)

    def adopt_reference(self, alarm_id: str, reason: str) -> AlarmView:
        """Close the alarms of a version in a role; its monitors learn a new reference."""
        body = _body(CloseBody, reason=reason)
        return self._change("POST", f"{_alarm(alarm_id)}:adopt", body, AlarmView)

    def start_rollout(
        self,
        name: str,
        version: int,
        policy: Mapping[str, object] | None = None,
        reason: str = "",
        dry_run: bool = False,
    ) -> DoneView:
        """Begin to roll a version out; keys of `policy` overrule those of the model's own."""
        more = {"policy": policy, "reason": reason, "dry_run": dry_run}
        body = _body(StartBody, version=version, **more)
        return self._change("POST", f"{_model(name)}/rollouts", body, DoneView)

    def rollouts(self, model: str | None = None, active: bool = False) -> tuple[RolloutView, ...]:
        """Rollouts of one model or all, the latest first."""
        path = "/v1" if model is None else _model(model)
        only: dict[str, str] = {"active": "true"} if active else {}
        return self._get(f"{path}/rollouts", RolloutsView, **only).rollouts

    def rollout(self, rollout_id: str) -> RolloutView:
        """One rollout as it is now."""
        return self._get(_rollout(rollout_id), RolloutView)

    def explain_rollout(self, rollout_id: str) -> AccountView:
        """What every guardrail says, and what is missing."""
        return self._get(f"{_rollout(rollout_id)}/explain", AccountView)

    def rollout_changes(self, rollout_id: str) -> tuple[RolloutChangeView, ...]:
        """Every change in the life of a rollout, the first one first."""
        return self._get(f"{_rollout(rollout_id)}/changes", RolloutChangesView).changes

    def command_rollout(
        self,
        rollout_id: str,
        command: str,
        reason: str = "",
        if_number: int | None = None,
        dry_run: bool = False,
    ) -> DoneView:
        """Pause, resume, advance, promote, abort, freeze, retry or roll back."""
        body = _body(CommandBody, reason=reason, dry_run=dry_run)
        path = f"{_rollout(rollout_id)}:{quote(command, safe='')}"
        return self._change("POST", path, body, DoneView, if_number)

    def approve_rollout(
        self,
        rollout_id: str,
        gate: str | None = None,
        reason: str = "",
        if_number: int | None = None,
        dry_run: bool = False,
    ) -> DoneView:
        """Agree that a rollout passes a gate: the one that it waits at, unless it is named."""
        body = _body(ApproveBody, gate=gate, reason=reason, dry_run=dry_run)
        path = f"{_rollout(rollout_id)}:approve"
        return self._change("POST", path, body, DoneView, if_number)

    def bins(self, name: str, subject: str, minutes: int | None = None) -> BinsView:
        """Where something has moved; of the last minutes, or of all rows."""
        last: dict[str, int] = {} if minutes is None else {"minutes": minutes}
        return self._get(f"{_model(name)}/bins", BinsView, subject=subject, **last)

    def labels(self, name: str) -> LabelsView:
        """Which predictions have their labels; `NotFound` where none are awaited."""
        return self._get(f"{_model(name)}/labels", LabelsView)

    def served_at(self, name: str, t: datetime) -> RouteView:
        """The route that was in force at a moment, which must have a time zone."""
        return self._get(f"{_model(name)}/served-at", RouteView, t=t.isoformat())

    def audit(self, after: int = 0, limit: int = 100) -> tuple[AuditView, ...]:
        """Audit entries in order, from the one after `after`."""
        return self._get("/v1/audit", AuditPageView, after=after, limit=limit).entries

    def verify_audit(self) -> AuditCheckView:
        """Whether the chain of the audit log is whole."""
        return self._get("/v1/audit:verify", AuditCheckView)

    def metrics(self) -> str:
        """The Prometheus page."""
        return self._connection.ask("GET", "/metrics", headers={"Accept": "text/plain"}).text

    def _get(self, path: str, kind: type[V], **query: str | int) -> V:
        return _view(self._connection.ask("GET", path, params=query), kind)

    def _change(
        self, method: str, path: str, body: Body, kind: type[V], if_generation: int | None = None
    ) -> V:
        headers = {"Content-Type": "application/json"}
        if if_generation is not None:
            headers["If-Match"] = etag(if_generation)
        return _view(
            self._connection.ask(method, path, content=_compact(body), headers=headers),
            kind,
        )


def _model(name: str) -> str:
    return f"/v1/models/{quote(name, safe='')}"


def _alarm(alarm_id: str) -> str:
    return f"/v1/alarms/{quote(alarm_id, safe='')}"


def _rollout(rollout_id: str) -> str:
    return f"/v1/rollouts/{quote(rollout_id, safe='')}"


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _body(kind: type[B], **values: object) -> B:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise BadInput(explain(error, kind)) from None


def _compact(body: BaseModel) -> bytes:
    # Without defaults a card of 10,000 features fits into what a change may bring.
    return body.model_dump_json(exclude_defaults=True).encode()


def _view(response: httpx.Response, kind: type[V]) -> V:
    try:
        return kind.model_validate_json(response.content)
    except ValidationError:
        raise stranger(response) from None
