"""Delivers every change of something at least once, in the order in which they were made."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Generic

from serve.webhook.message import Message
from serve.webhook.outbox import Outbox, T
from serve.webhook.pauses import pause_s
from serve.webhook.receiver import Outcome, Receiver

REPEAT_S = 60.0
"""How often a receiver that forgets hears of what stands: Alertmanager takes for over what it has
not heard of for 5 min (its `resolve_timeout`)."""


class Deliveries(Generic[T]):
    """Tells a receiver what an outbox says that it has not been told.

    What was delivered is written down there, so that a restart goes on where it was, and nothing
    waits in memory. After a failure it rests, longer each time. A change that is refused keeps back
    later ones of the same thing only; one that cannot be delivered at all keeps back everything.
    """

    def __init__(
        self,
        outbox: Outbox[T],
        receiver: Receiver,
        count: Callable[[Outcome], None],
        clock: Callable[[], float] = time.monotonic,
        luck: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._receiver = receiver
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
        """Whether the receiver has taken one change of each thing that it is to be told of."""
        all_taken = True
        for letter in await asyncio.to_thread(self._outbox.untold):
            if letter.message is None:
                await asyncio.to_thread(self._outbox.told, letter)
                continue
            outcome = await self._send(letter.message)
            if outcome is Outcome.FAILED:
                return False
            if outcome is Outcome.DELIVERED:
                await asyncio.to_thread(self._outbox.told, letter)
            all_taken &= outcome is Outcome.DELIVERED
        return all_taken

    async def _tell_again(self) -> bool:
        """Whether a receiver that forgets has heard of all that stands not long ago."""
        if self._clock() < self._repeats_at:
            return True
        standing = await asyncio.to_thread(self._outbox.standing)
        if standing is not None and await self._send(standing) is not Outcome.DELIVERED:
            return False
        self._repeats_at = self._clock() + REPEAT_S
        return True

    async def _send(self, message: Message) -> Outcome:
        outcome = await self._receiver.send(message)
        self._count(outcome)
        return outcome
