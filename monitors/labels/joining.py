"""Brings labels and predictions together within one change, whichever of the two came first.

Rows are looked up by whole sets, since a statement costs more than what it finds.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from monitors.labels.addresses import TREES, same_row
from monitors.labels.assigned_units import AssignedUnits
from monitors.labels.codes import Value
from monitors.labels.tally import (
    AUDITS_NOW,
    CORRECTIONS,
    TOLD,
    WAITING_NOW,
    Later,
    Outcome,
    Tally,
)

ASKED = (
    "CREATE TEMP TABLE asked (place INTEGER PRIMARY KEY, high INTEGER, low INTEGER, "
    "row_number INTEGER, of_request INTEGER)"
)
"""The addresses of one change, in memory; the first is in place 1."""

TOLD_NOW = "CREATE TEMP TABLE told_now (sequence INTEGER PRIMARY KEY, n INTEGER, corrected INTEGER)"
"""The predictions that are written down as judged at once, in memory."""

_HELD = "p.n, p.arm, p.at, p.due, p.decision, p.told, p.label, p.labelled_at, p.facts"
_FOUND = " UNION ALL ".join(
    f"SELECT a.place, {_HELD} FROM asked a "  # noqa: S608 - ours
    f"CROSS JOIN {tree} t ON t.high = a.high AND t.row_number = a.row_number "
    "CROSS JOIN predictions p ON p.n = t.n WHERE CASE a.of_request "
    "WHEN 0 THEN p.id_high = a.high AND p.id_low = a.low "
    "ELSE p.request_high = a.high AND p.request_low = a.low END"
    for tree in TREES
)
_WAITED = " UNION ALL ".join(
    f"SELECT w.turn, w.label, w.labelled_at, w.facts, {_HELD} "  # noqa: S608 - ours
    f"FROM predictions p CROSS JOIN waiting w ON w.high = p.{name}_high "
    f"AND w.low = p.{name}_low AND w.row_number = p.row_number WHERE p.n > :after"
    for name in ("id", "request")
)
_SIBLINGS = " UNION ALL ".join(
    f"SELECT s.label, s.labelled_at, s.facts, {_HELD} {same_row(tree)} AND s.label IS NOT NULL"
    for tree in TREES
)
_AT = "WHERE high = ? AND low = ? AND row_number = ?"
_WAITS = f"SELECT label, labelled_at, facts, turn FROM waiting {_AT}"  # noqa: S608 - ours
_AUDIT = f"SELECT facts FROM audits {_AT}"  # noqa: S608 - ours
_UPDATE = "UPDATE predictions SET label = ?, labelled_at = ?, told = ?, facts = {} WHERE n = ?"
_ADD_AUDIT = (
    "UPDATE predictions SET audit = COALESCE("  # noqa: S608 - ours
    + ", ".join(
        f"(SELECT a.facts FROM audits a WHERE a.high = {name}_high AND a.low = {name}_low "  # noqa: S608 - ours
        "AND a.row_number = predictions.row_number)"
        for name in ("id", "request")
    )
    + ") WHERE n = ?"
)
_TELL = (
    "INSERT INTO judged (sequence, told_at, arm, id_high, id_low, row_number, at, score, decision, "
    "score_columns, group_codes, labelled_at, label, facts, audit, sign, corrected) "
    "SELECT d.sequence, ?, arm, id_high, id_low, row_number, at, score, decision, score_columns, "
    "group_codes, labelled_at, label, facts, audit, ?, d.corrected "
    "FROM told_now d CROSS JOIN predictions p ON p.n = d.n ORDER BY d.sequence"
)

Address = tuple[int, int, int, int]
"""Which row is meant: both halves of a name, the row's number, and 1 if the request is named."""


class Given(NamedTuple):
    """A label as it was given: its value, when it was known, and what came with it."""

    label: Value
    at: float
    facts: str | None

    def same_as(self, other: Given | None) -> bool:
        """Whether both say the same; when they were known does not matter."""
        return other is not None and self.label == other.label and self.facts == other.facts


@dataclass(slots=True)
class _Known:
    """A prediction that is held, with its label before this change and after it."""

    n: int
    arm: int
    at: float
    due: float
    decision: float | None
    told: int
    before: Given | None
    given: Given | None
    another_audit: bool = False

    @property
    def changed(self) -> bool:
        return self.another_audit or (
            self.given is not None and not self.given.same_as(self.before)
        )


class Joining:
    """The joins of one change; what was told before is not touched until `settle`.

    `held` are the counts of what the file holds. Whoever asks about addresses names all of them in
    `find` first.
    """

    def __init__(
        self, db: sqlite3.Connection, tally: Tally, held: dict[str, int], units: AssignedUnits
    ) -> None:
        self._db = db
        self._tally = tally
        self._held = held
        self._units = units
        self._known: dict[int, _Known] = {}
        self._found: dict[Address, list[_Known]] = defaultdict(list)
        self._audits: dict[Address, str] = {}
        self._labelled: list[_Known] = []

    def find(self, addresses: Iterable[Address]) -> None:
        """Look up the predictions at all addresses that this change is about."""
        asked = list(dict.fromkeys(addresses))
        self._db.execute("DELETE FROM asked")
        self._db.executemany(
            "INSERT INTO asked (high, low, row_number, of_request) VALUES (?, ?, ?, ?)", asked
        )
        for place, *row in self._db.execute(_FOUND):
            self._found[asked[place - 1]].append(self._note(row))

    def label(self, address: Address, given: Given) -> Outcome:
        """Give a label to the predictions that it is about, or let it wait for them."""
        found = self._found.get(address)
        if found is None:
            return self._wait(address, given)
        outcome = Outcome.JOINED
        for known in found:
            before = known.given
            self._give(known, given)
            if before is None:
                continue
            if not given.same_as(before):
                outcome = Outcome.CORRECTED
            elif outcome is Outcome.JOINED:
                outcome = Outcome.REPEATED
        return outcome

    def audit(self, address: Address, facts: str) -> Outcome:
        """Take in group attributes that came by themselves."""
        held = self._audit(address)
        if held == facts:
            return Outcome.REPEATED
        self._audits[address] = facts
        found = self._found.get(address, ())
        for known in found:
            known.another_audit = True
        if held is not None:
            return Outcome.CORRECTED
        self._tally.counts[AUDITS_NOW] += 1
        return Outcome.JOINED if found else Outcome.WAITING

    def meet(self, after: int, siblings: bool) -> None:
        """Give the predictions behind the number `after` the labels that were here before them.

        `siblings` says that other versions may have answered the same requests.
        """
        if siblings:
            for label, at, facts, *row in self._db.execute(_SIBLINGS, {"after": after}):
                self._give(self._note(row), Given(label, at, facts))
        if self._held[WAITING_NOW] <= 0:
            return
        # In the order in which they came, so that the last of those for one prediction holds.
        turns = set()
        for turn, label, at, facts, *row in self._db.execute(
            f"{_WAITED} ORDER BY 1", {"after": after}
        ):
            self._give(self._note(row), Given(label, at, facts))
            turns.add(turn)
        self._db.executemany("DELETE FROM waiting WHERE turn = ?", [(turn,) for turn in turns])
        self._tally.counts[WAITING_NOW] -= len(turns)
        self._tally.counts[Later.FOUND] += len(turns)

    def settle(self) -> None:
        """Write what has changed, and what the monitors are to be told of it."""
        now = self._tally.now
        # In the order of the file, so that each page is met once.
        known = sorted((k for k in self._known.values() if k.changed), key=lambda k: k.n)
        back = [each for each in known if each.told]
        self._tell([(each.n, each.arm, 0) for each in back], -1)
        self._tally.counts[CORRECTIONS] += len(back)
        self._db.executemany(
            "INSERT OR REPLACE INTO audits (high, low, row_number, came_at, facts) "
            "VALUES (?, ?, ?, ?, ?)",
            [(*address[:3], now, facts) for address, facts in self._audits.items()],
        )
        self._tally.labelled([(k.arm, k.at, k.decision) for k in self._labelled])
        plain, with_facts, ripe = [], [], []
        for each in known:
            if each.given is None:
                continue
            label, at, facts = each.given
            tell = each.told or each.due <= now
            if tell:
                ripe.append(each)
            if facts is None:
                plain.append((label, at, int(tell), each.n))
            else:
                with_facts.append((label, at, int(tell), facts, each.n))
        self._db.executemany(_UPDATE.format("NULL"), plain)
        self._db.executemany(_UPDATE.format("?"), with_facts)
        self._tell([(each.n, each.arm, each.told) for each in ripe], 1)

    def tell_ripe(self, at_most: int) -> None:
        """Tell of labelled predictions that have become old enough for it."""
        ripe = self._db.execute(
            "SELECT n, arm, 0 FROM predictions WHERE label IS NOT NULL AND told = 0 AND due <= ? "
            "ORDER BY due, n LIMIT ?",
            (self._tally.now, at_most),
        ).fetchall()
        self._db.executemany(
            "UPDATE predictions SET told = 1 WHERE n = ?", [(n,) for n, *_ in ripe]
        )
        self._tell(ripe, 1)

    def _tell(self, rows: Sequence[tuple[int, int, int]], sign: int) -> None:
        """Write rows down as they are now, under the next numbers.

        Each is the prediction's number, its arm, and 1 where another label was told of before.
        """
        if not rows:
            return
        if sign > 0 and self._held[AUDITS_NOW] + self._tally.counts[AUDITS_NOW] > 0:
            self._db.executemany(_ADD_AUDIT, [(n,) for n, *_ in rows])
        first = self._held[TOLD] + self._tally.counts[TOLD] + 1
        self._db.execute("DELETE FROM told_now")
        self._db.executemany(
            "INSERT INTO told_now VALUES (?, ?, ?)",
            [(sequence, n, corrected) for sequence, (n, _, corrected) in enumerate(rows, first)],
        )
        self._db.execute(_TELL, (self._tally.now, sign))
        if sign > 0:
            self._units.count()
        self._tally.told([arm for _, arm, _ in rows], first)

    def _note(self, row: Sequence[Any]) -> _Known:
        n, arm, at, due, decision, told, label, labelled_at, facts = row
        known = self._known.get(n)
        if known is None:
            before = None if label is None else Given(label, labelled_at, facts)
            known = self._known[n] = _Known(n, arm, at, due, decision, told, before, before)
        return known

    def _give(self, known: _Known, given: Given) -> None:
        if known.given is None:
            self._labelled.append(known)
        elif given.same_as(known.given):
            return
        known.given = given

    def _wait(self, address: Address, given: Given) -> Outcome:
        held = self._db.execute(_WAITS, address[:3]).fetchone()
        if held is not None and given.same_as(Given(*held[:3])):
            # It is the latest word again, should the prediction also be named in the other way.
            self._db.execute(
                "UPDATE waiting SET turn = (SELECT MAX(turn) + 1 FROM waiting) WHERE turn = ?",
                (held[3],),
            )
            return Outcome.REPEATED
        self._db.execute(
            "INSERT OR REPLACE INTO waiting "
            "(high, low, row_number, came_at, label, labelled_at, facts) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*address[:3], self._tally.now, *given),
        )
        if held is not None:
            return Outcome.CORRECTED
        self._tally.counts[WAITING_NOW] += 1
        return Outcome.WAITING

    def _audit(self, address: Address) -> str | None:
        if address in self._audits:
            return self._audits[address]
        found = self._db.execute(_AUDIT, address[:3]).fetchone()
        return found[0] if found else None
