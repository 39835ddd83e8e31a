"""Keeps the registry in one SQLite file: one owner, one connection, every change on disk.

The journal is a rollback journal, truncated at the end of each change: with `synchronous=FULL`
that truncation is synced too, so an acknowledged change survives a loss of power.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from configs.errors import Conflict, StartError, Unavailable
from registry import sqlite_alarms, sqlite_rollouts
from registry.alarms import Alarm, AlarmKey, AlarmState
from registry.artifacts import sync_folder
from registry.audit import GENESIS
from registry.card import Card
from registry.keys import AccessRole, ApiKey
from registry.migrations import migrate
from registry.owner import OwnerLock
from registry.records import Arm, AuditEntry, Judged, Route, ShadowArm, Version
from registry.rollouts import Rollout, RolloutChange
from registry.signature import Signature
from registry.sqlite_file import opened, transaction

_SETTINGS = {
    "journal_mode": ("TRUNCATE", "truncate"),
    "synchronous": ("FULL", 2),
    "foreign_keys": ("ON", 1),
    "mmap_size": ("0", 0),
    "trusted_schema": ("OFF", 0),
}
"""Each pragma with what it is set to and what it must read back as."""


class SqliteStore:
    """A `Store` in `registry.db` inside a folder that it owns until `close`."""

    def __init__(self, folder: Path) -> None:
        """Own the folder and open its file; `StartError` if it cannot be had or trusted."""
        self._lock = OwnerLock(folder)
        try:
            self._db = _open(folder / "registry.db")
            sync_folder(folder)
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Close the file, then give the folder back."""
        self._db.close()
        self._lock.close()

    def add_version(self, version: Version, entry: AuditEntry) -> None:
        """Keep a version and the entry that records it."""
        row = (
            version.model,
            version.number,
            version.digest,
            version.signature.model_dump_json(),
            version.card.model_dump_json(),
            version.profile,
            version.size_bytes,
            version.created_by,
            version.created_at,
        )
        with self._change(entry):
            self._db.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def add_route(self, route: Route, entry: AuditEntry) -> None:
        """Keep a generation of a route and the entry that records it."""
        with self._change(entry):
            self._insert_route(route)

    def add_key(self, key: ApiKey, entry: AuditEntry) -> None:
        """Keep an API key and the entry that records it."""
        row = (
            key.id,
            key.name,
            key.role.value,
            key.digest,
            key.rate_per_s,
            key.created_by,
            key.created_at,
            key.expires_at,
        )
        with self._change(entry):
            self._db.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def revoke_key(self, key_id: str, at: str, entry: AuditEntry) -> None:
        """Keep when a key was revoked, and the entry that records it."""
        with self._change(entry):
            self._db.execute("INSERT INTO revocations VALUES (?, ?)", (key_id, at))

    def keys(self) -> tuple[ApiKey, ...]:
        """All keys, oldest first, also those that were revoked."""
        rows = self._db.execute(
            "SELECT keys.*, revocations.at FROM keys LEFT JOIN revocations ON key = id "
            "ORDER BY created_at, id"
        )
        return tuple(map(_key, rows))

    def add_alarm(self, alarm: Alarm, entry: AuditEntry) -> None:
        """Keep an alarm that is raised, and the entry that records it."""
        with self._change(entry):
            sqlite_alarms.insert(self._db, alarm)
            sqlite_alarms.insert_change(self._db, alarm)

    def change_alarm(self, alarm: Alarm, entry: AuditEntry) -> None:
        """Keep the next change of an alarm, and the entry that records it."""
        with self._change(entry):
            sqlite_alarms.insert_change(self._db, alarm)

    def alarms(self, model: str | None, states: Collection[AlarmState]) -> tuple[Alarm, ...]:
        """Alarms as they are now, of one model or all, in some states, the oldest first."""
        return sqlite_alarms.select(self._db, model, states)

    def alarm(self, alarm_id: str) -> Alarm | None:
        """An alarm as it is now."""
        return sqlite_alarms.select_one(self._db, alarm_id)

    def last_alarm(self, key: AlarmKey) -> Alarm | None:
        """The alarm of a key that was raised last, as it is now."""
        return sqlite_alarms.select_last(self._db, key)

    def untold(self, since: str) -> tuple[Alarm, ...]:
        """Of each alarm the first change that is to be delivered, as it was after that change."""
        return sqlite_alarms.select_untold(self._db, since)

    def add_delivery(self, alarm_id: str, number: int, at: str) -> None:
        """Keep when a change of an alarm was delivered."""
        with self._transaction(f"deliveries of alarm {alarm_id}"):
            sqlite_alarms.insert_delivery(self._db, alarm_id, number, at)

    def add_rollout(self, change: RolloutChange, entry: AuditEntry) -> None:
        """Keep a rollout that begins, and the entry that records it."""
        with self._change(entry):
            sqlite_rollouts.insert(self._db, change.rollout)
            sqlite_rollouts.insert_change(self._db, change)

    def change_rollout(
        self,
        change: RolloutChange,
        entry: AuditEntry,
        routed: tuple[Route, AuditEntry] | None = None,
    ) -> None:
        """Keep the next change of a rollout, the route that comes with it, and their entries."""
        with self._change(entry, *(routed[1:] if routed else ())):
            sqlite_rollouts.insert_change(self._db, change)
            if routed:
                self._insert_route(routed[0])

    def rollouts(self, model: str | None, active_only: bool) -> tuple[Rollout, ...]:
        """Rollouts as they are now, of one model or all, the oldest first; or only the active."""
        return sqlite_rollouts.select(self._db, model, active_only)

    def rollout(self, rollout_id: str) -> Rollout | None:
        """A rollout as it is now."""
        return sqlite_rollouts.select_one(self._db, rollout_id)

    def rollout_changes(self, rollout_id: str) -> tuple[RolloutChange, ...]:
        """All changes of a rollout, oldest first."""
        return sqlite_rollouts.select_changes(self._db, rollout_id)

    def untold_changes(self, since: str) -> tuple[RolloutChange, ...]:
        """Of each rollout the first change that is to be delivered."""
        return sqlite_rollouts.select_untold(self._db, since)

    def add_rollout_delivery(self, rollout_id: str, number: int, at: str) -> None:
        """Keep when a change of a rollout was delivered."""
        with self._transaction(f"deliveries of rollout {rollout_id}"):
            sqlite_rollouts.insert_delivery(self._db, rollout_id, number, at)

    def keep_evidence(self, rollout_id: str, number: int, at: str, state: str) -> None:
        """Keep what a rollout has found, in the place of what it had before."""
        with self._transaction(f"evidence of rollout {rollout_id}"):
            sqlite_rollouts.replace_evidence(self._db, rollout_id, number, at, state)

    def evidence(self, rollout_id: str) -> str | None:
        """What a rollout has found."""
        return sqlite_rollouts.select_evidence(self._db, rollout_id)

    def models(self) -> tuple[str, ...]:
        """The names of all models, in alphabetical order."""
        return tuple(self.numbers())

    def numbers(self) -> Mapping[str, tuple[int, ...]]:
        """The numbers of all versions by model, both in ascending order."""
        rows = self._db.execute("SELECT model, number FROM versions ORDER BY model, number")
        return {
            model: tuple(number for _, number in group)
            for model, group in groupby(rows, itemgetter(0))
        }

    def versions(self, model: str) -> tuple[Version, ...]:
        """All versions of a model, oldest first; none for a model that is not known."""
        rows = self._db.execute("SELECT * FROM versions WHERE model = ? ORDER BY number", (model,))
        return tuple(map(_version, rows))

    def route(self, model: str, at: str | None = None) -> Route | None:
        """The latest generation of a route, or the latest of those made at a time or before it."""
        row = self._db.execute(
            "SELECT * FROM routes WHERE model = :model AND (:at IS NULL OR created_at <= :at) "
            "ORDER BY generation DESC LIMIT 1",
            {"model": model, "at": at},
        ).fetchone()
        if row is None:
            return None
        arms = self._db.execute(
            "SELECT version, weight_bp FROM arms WHERE model = ? AND generation = ? "
            "ORDER BY version",
            row[:2],
        )
        return _route(row, tuple(Arm(*arm) for arm in arms))

    def generations(self, model: str) -> tuple[Route, ...]:
        """All generations of a route, oldest first; none for a model that has no route."""
        rows = self._db.execute(
            "SELECT generation, version, weight_bp FROM arms WHERE model = ? "
            "ORDER BY generation, version",
            (model,),
        )
        arms = {
            generation: tuple(Arm(version, weight_bp) for _, version, weight_bp in group)
            for generation, group in groupby(rows, itemgetter(0))
        }
        routes = self._db.execute(
            "SELECT * FROM routes WHERE model = ? ORDER BY generation", (model,)
        )
        return tuple(_route(row, arms[row[1]]) for row in routes)

    def add_entry(self, entry: AuditEntry) -> None:
        """Keep an entry whose states are the only record of what it is about."""
        with self._change(entry):
            pass

    def audit(self, after: int, limit: int) -> tuple[AuditEntry, ...]:
        """At most `limit` entries with a sequence above `after`, in order."""
        rows = self._db.execute(
            "SELECT * FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?", (after, limit)
        )
        return tuple(AuditEntry(*row) for row in rows)

    def last_entry(self, resource: str | None = None) -> AuditEntry | None:
        """The end of the audit log, or the last entry about a resource."""
        row = self._db.execute(
            "SELECT * FROM audit WHERE :resource IS NULL OR resource = :resource "
            "ORDER BY sequence DESC LIMIT 1",
            {"resource": resource},
        ).fetchone()
        return AuditEntry(*row) if row else None

    def _insert_route(self, route: Route) -> None:
        """Add a generation of a route, with its arms."""
        row = (
            route.model,
            route.generation,
            route.stable,
            route.salt,
            route.shadow.version if route.shadow else None,
            route.shadow.share_bp if route.shadow else None,
            route.previous,
            route.created_by,
            route.created_at,
            route.reason,
            int(route.served),
            *(astuple(route.judged) if route.judged else (None,) * 4),
        )
        arms = [(route.model, route.generation, arm.version, arm.weight_bp) for arm in route.arms]
        self._db.execute(
            "INSERT INTO routes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row
        )
        self._db.executemany("INSERT INTO arms VALUES (?, ?, ?, ?)", arms)

    @contextmanager
    def _change(self, *entries: AuditEntry) -> Iterator[None]:
        """One transaction with its audit entries: all of it reaches the disk, or none."""
        last = self.last_entry()
        for entry in entries:
            if (entry.sequence, entry.previous_hash) != (
                (last.sequence + 1, last.hash) if last else (1, GENESIS)
            ):
                raise Conflict(f"audit entry {entry.sequence} does not follow the last one")
            last = entry
        with self._transaction(" and ".join(entry.resource for entry in entries)):
            yield
            self._db.executemany(
                "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", map(astuple, entries)
            )

    @contextmanager
    def _transaction(self, resource: str) -> Iterator[None]:
        """All that is done in the block reaches the disk, or nothing."""
        try:
            with transaction(self._db):
                yield
        except sqlite3.IntegrityError as error:
            raise Conflict(f"the registry refuses this change of {resource}: {error}") from None
        except sqlite3.OperationalError as error:
            raise Unavailable(f"the registry cannot be written: {error}") from None


def _open(path: Path) -> sqlite3.Connection:
    """The only connection, with a schema that we know."""
    try:
        # The timeout waits for a backup that reads.
        return opened(path, _SETTINGS, 2.0, lambda db: migrate(db, path))
    except sqlite3.DatabaseError as error:
        raise StartError(f"{path} cannot be opened as a registry: {error}") from None


def _version(row: tuple[str, int, str, str, str, str | None, int, str, str]) -> Version:
    model, number, digest, signature, card, profile, size_bytes, created_by, created_at = row
    return Version(
        model=model,
        number=number,
        digest=digest,
        signature=Signature.model_validate_json(signature),
        card=Card.model_validate(json.loads(card)),
        profile=profile,
        size_bytes=size_bytes,
        created_by=created_by,
        created_at=created_at,
    )


def _route(row: tuple[Any, ...], arms: tuple[Arm, ...]) -> Route:
    model, generation, stable, salt, shadow, share, previous, by, at, reason, served = row[:11]
    return Route(
        model=model,
        generation=generation,
        stable=stable,
        arms=arms,
        salt=salt,
        shadow=None if shadow is None or share is None else ShadowArm(shadow, share),
        previous=previous,
        created_by=by,
        created_at=at,
        reason=reason,
        served=bool(served),
        judged=None if row[11] is None else Judged(*row[11:]),
    )


_KeyRow = tuple[str, str, str, str, float | None, str, str, str | None, str | None]


def _key(row: _KeyRow) -> ApiKey:
    key_id, name, role, digest, rate_per_s, created_by, created_at, expires_at, revoked_at = row
    return ApiKey(
        id=key_id,
        name=name,
        role=AccessRole(role),
        digest=digest,
        rate_per_s=rate_per_s,
        created_by=created_by,
        created_at=created_at,
        expires_at=expires_at,
        revoked_at=revoked_at,
    )
