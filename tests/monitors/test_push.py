"""The push carries the exporter's totals to a real OTLP receiver."""

from __future__ import annotations

import time
from typing import Literal

import pytest

from configs.settings import Telemetry
from monitors.blocks import Snapshot
from monitors.exporter import Exporter
from monitors.push import Push
from monitors.telemetry import names
from tests.tools.otlp_receiver import OtlpReceiver, otlp_receiver

__all__ = ["otlp_receiver"]
RETRIES = (names.VERSION_RETRIES.name, ("m", "1"))


def value_of(exporter: Exporter, name: str) -> float:
    """The sum over all series of a metric."""
    return sum(
        float(point.value)
        for each in exporter.collect()
        if each.metric.name == name
        for point in each.points
        if isinstance(point.value, int | float)
    )


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_totals_arrive(
    otlp_receiver: OtlpReceiver,
    protocol: Literal["grpc", "http"],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was folded is what the receiver gets, the last of it when the push ends."""
    monkeypatch.setattr("monitors.push._LAST_S", 60.0)
    endpoint = otlp_receiver.grpc_endpoint if protocol == "grpc" else otlp_receiver.http_endpoint
    exporter = Exporter(1.0)
    settings = Telemetry(otlp_endpoint=endpoint, otlp_protocol=protocol, export_s=3600.0)
    push = Push(exporter, settings, "test")

    exporter.fold(Snapshot("gateway", 1, {RETRIES: 7}))
    push.close()

    otlp_receiver.wait_for(
        lambda receiver: any(
            name == RETRIES[0] and value == 7 for (name, _), value in receiver.numbers().items()
        ),
        60.0,
    )


def test_a_receiver_that_is_not_there_is_counted() -> None:
    """An export that fails disturbs nobody, and is told among the totals."""
    exporter = Exporter(1.0)
    settings = Telemetry(otlp_endpoint="http://127.0.0.1:9", otlp_protocol="http", export_s=0.1)
    push = Push(exporter, settings, "test")
    deadline = time.monotonic() + 60.0

    while value_of(exporter, names.MONITOR_FAILURES.name) < 1:
        assert time.monotonic() < deadline, "the failure was never counted"
        time.sleep(0.02)
    push.close()
