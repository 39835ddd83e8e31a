"""The life of an alarm: raised, acknowledged, silenced for a while, closed; pure functions.

An alarm is closed by re-arming what raised it, or by adopting a new reference for it. Closed, it
stays so: what happens after is another alarm. A silence that ends raises the alarm again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from configs.errors import BadInput, Conflict, NotFound
from registry.routing import Change

SILENCE_OVER = "the silence is over"


class AlarmState(StrEnum):
    """Where an alarm is in its life, in the order in which alarms are listed."""

    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    CLOSED = "closed"


class AlarmKey(NamedTuple):
    """What an alarm is about: a signal of a version in a role, and how often it was re-armed."""

    model: str
    version: int
    role: str
    family: str
    name: str
    subject: str
    arming: int

    def text(self) -> str:
        """What the alarm is about, in words."""
        of = f" of {self.subject}" if self.subject else ""
        return f"{self.name}{of} ({self.model}, version {self.version}, {self.role})"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the monitor said when it raised an alarm; what is not a finite number is None.

    `value` is the effect in the signal's own unit with its bounds, `log10_evidence` the logarithm
    of the e-value, and `message` a sentence for people.
    """

    log10_evidence: float | None
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    message: str = ""

    @classmethod
    def of(
        cls,
        log10_evidence: float,
        value: float | None,
        lower: float | None,
        upper: float | None,
        message: str,
    ) -> Finding:
        """A finding of any numbers, of which those that cannot be written as JSON are left out."""
        return cls(_finite(log10_evidence), _finite(value), _finite(lower), _finite(upper), message)

    def evidence(self) -> str:
        """How much evidence there was, in words."""
        return "" if self.log10_evidence is None else f"evidence 10^{self.log10_evidence:.1f}"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm after its latest change, which has this `number`, and who made it, when and why.

    `raised_at` is when the monitor raised it. `until` is when its silence ends, `adopted` whether
    it was closed by adopting a new reference. Times are ISO 8601 in UTC.
    """

    id: str
    key: AlarmKey
    raised_at: str
    finding: Finding
    number: int
    state: AlarmState
    by: str
    at: str
    reason: str = ""
    until: str | None = None
    adopted: bool = False

    @property
    def closed(self) -> bool:
        """Whether its life is over."""
        return self.state is AlarmState.CLOSED


def raised(alarm_id: str, key: AlarmKey, raised_at: str, finding: Finding, why: Change) -> Alarm:
    """A new alarm."""
    return Alarm(
        id=alarm_id,
        key=key,
        raised_at=raised_at,
        finding=finding,
        number=1,
        state=AlarmState.RAISED,
        by=why.actor,
        at=why.at,
        reason=why.reason,
    )


def is_another(alarm: Alarm | None, raised_at: str) -> bool:
    """Whether what a monitor raised then is another alarm than the last one of the same key.

    A monitor may tell of an alarm that is closed because it came back from before it was re-armed;
    what it raised after the end of the last one is new.
    """
    return alarm is None or (alarm.closed and raised_at > alarm.at)


def acknowledged(alarm: Alarm, why: Change) -> Alarm:
    """The alarm after somebody has taken it on; ends a silence. `Conflict` if somebody has."""
    check_open(alarm)
    if alarm.state is AlarmState.ACKNOWLEDGED:
        raise Conflict(f"alarm {alarm.id} was acknowledged by {alarm.by} at {alarm.at}")
    return _next(alarm, AlarmState.ACKNOWLEDGED, why)


def silenced(alarm: Alarm, until: str, why: Change) -> Alarm:
    """The alarm after it was silenced until a moment, which must be to come (else `BadInput`)."""
    check_open(alarm)
    if until <= why.at:
        raise BadInput(f"a silence until {until} would be over already: it is {why.at}")
    return replace(_next(alarm, AlarmState.SILENCED, why), until=until)


def unsilenced(alarm: Alarm, why: Change) -> Alarm:
    """The alarm after its silence; `Conflict` if it is in none that is over."""
    if alarm.state is not AlarmState.SILENCED or alarm.until is None or alarm.until > why.at:
        raise Conflict(f"alarm {alarm.id} is in no silence that is over")
    return _next(alarm, AlarmState.RAISED, why)


def closed(alarm: Alarm, adopted: bool, why: Change) -> Alarm:
    """The alarm after what raised it was re-armed, or a new reference adopted for it."""
    check_open(alarm)
    return replace(_next(alarm, AlarmState.CLOSED, why), adopted=adopted)


def check_open(alarm: Alarm) -> None:
    """`Conflict` for an alarm whose life is over."""
    if alarm.closed:
        how = "by adopting a new reference" if alarm.adopted else "by re-arming"
        raise Conflict(
            f"alarm {alarm.id} was closed {how}, by {alarm.by} at {alarm.at}: if there is evidence "
            "again, another one is raised"
        )


def find_alarm(alarm_id: str, alarm: Alarm | None) -> Alarm:
    """The alarm of an id; `NotFound` if there is none."""
    if alarm is None:
        raise NotFound(f"there is no alarm {alarm_id[:80]!r}: list the alarms to see their ids")
    return alarm


def in_order(alarms: Iterable[Alarm]) -> list[Alarm]:
    """Alarms as they are listed: by state, in each the one that was raised last first."""
    latest_first = sorted(alarms, key=lambda alarm: (alarm.raised_at, alarm.id), reverse=True)
    states = list(AlarmState)
    return sorted(latest_first, key=lambda alarm: states.index(alarm.state))


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _next(alarm: Alarm, state: AlarmState, why: Change) -> Alarm:
    return replace(
        alarm,
        number=alarm.number + 1,
        state=state,
        by=why.actor,
        at=why.at,
        reason=why.reason,
        until=None,
    )
