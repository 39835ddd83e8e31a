"""What was changed around an alarm is found in the log, and nothing that is not about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from registry.alarm_book import AlarmBook
from registry.alarms import AlarmKey
from registry.audit import alarm_state, next_entry, rollout_state
from registry.ledger import Ledger
from registry.nearby import changes_nearby
from registry.records import AuditEntry
from registry.sqlite import SqliteStore
from tests.registry.alarms import FOUND, KEY, alarm, why
from tests.registry.rollouts import rollout
from tests.registry.store_conformance import filled

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def entry(resource: str, state: object = None) -> AuditEntry:
    """A change of a resource."""
    return next_entry(None, "change", resource, (None, state), why(1))


def of(key: AlarmKey, alarm_id: str) -> AuditEntry:
    """A change of an alarm."""
    return entry(f"alarms/{alarm_id}", alarm_state(alarm(alarm_id, key)))


@pytest.mark.parametrize(
    "made",
    [
        entry("models/credit/route"),
        entry("models/credit/versions/3"),
        entry("keys/1"),
        entry("configuration", {"weir": "0.4.0"}),
        of(KEY._replace(subject="age"), "a2"),
        entry("rollouts/r1", rollout_state(rollout("r1", "credit"))),
    ],
)
def test_what_may_have_to_do_with_it_is_told(made: AuditEntry) -> None:
    """Of the same model, or of all models."""
    assert changes_nearby([made], alarm("a1")) == (made,)


@pytest.mark.parametrize(
    "made",
    [
        entry("models/credits/route"),
        entry("models/fraud/versions/1"),
        of(KEY._replace(model="fraud"), "a2"),
        of(KEY, "a1"),
        entry("rollouts/r1", rollout_state(rollout("r1", "fraud"))),
    ],
)
def test_what_has_nothing_to_do_with_it_is_not(made: AuditEntry) -> None:
    """Other models, and the alarm's own changes."""
    assert changes_nearby([made], alarm("a1")) == ()


@pytest.fixture(name="ledger")
def a_ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with changes made at some moments, two or three at each."""
    store = SqliteStore(tmp_path)
    filled(store)
    number = iter(range(100))
    passed = timedelta()
    book = AlarmBook(store, lambda: BEGUN + passed, lambda size: next(number).to_bytes(size, "big"))
    for arming in range(1, 13):
        passed = timedelta(minutes=arming // 3)
        book.raise_alarm(KEY._replace(arming=arming), BEGUN, FOUND)
    yield book
    book.close()


def test_changes_of_a_time_are_found(ledger: Ledger) -> None:
    """The same as by looking at every one, whatever the time; its ends are part of it."""
    log = ledger.audit(0, 1000)
    assert len({each.at for each in log}) > 3
    moments = [datetime.fromisoformat(each.at) for each in log]
    around = [BEGUN - timedelta(days=1), *moments, BEGUN + timedelta(days=1)]
    for since in around:
        for until in around:
            wanted = [
                each.sequence for each, at in zip(log, moments, strict=True) if since <= at <= until
            ]
            assert [each.sequence for each in ledger.audit_between(since, until)] == wanted


def test_of_too_many_the_latest_are_given(ledger: Ledger) -> None:
    """There may be any number."""
    log = ledger.audit(0, 1000)
    found = ledger.audit_between(BEGUN - timedelta(days=1), BEGUN + timedelta(days=1), 2)
    assert found == log[-2:]


def test_an_empty_log_has_no_changes(tmp_path: Path) -> None:
    """Of no time."""
    empty = Ledger(SqliteStore(tmp_path), lambda: BEGUN, lambda size: b"0" * size)
    assert empty.audit_between(BEGUN, BEGUN + timedelta(days=1)) == ()
    empty.close()
