"""The labels of one model and the predictions that wait for them, in a file that outlives crashes.

Every change is one commit, on disk when the call returns. Memory holds a number for each arm and
each name of a group, where the newest predictions are found, and the pages that SQLite caches;
everything else is in the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from configs.errors import Unavailable
from configs.settings import Labels
from monitors.labels.addresses import (
    drop_repeated,
    gather,
    last_number,
    name_of_request,
    names_of_ids,
    open_addresses,
)
from monitors.labels.assigned import LabelledUnits
from monitors.labels.assigned_units import AssignedUnits
from monitors.labels.bounds import drop_judged, drop_old, drop_surplus, widen_cohorts
from monitors.labels.coverage import Cell
from monitors.labels.database import opened, transaction
from monitors.labels.group_names import GroupNames
from monitors.labels.joining import ASKED, TOLD_NOW, Address, Given, Joining
from monitors.labels.judged import JudgedBlock
from monitors.labels.message import Truth
from monitors.labels.rows import AwaitingRows, JudgedRows, facts, judged_block, request_groups
from monitors.labels.tally import FUTURE, Outcome, Tally
from registry.card import Card

JUDGED_ROWS = 4096
"""So many judged rows are folded at a time."""

_RIPE_ROWS = 5000
_DROPPED_ROWS = 2000
_DAY_S = 86_400.0

Arm = tuple[int, str]
"""A version and its role."""


class LabelStore:
    """What waits of one model, and what is judged.

    `counts` are all counts since the file was made, `session` those since it was opened. Rows of
    a version in a role are told in the order of rising numbers; `heads` has the last one of each.
    """

    def __init__(self, path: Path, model: str, secret: bytes, settings: Labels) -> None:
        self.model = model
        self._secret = secret
        self._settings = settings
        self._db = opened(path, model)
        self._db.execute(ASKED)
        self._db.execute(TOLD_NOW)
        open_addresses(self._db)
        self._names = GroupNames(self._db)
        self._units = AssignedUnits(self._db)
        self._arms: dict[Arm, int] = {}
        self._delays: dict[Arm, float] = {}
        for code, version, role, delay_s in self._db.execute("SELECT * FROM arms"):
            self._arms[version, role] = code
            self._delays[version, role] = delay_s
        self.counts = Counter[str](dict(self._db.execute("SELECT name, count FROM counts")))
        self.session = Counter[str]()
        heads = self._db.execute("SELECT arm, MAX(sequence) FROM judged GROUP BY arm")
        self._heads: dict[int, int] = dict(heads.fetchall())

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The versions in their roles of which predictions have come."""
        return tuple(sorted(self._arms))

    @property
    def heads(self) -> dict[Arm, int]:
        """The number of the last judged row of each arm that has one."""
        return {arm: self._heads[code] for arm, code in self._arms.items() if code in self._heads}

    def expect(self, arm: Arm, card: Card, rows: AwaitingRows, now: float) -> None:
        """Keep rows until their labels come; a label counts when they are as old as `card` says."""
        delay_s = card.label.expected_delay_days * _DAY_S if card.label is not None else 0.0
        code = self._code(arm, delay_s)
        assigned = self._units.codes(rows.assigned, card)
        groups = self._packed(rows)
        at = min(rows.at, now)
        requests = [None if r is None else name_of_request(r, self._secret) for r in rows.requests]
        count = len(rows.ids)
        with self._change(now) as tally:
            after = last_number(self._db)
            self._insert(
                {
                    "n": range(after + 1, after + 1 + count),
                    "id_high": [high for high, _ in rows.ids],
                    "id_low": [low for _, low in rows.ids],
                    "row_number": rows.row_numbers,
                    "arm": [code] * count,
                    "request_high": [name and name[0] for name in requests],
                    "request_low": [name and name[1] for name in requests],
                    "at": [at] * count,
                    "due": [at + delay_s] * count,
                    "score": rows.scores,
                    "decision": rows.decisions,
                    "score_columns": rows.columns,
                    "group_codes": groups,
                    "labelled_at": [at] * count,
                    "assigned": assigned,
                    "rival": [each.rival if each is not None else None for each in rows.assigned],
                }
            )
            gather(self._db, after)
            repeated = drop_repeated(self._db, after)
            tally.predicted(
                code,
                at,
                [each for n, each in enumerate(rows.decisions, after + 1) if n not in repeated],
            )
            joining = Joining(self._db, tally, self.counts, self._units)
            joining.meet(after, siblings=len(self._arms) > 1)
            joining.settle()
            self._bound(tally, _DROPPED_ROWS + 2 * count)

    def hear(
        self, truths: Sequence[Truth], now: float, refused: int = 0, in_future: int = 0
    ) -> list[Outcome]:
        """Take in labels and groups; what became of each. Those that were refused are counted."""
        with self._change(now) as tally:
            joining = Joining(self._db, tally, self.counts, self._units)
            addresses = self._addresses(truths)
            joining.find(addresses)
            outcomes = [
                _outcome(joining, address, truth, now)
                for address, truth in zip(addresses, truths, strict=True)
            ]
            joining.settle()
            tally.counts.update(outcomes)
            tally.counts[Outcome.REFUSED] += refused
            tally.counts[FUTURE] += in_future
            self._bound(tally, _DROPPED_ROWS)
        return outcomes

    def ripen(self, now: float) -> None:
        """Tell of all labelled predictions that have become old enough to count."""
        while self._db.execute(
            "SELECT 1 FROM predictions WHERE label IS NOT NULL AND told = 0 AND due <= ? LIMIT 1",
            (now,),
        ).fetchone():
            with self._change(now) as tally:
                Joining(self._db, tally, self.counts, self._units).tell_ripe(_RIPE_ROWS)

    def keep_bounds(self, now: float) -> None:
        """Drop what is too old, and merge old counts; for the times when nothing comes."""
        with self._change(now) as tally:
            self._bound(tally, 2 * _DROPPED_ROWS)
            drop_judged(self._db, now, 10 * _DROPPED_ROWS)
            widen_cohorts(self._db, now)

    def judged(self, arm: Arm, card: Card, after: int) -> tuple[JudgedBlock, int] | None:
        """The next judged rows of an arm after a number, and the number of the last of them."""
        code = self._arms.get(arm)
        if code is None or self._heads.get(code, 0) <= after:
            return None
        found = self._db.execute(
            "SELECT sequence, id_high, id_low, row_number, at, score, decision, score_columns, "
            "group_codes, labelled_at, label, facts, audit, sign, corrected FROM judged "
            "WHERE sequence > ? AND arm = ? ORDER BY sequence LIMIT ?",
            (after, code, JUDGED_ROWS),
        ).fetchall()
        if not found:
            return None
        numbers, *columns = zip(*found, strict=True)
        rows = JudgedRows(*columns)
        groups = self._names.unpacked(rows.group_codes, request_groups(card))
        return judged_block((self.model, *arm), card, rows, groups), numbers[-1]

    def labelled_units(self) -> tuple[LabelledUnits, ...]:
        """Units of the latest rollouts whose labels count, by what they were assigned to."""
        return self._units.told()

    def cells(self, arm: Arm) -> Counter[Cell]:
        """Predictions and labels of an arm by cohort, decision and delay."""
        found = self._db.execute(
            "SELECT minute, decision, delay, count FROM cohorts WHERE arm = ?", (self._arms[arm],)
        )
        return Counter({(minute, decision, delay): n for minute, decision, delay, n in found})

    def count_lost(self, reason: str, rows: int) -> None:
        """Count rows that could not be kept; in memory alone, since the file may be the cause."""
        self.session[reason] += rows

    def _addresses(self, truths: Sequence[Truth]) -> list[Address]:
        by_id = iter(names_of_ids(t.prediction_id for t in truths if t.prediction_id is not None))
        return [
            (*next(by_id), truth.row, 0)
            if truth.prediction_id is not None
            else (*name_of_request(truth.key or "", self._secret), truth.row, 1)
            for truth in truths
        ]

    def _packed(self, rows: AwaitingRows) -> Sequence[bytearray | None]:
        try:
            with transaction(self._db):
                return self._names.packed(rows.groups, len(rows.ids))
        except Unavailable:
            self._names = GroupNames(self._db)  # It may know numbers that are not in the file.
            raise

    def _insert(self, columns: Mapping[str, Sequence[Any]]) -> None:
        # Columns without a value are left out: it takes long to hand over a None.
        known = {
            name: values
            for name, values in columns.items()
            if any(value is not None for value in values)
        }
        self._db.executemany(
            f"INSERT INTO predictions ({', '.join(known)}) "  # noqa: S608 - names of our own
            f"VALUES ({', '.join('?' * len(known))})",
            zip(*known.values(), strict=True),
        )

    def _code(self, arm: Arm, delay_s: float) -> int:
        if self._delays.get(arm) != delay_s:
            with transaction(self._db):
                self._db.execute(
                    "INSERT INTO arms (version, role, delay_s) VALUES (?, ?, ?) "
                    "ON CONFLICT (version, role) DO UPDATE SET delay_s = excluded.delay_s",
                    (*arm, delay_s),
                )
            for code, version, role, delay in self._db.execute("SELECT * FROM arms"):
                self._arms[version, role] = code
                self._delays[version, role] = delay
        return self._arms[arm]

    def _bound(self, tally: Tally, most: int) -> None:
        # A label must find its prediction when it is due, however short the time to live is.
        latest_s = max(self._delays.values(), default=0.0) + _DAY_S
        keep_s = max(self._settings.time_to_live_days * _DAY_S, latest_s)
        drop_old(self._db, tally, tally.now - keep_s, most)
        drop_surplus(self._db, tally, self.counts, self._settings.rows_max)

    @contextmanager
    def _change(self, now: float) -> Iterator[Tally]:
        """One commit, with its counts."""
        tally = Tally(now)
        with transaction(self._db):
            yield tally
            tally.write(self._db)
        self.counts.update(tally.counts)
        self.session.update(tally.counts)
        self._heads.update(tally.heads)


def _outcome(joining: Joining, address: Address, truth: Truth, now: float) -> Outcome:
    _, _, _, value, at, groups, values = truth
    brought = facts(groups, values)
    if value is None:
        return joining.audit(address, brought or "")
    # A boolean as the file has it, which is also handed over faster.
    number = int(value) if isinstance(value, bool) else value
    return joining.label(address, Given(number, now if at is None else at, brought))
