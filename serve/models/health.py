"""Which replicas of a version are given batches: those that do harm rest, and are tried again.

Nothing here reads a clock: every moment is given, in seconds of one that only goes forward.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, StrEnum, auto
from statistics import median

from serve.models.pace import Pace

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_FIRST_BRIEF_S = 0.05
_LONGEST_BRIEF_S = 1.0
_FORGIVEN_S = 60.0
_LOSSES = 3
_ENOUGH_RUNS = 20
_SLOW = 3.0
_SLOW_FLOOR_S = 0.005
_OTHERS_FAIL = 0.2


class Reason(StrEnum):
    """Why a replica is made to rest."""

    HUNG = "hung"
    LOST = "lost"
    RUBBISH = "rubbish"
    FAILING = "failing"
    SLOW = "slow"


class Standing(Enum):
    """Whether a replica serves, rests, or has one batch to show that it can serve again."""

    SERVING = auto()
    RESTING = auto()
    TRIED = auto()


class Health:
    """How one replica stands. `linked` says whether it can be reached."""

    def __init__(self) -> None:
        self.pace = Pace()
        self.linked = False
        self.standing = Standing.SERVING
        self.not_before = 0.0
        self._times = 0
        self._losses = 0
        self._answered_at_loss = -1

    def lost(self) -> bool:
        """Take in that the link broke with a batch on it; say whether that was once too often."""
        if self.pace.count != self._answered_at_loss:
            self._losses = 0
        self._answered_at_loss = self.pace.count
        self._losses += 1
        return self._losses >= _LOSSES or self.standing is Standing.TRIED

    def rest(self, now: float) -> None:
        """Rest; each time in close order for twice as long."""
        self._forgive(now)
        self.standing = Standing.RESTING
        self.not_before = now + min(_FIRST_PAUSE_S * 2**self._times, _LONGEST_PAUSE_S)
        self._times += 1

    def pause(self, now: float) -> None:
        """Be left alone for a moment, without resting: there is nobody to take over."""
        self._forgive(now)
        self.not_before = now + min(_FIRST_BRIEF_S * 2**self._times, _LONGEST_BRIEF_S)
        self._times += 1

    def unreachable(self, now: float) -> None:
        """Be left alone for a moment, if not for longer already: there was no word from it."""
        if now >= self.not_before:
            self.pause(now)

    def try_again(self) -> None:
        """Be given one batch."""
        self.standing = Standing.TRIED
        self.pace.clear()

    def serve(self) -> None:
        """Serve in full again."""
        self.standing = Standing.SERVING
        self._losses = 0

    def _forgive(self, now: float) -> None:
        if self.standing is Standing.SERVING and now - self.not_before > _FORGIVEN_S:
            self._times = 0


class Ward:
    """The replicas of one version beside each other: never do more rest than serve."""

    def __init__(self, ejected: Callable[[Reason], None]) -> None:
        self._ejected = ejected
        self.healths: list[Health] = []

    def eject(self, health: Health, reason: Reason, now: float) -> bool:
        """Have a replica rest; False if too few would be left, and the replica goes on."""
        others = [other for other in self.healths if other is not health]
        serving = sum(other.linked and other.standing is Standing.SERVING for other in others)
        resting = sum(other.standing is not Standing.SERVING for other in others)
        if serving < resting + 1:
            return False
        health.rest(now)
        self._ejected(reason)
        return True

    def broken(self, health: Health, reason: Reason, now: float) -> None:
        """Take in that a replica's link had to be closed; if it cannot rest, it pauses."""
        if not self.eject(health, reason, now):
            health.pause(now)

    def judge(self, now: float) -> list[Health]:
        """Eject those that fail while others do not, and those that are slow beside the others."""
        return [
            health
            for health in self.healths
            if health.standing is Standing.SERVING
            and (reason := self._reason(health))
            and self.eject(health, reason, now)
        ]

    def tried(self, health: Health, now: float) -> bool | None:
        """Say how the trial of a replica went; None while it has answered nothing."""
        if not health.pace.count:
            return None
        runs = [seconds for seconds, _ in health.pace.runs()]
        others = self._medians(health)
        if runs and not (others and _slow(median(runs), median(others))):
            health.serve()
            return True
        health.rest(now)
        return False

    def _reason(self, health: Health) -> Reason | None:
        if health.pace.failing:
            others = [other for other in self._others(health) if other.pace.count]
            if others and all(other.pace.failed_share <= _OTHERS_FAIL for other in others):
                return Reason.FAILING
        own = [seconds for seconds, _ in health.pace.runs()]
        if len(own) < _ENOUGH_RUNS:
            return None
        others_s = self._medians(health)
        return Reason.SLOW if others_s and _slow(median(own), median(others_s)) else None

    def _medians(self, health: Health) -> list[float]:
        paces = [[run[0] for run in other.pace.runs()] for other in self._others(health)]
        return [median(seconds) for seconds in paces if len(seconds) >= _ENOUGH_RUNS]

    def _others(self, health: Health) -> list[Health]:
        return [
            other
            for other in self.healths
            if other is not health and other.standing is Standing.SERVING
        ]


def _slow(seconds: float, others_s: float) -> bool:
    return seconds > _SLOW * others_s and seconds - others_s > _SLOW_FLOOR_S
