"""Performance by segment: how good a version is for each group of an attribute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.performance.judging import ALPHA, FAMILY, NAME, Judge, Watch, segment_watches_of
from monitors.performance.measures import figure, judged_rows
from monitors.performance.periods import Places, Tallies
from monitors.performance.rows import Rows
from monitors.privacy import RARE, ROWS_TOLD_MIN, withheld
from monitors.profile.categories import texts
from monitors.profile.reference import TOP_GROUPS, ReferenceProfile
from monitors.signal import Signal, Verdict
from registry.card import Card, Performance

UNKNOWN = "unknown"
OTHER = "other"

_SEGMENTS_MAX = TOP_GROUPS + 2
"""With `unknown` and `other`."""


class Segments:
    """A fold over judged rows by the groups of one attribute: a signal for each and each measure.

    Beyond the first 32 groups (those of the reference first) they are `other`. Numbers of groups of
    fewer than ten judged rows are withheld, and those from which they could be had. All intervals
    of a measure hold together with the chance that one of them would have.
    """

    def __init__(
        self, attribute: str, card: Card, profile: ReferenceProfile | None, settings: Monitors
    ) -> None:
        self.attribute = attribute
        self._task = card.task
        self._watches = segment_watches_of(card)
        self._measures = [watch.name for watch in self._watches]
        self._minimum = settings.minimum_rows
        self._judge = Judge(settings, ALPHA / _SEGMENTS_MAX)
        shares = profile.groups.get(attribute, ()) if profile else ()
        self._well_known = {each.name for each in shares if each.rows >= ROWS_TOLD_MIN}
        self._names = {each.name for each in shares} | {UNKNOWN, OTHER}
        self._tallies: dict[str, Tallies] = {}

    def judge(self, rows: Rows, periods: Places, values: NDArray[Any] | None) -> None:
        """Take in judged rows with the attribute's values, None where nobody said any."""
        there = [None] * len(periods) if values is None else texts(values)
        names = np.array([self._named(each) for each in there], dtype=np.object_)
        for name in dict.fromkeys(names.tolist()):
            here = names == name
            tallies = self._tallies.setdefault(name, Tallies())
            tallies.add(rows.where(here), periods[here], self._measures)

    def _named(self, value: str | None) -> str:
        if value is None:
            return UNKNOWN
        if value not in self._names:
            if len(self._names) - 2 >= TOP_GROUPS:
                return OTHER
            self._names.add(value)
        return value

    def signals(self) -> list[Signal]:
        """One signal for each measure of each group, subject `attribute=group measure`."""
        wholes = {name: tallies.whole() for name, tallies in self._tallies.items()}
        rows = Counter({name: judged_rows(whole) for name, whole in wholes.items()})
        rows = +rows
        if not rows:
            return [self._nothing()]
        hidden = withheld(rows, nobody=(UNKNOWN,))
        told = []
        for name in sorted(rows.keys() - hidden.small):
            for watch in self._watches:
                found = figure(self._task, watch.name, wholes[name])
                signal = self._judge.signal(self._subject(name, watch), watch, found, rows[name])
                told.append(self._without_numbers(signal) if name in hidden.with_them else signal)
        named = self._well_known | {OTHER}
        small = sorted({name if name in named else RARE for name in hidden.small})
        return told + [self._small(name, watch) for name in small for watch in self._watches]

    def _subject(self, name: str, watch: Watch) -> str:
        return f"{self.attribute}={name} {watch.name}"

    def _nothing(self) -> Signal:
        judged = all(watch.band is not None for watch in self._watches)
        why = "" if judged else f"; {self._watches[0].silent}"
        return Signal(
            FAMILY,
            NAME,
            self.attribute,
            Verdict.INSUFFICIENT_DATA,
            0,
            rows_needed=self._minimum if judged else None,
            message=f"no judged rows so far{why}",
        )

    def _small(self, name: str, watch: Watch) -> Signal:
        return Signal(
            FAMILY,
            NAME,
            self._subject(name, watch),
            Verdict.INSUFFICIENT_DATA,
            0,
            rows_needed=self._minimum if watch.band else None,
            message=f"fewer than {ROWS_TOLD_MIN} judged rows so far, so no number is told",
        )

    def _without_numbers(self, signal: Signal) -> Signal:
        """The verdict alone."""
        return replace(
            signal,
            rows=0,
            value=None,
            lower=None,
            upper=None,
            # How many rows are lacking would tell how many there are.
            rows_needed=None if signal.rows_needed is None else self._minimum,
            message=(
                "the verdict alone is told: numbers of a group of fewer than "
                f"{ROWS_TOLD_MIN} judged rows could be had from those of this one"
            ),
        )

    def forget(self, minute: int) -> bool:
        """Drop what ended before a minute since 1970; says whether there was any."""
        dropped = [tallies.forget(minute) for tallies in self._tallies.values()]
        return any(dropped)

    def plain(self) -> dict[str, Any]:
        """All numbers, by texts."""
        return {name: tallies.plain() for name, tallies in sorted(self._tallies.items())}

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Go on from what `plain` gave."""
        self._tallies = {name: Tallies.of_plain(each) for name, each in plain.items()}
        self._names |= set(self._tallies)


def segments_of(
    card: Card, profile: ReferenceProfile | None, settings: Monitors
) -> dict[str, Segments]:
    """One fold for each attribute that the card names."""
    names = (card.performance or Performance()).segments if card.label else ()
    return {name: Segments(name, card, profile, settings) for name in names}
