"""Every change is delivered, in its turn, until it was taken; over failures and restarts."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from registry.alarm_book import AlarmBook
from registry.alarms import Alarm
from serve.alarms.outbox import AlarmOutbox
from serve.webhook.deliveries import REPEAT_S, Deliveries
from serve.webhook.pauses import pause_s
from serve.webhook.receiver import Outcome
from tests.registry.alarms import FOUND, KEY
from tests.serve.alarms.fakes import Clock, Ears, open_book

FAILED, REFUSED = Outcome.FAILED, Outcome.REFUSED


class Told:
    """Deliveries to a receiver that a test listens with."""

    def __init__(self, book: AlarmBook, clock: Clock, repeats: bool = False) -> None:
        self.ears = Ears()
        self.counts = Counter[Outcome]()
        self.deliveries = Deliveries(
            AlarmOutbox(book, repeats), self.ears, self._count, clock.seconds, lambda: 0.0
        )

    async def deliver(self) -> list[str]:
        """Deliver what is to be delivered now; gives the ids that were tried."""
        before = len(self.ears.told)
        await self.deliveries.deliver()
        return [message.id for message in self.ears.told[before:]]

    def last(self) -> Any:
        """The body that was heard last."""
        return orjson.loads(self.ears.told[-1].body)

    def _count(self, outcome: Outcome) -> None:
        self.counts[outcome] += 1


def raised(book: AlarmBook, clock: Clock, subject: str = "income") -> Alarm:
    """An alarm that is raised now."""
    return book.raise_alarm(KEY._replace(subject=subject), clock.now, FOUND)


def first(alarm: Alarm, number: int = 1) -> str:
    """The id of the message about a change."""
    return f"alarm_{alarm.id}_{number}"


async def test_every_change_is_delivered_once(book: AlarmBook, clock: Clock) -> None:
    """In the order of the alarm's life; when all is told nothing is sent."""
    told = Told(book, clock)
    alarm = raised(book, clock)
    book.acknowledge_alarm(alarm.id, "ada", "")

    assert await told.deliver() == [first(alarm, 1)]
    assert told.last()["type"] == "alarm.raised"
    assert await told.deliver() == [first(alarm, 2)]
    assert told.last()["type"] == "alarm.acknowledged"
    assert await told.deliver() == []
    assert told.counts == {Outcome.DELIVERED: 2}


async def test_what_fails_is_sent_again_after_longer_and_longer_pauses(
    book: AlarmBook, clock: Clock
) -> None:
    """Under the same id; no sooner than the pause says, and with a fresh start after a success."""
    told = Told(book, clock)
    alarm = raised(book, clock)
    told.ears.answers = [FAILED, FAILED]

    assert await told.deliver() == [first(alarm)]
    clock.later(seconds=0.9)
    assert await told.deliver() == []
    clock.later(seconds=0.1)
    assert await told.deliver() == [first(alarm)]
    clock.later(seconds=1.9)
    assert await told.deliver() == []
    clock.later(seconds=0.1)
    assert await told.deliver() == [first(alarm)]
    assert await told.deliver() == []
    assert told.counts == {FAILED: 2, Outcome.DELIVERED: 1}
    told.ears.answers = [FAILED]
    book.acknowledge_alarm(alarm.id, "ada", "")
    await told.deliver()
    clock.later(seconds=1)
    assert await told.deliver() == [first(alarm, 2)]


async def test_one_that_is_not_there_is_asked_once_for_all(book: AlarmBook, clock: Clock) -> None:
    """Nine alarms are not nine tries at a receiver that does not answer."""
    told = Told(book, clock)
    for number in range(9):
        raised(book, clock, f"feature-{number}")
    told.ears.answers = [FAILED]

    assert len(await told.deliver()) == 1
    clock.later(seconds=1)
    assert len(await told.deliver()) == 9


async def test_a_change_that_is_refused_keeps_back_its_own_alarm_only(
    book: AlarmBook, clock: Clock
) -> None:
    """Others are told meanwhile; it is tried again, and its later changes wait for it."""
    told = Told(book, clock)
    unwanted = raised(book, clock, "income")
    wanted = raised(book, clock, "age")
    book.acknowledge_alarm(unwanted.id, "ada", "")
    told.ears.deaf_to = {first(unwanted)}

    assert set(await told.deliver()) == {first(unwanted), first(wanted)}
    clock.later(seconds=1)
    assert await told.deliver() == [first(unwanted)]
    told.ears.deaf_to = set()
    clock.later(seconds=2)
    assert await told.deliver() == [first(unwanted)]
    assert await told.deliver() == [first(unwanted, 2)]
    assert told.counts[REFUSED] == 2


async def test_a_restart_goes_on_where_it_was(tmp_path: Path, clock: Clock) -> None:
    """What was taken is not sent again, what was not is, whichever process it was."""
    book = open_book(tmp_path, clock)
    alarm = raised(book, clock)
    other = raised(book, clock, "age")
    told = Told(book, clock)
    told.ears.answers = [Outcome.DELIVERED, FAILED]
    taken, missed = await told.deliver()
    assert {taken, missed} == {first(alarm), first(other)}
    book.close()

    book = open_book(tmp_path, clock)
    again = Told(book, clock)

    assert await again.deliver() == [missed]
    assert await again.deliver() == []
    book.close()


async def test_a_silence_that_ends_is_delivered(book: AlarmBook, clock: Clock) -> None:
    """Whoever was told of the silence is told that the alarm is raised again."""
    told = Told(book, clock)
    alarm = raised(book, clock)
    book.silence_alarm(alarm.id, clock.now + timedelta(hours=1), "ada", "campaign")
    await told.deliver()
    await told.deliver()
    assert told.last()["data"]["silenced_until"] == "2026-01-01T01:00:00.000000+00:00"

    clock.later(hours=1)
    book.end_silences()

    assert await told.deliver() == [first(alarm, 3)]
    assert told.last()["type"] == "alarm.raised"


async def test_alertmanager_hears_every_minute_of_what_stands(
    book: AlarmBook, clock: Clock
) -> None:
    """It forgets otherwise. What is silenced or closed has an end, and is not repeated."""
    told = Told(book, clock, repeats=True)
    income, age, debt = (raised(book, clock, each) for each in ("income", "age", "debt"))
    clock.later(seconds=1)
    book.silence_alarm(age.id, clock.now + timedelta(hours=1), "ada", "campaign")
    book.close_alarm(debt.id, False, "ada", "repaired")
    for _ in range(2):
        await told.deliver()
    clock.later(seconds=REPEAT_S)

    assert len(await told.deliver()) == 1
    assert [alert["labels"]["subject"] for alert in told.last()] == ["income"]
    assert "endsAt" not in told.last()[0]
    clock.later(seconds=REPEAT_S - 1)
    assert await told.deliver() == []
    book.close_alarm(income.id, False, "ada", "repaired")
    assert await told.deliver() == [first(income, 2)]
    assert told.last()[0]["endsAt"] == "2026-01-01T00:02:00.000000+00:00"
    clock.later(seconds=1)
    assert await told.deliver() == []


async def test_a_repeat_that_fails_is_made_again_soon(book: AlarmBook, clock: Clock) -> None:
    """Not a minute later, when what stands might be taken for over."""
    told = Told(book, clock, repeats=True)
    raised(book, clock)
    told.ears.answers = [Outcome.DELIVERED, FAILED]

    assert len(await told.deliver()) == 2
    clock.later(seconds=1)
    assert len(await told.deliver()) == 1


def test_pauses_double_up_to_a_minute_and_are_spread() -> None:
    """From one second; luck takes up to half of it away."""
    assert [pause_s(n, 0.0) for n in (1, 2, 3, 6, 7, 8, 10_000)] == [1, 2, 4, 32, 60, 60, 60]
    assert pause_s(3, 1.0) == 2.0
    assert pause_s(3, 0.5) == pytest.approx(3.0)
