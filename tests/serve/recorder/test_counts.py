"""Counts are exact, and a snapshot of them may be taken from another thread at any moment."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import pairwise
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.telemetry import names
from monitors.telemetry.names import BATCH_SIZE, SAMPLES, SHADOW_REQUESTS
from serve.recorder.counts import Counts, Histogram

SERIES = (BATCH_SIZE.name, ("credit", "1"))


@given(st.lists(st.floats(0, 20, allow_nan=False)), st.sets(st.floats(0, 20), min_size=1))
def test_each_value_is_in_the_first_bucket_that_holds_it(
    values: list[float], bounds: set[float]
) -> None:
    """Bounds are inclusive from above, and one more bucket takes what lies beyond them."""
    ordered = tuple(sorted(bounds))
    histogram = Histogram(ordered)
    for value in values:
        histogram.record(value)

    edges = [float("-inf"), *ordered, float("inf")]
    assert histogram.buckets == [
        sum(low < value <= high for value in values) for low, high in pairwise(edges)
    ]
    assert histogram.total == pytest.approx(sum(values))


def test_a_series_has_one_histogram() -> None:
    """Whoever asks for a series gets the same live histogram."""
    counts = Counts()

    assert counts.histogram(BATCH_SIZE, "credit", "1") is counts.histogram(
        BATCH_SIZE, "credit", "1"
    )


def test_a_snapshot_stands_still() -> None:
    """What is counted later is not in a snapshot that was taken before."""
    counts = Counts()
    histogram = counts.histogram(BATCH_SIZE, "credit", "1")
    histogram.record(2.0)
    counts.add(SAMPLES, "credit", "1", by=3)

    snapshot = counts.snapshot("me", 7, {(names.ROUTER_GENERATION.name, ()): 4.0})
    histogram.record(2.0)
    counts.add(SAMPLES, "credit", "1")

    assert (snapshot.source, snapshot.sequence) == ("me", 7)
    assert snapshot.counters == {(SAMPLES.name, ("credit", "1")): 3}
    assert (sum(snapshot.histograms[SERIES].buckets), snapshot.histograms[SERIES].total) == (1, 2.0)
    assert snapshot.gauges == {(names.ROUTER_GENERATION.name, ()): 4.0}


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
def test_snapshots_from_another_thread() -> None:
    """Snapshots taken while another thread counts never fail, never shrink, and end exact."""
    counts, done = Counts(), False
    seen: list[int] = []

    def look() -> None:
        while not done:
            found = counts.snapshot("me", 0)
            seen.append(sum(found.counters.values()))

    looking = Thread(target=look)
    looking.start()
    for number in range(20_000):
        counts.add(SHADOW_REQUESTS, "credit", str(number % 500), "sent")
        counts.histogram(BATCH_SIZE, "credit", str(number % 500)).record(1.0)
    done = True
    looking.join()

    assert seen == sorted(seen)
    last = counts.snapshot("me", 1)
    assert sum(last.counters.values()) == 20_000
    assert sum(sum(found.buckets) for found in last.histograms.values()) == 20_000
