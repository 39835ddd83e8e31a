"""What a registry needs from the place where it keeps its records."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from registry.alarms import Alarm, AlarmKey, AlarmState
from registry.keys import ApiKey
from registry.records import AuditEntry, Route, Version
from registry.rollouts import Rollout, RolloutChange


class Store(Protocol):
    """**Protocol:** records that are added and never changed, by one owner, one call at a time.

    When a method that takes an entry returns, its record and the audit entry are on disk; when it
    raises, neither is. It raises `Conflict` if the record exists, names what does
    not, or does not follow the last one, and `Unavailable` if nothing can be written.
    """

    def add_version(self, version: Version, entry: AuditEntry) -> None:
        """Keep a version and the entry that records it."""

    def add_route(self, route: Route, entry: AuditEntry) -> None:
        """Keep a generation of a route and the entry that records it."""

    def add_key(self, key: ApiKey, entry: AuditEntry) -> None:
        """Keep a key that is not revoked, and the entry that records it."""

    def revoke_key(self, key_id: str, at: str, entry: AuditEntry) -> None:
        """Keep when a key was revoked, which can happen once, and the entry that records it."""

    def keys(self) -> tuple[ApiKey, ...]:
        """All keys, oldest first, also those that were revoked."""

    def add_alarm(self, alarm: Alarm, entry: AuditEntry) -> None:
        """Keep an alarm that is raised, and the entry that records it."""

    def change_alarm(self, alarm: Alarm, entry: AuditEntry) -> None:
        """Keep the next change of an alarm, and the entry that records it."""

    def alarms(self, model: str | None, states: Collection[AlarmState]) -> tuple[Alarm, ...]:
        """Alarms as they are now, of one model or all, in some states, the oldest first."""

    def alarm(self, alarm_id: str) -> Alarm | None:
        """An alarm as it is now."""

    def last_alarm(self, key: AlarmKey) -> Alarm | None:
        """The alarm of a key that was raised last, as it is now."""

    def untold(self, since: str) -> tuple[Alarm, ...]:
        """Of each alarm the first change that is to be delivered, as it was after that change.

        Each change since a moment is; of those before, only the last word on one that is open.
        """

    def add_delivery(self, alarm_id: str, number: int, at: str) -> None:
        """Keep when a change of an alarm was delivered; `Conflict` if it was before."""

    def add_rollout(self, change: RolloutChange, entry: AuditEntry) -> None:
        """Keep a rollout that begins, and the entry that records it.

        `Conflict` if its model has one that is not over.
        """

    def change_rollout(
        self,
        change: RolloutChange,
        entry: AuditEntry,
        routed: tuple[Route, AuditEntry] | None = None,
    ) -> None:
        """Keep the next change of a rollout, and the entry that records it.

        A route that comes with it and its entry, which follows the other, are kept with it or not
        at all.
        """

    def rollouts(self, model: str | None, active_only: bool) -> tuple[Rollout, ...]:
        """Rollouts as they are now, of one model or all, the oldest first; or only the active."""

    def rollout(self, rollout_id: str) -> Rollout | None:
        """A rollout as it is now."""

    def rollout_changes(self, rollout_id: str) -> tuple[RolloutChange, ...]:
        """All changes of a rollout, oldest first."""

    def untold_changes(self, since: str) -> tuple[RolloutChange, ...]:
        """Of each rollout the first change that is to be delivered.

        Each change since a moment is; of those before, only the last word on one that is active.
        """

    def add_rollout_delivery(self, rollout_id: str, number: int, at: str) -> None:
        """Keep when a change of a rollout was delivered; `Conflict` if it was before."""

    def keep_evidence(self, rollout_id: str, number: int, at: str, state: str) -> None:
        """Keep what a rollout has found by one of its changes or since, in the place of the last.

        It has no entry in the log: the changes that rest on it have.
        """

    def evidence(self, rollout_id: str) -> str | None:
        """What a rollout has found."""

    def numbers(self) -> Mapping[str, tuple[int, ...]]:
        """The numbers of all versions by model, both in ascending order."""

    def models(self) -> tuple[str, ...]:
        """The names of all models, in alphabetical order."""

    def versions(self, model: str) -> tuple[Version, ...]:
        """All versions of a model, oldest first; none for a model that is not known."""

    def route(self, model: str, at: str | None = None) -> Route | None:
        """The latest generation of a route, or the latest of those made at a time or before it."""

    def generations(self, model: str) -> tuple[Route, ...]:
        """All generations of a route, oldest first; none for a model that has no route."""

    def add_entry(self, entry: AuditEntry) -> None:
        """Keep an entry whose states are the only record of what it is about."""

    def audit(self, after: int, limit: int) -> tuple[AuditEntry, ...]:
        """At most `limit` entries with a sequence above `after`, in order."""

    def last_entry(self, resource: str | None = None) -> AuditEntry | None:
        """The end of the audit log, or the last entry about a resource."""

    def close(self) -> None:
        """Let go of the records, so that another owner may open them."""
