"""Selection rates: whether one group is selected more, or less, often than all others.

The intervals are 95 % at one look. They are not part of the alarm budget: looked at again and
again, a gap near the allowed one will be outside at some look more often than that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from math import ceil

import numpy as np
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.privacy import RARE, ROWS_TOLD_MIN, Withheld, withheld
from monitors.profile.categories import texts
from monitors.profile.reading import decisions, group_values
from monitors.profile.reference import TOP_GROUPS, ReferenceProfile
from monitors.signal import Signal, State, Verdict, from_words, words
from monitors.stats.intervals import newcombe, wilson
from registry.card import Card, Group

UNKNOWN = "unknown"
OTHER = "other"
NO_DECISION = (
    "the card declares no decision, so nobody is known to be selected: declare decision in it"
)

Proportion = tuple[int, int]
"""Selected rows and decided rows."""


class SelectionRate:
    """**Detector** of unequal selection rates: one signal per group that was met.

    A group is compared with all other rows whose group is known. Rows without a group are the
    group `unknown`; beyond the first 32 groups (those of the reference first) they are `other`.
    Numbers of groups of fewer than ten rows are withheld, and those from which they could be had.
    """

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        self._card = card
        self._minimum = settings.minimum_rows
        known = profile.groups if profile else {}
        self._well_known = {
            name: {share.name for share in shares if share.rows >= ROWS_TOLD_MIN}
            for name, shares in known.items()
        }
        self._names = {
            group.name: {share.name for share in known.get(group.name, ())} | {UNKNOWN, OTHER}
            for group in card.groups
        }
        self._rows = {group.name: Counter[str]() for group in card.groups}
        self._selected = {group.name: Counter[str]() for group in card.groups}

    def update(self, block: SampleBlock) -> None:
        """Take in groups and decisions of one block; rows without a decision do not count."""
        if not self._card.groups:
            return
        decided = decisions(self._card, block.outputs)
        if decided is None or self._card.decision is None:
            return
        attributes = group_values(self._card, block.inputs, block.groups, block.rows)
        known = ~np.isnan(decided)
        selected = decided == self._card.decision.favourable
        for name, values in attributes.items():
            self._count(name, texts(values), known, selected)

    def _count(
        self,
        attribute: str,
        values: list[str | None],
        known: NDArray[np.bool_],
        selected: NDArray[np.bool_],
    ) -> None:
        names = self._names[attribute]
        for value, counts, hit in zip(values, known.tolist(), selected.tolist(), strict=True):
            if not counts:
                continue
            group = UNKNOWN if value is None else value
            if group not in names:
                if len(names) - 2 < TOP_GROUPS:
                    names.add(group)
                else:
                    group = OTHER
            self._rows[attribute][group] += 1
            self._selected[attribute][group] += hit

    def signals(self) -> tuple[Signal, ...]:
        """One signal per group met, subject `attribute=group`; before that, one per attribute."""
        signals: list[Signal] = []
        for group in self._card.groups:
            signals += self._of(group)
            if not self._rows[group.name]:
                signals.append(self._undecided(group.name))
        return tuple(signals)

    def _undecided(self, subject: str) -> Signal:
        if self._card.decision is None:
            return self._insufficient(subject, 0, None, NO_DECISION)
        return self._insufficient(subject, 0, self._minimum, "no decided rows so far")

    def rearm(self, subject: str) -> None:
        """Nothing is forgotten: selection rates rest on counts, and not on evidence."""

    def state(self) -> State:
        """The rows and the selected rows of every group."""
        return {"rows": words(self._rows), "selected": words(self._selected)}

    def restore(self, state: State) -> None:
        """Go on from a state; `ValueError` where it is one of other group attributes."""
        rows, selected = from_words(state["rows"]), from_words(state["selected"])
        if set(rows) != set(self._rows):
            message = f"a state of the groups {sorted(rows)}, not {sorted(self._rows)}"
            raise ValueError(message)
        for attribute, counts in rows.items():
            self._names[attribute] |= set(counts)
            self._rows[attribute] = Counter(counts)
            self._selected[attribute] = Counter(selected[attribute])

    def _of(self, group: Group) -> list[Signal]:
        rows = self._rows[group.name]
        hidden = withheld(rows, nobody=(UNKNOWN,))
        named = self._well_known.get(group.name, set()) | {OTHER}
        small = {name if name in named else RARE for name in hidden.small}
        why = (
            f"fewer than {ROWS_TOLD_MIN} rows so far, so no number is told; "
            f"at most {self._minimum} more are needed"
        )
        return [
            *(self._signal(group, name, hidden) for name in sorted(rows.keys() - hidden.small)),
            *(
                self._insufficient(f"{group.name}={n}", 0, self._minimum, why)
                for n in sorted(small)
            ),
        ]

    def _signal(self, group: Group, name: str, hidden: Withheld) -> Signal:
        subject = f"{group.name}={name}"
        own = self._proportion(group, {name})
        apart = {name, UNKNOWN, *hidden.small}
        shown = self._proportion(group, self._rows[group.name].keys() - apart - hidden.with_them)
        if name in hidden.with_them or shown[1] < self._minimum:
            others = self._proportion(group, self._rows[group.name].keys() - apart)
            signal = self._compared(subject, own, others, group.max_gap)
            return self._without_numbers(signal) if hidden.small else signal
        return self._compared(subject, own, shown, group.max_gap)

    def _proportion(self, group: Group, names: Collection[str]) -> Proportion:
        rows, selected = self._rows[group.name], self._selected[group.name]
        return sum(selected[name] for name in names), sum(rows[name] for name in names)

    def _compared(self, subject: str, own: Proportion, others: Proportion, gap: float) -> Signal:
        lacking = max(self._minimum - own[1], 0)
        if lacking:
            why = f"{own[1]} rows of this group so far; {lacking} more are needed"
            return self._insufficient(subject, own[1], lacking, why)
        lacking = max(self._minimum - others[1], 0)
        if lacking:
            why = f"{others[1]} rows of all other groups so far; {lacking} more are needed"
            return self._insufficient(subject, own[1], lacking, why)
        return _judged(subject, own, others, gap)

    def _insufficient(self, subject: str, rows: int, needed: int | None, why: str) -> Signal:
        return Signal(
            "fairness",
            "selection_rate",
            subject,
            Verdict.INSUFFICIENT_DATA,
            rows,
            rows_needed=needed,
            message=why,
        )

    def _without_numbers(self, signal: Signal) -> Signal:
        """The verdict alone."""
        return Signal(
            signal.family,
            signal.name,
            signal.subject,
            signal.verdict,
            0,
            # How many rows are lacking would tell how many there are.
            rows_needed=None if signal.rows_needed is None else self._minimum,
            message=(
                "the verdict alone is told: numbers of a group of fewer than "
                f"{ROWS_TOLD_MIN} rows could be had from those of this one"
            ),
        )


def _judged(subject: str, own: Proportion, others: Proportion, gap: float) -> Signal:
    difference = own[0] / own[1] - others[0] / others[1]
    lower, upper = newcombe(own, others)
    verdict = Verdict.INSUFFICIENT_DATA
    needed = None
    close = ""
    if lower > gap or upper < -gap:
        verdict = Verdict.ALARM
    elif -gap <= lower and upper <= gap:
        verdict = Verdict.OK
    else:
        needed = _rows_needed(own[1], (upper - lower) / 2, abs(abs(difference) - gap))
        close = "" if needed else "; too near to it for a hundred times the rows to tell"
    rate_lower, rate_upper = wilson(*own)
    return Signal(
        "fairness",
        "selection_rate",
        subject,
        verdict,
        own[1],
        value=difference,
        lower=lower,
        upper=upper,
        rows_needed=needed,
        message=(
            f"selected {own[0] / own[1]:.3f} ({rate_lower:.3f} to {rate_upper:.3f}), "
            f"others {others[0] / others[1]:.3f}; allowed gap {gap:g}{close}"
        ),
    )


def _rows_needed(rows: int, half_width: float, distance: float) -> int | None:
    """More rows until the interval clears the allowed gap, if nothing but its width changes.

    The width shrinks with the square root of the rows. None when the difference is so close
    to the gap that a hundred times the rows would not do.
    """
    times = (half_width / distance) ** 2 if distance > 0 else np.inf
    return max(1, ceil(rows * (times - 1))) if times < 100 else None
