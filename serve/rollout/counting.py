"""Counts what the units of each arm do, on the request path of a judged route.

A unit is counted when the outcome of its first request is known, and waits until then: a version
that answers nobody must not look as one that does no harm. An outcome that comes after the route
has changed belongs to the stretch in which the request began.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

from configs.policy import EVENTS, Metric
from serve.rollout.pairing import Pair, PairCount
from serve.rollout.tallies import LATENCY_BOUNDS, JudgedArm, Report, Tally
from serve.rollout.units import LEFT_OUT, UNKEYED, Share, Units

ERROR, TIMEOUT, INVALID, LATE, PAIRED = 1, 2, 4, 8, 16
"""What was counted of a unit, as flags; all but the last in the order of `EVENTS`."""

_RANDOM_BYTES = 8


class Sighting(NamedTuple):
    """A unit at one request: where it is remembered, and whether this request is its first."""

    place: int
    first: bool


class ArmCount:
    """The tally of one arm in one stretch, as it grows."""

    __slots__ = ("events", "trials", "units", "waiting")

    def __init__(self) -> None:
        self.units = self.waiting = 0
        self.trials = [0] * len(EVENTS)
        self.events = [0] * len(EVENTS)

    def tally(self) -> Tally:
        """Give the numbers as they are now."""
        return Tally(self.units, _named(self.trials), _named(self.events), waiting=self.waiting)


class Stretch:
    """Counts while one generation of a route lasts: the shares of the arms are constant."""

    def __init__(self, of: RolloutCount) -> None:
        self._of = of
        self.arms = {arm: ArmCount() for arm in JudgedArm}

    def see(self, arm: JudgedArm, key: bytes | None) -> Sighting:
        """Find a unit that asks something of an arm: its `Weir-Key`, None if it has none.

        Then `happened` or `left` is called once.
        """
        sighting = self._of.place(key)
        if sighting.first:
            self.arms[arm].waiting += 1
        return sighting

    def happened(self, arm: JudgedArm, sighting: Sighting, flags: int) -> None:
        """Count the outcome of a request: a new unit, and events that its unit did not have yet."""
        count = self.arms[arm]
        if sighting.first:
            count.waiting -= 1
            count.units += 1
        if not flags:
            return
        fresh = self._of.units.first(sighting.place, flags)
        for place in range(len(EVENTS)):
            count.events[place] += fresh >> place & 1
            if sighting.first:
                count.trials[place] += flags >> place & 1

    def left(self, arm: JudgedArm, sighting: Sighting) -> None:
        """Count nothing of a request whose client left before there was an outcome."""
        if sighting.first:
            self.arms[arm].waiting -= 1

    def first(self, place: int, flags: int) -> int:
        """Give those of the flags that the unit at a place has not had yet, and note them."""
        return self._of.units.first(place, flags)

    def add_pair(self, pair: Pair) -> None:
        """Count what the shadow and the stable version answered."""
        self._of.pairs.add(pair)

    def took(self, seconds: float) -> None:
        """Count how long the stable version took for an answer."""
        self._of.latency[bisect_left(LATENCY_BOUNDS, seconds)] += 1


class RolloutCount:
    """All that one gateway process counts of one rollout, over all generations of its route."""

    def __init__(
        self, rollout: str, share: Callable[[], Share], units: Units | None = None
    ) -> None:
        self.rollout = rollout
        self.units = units or Units(rollout)
        self.pairs = PairCount()
        self.latency = [0] * (len(LATENCY_BOUNDS) + 1)
        self._share = share
        # Counts that begin anew, as when a model is unloaded and loaded again, are other counts.
        self._source = f"{os.getpid()}-{os.urandom(_RANDOM_BYTES).hex()}"
        self._stretches: dict[int, Stretch] = {}

    def stretch(self, generation: int) -> Stretch:
        """Give where the requests of a generation are counted."""
        return self._stretches.setdefault(generation, Stretch(self))

    def place(self, key: bytes | None) -> Sighting:
        """Find a unit, or give it a place."""
        if key is None:
            return _ALONE
        digest = self.units.digest(key)
        if not self._share().has(digest):
            return _UNCOUNTED
        return Sighting(*self.units.see(digest))

    def report(self) -> Report:
        """Give all that was counted so far."""
        return Report(
            source=self._source,
            rollout=self.rollout,
            stretches={
                generation: {arm: count.tally() for arm, count in stretch.arms.items()}
                for generation, stretch in self._stretches.items()
            },
            pairs=self.pairs.pairs(),
            latency=tuple(self.latency),
            full=self.units.full,
        )


_ALONE = Sighting(UNKEYED, first=True)
_UNCOUNTED = Sighting(LEFT_OUT, first=False)


def _named(counts: list[int]) -> dict[Metric, int]:
    return dict(zip(EVENTS, counts, strict=True))
