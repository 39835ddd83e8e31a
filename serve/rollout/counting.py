"""Counts what the units of each arm do, on the request path of a judged route.

A unit is counted when the outcome of its first request is known, and waits until then: a version
that answers nobody must not look as one that does no harm. An outcome that comes after the route
has changed belongs to the stretch in which the request began.
"""

from __future__ import annotations

import os
import sys
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import NamedTuple

from configs.policy import EVENTS, Metric
from monitors.labels.assigned import SHADOW, Assigned
from serve.rollout.pairing import Pair, PairCount
from serve.rollout.tallies import LATENCY_BOUNDS, JudgedArm, Report, Tally, Times
from serve.rollout.units import LEFT_OUT, UNKEYED, Share, Units

ERROR, TIMEOUT, INVALID, LATE, PAIRED, COUNTED = 1, 2, 4, 8, 16, 32
"""What was counted of a unit, as flags: events in the order of `EVENTS`, a pair, itself."""

_RANDOM_BYTES = 8
_ENDS = (*LATENCY_BOUNDS, sys.float_info.max)
"""What is above the last is infinite: an answer that never came."""


class Sighting(NamedTuple):
    """A unit at one request: where it is remembered, and whether it is counted by this request."""

    place: int
    first: bool


class TimeCount:
    """How long the answers of one arm took, over all stretches."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = [0] * (len(_ENDS) + 1)

    def took(self, seconds: float) -> None:
        """Count an answer, or a request that had none in time: it took an infinite time."""
        self._counts[bisect_left(_ENDS, seconds)] += 1

    def times(self) -> Times:
        """Give the numbers as they are now."""
        *answers, none = self._counts
        return Times(tuple(answers), none)


class ArmCount:
    """The tally of one arm in one stretch, as it grows.

    One that is not `keyed` counts no units with a key: they are still new when the candidate gets
    its first traffic, and can be compared.
    """

    __slots__ = ("_assigned", "_events", "_keyed", "_of", "_trials", "_units", "_waiting", "took")

    def __init__(
        self, of: RolloutCount, assigned: Assigned, times: TimeCount, *, keyed: bool
    ) -> None:
        self.took = times.took
        self._of = of
        self._keyed = keyed
        # While the candidate has no traffic nobody is assigned to it, and nothing is compared.
        self._assigned = assigned if keyed else None
        self._units = self._waiting = 0
        self._trials = [0] * len(EVENTS)
        self._events = [0] * len(EVENTS)

    def see(self, key: bytes | None) -> Sighting:
        """Find a unit that asks something of the arm: its `Weir-Key`, None if it has none.

        Then `happened` is called once.
        """
        if key is None:
            self._waiting += 1
            return _ALONE
        place = self._of.place(key)
        first = self._keyed and self._of.units.first(place, COUNTED) != 0
        self._waiting += first
        return Sighting(place, first)

    def happened(self, sighting: Sighting, flags: int) -> None:
        """Count the outcome of a request: a new unit, and events that its unit did not have yet."""
        place, first = sighting
        if first:
            self._waiting -= 1
            self._units += 1
        if not flags or (place != UNKEYED and not self._keyed):
            return
        fresh = self._of.units.first(place, flags)
        for at in range(len(EVENTS)):
            self._events[at] += fresh >> at & 1
            if first:
                self._trials[at] += flags >> at & 1

    def assigned(self, sighting: Sighting) -> Assigned | None:
        """Give what a unit was assigned to, at the request that it is counted by."""
        return self._assigned if sighting.first else None

    def tally(self) -> Tally:
        """Give the numbers as they are now."""
        return Tally(self._units, _named(self._trials), _named(self._events), waiting=self._waiting)


Stretch = Mapping[JudgedArm, ArmCount]
"""Counts while one generation of a route lasts: the shares of the arms are constant."""


class RolloutCount:
    """All that one gateway process counts of one rollout, over all generations of its route.

    A process that is not `from_start` does not know which units its predecessor has counted: it
    leaves those with a key out.
    """

    def __init__(
        self,
        rollout: str,
        share: Callable[[], Share],
        units: Units | None = None,
        *,
        from_start: bool = True,
    ) -> None:
        self.rollout = rollout
        self.units = units or Units(rollout)
        self._share = share
        self._from_start = from_start
        self._left_out = False
        self._pairs = PairCount()
        self._times = {arm: TimeCount() for arm in JudgedArm}
        # Counts that begin anew, as when a model is unloaded and loaded again, are other counts.
        self._source = f"{os.getpid()}-{os.urandom(_RANDOM_BYTES).hex()}"
        self._stretches: dict[int, Stretch] = {}

    def stretch(self, generation: int, *, keyed: bool = True) -> Stretch:
        """Give where the requests of a generation are counted: units with a key if `keyed`."""
        if generation not in self._stretches:
            self._stretches[generation] = {
                arm: ArmCount(
                    self, Assigned(self.rollout, generation, arm.value), times, keyed=keyed
                )
                for arm, times in self._times.items()
            }
        return self._stretches[generation]

    def place(self, key: bytes) -> int:
        """Find a unit with a key, or give it a place."""
        if not self._from_start:
            self._left_out = True
            return LEFT_OUT
        digest = self.units.digest(key)
        return self.units.place(digest) if self._share().has(digest) else LEFT_OUT

    def pair(self, place: int, make: Callable[[], Pair | None]) -> Assigned | None:
        """Count a pair of answers, unless the unit at a place has had one or is left out.

        Gives what the shadow's answer belongs to where a label will tell of both.
        """
        pair = make() if self.units.first(place, PAIRED) else None
        if pair is None:
            return None
        self._pairs.add(pair)
        return Assigned(self.rollout, 0, SHADOW, pair.rival) if pair.rival is not None else None

    def report(self) -> Report:
        """Give all that was counted so far."""
        return Report(
            source=self._source,
            rollout=self.rollout,
            stretches={
                generation: {arm: count.tally() for arm, count in stretch.items()}
                for generation, stretch in self._stretches.items()
            },
            pairs=self._pairs.pairs(),
            latency={arm: count.times() for arm, count in self._times.items()},
            leaves_out=self.units.full or self._left_out,
        )


_ALONE = Sighting(UNKEYED, first=True)


def _named(counts: list[int]) -> dict[Metric, int]:
    return dict(zip(EVENTS, counts, strict=True))
