"""The registry keeps alarms, each change with its entry, over restarts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from configs.errors import BadInput, Conflict, ModelNotFound, NotFound
from registry.alarm_book import AlarmBook
from registry.alarms import Alarm, AlarmState
from registry.audit import verify_chain
from registry.naming import OURSELVES
from registry.sqlite import SqliteStore
from tests.registry.alarms import FOUND, KEY
from tests.registry.store_conformance import filled

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


class Book:
    """A book of alarms on a folder, with a clock that a test moves."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0
        self.now = BEGUN
        self.book = self._opened()

    def open_again(self) -> AlarmBook:
        """Close the book and open what is on disk."""
        self.book.close()
        self.book = self._opened()
        return self.book

    def later(self, **amount: float) -> datetime:
        """Let time pass."""
        self.now += timedelta(**amount)
        return self.now

    def raised(self, subject: str = "income", arming: int = 1) -> Alarm:
        """Tell of an alarm that was raised now."""
        return self.book.raise_alarm(KEY._replace(subject=subject, arming=arming), self.now, FOUND)

    def tell(self) -> list[tuple[str, int]]:
        """Deliver all that is to be delivered now, once; gives subjects and numbers."""
        untold = self.book.untold_alarms()
        for alarm in untold:
            self.book.told(alarm)
        return [(alarm.key.subject, alarm.number) for alarm in untold]

    def _opened(self) -> AlarmBook:
        return AlarmBook(SqliteStore(self._folder), lambda: self.now, self._entropy)

    def _entropy(self, size: int) -> bytes:
        self._made += 1
        return self._made.to_bytes(size, "big")


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Book]:
    """A book with three versions of `credit` and no alarm."""
    store = SqliteStore(tmp_path)
    filled(store)
    store.close()
    made = Book(tmp_path)
    yield made
    made.book.close()


def test_an_alarm_that_is_told_of_again_is_the_same(kept: Book) -> None:
    """Only its first telling is recorded, also after a restart."""
    first = kept.raised()
    kept.later(minutes=1)

    assert kept.raised() == first
    assert kept.open_again().raise_alarm(KEY, BEGUN, FOUND) == first

    assert kept.book.alarms() == (first,)
    assert [entry.action for entry in kept.book.audit()][3:] == ["raise-alarm"]


def test_every_change_has_an_entry_that_says_who_and_why(kept: Book) -> None:
    """Raised by ourselves, the rest by people; the chain is whole."""
    alarm = kept.raised()
    kept.later(minutes=1)
    kept.book.acknowledge_alarm(alarm.id, "ada", "looking")
    kept.book.silence_alarm(alarm.id, kept.now + timedelta(hours=1), "bob", "campaign")
    kept.book.close_alarm(alarm.id, True, "eve", "new customers")

    entries = kept.book.audit()[3:]

    assert [(each.action, each.actor, each.reason) for each in entries] == [
        ("raise-alarm", OURSELVES, "evidence 10^8.2"),
        ("acknowledge-alarm", "ada", "looking"),
        ("silence-alarm", "bob", "campaign"),
        ("adopt-reference", "eve", "new customers"),
    ]
    assert {each.resource for each in entries} == {f"alarms/{alarm.id}"}
    assert entries[0].before == ""
    assert all(one.after == then.before for one, then in pairwise(entries))
    assert '"subject":"income"' in entries[0].after
    assert verify_chain(kept.book.audit()) is None


def test_all_of_it_outlives_the_process(kept: Book) -> None:
    """An alarm is opened again as it was left."""
    alarm = kept.raised()
    until = kept.now + timedelta(hours=1)
    quiet = kept.book.silence_alarm(alarm.id, until, "bob", "campaign")

    assert kept.open_again().alarm(alarm.id) == quiet
    assert (quiet.state, quiet.by, quiet.until) == (
        AlarmState.SILENCED,
        "bob",
        "2026-01-01T01:00:00.000000+00:00",
    )


def test_what_cannot_be_leaves_no_entry(kept: Book) -> None:
    """An unknown alarm, a closed one, a silence without a zone or in the past."""
    alarm = kept.book.close_alarm(kept.raised().id, False, "ada", "repaired")
    before = kept.book.audit()

    with pytest.raises(NotFound):
        kept.book.acknowledge_alarm("ffff", "ada", "")
    with pytest.raises(Conflict):
        kept.book.acknowledge_alarm(alarm.id, "ada", "")
    with pytest.raises(BadInput, match="zone"):
        kept.book.silence_alarm(alarm.id, datetime(2027, 1, 1), "ada", "")
    with pytest.raises(ModelNotFound):
        kept.book.alarms("credti")

    assert kept.book.audit() == before


def test_a_silence_ends_by_itself(kept: Book) -> None:
    """Once its time is over the alarm is raised again, once, by ourselves."""
    alarm = kept.raised()
    kept.raised("age")
    kept.book.silence_alarm(alarm.id, kept.now + timedelta(hours=1), "bob", "campaign")

    kept.later(minutes=59)
    assert kept.book.end_silences() == ()
    kept.later(minutes=1)
    (again,) = kept.book.end_silences()

    assert (again.id, again.state, again.by, again.number) == (
        alarm.id,
        AlarmState.RAISED,
        OURSELVES,
        3,
    )
    assert kept.book.end_silences() == ()
    assert kept.book.alarm(alarm.id) == again


def test_a_closed_alarm_that_is_told_of_is_not_raised_again(kept: Book) -> None:
    """Monitors that came back from before they were re-armed still tell of it; it stays closed."""
    alarm = kept.raised()
    kept.later(minutes=1)
    over = kept.book.close_alarm(alarm.id, False, "ada", "repaired")

    assert kept.book.raise_alarm(KEY, BEGUN, FOUND) == over


def test_what_is_raised_after_the_end_is_another_alarm(kept: Book) -> None:
    """Under the next arming, or under the same where monitors have forgotten that there was one."""
    alarm = kept.raised()
    kept.book.close_alarm(alarm.id, False, "ada", "repaired")
    kept.later(minutes=1)

    second, third = kept.raised(arming=2), kept.raised()

    assert len({alarm.id, second.id, third.id}) == 3
    assert kept.raised() == third
    listed = kept.book.alarms("credit")
    assert [each.state for each in listed] == [
        AlarmState.RAISED,
        AlarmState.RAISED,
        AlarmState.CLOSED,
    ]


def test_alarms_are_found_by_model_and_state(kept: Book) -> None:
    """Of another model there is none."""
    first, second = kept.raised("age"), kept.raised("income")
    taken = kept.book.acknowledge_alarm(first.id, "ada", "")

    assert kept.book.alarms("credit", (AlarmState.ACKNOWLEDGED,)) == (taken,)
    assert kept.book.alarms(None, (AlarmState.RAISED,)) == (second,)
    assert kept.book.alarms(None, ()) == ()


def test_every_change_is_to_be_delivered_in_its_turn(kept: Book) -> None:
    """The first change of each alarm, then its next one; what was delivered is not again."""
    alarm = kept.raised()
    kept.book.acknowledge_alarm(alarm.id, "ada", "")
    kept.raised("age")

    assert sorted(kept.tell()) == [("age", 1), ("income", 1)]
    assert kept.tell() == [("income", 2)]
    assert kept.tell() == []
    assert kept.open_again().untold_alarms() == ()


def test_a_change_is_told_as_it_was_made(kept: Book) -> None:
    """What came after it has a telling of its own."""
    alarm = kept.raised()
    kept.book.acknowledge_alarm(alarm.id, "ada", "looking")

    assert kept.book.untold_alarms() == (alarm,)


def test_old_news_is_not_told_but_the_last_word_about_an_open_alarm(kept: Book) -> None:
    """After a day without a receiver only what is open is worth telling, as it is now."""
    taken, over = kept.raised("age"), kept.raised("income")
    kept.book.acknowledge_alarm(taken.id, "ada", "")
    kept.book.close_alarm(over.id, False, "ada", "repaired")

    kept.later(days=1, seconds=1)

    assert kept.tell() == [("age", 2)]


def test_a_change_is_noted_as_delivered_once(kept: Book) -> None:
    """A second note is a conflict, and so is one of a change that there is not."""
    alarm = kept.raised()
    kept.book.told(alarm)

    with pytest.raises(Conflict):
        kept.book.told(alarm)
    with pytest.raises(Conflict):
        kept.book._store.add_delivery(alarm.id, 9, "2026")
