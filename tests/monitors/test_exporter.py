"""The exporter makes a page as often as it can afford to."""

from __future__ import annotations

from dataclasses import dataclass

from monitors.blocks import Series, Snapshot
from monitors.exporter import Exporter
from monitors.telemetry import names


@dataclass
class Clock:
    """A clock that goes on by so much whenever it is read."""

    step_s: float
    now: float = 0.0

    def __call__(self) -> float:
        """The time."""
        self.now += self.step_s
        return self.now


def told(exporter: Exporter, accept: str = "") -> float:
    """How many snapshots have failed, as the page tells it."""
    page, _ = exporter.page(accept)
    (line,) = [
        line
        for line in page.decode().splitlines()
        if line.startswith("weir_recorder_snapshots_failed_total ")
    ]
    return float(line.split()[-1])


def folded(exporter: Exporter, count: int) -> None:
    """Tell of so many failed snapshots."""
    counters: dict[Series, int] = {(names.SNAPSHOTS_FAILED.name, ()): count}
    exporter.fold(Snapshot("s", count, counters))


def test_a_page_that_takes_long_is_given_again() -> None:
    """For a while, and in each format; then what is new is told."""
    clock = Clock(0.05)
    exporter = Exporter(2.0, clock)
    folded(exporter, 1)
    assert told(exporter) == 1
    folded(exporter, 2)
    assert told(exporter) == 1
    assert told(exporter, "application/openmetrics-text; version=1.0.0") == 2
    clock.now += 1.0
    assert told(exporter) == 2


def test_a_quick_page_is_always_new() -> None:
    """Nothing stands between two counts and two pages."""
    exporter = Exporter(2.0, Clock(0.001))
    for count in (1, 2, 3):
        folded(exporter, count)
        assert told(exporter) == count
