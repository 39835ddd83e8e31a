"""Selection rates: whether one group is selected more, or less, often than all others.

The intervals are 95 % at one look. They are not part of the alarm budget: looked at again and
again, a gap near the allowed one will be outside at some look more often than that.
"""

from __future__ import annotations

from collections import Counter
from math import ceil

import numpy as np
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.profile.categories import texts
from monitors.profile.reading import decisions, group_values
from monitors.profile.reference import TOP_GROUPS, ReferenceProfile
from monitors.signal import Signal, State, Verdict, from_words, words
from monitors.stats.intervals import newcombe, wilson
from registry.card import Card, Group

UNKNOWN = "unknown"
OTHER = "other"

Proportion = tuple[int, int]
"""Selected rows and decided rows."""


class SelectionRate:
    """**Detector** of unequal selection rates: one signal per group that was met.

    A group is compared with all other rows whose group is known. Rows without a group are the
    group `unknown`; beyond the first 32 groups (those of the reference first) they are `other`.
    """

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        self._card = card
        self._minimum = settings.minimum_rows
        known = profile.groups if profile else {}
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
            met = sorted(self._rows[group.name])
            signals += [self._signal(group, name) for name in met]
            if not met:
                why = "no decided rows so far"
                if self._card.decision is None:
                    why = "the card declares no decision, so nobody is known to be selected"
                signals.append(self._insufficient(group.name, 0, self._minimum, why))
        return tuple(signals)

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

    def _signal(self, group: Group, name: str) -> Signal:
        rows, selected = self._rows[group.name], self._selected[group.name]
        own = selected[name], rows[name]
        rest = [other for other in rows if other not in {name, UNKNOWN}]
        others = sum(selected[g] for g in rest), sum(rows[g] for g in rest)
        subject = f"{group.name}={name}"
        lacking = max(self._minimum - own[1], 0)
        if lacking:
            why = f"{own[1]} rows of this group so far; {lacking} more are needed"
            return self._insufficient(subject, own[1], lacking, why)
        lacking = max(self._minimum - others[1], 0)
        if lacking:
            why = f"{others[1]} rows of all other groups so far; {lacking} more are needed"
            return self._insufficient(subject, own[1], lacking, why)
        return _judged(subject, own, others, group.max_gap)

    def _insufficient(self, subject: str, rows: int, needed: int, why: str) -> Signal:
        return Signal(
            "fairness",
            "selection_rate",
            subject,
            Verdict.INSUFFICIENT_DATA,
            rows,
            rows_needed=needed,
            message=why,
        )


def _judged(subject: str, own: Proportion, others: Proportion, gap: float) -> Signal:
    difference = own[0] / own[1] - others[0] / others[1]
    lower, upper = newcombe(own, others)
    verdict = Verdict.INSUFFICIENT_DATA
    needed = None
    if lower > gap or upper < -gap:
        verdict = Verdict.ALARM
    elif -gap <= lower and upper <= gap:
        verdict = Verdict.OK
    else:
        needed = _rows_needed(own[1], (upper - lower) / 2, abs(abs(difference) - gap))
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
            f"others {others[0] / others[1]:.3f}; allowed gap {gap:g}"
        ),
    )


def _rows_needed(rows: int, half_width: float, distance: float) -> int | None:
    """More rows until the interval clears the allowed gap, if nothing but its width changes.

    The width shrinks with the square root of the rows. None when the difference is so close
    to the gap that a hundred times the rows would not do.
    """
    times = (half_width / distance) ** 2 if distance > 0 else np.inf
    return max(1, ceil(rows * (times - 1))) if times < 100 else None
