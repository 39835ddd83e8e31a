"""A categorical feature against its reference: one conformal martingale for each category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.explain import Bins
from monitors.profile.bins import CategoryBins
from monitors.profile.reference import CategoricalProfile
from monitors.signal import Signal, State
from monitors.stats.comparison import Comparison, padded
from monitors.stats.effects import Effect, share_change
from monitors.stats.familiar import Distance
from monitors.stats.named import NamedStreams
from monitors.stats.running import SKIP
from monitors.stats.strata import LikeWithLike, RowStrata
from monitors.stats.tilts import share_tilts
from monitors.verdicts import REFERENCE_ROWS_MIN, WITHIN_STRATA, Monitor, shown


def ready(profile: CategoricalProfile) -> bool:
    """Whether enough reference rows were counted to compare with."""
    return sum(profile.counts) + profile.other + profile.unseen >= REFERENCE_ROWS_MIN


class CategoricalStream:
    """A fold over one categorical column.

    Its evidence is the largest of its categories' e-values divided by their number: each
    category's martingale has a filtration of its own, so their mean need not be safe at all
    times, while this is, by Ville's inequality for each and a sum over categories. `by_stratum`
    (strata, bins) gives the reference's rows where they are compared within strata.
    """

    def __init__(
        self,
        subject: str,
        profile: CategoricalProfile,
        monitor: Monitor,
        by_stratum: NDArray[np.int64] | None = None,
    ) -> None:
        self._subject = subject
        self._monitor = monitor
        self._bins = CategoryBins(profile)
        hits = np.array([*profile.counts, profile.other, profile.unseen], dtype=np.int64)
        choosing = np.array(profile.choosing, dtype=np.float64)
        shares = (choosing + 0.5) / (choosing.sum() + 1)
        self._numbers = np.arange(len(hits), dtype=np.int16)[:, None]
        reference = _others_and(hits)
        strata = None if by_stratum is None else _others_and(by_stratum)
        self._alike = None if strata is None else LikeWithLike(reference, strata)
        self._streams = NamedStreams(
            [f"{monitor.name}/{subject}/{number}" for number in range(len(hits))],
            reference,
            lambda part: share_tilts(shares[part]),
            monitor.settings.alarm_mode,
            strata,
            together=True,
        )

    def update(
        self,
        keys: NDArray[np.uint64],
        values: NDArray[Any],
        minute: int,
        strata: RowStrata | None = None,
    ) -> None:
        """Take in the values of rows of a minute, by their keys.

        Their strata, (rows,), are left alone where they are not compared within strata.
        """
        codes = self._bins.encode(values)
        is_category = (self._numbers == codes).astype(np.int16)
        is_category[:, codes == SKIP] = SKIP
        self._streams.update(keys, is_category, minute, strata if self._alike else None)

    def rearm(self) -> None:
        """Begin anew with all categories."""
        for at in range(len(self._numbers)):
            self._streams.restart(at)

    def forget(self, minute: int) -> bool:
        """Drop the windows that ended before a minute; says whether there were any."""
        return self._streams.forget(minute)

    def state(self) -> State:
        """All that must be remembered."""
        return self._streams.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._streams.restore(state)

    @property
    def reference(self) -> NDArray[np.int64]:
        """Reference rows of each category, then of other and unseen."""
        return self._streams.reference[:, 1]

    @property
    def live(self) -> NDArray[np.int64]:
        """Live rows of each category, then of other and unseen."""
        return self._streams.counts[:, 1]

    @property
    def reference_alike(self) -> NDArray[np.float64] | None:
        """The reference in the strata of all live rows, as `reference`; None without strata."""
        if self._alike is None:
            return None
        return self._reference_alike(self._alike, self._streams.strata_rows())[:, 1]

    def _reference_alike(self, alike: LikeWithLike, mix: NDArray[np.int64]) -> NDArray[np.float64]:
        live = self._streams.strata_counts() if alike.lacks else None
        return alike.reference(mix, live)

    def bins(self, minutes: int | None) -> Bins:
        """The bins of the column; names that too few rows have are not told."""
        streams = self._streams
        live = (streams.counts if minutes is None else streams.counts_of_last(minutes))[:, 1]
        labels = [self._bins.told(at, rows) for at, rows in enumerate(live.tolist())]
        return Bins(tuple(labels), self.reference, live)

    def rows_since_change(self) -> int:
        """Rows since the estimated change of the category that has changed for sure."""
        surest = int(self._streams.log_wealth().argmax())
        return int(self._streams.counts_since_change()[surest].sum())

    def signal(self, distances: tuple[Distance, ...]) -> Signal:
        """The signal of this feature: the largest change of a category's share."""
        wealth = self._streams.log_wealth()
        together = float(wealth.max()) - log(len(wealth))
        counts = self._streams.counts
        rows = int(counts[0].sum())
        since = self._streams.counts_since_change()
        before = self._streams.reference.astype(np.float64)
        if self._alike is not None:
            before = self._reference_alike(self._alike, self._streams.strata_since_change())
        changes = [
            (share_change((float(r[1]), float(r.sum())), (int(c[1]), int(c.sum()))), number)
            for number, (r, c) in enumerate(zip(before, since, strict=True))
            if c.sum()
        ]
        effect: Effect | None = None
        number = 0
        if changes:
            effect, number = max(changes, key=lambda change: change[0].at_least)
        signal = self._monitor.signal(self._subject, rows, together, effect)
        if signal.value is None:
            return signal
        name = self._bins.told(number, int(counts[number, 1]))
        within = WITHIN_STRATA if self._alike else ""
        message = f"category {name}: {signal.message} ({within}{shown(distances)})"
        return replace(signal, message=message, distances=distances)


class CategoricalComparison:
    """Familiar distances of many categorical columns from their references, at one go."""

    def __init__(self, streams: Sequence[CategoricalStream]) -> None:
        self._streams = streams
        self._comparison = Comparison([stream.reference for stream in streams])

    def signals(self) -> list[Signal]:
        """The signals of all columns, with their distances over all live rows."""
        live = padded([stream.live for stream in self._streams])
        distances = self._comparison.distances(live, self._references_alike())
        return [s.signal(each) for s, each in zip(self._streams, distances, strict=True)]

    def _references_alike(self) -> NDArray[np.float64] | None:
        """The references as the live rows' strata have them; None where no column has strata."""
        alike = [stream.reference_alike for stream in self._streams]
        if all(each is None for each in alike):
            return None
        return padded(
            [
                stream.reference.astype(np.float64) if each is None else each
                for stream, each in zip(self._streams, alike, strict=True)
            ]
        )


def _others_and(hits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of all other categories and of each, (..., categories, 2), from (..., categories)."""
    return np.stack([hits.sum(axis=-1, keepdims=True) - hits, hits], axis=-1)
