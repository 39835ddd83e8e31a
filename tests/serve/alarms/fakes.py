"""Monitors, a receiver and a registry for tests of what is done about alarms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from configs.errors import NotFound, WeirError
from monitors.alarm import Standing
from monitors.labels.assigned import LabelledUnits
from monitors.labels.told import LabelsTold
from monitors.why.answer import Why
from registry.alarm_book import AlarmBook
from registry.alarms import AlarmKey
from registry.sqlite import SqliteStore
from serve.control.service import ArmBins, ArmSignals
from serve.webhook.message import Message
from serve.webhook.receiver import Outcome
from tests.registry.store_conformance import filled

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that a test moves."""

    now: datetime = BEGUN

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def later(self, **amount: float) -> None:
        """Let time pass."""
        self.now += timedelta(**amount)

    def seconds(self) -> float:
        """Seconds since the beginning."""
        return (self.now - BEGUN).total_seconds()


def standing(
    subject: str = "income", arming: int = 1, at: datetime = BEGUN, role: str = "stable"
) -> Standing:
    """An alarm that stands."""
    return Standing(
        model="credit",
        version=2,
        role=role,
        family="drift",
        name="input_drift",
        subject=subject,
        raised_at=at.timestamp(),
        arming=arming,
        log10_evidence=8.25,
        value=0.42,
        lower=0.31,
        upper=None,
        message="income has moved up",
    )


def open_book(folder: Path, clock: Callable[[], datetime]) -> AlarmBook:
    """The alarms in a folder, of a model with three versions."""
    store = SqliteStore(folder)
    if not store.models():
        filled(store)
    made = iter(range(len(store.audit(0, 1000)), 1000))
    return AlarmBook(store, clock, lambda size: next(made).to_bytes(size, "big"))


@dataclass
class Monitors:
    """What stands, for a test to set; what was re-armed stands no more."""

    standing: list[Standing] = field(default_factory=list)
    rearmed: list[tuple[AlarmKey, bool]] = field(default_factory=list)
    whys: dict[AlarmKey, Why] = field(default_factory=dict)
    away: WeirError | None = None
    refuse: WeirError | None = None

    async def signals(self, model: str) -> tuple[ArmSignals, ...]:
        """Nothing."""
        del model
        return ()

    async def labelled_units(self, model: str) -> tuple[LabelledUnits, ...]:
        """None."""
        del model
        return ()

    async def bins(self, model: str, subject: str, minutes: int | None) -> tuple[ArmBins, ...]:
        """None."""
        del model, subject, minutes
        return ()

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """Nothing."""
        return b"", accept

    async def labels(self, model: str) -> LabelsTold:
        """None are awaited."""
        raise NotFound(f"no labels are kept of {model!r}")

    async def alarms(self) -> tuple[Standing, ...]:
        """What stands."""
        if self.away:
            raise self.away
        return tuple(self.standing)

    async def why(self, key: AlarmKey) -> Why:
        """What a test has put there."""
        if self.away:
            raise self.away
        return self.whys[key]

    async def rearm(self, key: AlarmKey, adopt: bool) -> None:
        """Let an alarm stand no more, or all of a version in a role that adopts a reference."""
        if self.refuse:
            raise self.refuse
        self.rearmed.append((key, adopt))
        size = 3 if adopt else len(key)
        self.standing = [each for each in self.standing if each.key[:size] != key[:size]]


@dataclass
class Ears:
    """A receiver that keeps what it was told, and answers as a test has it."""

    told: list[Message] = field(default_factory=list)
    answers: list[Outcome] = field(default_factory=list)
    deaf_to: set[str] = field(default_factory=set)

    async def send(self, message: Message) -> Outcome:
        """Hear it."""
        self.told.append(message)
        if message.id in self.deaf_to:
            return Outcome.REFUSED
        return self.answers.pop(0) if self.answers else Outcome.DELIVERED

    async def close(self) -> None:
        """Nothing is to be let go of."""
