"""A real Alertmanager takes what it is told, and knows what stands and what is over."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from registry.alarm_book import AlarmBook
from serve.alarms.outbox import AlarmOutbox
from serve.webhook.deliveries import Deliveries
from serve.webhook.http_receiver import HttpReceiver
from serve.webhook.receiver import Outcome
from tests.registry.alarms import FOUND, KEY
from tests.serve.alarms.fakes import open_book
from tests.serve.waiting import until
from tests.tools.alertmanager import Alertmanager, running_alertmanager

pytestmark = pytest.mark.deploy


class Telling:
    """Alarms that are told to an Alertmanager, by the time that it is."""

    def __init__(self, book: AlarmBook, alertmanager: Alertmanager) -> None:
        self._alertmanager = alertmanager
        self._receiver = HttpReceiver(alertmanager.alerts_url, None)
        self.outcomes: list[Outcome] = []
        self._deliveries = Deliveries(AlarmOutbox(book, True), self._receiver, self.outcomes.append)

    async def subjects(self, *expected: str) -> list[Any]:
        """Deliver, and wait until exactly these subjects are taken for standing."""
        await self._deliveries.deliver()

        def as_expected(alerts: list[Any]) -> bool:
            return sorted(alert["labels"]["subject"] for alert in alerts) == sorted(expected)

        return await asyncio.to_thread(self._alertmanager.wait_for, as_expected)

    async def close(self) -> None:
        """End the connections."""
        await self._receiver.close()


async def test_what_stands_is_an_alert_until_it_is_silenced_or_closed(tmp_path: Path) -> None:
    """Raised it is there, silenced it is gone, raised again it is back, closed it is over."""
    book = open_book(tmp_path, lambda: datetime.now(UTC))
    with running_alertmanager(tmp_path) as alertmanager:
        telling = Telling(book, alertmanager)
        income, age = (
            book.raise_alarm(KEY._replace(subject=each), datetime.now(UTC), FOUND)
            for each in ("income", "age")
        )

        alerts = await telling.subjects("income", "age")
        found = {alert["labels"]["subject"]: alert for alert in alerts}
        assert found["income"]["labels"]["alertname"] == "WeirAlarm"
        assert found["income"]["annotations"]["alarm"] == income.id
        begun = datetime.fromisoformat(found["income"]["startsAt"])
        assert abs(begun - datetime.fromisoformat(income.raised_at)) < timedelta(milliseconds=2)

        book.silence_alarm(income.id, datetime.now(UTC) + timedelta(seconds=0.5), "ada", "campaign")
        await telling.subjects("age")
        await _until_silences_end(book)
        await telling.subjects("income", "age")
        book.close_alarm(age.id, False, "ada", "repaired")
        await telling.subjects("income")
        book.close_alarm(income.id, True, "ada", "new customers")
        await telling.subjects()
        await telling.close()

    assert set(telling.outcomes) == {Outcome.DELIVERED}
    book.close()


async def _until_silences_end(book: AlarmBook) -> None:
    await until(lambda: bool(book.end_silences()), "the end of a silence")
