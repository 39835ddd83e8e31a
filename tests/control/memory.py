"""A control plane over dictionaries, with the registry's own rules for routes and the audit log."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from configs.errors import (
    Conflict,
    ModelNotFound,
    NotFound,
    PreconditionFailed,
    TooLarge,
    VersionNotFound,
)
from monitors.labels.told import LabelsTold
from monitors.signal import Signal, Verdict
from monitors.why.answer import Why
from registry.alarms import (
    Alarm,
    AlarmState,
    acknowledged,
    closed,
    find_alarm,
    in_order,
    silenced,
)
from registry.audit import next_entry, verify_chain
from registry.card import Card, Task
from registry.key_rules import Wanted, find_key, new_key, revoked
from registry.keys import ID_BYTES, SECRET_BYTES, AccessRole, ApiKey, Token, new_token
from registry.moments import utc_text
from registry.records import AuditEntry, Route, Version
from registry.routing import (
    Change,
    first_route,
    load,
    promote,
    rollback,
    set_weights,
    split,
    unload,
)
from registry.signature import Datatype, Signature, TensorSpec
from serve.control.service import ArmBins, ArmSignals, Explained, Process, VersionStatus
from tests.control.memory_rollouts import MemoryRollouts

SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 2)),),
    outputs=(TensorSpec(name="y", datatype=Datatype.FP32, shape=(-1, 1)),),
)
SALT = b"s" * 16
ARTIFACT_MAX_BYTES = 2**22
UNKNOWN = Why(0.0, False, (), None, None, ())


@dataclass
class MemoryControl:
    """Implements `serve.control.service.Control`; fields are there for tests to look at or set."""

    files: dict[str, bytes] = field(default_factory=dict)
    registered: dict[str, list[Version]] = field(default_factory=dict)
    routes: dict[str, list[Route]] = field(default_factory=dict)
    api_keys: dict[str, ApiKey] = field(default_factory=dict)
    log: list[AuditEntry] = field(default_factory=list)
    arms: tuple[ArmSignals, ...] = ()
    arm_bins: dict[str, tuple[ArmBins, ...]] = field(default_factory=dict)
    asked_minutes: int | None = None
    labels_told: LabelsTold | None = None
    known_alarms: dict[str, Alarm] = field(default_factory=dict)
    known_why: Why = UNKNOWN
    rollouts: MemoryRollouts = field(init=False)
    is_ready: bool = True
    replaced: list[tuple[str, str, int]] = field(default_factory=list)
    fails: Exception | None = None

    def __post_init__(self) -> None:
        self.rollouts = MemoryRollouts(self._stable)

    async def put_artifact(self, chunks: AsyncIterator[bytes]) -> str:
        """Store a file by its content."""
        content = b""
        async for chunk in chunks:
            content += chunk
            if len(content) > ARTIFACT_MAX_BYTES:
                raise TooLarge(f"the file is larger than the cap of {ARTIFACT_MAX_BYTES} bytes")
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.files[digest] = content
        return digest

    async def register(
        self, model: str, digest: str, card: Card | None, profile: str | None, actor: str
    ) -> tuple[Version, tuple[str, ...]]:
        """Make a stored file the next version, by default of a regression."""
        if self.fails:
            raise self.fails
        if digest not in self.files:
            raise NotFound(f"no artifact {digest} is stored")
        inferred = () if card else ("task: regression, from the output 'y'",)
        versions = self.registered.setdefault(model, [])
        version = Version(
            model=model,
            number=len(versions) + 1,
            digest=digest,
            signature=SIGNATURE,
            card=card or Card(task=Task.REGRESSION),
            profile=profile,
            size_bytes=len(self.files[digest]),
            created_by=actor,
            created_at=_now(),
        )
        versions.append(version)
        self._write(actor, "register", f"models/{model}/versions/{version.number}", "")
        return version, inferred

    async def models(self) -> tuple[str, ...]:
        """The names of all models."""
        return tuple(sorted(self.registered))

    async def versions(self, model: str) -> tuple[Version, ...]:
        """All versions of a model."""
        return tuple(self._known(model))

    async def version_status(self, model: str) -> tuple[VersionStatus, ...]:
        """Ready if the route names it, else not hosted."""
        route = await self.route(model)
        live = route.live_versions() if route and route.served else ()
        return tuple(
            VersionStatus(version.number, "ready" if version.number in live else "not hosted")
            for version in self._known(model)
        )

    async def route(self, model: str) -> Route | None:
        """The route in force."""
        self._known(model)
        routes = self.routes.get(model)
        return routes[-1] if routes else None

    async def set_route(
        self,
        model: str,
        weights: Mapping[int, float],
        shadow: tuple[int, float] | None,
        actor: str,
        reason: str,
        if_generation: int | None = None,
    ) -> Route:
        """Split the traffic."""
        now = await self._matching(model, if_generation)
        wanted = split(weights, shadow, [version.number for version in self._known(model)])
        why = Change(actor, _now(), reason)
        made = set_weights(now, wanted, why, SALT) if now else first_route(model, wanted, why, SALT)
        return self._commit(made, "set-route")

    async def promote(
        self, model: str, version: int, actor: str, reason: str, if_generation: int | None = None
    ) -> Route:
        """Give a version everything."""
        now = await self._routed(model, if_generation)
        known = [known.number for known in self._known(model)]
        return self._commit(promote(now, version, Change(actor, _now(), reason), known), "promote")

    async def rollback(
        self, model: str, actor: str, reason: str, if_generation: int | None = None
    ) -> Route:
        """Go back."""
        now = await self._routed(model, if_generation)
        return self._commit(rollback(now, Change(actor, _now(), reason)), "rollback")

    async def load(self, model: str, actor: str, reason: str) -> Route:
        """Serve again, or for the first time."""
        now = await self.route(model)
        why = Change(actor, _now(), reason)
        if now is None:
            number = self._known(model)[-1].number
            wanted = split({number: 100}, None, [number])
            return self._commit(first_route(model, wanted, why, SALT), "load")
        return now if now.served else self._commit(load(now, why), "load")

    async def unload(self, model: str, actor: str, reason: str) -> Route:
        """Serve no longer."""
        now = await self._routed(model, None)
        return self._commit(unload(now, Change(actor, _now(), reason)), "unload")

    async def keys(self) -> tuple[ApiKey, ...]:
        """All keys."""
        return tuple(self.api_keys.values())

    async def create_key(
        self,
        name: str,
        role: AccessRole,
        rate_per_s: float | None,
        expires_at: datetime | None,
        actor: str,
    ) -> tuple[ApiKey, Token]:
        """Make a key."""
        why = Change(actor, _now(), "")
        token = new_token(secrets.token_bytes(ID_BYTES + SECRET_BYTES))
        wanted = Wanted(name, role, rate_per_s, utc_text(expires_at) if expires_at else None)
        key = self.api_keys[token.id] = new_key(wanted, token, why, self.api_keys.values())
        self._write(actor, "create-key", f"keys/{key.id}", "")
        return key, token

    async def revoke_key(self, key_id: str, actor: str, reason: str) -> ApiKey:
        """End a key."""
        before = find_key(key_id, self.api_keys.values())
        key = self.api_keys[key_id] = revoked(before, _now(), self.api_keys.values())
        self._write(actor, "revoke-key", f"keys/{key_id}", reason)
        return key

    async def signals(self, model: str) -> tuple[ArmSignals, ...]:
        """What a test has put there."""
        self._known(model)
        return self.arms

    async def bins(self, model: str, subject: str, minutes: int | None) -> tuple[ArmBins, ...]:
        """What a test has put there, by subject."""
        self._known(model)
        self.asked_minutes = minutes
        return self.arm_bins.get(subject, ())

    async def labels(self, model: str) -> LabelsTold:
        """What a test has put there."""
        self._known(model)
        if self.labels_told is None:
            raise NotFound(f"no labels are kept of {model!r}")
        return self.labels_told

    async def alarms(self, model: str | None, states: Collection[AlarmState]) -> tuple[Alarm, ...]:
        """What a test has put there, and what became of it."""
        if model is not None:
            self._known(model)
        wanted = [
            alarm
            for alarm in self.known_alarms.values()
            if alarm.state in states and model in (None, alarm.key.model)
        ]
        return tuple(in_order(wanted))

    async def alarm(self, alarm_id: str) -> Alarm:
        """One of them."""
        return find_alarm(alarm_id, self.known_alarms.get(alarm_id))

    async def explain_alarm(self, alarm_id: str) -> Explained:
        """What a test has put there, with all that was changed."""
        return Explained(await self.alarm(alarm_id), self.known_why, tuple(self.log))

    async def acknowledge_alarm(self, alarm_id: str, actor: str, reason: str) -> Alarm:
        """Take it on."""
        why = Change(actor, _now(), reason)
        after = acknowledged(await self.alarm(alarm_id), why)
        return self._changed(after, "acknowledge-alarm")

    async def silence_alarm(self, alarm_id: str, until: datetime, actor: str, reason: str) -> Alarm:
        """Silence it."""
        why = Change(actor, _now(), reason)
        after = silenced(await self.alarm(alarm_id), utc_text(until), why)
        return self._changed(after, "silence-alarm")

    async def close_alarm(self, alarm_id: str, adopt: bool, actor: str, reason: str) -> Alarm:
        """Close it, unless a test has the monitors fail."""
        if self.fails:
            raise self.fails
        why = Change(actor, _now(), reason)
        after = closed(await self.alarm(alarm_id), adopt, why)
        return self._changed(after, "adopt-reference" if adopt else "rearm-alarm")

    async def audit(self, after: int = 0, limit: int = 100) -> tuple[AuditEntry, ...]:
        """Entries after a sequence."""
        return tuple(self.log[after : after + limit])

    async def verify_audit(self) -> int | None:
        """The first broken entry."""
        return verify_chain(self.log)

    async def served_at(self, model: str, at: datetime) -> Route | None:
        """The last route made before a moment."""
        self._known(model)
        made = [
            route
            for route in self.routes.get(model, [])
            if datetime.fromisoformat(route.created_at) <= at
        ]
        return made[-1] if made else None

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """A page that says what was accepted."""
        kind = "application/openmetrics-text" if "openmetrics" in accept else "text/plain"
        return b"weir_up 1\n", f"{kind}; version=1.0.0; charset=utf-8"

    async def replace(self, what: Literal["gateway", "version"], model: str, version: int) -> None:
        """Note what was to be replaced."""
        if what == "version":
            await self.versions(model)
        self.replaced.append((what, model, version))

    async def processes(self) -> tuple[Process, ...]:
        """One process."""
        return (Process("control", 1),)

    async def ready(self) -> bool:
        """Whether a test wants it ready."""
        return self.is_ready

    def tamper(self, index: int) -> None:
        """Rewrite an entry of the log behind the chain's back."""
        self.log[index] = replace(self.log[index], actor="mallory")

    def _stable(self, model: str, version: int) -> int:
        """The stable version of a model that has this one, and a route unless it is none (0)."""
        known = [each.number for each in self._known(model)]
        if not version:
            return 0
        if version not in known:
            raise VersionNotFound(f"{model!r} has no version {version}")
        if not self.routes.get(model):
            raise Conflict(f"{model!r} is not served")
        return self.routes[model][-1].stable

    def _known(self, model: str) -> list[Version]:
        if model not in self.registered:
            raise ModelNotFound(f"no model {model!r} is registered")
        return self.registered[model]

    async def _matching(self, model: str, if_generation: int | None) -> Route | None:
        now = await self.route(model)
        generation = now.generation if now else 0
        if if_generation not in (None, generation):
            raise PreconditionFailed(
                f"the route of {model!r} is at generation {generation}, not {if_generation}"
            )
        return now

    async def _routed(self, model: str, if_generation: int | None) -> Route:
        now = await self._matching(model, if_generation)
        if now is None:
            raise NotFound(f"model {model!r} has no route yet")
        return now

    def _changed(self, alarm: Alarm, action: str) -> Alarm:
        self.known_alarms[alarm.id] = alarm
        self._write(alarm.by, action, f"alarms/{alarm.id}", alarm.reason)
        return alarm

    def _commit(self, route: Route, action: str) -> Route:
        self.routes.setdefault(route.model, []).append(route)
        resource = f"models/{route.model}/route"
        self._write(route.created_by, action, resource, route.reason)
        return route

    def _write(self, actor: str, action: str, resource: str, reason: str) -> None:
        last = self.log[-1] if self.log else None
        states = (None, {"of": resource})
        self.log.append(next_entry(last, action, resource, states, Change(actor, _now(), reason)))


def signal(name: str, verdict: Verdict, **values: object) -> Signal:
    """A signal of a made-up monitor about the feature `income`."""
    defaults: dict[str, object] = {"family": "drift", "subject": "income", "rows": 400}
    return Signal(name=name, verdict=verdict, **{**defaults, **values})  # type: ignore[arg-type]


def _now() -> str:
    return utc_text(datetime.now(UTC))
