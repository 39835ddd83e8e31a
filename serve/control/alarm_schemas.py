"""What goes in and out of the control API about alarms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, Field, model_validator

from registry.alarms import Alarm, AlarmState
from serve.control.schemas import Body, OneLine, View

_YEAR_S = 366 * 86_400
Reason = Annotated[OneLine, Field(min_length=1, examples=["the campaign of this week"])]


class AcknowledgeBody(Body):
    """What is done about an alarm, if there is something to say yet."""

    reason: Annotated[OneLine, Field(examples=["looking at the intake of this morning"])] = ""


class SilenceBody(Body):
    """Until when nobody is to be told of an alarm, or for how many seconds, and why."""

    until: Annotated[AwareDatetime, Field(examples=["2026-11-30T08:00:00Z"])] | None = None
    for_s: Annotated[float, Field(gt=0.0, le=_YEAR_S, examples=[28_800])] | None = None
    reason: Reason

    @model_validator(mode="after")
    def _one_end(self) -> SilenceBody:
        if (self.until is None) == (self.for_s is None):
            message = "a silence ends at a moment or after a time: give until or for_s"
            raise ValueError(message)
        return self

    def end(self) -> datetime:
        """The moment at which it ends."""
        if self.until is not None:
            return self.until
        return datetime.now(UTC) + timedelta(seconds=self.for_s or 0.0)


class CloseBody(Body):
    """Why the monitors begin anew."""

    reason: Reason


class AlarmView(View):
    """An alarm: what it is about, what the monitor found, and what came of it last.

    `by`, `at` and `reason` are of its latest change. A closed alarm was `adopted` if a new
    reference was taken. Times are ISO 8601 in UTC.
    """

    id: str
    model: str
    version: int
    role: str
    family: str
    name: str
    subject: str
    arming: int
    raised_at: str
    log10_evidence: float | None
    value: float | None
    lower: float | None
    upper: float | None
    message: str
    state: AlarmState
    by: str
    at: str
    reason: str
    silenced_until: str | None
    adopted: bool

    @classmethod
    def of(cls, alarm: Alarm) -> AlarmView:
        """The view of a recorded alarm."""
        found = alarm.finding
        return cls(
            id=alarm.id,
            **alarm.key._asdict(),
            raised_at=alarm.raised_at,
            log10_evidence=found.log10_evidence,
            value=found.value,
            lower=found.lower,
            upper=found.upper,
            message=found.message,
            state=alarm.state,
            by=alarm.by,
            at=alarm.at,
            reason=alarm.reason,
            silenced_until=alarm.until,
            adopted=alarm.adopted,
        )


class AlarmsView(View):
    """Alarms: those that are raised first, in each state the latest first."""

    alarms: tuple[AlarmView, ...]
