"""Alarms in the registry's SQLite file: rows to records and back; who calls has the transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from registry.alarms import Alarm, AlarmKey, AlarmState, Finding

# Put together of our own words only; what comes from elsewhere is a parameter.
_ALARM = (
    "SELECT a.model, a.version, a.role, a.family, a.name, a.subject, a.arming, a.log10_evidence, "
    "a.value, a.lower, a.upper, a.message, a.id, a.raised_at, c.number, c.state, c.by, c.at, "
    "c.reason, c.until, c.adopted FROM alarms a JOIN alarm_changes c ON c.alarm = a.id "
)
_IS_LAST = "c.number = (SELECT max(number) FROM alarm_changes WHERE alarm = a.id) "
_OF_KEY = (
    "a.model = ? AND a.version = ? AND a.role = ? AND a.family = ? AND a.name = ? "
    "AND a.subject = ? AND a.arming = ? "
)
_IS_UNTOLD = "NOT EXISTS (SELECT 1 FROM deliveries WHERE alarm = c.alarm AND change = c.number) "


def insert(db: sqlite3.Connection, alarm: Alarm) -> None:
    """Add an alarm, without the change that raised it."""
    found = alarm.finding
    numbers = (found.log10_evidence, found.value, found.lower, found.upper)
    row = (alarm.id, *alarm.key, alarm.raised_at, *numbers, found.message)
    db.execute("INSERT INTO alarms VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def insert_change(db: sqlite3.Connection, alarm: Alarm) -> None:
    """Add the change that made an alarm what it is."""
    made = (alarm.state.value, alarm.by, alarm.at, alarm.reason, alarm.until, int(alarm.adopted))
    row = (alarm.id, alarm.number, *made)
    db.execute("INSERT INTO alarm_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)


def select(
    db: sqlite3.Connection, model: str | None, states: Iterable[AlarmState]
) -> tuple[Alarm, ...]:
    """Alarms as they are now: of one model or all, in some states."""
    wanted = [state.value for state in states]
    marks = ", ".join("?" * len(wanted))
    rows = db.execute(
        f"{_ALARM} WHERE {_IS_LAST} AND c.state IN ({marks}) AND (? IS NULL OR a.model = ?) "
        "ORDER BY a.raised_at, a.id",
        (*wanted, model, model),
    )
    return tuple(map(_alarm, rows))


def select_one(db: sqlite3.Connection, alarm_id: str) -> Alarm | None:
    """An alarm as it is now."""
    row = db.execute(f"{_ALARM} WHERE {_IS_LAST} AND a.id = ?", (alarm_id,)).fetchone()
    return _alarm(row) if row else None


def select_last(db: sqlite3.Connection, key: AlarmKey) -> Alarm | None:
    """The alarm of a key that was raised last, as it is now."""
    rows = db.execute(
        f"{_ALARM} WHERE {_IS_LAST} AND {_OF_KEY} ORDER BY a.raised_at DESC LIMIT 1", key
    )
    row = rows.fetchone()
    return _alarm(row) if row else None


def select_untold(db: sqlite3.Connection, since: str) -> tuple[Alarm, ...]:
    """Of each alarm the first change that is to be delivered, see `Store.untold`."""
    first: dict[str, Alarm] = {}
    rows = db.execute(
        f"{_ALARM} WHERE {_IS_UNTOLD} AND (c.at >= ? OR (c.state <> ? AND {_IS_LAST})) "
        "ORDER BY c.at, a.id, c.number",
        (since, AlarmState.CLOSED.value),
    )
    for row in rows:
        alarm = _alarm(row)
        first.setdefault(alarm.id, alarm)
    return tuple(first.values())


def insert_delivery(db: sqlite3.Connection, alarm_id: str, number: int, at: str) -> None:
    """Note when a change was delivered."""
    db.execute("INSERT INTO deliveries VALUES (?, ?, ?)", (alarm_id, number, at))


def _alarm(row: tuple[Any, ...]) -> Alarm:
    model, version, role, family, name, subject, arming, *found = row[:12]
    alarm_id, raised_at, number, state, by, at, reason, until, adopted = row[12:]
    return Alarm(
        id=alarm_id,
        key=AlarmKey(model, version, role, family, name, subject, arming),
        raised_at=raised_at,
        finding=Finding(*found),
        number=number,
        state=AlarmState(state),
        by=by,
        at=at,
        reason=reason,
        until=until,
        adopted=bool(adopted),
    )
