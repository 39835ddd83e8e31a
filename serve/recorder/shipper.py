"""The thread that carries the recorder's blocks and counts to the monitors."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from monitors.blocks import SampleBlock, Series, Snapshot
from monitors.telemetry import names
from serve.recorder.dial import Capacity
from serve.recorder.recorder import Lost, Recorder
from serve.recorder.samples import blocks, no_rows, within

_log = logging.getLogger("weir.recorder")


class Transport(Protocol):
    """**Protocol:** the way to the monitors; False means that it did not get through."""

    def send_blocks(self, blocks: Sequence[SampleBlock]) -> bool:
        """Send the rows of one shipment, unless too many shipments are unacknowledged."""

    def send_snapshot(self, snapshot: Snapshot) -> bool:
        """Send counts."""

    def lost_rows(self) -> int:
        """Give how many rows were sent and lost after all, since this was asked last."""

    def capacity(self) -> Capacity:
        """Give what the monitors can take, as far as their answers tell."""


class Shipper:
    """Every `period_s`: empties the recorder, makes blocks, sends them with a snapshot."""

    def __init__(
        self,
        recorder: Recorder,
        transport: Transport,
        source: str,
        period_s: float,
        gauges: Callable[[], Mapping[Series, float]],
    ) -> None:
        self._recorder = recorder
        self._transport = transport
        self._source = source
        self._period_s = period_s
        self._gauges = gauges
        self._sequence = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="weir-shipper", daemon=True)

    def start(self) -> None:
        """Begin to ship."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Ship once more, and end."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        before = time.monotonic()
        while not self._stop.wait(self._period_s):
            now = time.monotonic()
            self._ship_or_count(now - before)
            before = now
        self._ship_or_count(time.monotonic() - before)

    def _ship_or_count(self, seconds: float) -> None:
        """Ship; whatever goes wrong with one shipment must not end all later ones."""
        try:
            self.ship(seconds)
        except Exception:  # noqa: BLE001 - the top of a thread; counted
            _log.exception("a shipment to the monitors failed")
            self._recorder.counts.add(names.SNAPSHOTS_FAILED)

    def ship(self, seconds: float) -> None:
        """Send what the last `seconds` brought."""
        recorder = self._recorder
        taken, rate = recorder.turn(seconds, self._transport.capacity())
        now = time.time()
        made, lost = blocks(within(rate, taken), self._source, rate, now)
        made = self._with_requests(made, rate, now)
        if lost:
            recorder.dropped(lost, Lost.SHAPES_DIFFER)
        sent = bool(made) and self._transport.send_blocks(made)
        for block in made:
            if sent:
                recorder.counts.add(names.SAMPLES, block.model, str(block.version), by=block.rows)
            else:
                recorder.dropped(block.rows, Lost.MONITOR_BEHIND)
        if sent_and_lost := self._transport.lost_rows():
            recorder.dropped(sent_and_lost, Lost.MONITOR_FAILED)
        self._sequence += 1
        snapshot = recorder.counts.snapshot(self._source, self._sequence, self._gauges())
        if not self._transport.send_snapshot(snapshot):
            recorder.counts.add(names.SNAPSHOTS_FAILED)

    def _with_requests(
        self, made: Sequence[SampleBlock], rate: float, now: float
    ) -> list[SampleBlock]:
        """Give the blocks with the counts of all requests, and one more where all were refused."""
        found = {(block.model, block.version, block.role): block for block in made}
        for arm in self._recorder.arms() if rate else ():
            key = (arm.origin.model, arm.origin.version, arm.origin.role.value)
            answered, refused = arm.requests()
            if refused and key not in found:
                found[key] = no_rows(arm.origin, self._source, rate, now)
            # Without a block they wait: were the answered lost, the refused would look frequent.
            if key in found:
                arm.told(answered, refused)
                block = found[key]
                found[key] = replace(
                    block, answered=block.answered + answered, refused=block.refused + refused
                )
        return [*found.values()]
