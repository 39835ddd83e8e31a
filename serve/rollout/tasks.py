"""What the control plane does about rollouts again and again."""

from __future__ import annotations

import asyncio

from configs.settings import Rollouts
from registry.rollout_book import RolloutBook
from registry.rollouts import RolloutChange
from serve.models.shelf_tally import Transport
from serve.rollout.conductor import Conductor
from serve.rollout.counts import RolloutCounts
from serve.rollout.outbox import RolloutOutbox
from serve.upkeep import keep_up
from serve.webhook.deliveries import Deliveries
from serve.webhook.receiver import Receiver

LOOK_S = 1.0
_TELL_S = 1.0


class RolloutTasks:
    """Looks at rollouts once a second, and tells of them if there is a webhook.

    Each goes on without the other: a receiver that does not answer holds nothing up.
    """

    def __init__(
        self,
        conductor: Conductor,
        book: RolloutBook,
        settings: Rollouts,
        counts: RolloutCounts,
        source: str,
        transport: Transport,
    ) -> None:
        self._conductor = conductor
        self._counts = counts
        self._source = source
        self._transport = transport
        self._receiver: Receiver | None = None
        self._deliveries: Deliveries[RolloutChange] | None = None
        if settings.webhook is not None:
            # Slow to import, and not always needed.
            from serve.webhook.http_receiver import HttpReceiver  # noqa: PLC0415

            self._receiver = HttpReceiver(settings.webhook, settings.webhook_secret_file)
            outbox = RolloutOutbox(book)
            self._deliveries = Deliveries(outbox, self._receiver, counts.tried)

    async def run(self) -> None:
        """Look and tell for ever; the connections end with it."""
        counts = self._counts
        tasks = [keep_up("looking at rollouts", self._look, LOOK_S, counts.failed)]
        if self._deliveries is not None:
            tell = self._deliveries.deliver
            tasks.append(keep_up("telling of rollouts", tell, _TELL_S, counts.failed_to_tell))
        try:
            await asyncio.gather(*tasks)
        finally:
            await self._conductor.close()
            if self._receiver is not None:
                await self._receiver.close()

    async def _look(self) -> None:
        try:
            await self._conductor.look()
        finally:
            standing = [
                (rollout, seen.findings) for rollout, seen in self._conductor.standing.values()
            ]
            snapshot = self._counts.snapshot(self._source, standing)
            await asyncio.to_thread(self._transport.send_snapshot, snapshot)
