"""Rollouts in the registry's SQLite file: rows to records and back, in the caller's transaction."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from registry.rollouts import Hold, Rollout, RolloutChange, RolloutState

# Put together of our own words only; what comes from elsewhere is a parameter.
_FIELDS = (
    "r.id, r.model, r.stable, r.candidate, r.policy, r.started_by, r.started_at, c.number, "
    "c.state, c.step, c.entered_at, c.by, c.at, c.reason, c.hold, c.held_from, c.promoted_by, "
    "c.approved, c.objective_s"
)
_FROM = "FROM rollouts r JOIN rollout_changes c ON c.rollout = r.id "
_ROLLOUT = f"SELECT {_FIELDS} {_FROM}"
_CHANGE = f"SELECT {_FIELDS}, c.action, c.evidence {_FROM}"
_IS_LAST = "c.number = (SELECT max(number) FROM rollout_changes WHERE rollout = r.id) "
_IS_UNTOLD = (
    "NOT EXISTS (SELECT 1 FROM rollout_deliveries WHERE rollout = c.rollout AND change = c.number)"
)
_IS_ACTIVE = "r.id IN (SELECT id FROM active_rollouts) "


def insert(db: sqlite3.Connection, rollout: Rollout) -> None:
    """Add a rollout, without the change that started it."""
    row = (
        rollout.id,
        rollout.model,
        rollout.stable,
        rollout.candidate,
        rollout.policy,
        rollout.policy_digest,
        rollout.started_by,
        rollout.started_at,
    )
    db.execute("INSERT INTO rollouts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)


def insert_change(db: sqlite3.Connection, change: RolloutChange) -> None:
    """Add the change that made a rollout what it is."""
    rollout = change.rollout
    row = (
        rollout.id,
        rollout.number,
        change.action,
        rollout.state.value,
        rollout.step,
        rollout.entered_at,
        rollout.by,
        rollout.at,
        rollout.reason,
        rollout.hold,
        rollout.held_from,
        rollout.promoted_by,
        json.dumps(rollout.approved),
        rollout.objective_s,
        change.evidence,
    )
    db.execute(
        "INSERT INTO rollout_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row
    )


def select(db: sqlite3.Connection, model: str | None, active_only: bool) -> tuple[Rollout, ...]:
    """Rollouts as they are now, of one model or all, the oldest first."""
    active = f"AND {_IS_ACTIVE}" if active_only else ""
    rows = db.execute(
        f"{_ROLLOUT} WHERE {_IS_LAST} {active} AND (? IS NULL OR r.model = ?) "
        "ORDER BY r.started_at, r.id",
        (model, model),
    )
    return tuple(map(_rollout, rows))


def select_one(db: sqlite3.Connection, rollout_id: str) -> Rollout | None:
    """A rollout as it is now."""
    row = db.execute(f"{_ROLLOUT} WHERE {_IS_LAST} AND r.id = ?", (rollout_id,)).fetchone()
    return _rollout(row) if row else None


def select_changes(db: sqlite3.Connection, rollout_id: str) -> tuple[RolloutChange, ...]:
    """All changes of a rollout, oldest first."""
    rows = db.execute(f"{_CHANGE} WHERE r.id = ? ORDER BY c.number", (rollout_id,))
    return tuple(map(_change, rows))


def select_untold(db: sqlite3.Connection, since: str) -> tuple[RolloutChange, ...]:
    """Of each rollout the first change that is to be delivered, see `Store.untold_changes`."""
    first: dict[str, RolloutChange] = {}
    rows = db.execute(
        f"{_CHANGE} WHERE {_IS_UNTOLD} AND (c.at >= ? OR ({_IS_ACTIVE} AND {_IS_LAST})) "
        "ORDER BY c.at, r.id, c.number",
        (since,),
    )
    for row in rows:
        change = _change(row)
        first.setdefault(change.rollout.id, change)
    return tuple(first.values())


def insert_delivery(db: sqlite3.Connection, rollout_id: str, number: int, at: str) -> None:
    """Note when a change was delivered."""
    db.execute("INSERT INTO rollout_deliveries VALUES (?, ?, ?)", (rollout_id, number, at))


def replace_evidence(
    db: sqlite3.Connection, rollout_id: str, number: int, at: str, state: str
) -> None:
    """Put the evidence of a rollout in the place of what was found before."""
    db.execute(
        "INSERT INTO rollout_evidence VALUES (?, ?, ?, ?) ON CONFLICT (rollout) DO UPDATE "
        "SET change = excluded.change, at = excluded.at, state = excluded.state",
        (rollout_id, number, at, state),
    )


def select_evidence(db: sqlite3.Connection, rollout_id: str) -> str | None:
    """The evidence of a rollout."""
    row = db.execute(
        "SELECT state FROM rollout_evidence WHERE rollout = ?", (rollout_id,)
    ).fetchone()
    return str(row[0]) if row else None


def _rollout(row: tuple[Any, ...]) -> Rollout:
    rollout_id, model, stable, candidate, policy, started_by, started_at, number, *made = row[:19]
    state, step, entered_at, by, at, reason, hold, held_from, promoted_by, approved, objective = (
        made
    )
    return Rollout(
        id=rollout_id,
        model=model,
        stable=stable,
        candidate=candidate,
        policy=policy,
        started_by=started_by,
        started_at=started_at,
        number=number,
        state=RolloutState(state),
        step=step,
        entered_at=entered_at,
        by=by,
        at=at,
        reason=reason,
        hold=None if hold is None else Hold(hold),
        held_from=None if held_from is None else RolloutState(held_from),
        promoted_by=promoted_by,
        approved=tuple(json.loads(approved)),
        objective_s=objective,
    )


def _change(row: tuple[Any, ...]) -> RolloutChange:
    action, evidence = row[19:]
    return RolloutChange(_rollout(row), action, evidence)
