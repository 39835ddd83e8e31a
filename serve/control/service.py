"""What can be asked of the control plane; the API and the command line speak only to this."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from monitors.explain import BinShare
from monitors.labels.told import LabelsTold
from monitors.signal import Signal
from monitors.why.answer import Why
from registry.alarms import Alarm, AlarmState
from registry.card import Card
from registry.keys import AccessRole, ApiKey, Token
from registry.records import AuditEntry, Route, Version
from serve.rollout.service import Rollouts


@dataclass(frozen=True, slots=True)
class ArmSignals:
    """What the monitors say of one version in one role, after so many sampled rows."""

    version: int
    arm: str
    rows: int
    signals: tuple[Signal, ...]


@dataclass(frozen=True, slots=True)
class ArmBins:
    """The bins of one subject in one version in one role, after so many rows in them."""

    version: int
    arm: str
    rows: int
    bins: tuple[BinShare, ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """An alarm, what is known of why it was raised, and what was changed around that time."""

    alarm: Alarm
    why: Why
    nearby: tuple[AuditEntry, ...]


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """Whether a version is hosted and ready, and why not."""

    version: int
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the gateway: what it does, its id, and the version if it hosts one."""

    role: str
    pid: int
    model: str = ""
    version: int = 0


class Control(Protocol):
    """**Protocol:** the control plane as the API sees it."""

    @property
    def rollouts(self) -> Rollouts:
        """The rollouts of all models."""

    async def put_artifact(self, chunks: AsyncIterator[bytes]) -> str:
        """Store a file by its content; gives `sha256:<hex>`."""

    async def register(
        self, model: str, digest: str, card: Card | None, profile: str | None, actor: str
    ) -> tuple[Version, tuple[str, ...]]:
        """Check a stored ONNX file and number it; the sentences say what was inferred."""

    async def models(self) -> tuple[str, ...]:
        """The names of all registered models."""

    async def versions(self, model: str) -> tuple[Version, ...]:
        """All versions of a model, oldest first."""

    async def version_status(self, model: str) -> tuple[VersionStatus, ...]:
        """The hosting state of each version: `ready`, `starting`, `failed` or `not hosted`."""

    async def route(self, model: str) -> Route | None:
        """The route that is in force, or None before the first."""

    async def set_route(
        self,
        model: str,
        weights: Mapping[int, float],
        shadow: tuple[int, float] | None,
        actor: str,
        reason: str,
        if_generation: int | None = None,
    ) -> Route:
        """Split the traffic, in percent; waits until every gateway replica routes so."""

    async def promote(
        self, model: str, version: int, actor: str, reason: str, if_generation: int | None = None
    ) -> Route:
        """Give a version all of the traffic, on a named person's reason."""

    async def rollback(
        self, model: str, actor: str, reason: str, if_generation: int | None = None
    ) -> Route:
        """Return to the version that was stable before."""

    async def load(self, model: str, actor: str, reason: str) -> Route:
        """Serve a model as it was before, or its latest version; one that is served stays so."""

    async def unload(self, model: str, actor: str, reason: str) -> Route:
        """Serve a model no longer; `Conflict` if it is not served."""

    async def keys(self) -> tuple[ApiKey, ...]:
        """All API keys, oldest first, also those that were revoked or have expired."""

    async def create_key(
        self,
        name: str,
        role: AccessRole,
        rate_per_s: float | None,
        expires_at: datetime | None,
        actor: str,
    ) -> tuple[ApiKey, Token]:
        """Make an API key, and the token that shows it, which nobody can read again."""

    async def revoke_key(self, key_id: str, actor: str, reason: str) -> ApiKey:
        """End an API key; waits until no gateway replica takes it any more."""

    async def signals(self, model: str) -> tuple[ArmSignals, ...]:
        """What the monitors say of every version in every role that has had traffic."""

    async def bins(self, model: str, subject: str, minutes: int | None) -> tuple[ArmBins, ...]:
        """Where a feature, a score or the decision has moved, of every version in every role."""

    async def labels(self, model: str) -> LabelsTold:
        """Which predictions have their labels, how late those came, and what waits."""

    async def alarms(self, model: str | None, states: Collection[AlarmState]) -> tuple[Alarm, ...]:
        """Alarms as they are listed, of one model or all, in some states."""

    async def alarm(self, alarm_id: str) -> Alarm:
        """One alarm as it is now."""

    async def explain_alarm(self, alarm_id: str) -> Explained:
        """Why an alarm was raised, as far as that can be known; takes seconds."""

    async def acknowledge_alarm(self, alarm_id: str, actor: str, reason: str) -> Alarm:
        """Note that somebody has taken an alarm on."""

    async def silence_alarm(self, alarm_id: str, until: datetime, actor: str, reason: str) -> Alarm:
        """Tell nobody of an alarm until a moment."""

    async def close_alarm(self, alarm_id: str, adopt: bool, actor: str, reason: str) -> Alarm:
        """Re-arm what raised an alarm, perhaps with a new reference; its life is over then."""

    async def audit(self, after: int = 0, limit: int = 100) -> tuple[AuditEntry, ...]:
        """Audit entries in order, from the one after `after`."""

    async def verify_audit(self) -> int | None:
        """The sequence number of the first entry that breaks the chain, or None."""

    async def served_at(self, model: str, at: datetime) -> Route | None:
        """The route that was in force at a moment."""

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """The Prometheus page and its content type."""

    async def replace(self, what: Literal["gateway", "version"], model: str, version: int) -> None:
        """Put new processes in the place of the gateway's or a version's; no request is lost."""

    async def processes(self) -> tuple[Process, ...]:
        """The processes that are running now."""

    async def ready(self) -> bool:
        """Whether every gateway replica serves the present table."""
