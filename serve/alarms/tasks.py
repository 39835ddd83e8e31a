"""What the control plane does about alarms again and again, and the counts of what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from configs.settings import Alarms
from monitors.telemetry import names
from registry.alarm_book import AlarmBook
from registry.alarms import Alarm
from serve.alarms.outbox import AlarmOutbox
from serve.models.shelf_tally import Transport
from serve.recorder.counts import Counts
from serve.upkeep import keep_up
from serve.webhook.deliveries import Deliveries
from serve.webhook.receiver import Outcome, Receiver

_DELIVER_S = 1.0


class AlarmTasks:
    """Does `look` every so many seconds, and delivers if there is a webhook."""

    def __init__(
        self,
        look: Callable[[], Awaitable[None]],
        every_s: float,
        book: AlarmBook,
        settings: Alarms,
        source: str,
        transport: Transport,
    ) -> None:
        self._look = look
        self._every_s = every_s
        self._source = source
        self._transport = transport
        self._counts = Counts()
        self._sequence = 0
        for task in (names.TASK_ALARMS, names.TASK_DELIVER):
            self._counts.add(names.TASK_FAILURES, task, by=0)
        for outcome in Outcome:
            self._counts.add(names.ALARM_DELIVERIES, outcome.value, by=0)
        self._receiver: Receiver | None = None
        self._deliveries: Deliveries[Alarm] | None = None
        if settings.webhook is not None:
            # Slow to import, and not always needed.
            from serve.webhook.http_receiver import HttpReceiver  # noqa: PLC0415

            self._receiver = HttpReceiver(settings.webhook, settings.webhook_secret_file)
            outbox = AlarmOutbox(book, settings.format == "alertmanager")
            self._deliveries = Deliveries(outbox, self._receiver, self._tried)

    async def run(self) -> None:
        """Look and deliver for ever; the connections end with it."""
        tasks = [keep_up("learning of alarms", self._learn, self._every_s, self._failed_to_learn)]
        if self._deliveries is not None:
            deliver = self._deliveries.deliver
            tasks.append(keep_up("delivering alarms", deliver, _DELIVER_S, self._failed_to_tell))
        try:
            await asyncio.gather(*tasks)
        finally:
            if self._receiver is not None:
                await self._receiver.close()

    async def _learn(self) -> None:
        try:
            await self._look()
        finally:
            self._sequence += 1
            snapshot = self._counts.snapshot(self._source, self._sequence)
            await asyncio.to_thread(self._transport.send_snapshot, snapshot)

    def _failed_to_learn(self) -> None:
        self._counts.add(names.TASK_FAILURES, names.TASK_ALARMS)

    def _failed_to_tell(self) -> None:
        self._counts.add(names.TASK_FAILURES, names.TASK_DELIVER)

    def _tried(self, outcome: Outcome) -> None:
        self._counts.add(names.ALARM_DELIVERIES, outcome.value)
