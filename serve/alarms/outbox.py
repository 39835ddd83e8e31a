"""Which changes of alarms are still to be told."""

from __future__ import annotations

from collections.abc import Sequence

from registry.alarm_book import AlarmBook
from registry.alarms import Alarm, AlarmState
from serve.alarms.messages import alerts, event
from serve.webhook.message import Message
from serve.webhook.outbox import Letter

_STANDING = (AlarmState.RAISED, AlarmState.ACKNOWLEDGED)


class AlarmOutbox:
    """The changes that the registry keeps, as Standard Webhooks or as Alertmanager has them.

    An Alertmanager has to hear again of what stands.
    """

    def __init__(self, book: AlarmBook, alertmanager: bool) -> None:
        self._book = book
        self._alertmanager = alertmanager

    def untold(self) -> Sequence[Letter[Alarm]]:
        """Of each alarm the first change that is to be told."""
        return [Letter(self._message(alarm), alarm) for alarm in self._book.untold_alarms()]

    def told(self, letter: Letter[Alarm]) -> None:
        """Note that a change has been told."""
        self._book.told(letter.change)

    def standing(self) -> Message | None:
        """All alarms that stand, for an Alertmanager."""
        standing = self._book.alarms(None, _STANDING) if self._alertmanager else ()
        return alerts(standing) if standing else None

    def _message(self, alarm: Alarm) -> Message:
        return alerts((alarm,)) if self._alertmanager else event(alarm)
