"""Alarms of the registry: raised once, changed by people and by time, each with its audit entry."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from registry import alarms as life
from registry.alarms import SILENCE_OVER, Alarm, AlarmKey, AlarmState, Finding
from registry.audit import alarm_state
from registry.ledger import Ledger
from registry.moments import utc_text
from registry.naming import OURSELVES
from registry.routing import Change

ID_BYTES = 8
_TOLD_FOR = timedelta(days=1)
"""How long a change is worth telling, once it is not the last word about an alarm that is open."""


class AlarmBook(Ledger):
    """The alarms, and which changes of them were delivered."""

    def alarms(
        self, model: str | None = None, states: Collection[AlarmState] = tuple(AlarmState)
    ) -> tuple[Alarm, ...]:
        """Alarms as they are now, as they are listed; `ModelNotFound` for a model that is none."""
        if model is not None:
            self.versions(model)
        with self._lock:
            return tuple(life.in_order(self._store.alarms(model, states)))

    def alarm(self, alarm_id: str) -> Alarm:
        """One alarm as it is now; `NotFound` if there is none."""
        with self._lock:
            return life.find_alarm(alarm_id, self._store.alarm(alarm_id))

    def raise_alarm(self, key: AlarmKey, raised_at: datetime, finding: Finding) -> Alarm:
        """The alarm that a monitor tells of: raised now, or as it is if it was told of before.

        It may be closed, when the monitor has come back from before it was re-armed.
        """
        at = utc_text(raised_at)
        with self._lock:
            known = self._store.last_alarm(key)
            if known is not None and not life.is_another(known, at):
                return known
            why = self._change(OURSELVES, finding.evidence())
            alarm = life.raised(self._entropy(ID_BYTES).hex(), key, at, finding, why)
            states = (None, alarm_state(alarm))
            entry = self._entry("raise-alarm", f"alarms/{alarm.id}", states, why)
            self._store.add_alarm(alarm, entry)
            return alarm

    def acknowledge_alarm(self, alarm_id: str, actor: str, reason: str) -> Alarm:
        """Note that somebody has taken an alarm on; errors as `alarms.acknowledged`."""
        return self._next("acknowledge-alarm", alarm_id, actor, reason, life.acknowledged)

    def silence_alarm(self, alarm_id: str, until: datetime, actor: str, reason: str) -> Alarm:
        """Be told nothing of an alarm until a moment; errors as `alarms.silenced`."""
        end = utc_text(until)

        def silenced(alarm: Alarm, why: Change) -> Alarm:
            return life.silenced(alarm, end, why)

        return self._next("silence-alarm", alarm_id, actor, reason, silenced)

    def close_alarm(self, alarm_id: str, adopted: bool, actor: str, reason: str) -> Alarm:
        """Note that what raised an alarm was re-armed; errors as `alarms.closed`."""

        def closed(alarm: Alarm, why: Change) -> Alarm:
            return life.closed(alarm, adopted, why)

        action = "adopt-reference" if adopted else "rearm-alarm"
        return self._next(action, alarm_id, actor, reason, closed)

    def end_silences(self) -> tuple[Alarm, ...]:
        """Raise again those alarms whose silence is over."""
        with self._lock:
            now = utc_text(self._clock())
            over = [
                alarm.id
                for alarm in self._store.alarms(None, (AlarmState.SILENCED,))
                if alarm.until is not None and alarm.until <= now
            ]
            return tuple(
                self._next("raise-alarm", each, OURSELVES, SILENCE_OVER, life.unsilenced)
                for each in over
            )

    def untold_alarms(self) -> tuple[Alarm, ...]:
        """Of each alarm the first change that is to be delivered, as it was after that change.

        A change is worth telling for a day, the last word about an alarm as long as it is open.
        """
        with self._lock:
            return self._store.untold(utc_text(self._clock() - _TOLD_FOR))

    def told(self, alarm: Alarm) -> None:
        """Note that a change of an alarm has been delivered."""
        with self._lock:
            self._store.add_delivery(alarm.id, alarm.number, utc_text(self._clock()))

    def _next(
        self,
        action: str,
        alarm_id: str,
        actor: str,
        reason: str,
        change: Callable[[Alarm, Change], Alarm],
    ) -> Alarm:
        with self._lock:
            before = self.alarm(alarm_id)
            why = self._change(actor, reason)
            after = change(before, why)
            states = (alarm_state(before), alarm_state(after))
            entry = self._entry(action, f"alarms/{alarm_id}", states, why)
            self._store.change_alarm(after, entry)
            return after
