"""Brings labels and predictions together within one change, whichever of the two came first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from monitors.labels.codes import Value
from monitors.labels.tally import (
    AUDITS_NOW,
    CORRECTIONS,
    WAITING_NOW,
    Later,
    Outcome,
    Tally,
)

_FIND = "SELECT n, arm, at, due, decision, told, label, labelled_at, facts FROM predictions "
_BY_ID = _FIND + "WHERE id = ? AND row_number = ?"
_BY_REQUEST = _FIND + "WHERE request = ? AND row_number = ?"
_WAITS = "SELECT label, labelled_at, facts, turn FROM waiting WHERE address = ? AND row_number = ?"
_SIBLING = (
    "SELECT label, labelled_at, facts FROM predictions "
    "WHERE id = ? AND row_number = ? AND arm <> ? AND label IS NOT NULL"
)
_AUDIT = "SELECT facts FROM audits WHERE address = ? AND row_number = ?"
_UPDATE = (
    "UPDATE predictions SET label = ?, labelled_at = ?, facts = ?, told = ?, audit = COALESCE("
    "(SELECT a.facts FROM audits a WHERE a.address = id AND a.row_number = predictions.row_number),"
    "(SELECT a.facts FROM audits a WHERE a.address = request "
    "AND a.row_number = predictions.row_number)) WHERE n = ?"
)
_TELL = (
    "INSERT INTO judged (told_at, arm, id, row_number, at, score, decision, score_columns, "
    "group_codes, labelled_at, label, facts, audit, sign, corrected) "
    "SELECT ?, arm, id, row_number, at, score, decision, score_columns, "
    "group_codes, labelled_at, label, facts, audit, ?, ? FROM predictions WHERE n = ?"
)


class Address(NamedTuple):
    """Which row is meant: of a prediction by its id, or of a request by the hash of its id."""

    name: bytes
    row_number: int
    of_request: bool


class Given(NamedTuple):
    """A label as it was given: its value, when it was known, and what came with it."""

    label: Value
    at: float
    facts: str | None

    def same_as(self, other: Given | None) -> bool:
        """Whether both say the same; when they were known does not matter."""
        return other is not None and (self.label, self.facts) == (other.label, other.facts)


class NewRow(NamedTuple):
    """A prediction that has come: what it may be found by."""

    id: bytes
    row_number: int
    arm: int
    request: bytes | None


@dataclass(slots=True)
class _Known:
    """A prediction that is held, with its label before this change and after it."""

    n: int
    arm: int
    at: float
    due: float
    decision: float | None
    told: bool
    before: Given | None
    given: Given | None
    another_audit: bool = False

    @property
    def changed(self) -> bool:
        return self.another_audit or (
            self.given is not None and not self.given.same_as(self.before)
        )


class Joining:
    """The joins of one change. Nothing that was told before is touched until `settle`."""

    def __init__(self, db: sqlite3.Connection, tally: Tally) -> None:
        self._db = db
        self._tally = tally
        self._known: dict[int, _Known] = {}
        self._audits: dict[Address, str] = {}

    def label(self, address: Address, given: Given) -> Outcome:
        """Give a label to the predictions that it is about, or let it wait for them."""
        found = self._predictions(address)
        if not found:
            return self._wait(address, given)
        before = [known.given for known in found]
        for known in found:
            self._give(known, given)
        if all(each is None for each in before):
            return Outcome.JOINED
        if all(each is None or given.same_as(each) for each in before):
            return Outcome.REPEATED
        return Outcome.CORRECTED

    def audit(self, address: Address, facts: str) -> Outcome:
        """Take in group attributes that came by themselves."""
        held = self._audit(address)
        if held == facts:
            return Outcome.REPEATED
        self._audits[address] = facts
        found = self._predictions(address)
        for known in found:
            known.another_audit = True
        if held is not None:
            return Outcome.CORRECTED
        self._tally.counts[AUDITS_NOW] += 1
        return Outcome.JOINED if found else Outcome.WAITING

    def meet(self, rows: Iterable[NewRow], waiting: bool, siblings: bool) -> None:
        """Give predictions that have come their labels, where those were here before.

        `waiting` says that labels wait at all, `siblings` that other versions may have answered the
        same requests.
        """
        for row in rows:
            given = self._waited(row) if waiting else None
            if given is None and siblings:
                found = self._db.execute(_SIBLING, (row.id, row.row_number, row.arm)).fetchone()
                given = found and Given(*found)
            if given is not None:
                for known in self._predictions(Address(row.id, row.row_number, of_request=False)):
                    if known.arm == row.arm:
                        self._give(known, given)

    def settle(self) -> None:
        """Write what has changed, and what the monitors are to be told of it."""
        now = self._tally.now
        known = [each for each in self._known.values() if each.changed]
        back = [each for each in known if each.told]
        self._db.executemany(_TELL, [(now, -1, 0, each.n) for each in back])
        self._tally.counts[CORRECTIONS] += len(back)
        self._db.executemany(
            "INSERT OR REPLACE INTO audits (address, row_number, came_at, facts) "
            "VALUES (?, ?, ?, ?)",
            [(a.name, a.row_number, now, facts) for a, facts in self._audits.items()],
        )
        ripe = [each for each in known if each.given and (each.told or each.due <= now)]
        due = {each.n for each in ripe}
        self._db.executemany(
            _UPDATE,
            [(*each.given, int(each.n in due), each.n) for each in known if each.given is not None],
        )
        self._db.executemany(_TELL, [(now, 1, int(each.told), each.n) for each in ripe])

    def _predictions(self, address: Address) -> list[_Known]:
        found = self._db.execute(
            _BY_REQUEST if address.of_request else _BY_ID, (address.name, address.row_number)
        ).fetchall()
        return [self._known.get(row[0]) or self._note(row) for row in found]

    def _note(self, row: tuple[Any, ...]) -> _Known:
        n, arm, at, due, decision, told, *label = row
        before = None if label[0] is None else Given(*label)
        known = self._known[n] = _Known(n, arm, at, due, decision, bool(told), before, before)
        return known

    def _give(self, known: _Known, given: Given) -> None:
        if known.given is None:
            self._tally.labelled(known.arm, known.at, known.decision)
        if not given.same_as(known.given):
            known.given = given

    def _wait(self, address: Address, given: Given) -> Outcome:
        held = self._db.execute(_WAITS, address[:2]).fetchone()
        if held is not None and given.same_as(Given(*held[:3])):
            # It is the latest word again, should the prediction also be named in the other way.
            self._db.execute(
                "UPDATE waiting SET turn = (SELECT MAX(turn) + 1 FROM waiting) WHERE turn = ?",
                (held[3],),
            )
            return Outcome.REPEATED
        self._db.execute(
            "INSERT OR REPLACE INTO waiting "
            "(address, row_number, came_at, label, labelled_at, facts) VALUES (?, ?, ?, ?, ?, ?)",
            (*address[:2], self._tally.now, *given),
        )
        if held is not None:
            return Outcome.CORRECTED
        self._tally.counts[WAITING_NOW] += 1
        return Outcome.WAITING

    def _waited(self, row: NewRow) -> Given | None:
        """The label that waits for a prediction, the latest where it was named in two ways."""
        found = self._db.execute(_WAITS, (row.id, row.row_number)).fetchall()
        if row.request is not None:
            found += self._db.execute(_WAITS, (row.request, row.row_number)).fetchall()
        if not found:
            return None
        self._db.executemany(
            "DELETE FROM waiting WHERE turn = ?", [(turn,) for _, _, _, turn in found]
        )
        self._tally.counts[WAITING_NOW] -= len(found)
        self._tally.counts[Later.FOUND] += len(found)
        label, at, facts, _ = max(found, key=lambda each: each[3])
        return Given(label, at, facts)

    def _audit(self, address: Address) -> str | None:
        if address in self._audits:
            return self._audits[address]
        found = self._db.execute(_AUDIT, address[:2]).fetchone()
        return found[0] if found else None


def tell_ripe(db: sqlite3.Connection, now: float, at_most: int) -> int:
    """Tell of labelled predictions that have become old enough for it; says of how many."""
    ripe: Sequence[tuple[object, ...]] = db.execute(
        "SELECT label, labelled_at, facts, 1, n FROM predictions "
        "WHERE label IS NOT NULL AND told = 0 AND due <= ? ORDER BY due, n LIMIT ?",
        (now, at_most),
    ).fetchall()
    db.executemany(_UPDATE, ripe)
    db.executemany(_TELL, [(now, 1, 0, row[-1]) for row in ripe])
    return len(ripe)
