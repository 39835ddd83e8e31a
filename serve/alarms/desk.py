"""Learns of alarms from the monitors, and changes them for people."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from configs.errors import Unavailable, WeirError
from monitors.alarm import Standing
from registry.alarm_book import AlarmBook
from registry.alarms import Alarm, AlarmState, Finding, check_open
from registry.nearby import changes_nearby
from serve.control.service import Explained
from serve.control.watchers import Watchers

_log = logging.getLogger("weir.alarms")

NEARBY = timedelta(hours=1)
"""How long before a change, and after it was noticed, one looks for what may have made it."""


class AlarmDesk:
    """Keeps what the registry says of alarms and what the monitors say of them together.

    Whoever of the two dies: an alarm that the monitors tell of again is the same alarm, and one
    that was closed and comes back with an older state of theirs is re-armed once more.
    """

    def __init__(self, book: AlarmBook, watchers: Watchers) -> None:
        self._book = book
        self._watchers = watchers
        # What the monitors said before something was re-armed must not be recorded after it.
        self._turn = asyncio.Lock()

    async def look(self) -> None:
        """Raise again what was silenced for long enough, and learn what stands."""
        await asyncio.to_thread(self._book.end_silences)
        async with self._turn:
            try:
                standing = await self._watchers.alarms()
            except Unavailable:
                return  # Who is not there will tell of them later.
            closed = await asyncio.to_thread(self._record, standing)
            # A reference is adopted for a whole version in a role: once, however many alarms stand.
            again = {each.key[:3] if each.adopted else each.key: each for each in closed}
            for alarm in again.values():
                await self._rearm_again(alarm)

    async def close(self, alarm_id: str, adopt: bool, actor: str, reason: str) -> Alarm:
        """Re-arm what raised an alarm, or adopt a new reference for its version, and note it.

        A new reference closes all alarms of that version in that role.

        The monitors come first: if they cannot, nothing has changed. What they have re-armed
        before, for a caller that did not learn of it, is not re-armed twice.
        """
        async with self._turn:
            alarm = await asyncio.to_thread(self._book.alarm, alarm_id)
            check_open(alarm)
            if adopt or alarm.key in {each.key for each in await self._watchers.alarms()}:
                await self._watchers.rearm(alarm.key, adopt)
            closed = await asyncio.to_thread(self._book.close_alarm, alarm_id, adopt, actor, reason)
            if adopt:
                await asyncio.to_thread(self._close_others, closed, actor, reason)
            return closed

    async def explain(self, alarm_id: str) -> Explained:
        """Why an open alarm was raised, and what was changed an hour around that.

        `Conflict` for one that is closed: its monitor has forgotten what it rested on.
        """
        alarm = await asyncio.to_thread(self._book.alarm, alarm_id)
        check_open(alarm)
        why = await self._watchers.why(alarm.key)
        changed_at = datetime.fromtimestamp(why.changed_at, UTC)
        noticed_at = datetime.fromisoformat(alarm.raised_at)
        begin = min(changed_at, noticed_at) - NEARBY
        end = max(changed_at, noticed_at) + NEARBY
        entries = await asyncio.to_thread(self._book.audit_between, begin, end)
        return Explained(alarm, why, changes_nearby(entries, alarm))

    def _close_others(self, adopted: Alarm, actor: str, reason: str) -> None:
        """Close all alarms of a version in a role whose reference has been replaced."""
        open_states = [state for state in AlarmState if state is not AlarmState.CLOSED]
        for alarm in self._book.alarms(None, open_states):
            if alarm.key[:3] == adopted.key[:3]:
                self._book.close_alarm(alarm.id, True, actor, reason)

    def _record(self, standing: Iterable[Standing]) -> list[Alarm]:
        """Record what stands; gives those that were closed before."""
        return [alarm for each in standing if (alarm := self._recorded(each)).closed]

    def _recorded(self, each: Standing) -> Alarm:
        found = Finding.of(each.log10_evidence, each.value, each.lower, each.upper, each.message)
        raised_at = datetime.fromtimestamp(each.raised_at, UTC)
        return self._book.raise_alarm(each.key, raised_at, found)

    async def _rearm_again(self, alarm: Alarm) -> None:
        try:
            await self._watchers.rearm(alarm.key, alarm.adopted)
        except WeirError as error:
            _log.warning("alarm %s is closed, and stands still: %s", alarm.id, error.message)
