"""Delivers every change of an alarm at least once, in the order of the alarm's life."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from registry.alarm_book import AlarmBook
from registry.alarms import AlarmState
from serve.alarms.messages import Message, alerts, event
from serve.alarms.pauses import pause_s
from serve.alarms.receiver import Outcome, Receiver

REPEAT_S = 60.0
"""How often Alertmanager hears of what stands: it takes for over what it has not heard of for 5 min
(its `resolve_timeout`)."""

_STANDING = (AlarmState.RAISED, AlarmState.ACKNOWLEDGED)


class Deliveries:
    """Tells a receiver what the registry says that it has not been told.

    What was delivered is written down there, so that a restart goes on where it was, and nothing
    waits in memory. After a failure it rests, longer each time. A change that is refused keeps back
    later ones of its alarm only; one that cannot be delivered at all keeps back everything.
    """

    def __init__(
        self,
        book: AlarmBook,
        receiver: Receiver,
        repeats: bool,
        count: Callable[[Outcome], None],
        clock: Callable[[], float] = time.monotonic,
        luck: Callable[[], float] = random.random,
    ) -> None:
        self._book = book
        self._receiver = receiver
        self._repeats = repeats
        self._count = count
        self._clock = clock
        self._luck = luck
        self._failures = 0
        self._rests_until = self._repeats_at = float("-inf")

    async def deliver(self) -> None:
        """Deliver what is to be delivered now, if it is not resting."""
        if self._clock() < self._rests_until:
            return
        if await self._tell_changes() and await self._tell_again():
            self._failures = 0
            return
        self._failures += 1
        self._rests_until = self._clock() + pause_s(self._failures, self._luck())

    async def _tell_changes(self) -> bool:
        """Whether the receiver has taken one change of each alarm that it is to be told of."""
        all_taken = True
        for alarm in await asyncio.to_thread(self._book.untold_alarms):
            outcome = await self._send(alerts((alarm,)) if self._repeats else event(alarm))
            if outcome is Outcome.FAILED:
                return False
            if outcome is Outcome.DELIVERED:
                await asyncio.to_thread(self._book.told, alarm)
            all_taken &= outcome is Outcome.DELIVERED
        return all_taken

    async def _tell_again(self) -> bool:
        """Whether a receiver that forgets has heard of all that stands not long ago."""
        if not self._repeats or self._clock() < self._repeats_at:
            return True
        standing = await asyncio.to_thread(self._book.alarms, None, _STANDING)
        if standing and await self._send(alerts(standing)) is not Outcome.DELIVERED:
            return False
        self._repeats_at = self._clock() + REPEAT_S
        return True

    async def _send(self, message: Message) -> Outcome:
        outcome = await self._receiver.send(message)
        self._count(outcome)
        return outcome
