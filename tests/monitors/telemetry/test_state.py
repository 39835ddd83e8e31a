"""The fold over snapshots: exact totals that never go backwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.blocks import HistogramCounts, Series, Snapshot
from monitors.telemetry import names
from monitors.telemetry.names import Across, Kind
from monitors.telemetry.state import Refusal, TelemetryState, Value
from tests.monitors.telemetry.example import counts_of, everything, series_of

SAMPLES = series_of(names.SAMPLES)
DURATION = series_of(names.INFERENCE_DURATION)
LAG = series_of(names.MONITOR_LAG)


def totals(state: TelemetryState) -> dict[Series, Value]:
    """What the state has collected, series by series."""
    return {
        (each.metric.name, point.attributes): point.value
        for each in state.collect()
        for point in each.points
    }


def refused(state: TelemetryState) -> dict[str, Value]:
    """How many series were refused, by reason, where any were."""
    name = names.TELEMETRY_REFUSED.name
    return {key[1][0]: value for key, value in totals(state).items() if key[0] == name and value}


def counted(source: str, sequence: int, samples: int) -> Snapshot:
    """A snapshot with one counter."""
    return Snapshot(source, sequence, counters={SAMPLES: samples})


def test_everything_in_the_registry_is_folded() -> None:
    """A snapshot with every metric comes out whole, and nothing of it is refused."""
    state = TelemetryState()
    state.fold(everything(), now=0.0)
    assert {name for name, _ in totals(state)} == names.METRICS.keys()
    assert refused(state) == {}


def test_totals_are_sums_over_sources() -> None:
    """Counters and histograms of two sources add up exactly."""
    state = TelemetryState()
    state.fold(everything("a", count=2**60 + 1), now=0.0)
    state.fold(everything("b", count=3), now=0.0)
    assert totals(state)[SAMPLES] == 2**60 + 4
    assert totals(state)[DURATION] == HistogramCounts((2**60 + 4,) * 17, (2**60 + 1) / 8 + 3 / 8)


def test_a_snapshot_replaces_the_earlier_ones_of_its_source() -> None:
    """Cumulative counts are not added to themselves, and an old or repeated snapshot is nothing."""
    state = TelemetryState()
    for sequence, samples in ((0, 5), (3, 8), (3, 9), (2, 7)):
        state.fold(counted("a", sequence, samples), now=0.0)
    assert totals(state)[SAMPLES] == 8


def test_a_part_replaces_only_what_it_said_itself() -> None:
    """A source that speaks in parts is one source, and each part has a word of its own."""
    state = TelemetryState(silent_s=10.0)
    one, two = (LAG[0], ("one",)), (LAG[0], ("two",))
    state.fold(Snapshot("a", 1, counters={SAMPLES: 5}), now=0.0)
    state.fold(Snapshot("a", 1, gauges={one: 1.0}, part="one"), now=0.0)
    state.fold(Snapshot("a", 1, gauges={two: 2.0}, part="two"), now=0.0)
    state.fold(Snapshot("a", 2, gauges={two: 3.0}, part="two"), now=8.0)
    found = totals(state)
    assert (found[SAMPLES], found[one], found[two]) == (5, 1.0, 3.0)
    assert found[names.TELEMETRY_SOURCES.name, ()] == 1

    state.retire(now=12.0)

    assert one not in totals(state)
    assert totals(state)[two] == 3.0


def test_of_a_silent_part_without_counts_nothing_is_remembered() -> None:
    """Gauges alone leave nothing that could be counted twice."""
    state = TelemetryState(silent_s=1.0, retired_max=2)
    state.fold(Snapshot("a", 1, gauges={LAG: 1.0}, part="one"), now=0.0)
    state.retire(now=5.0)
    assert not state._sources


def test_a_reading_that_is_no_number_is_refused_however_often_it_was_one() -> None:
    """What was accepted of a series says nothing about its next value."""
    state = TelemetryState()
    state.fold(Snapshot("a", 1, gauges={LAG: 1.0}), now=0.0)
    state.fold(Snapshot("a", 2, gauges={LAG: float("nan")}), now=1.0)
    assert LAG not in totals(state)
    assert refused(state) == {Refusal.WRONG_VALUE.value: 1}


def test_a_silent_source_leaves_its_counts_and_takes_its_gauges() -> None:
    """After `silent_s` a source's gauges vanish, and what it counted stays."""
    state = TelemetryState(silent_s=10.0)
    state.fold(everything("a"), now=0.0)
    state.retire(now=10.0)
    assert LAG in totals(state)
    state.retire(now=10.1)
    assert LAG not in totals(state)
    assert totals(state)[SAMPLES] == 3
    assert totals(state)[DURATION] == counts_of(names.INFERENCE_DURATION, 3)
    assert totals(state)[names.TELEMETRY_SOURCES.name, ()] == 0


def test_a_source_that_speaks_again_is_counted_once() -> None:
    """A process that was only slow does not count twice when it comes back."""
    state = TelemetryState(silent_s=10.0)
    state.fold(counted("a", 1, 5), now=0.0)
    state.retire(now=60.0)
    state.fold(counted("a", 2, 7), now=61.0)
    assert totals(state)[SAMPLES] == 7


def test_the_memory_of_silent_sources_is_bounded() -> None:
    """Beyond the limit the oldest silent source becomes part of the total, and nothing is lost."""
    state = TelemetryState(silent_s=1.0, retired_max=2)
    for number in range(9):
        state.fold(everything(f"s{number}"), now=10.0 * number)
        state.retire(now=10.0 * number + 5.0)
    assert len(state._sources) == 2
    assert totals(state)[SAMPLES] == 27
    assert totals(state)[DURATION] == counts_of(names.INFERENCE_DURATION, 27)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from("abcd"), st.integers(0, 3), st.integers(0, 2**50)),
            st.floats(0.0, 20.0),
        ),
        max_size=40,
    )
)
def test_totals_never_go_backwards(events: list[tuple[str, int, int] | float]) -> None:
    """Whatever sources start, die, come back or repeat themselves, no total ever falls."""
    state = TelemetryState(silent_s=5.0, retired_max=1)
    now, sequences = 0.0, dict.fromkeys("abcd", 0)
    counts = dict.fromkeys("abcd", 0)
    highest, last = 0, HistogramCounts((0,) * 17, 0.0)
    for event in events:
        if isinstance(event, float):
            now += event
            state.retire(now)
        else:
            source, step, more = event
            sequences[source] += step
            counts[source] += more
            snapshot = Snapshot(
                source,
                sequences[source],
                {SAMPLES: counts[source]},
                {DURATION: counts_of(names.INFERENCE_DURATION, counts[source])},
            )
            state.fold(snapshot, now)
        found = totals(state)
        samples, duration = found.get(SAMPLES, 0), found.get(DURATION, last)
        assert isinstance(samples, int)
        assert isinstance(duration, HistogramCounts)
        assert samples >= highest
        assert all(a >= b for a, b in zip(duration.buckets, last.buckets, strict=True))
        highest, last = samples, duration


@pytest.mark.parametrize(
    ("across", "metric", "expected"),
    [
        (Across.SUM, names.VERSION_READY, 7.0),
        (Across.MIN, names.ROUTER_GENERATION, 3.0),
        (Across.MAX, names.MONITOR_LAG, 4.0),
        (Across.LATEST, names.SIGNAL_VALUE, 3.0),
    ],
)
def test_gauges_of_several_sources_become_one(
    across: Across, metric: names.Metric, expected: float
) -> None:
    """Each gauge is combined as its entry in the registry says; the latest word is by time."""
    assert metric.across is across
    state, series = TelemetryState(), series_of(metric)
    for source, sequence, value in (("a", 1, 9.0), ("b", 1, 4.0), ("a", 2, 3.0)):
        state.fold(Snapshot(source, sequence, gauges={series: value}), now=0.0)
    assert totals(state)[series] == expected


def test_a_gauge_that_a_source_no_longer_reports_vanishes() -> None:
    """Gauges are as they are now, unlike counters, which stay."""
    state = TelemetryState()
    state.fold(everything("a", 1), now=0.0)
    state.fold(Snapshot("a", 2), now=1.0)
    assert LAG not in totals(state)
    assert totals(state)[SAMPLES] == 3


_BATCH = counts_of(names.BATCH_SIZE, 1)
_NEGATIVE = counts_of(names.INFERENCE_DURATION, -1)
_NO_SUM = HistogramCounts((1,) * 17, float("nan"))


@pytest.mark.parametrize(
    ("reason", "part"),
    [
        pytest.param(Refusal.UNKNOWN_NAME, {"counters": {("weir.sample", ()): 1}}, id="unknown"),
        pytest.param(
            Refusal.UNKNOWN_NAME, {"gauges": {(names.TELEMETRY_SOURCES.name, ()): 1.0}}, id="ours"
        ),
        pytest.param(Refusal.WRONG_KIND, {"gauges": {SAMPLES: 1.0}}, id="kind"),
        pytest.param(
            Refusal.WRONG_ATTRIBUTES, {"counters": {(SAMPLES[0], ("m",)): 1}}, id="too few values"
        ),
        pytest.param(
            Refusal.WRONG_ATTRIBUTES, {"counters": {(SAMPLES[0], ("m", "v2")): 1}}, id="no number"
        ),
        pytest.param(
            Refusal.WRONG_ATTRIBUTES, {"counters": {(SAMPLES[0], ("m", "²")): 1}}, id="no digit"
        ),
        pytest.param(Refusal.WRONG_VALUE, {"counters": {SAMPLES: -1}}, id="negative"),
        pytest.param(Refusal.WRONG_VALUE, {"histograms": {DURATION: _NEGATIVE}}, id="bucket < 0"),
        pytest.param(Refusal.WRONG_VALUE, {"histograms": {DURATION: _NO_SUM}}, id="no sum"),
        pytest.param(Refusal.WRONG_VALUE, {"gauges": {LAG: float("nan")}}, id="not a number"),
        pytest.param(Refusal.WRONG_VALUE, {"histograms": {DURATION: _BATCH}}, id="buckets"),
    ],
)
def test_a_series_that_cannot_be_right_is_refused_and_counted(
    reason: Refusal, part: Mapping[str, Mapping[Series, object]]
) -> None:
    """What the registry does not know never reaches the page, and everybody sees that it came."""
    state = TelemetryState()
    state.fold(replace(Snapshot("a", 1), **part), now=0.0)  # type: ignore[arg-type]
    assert refused(state) == {reason.value: 1}
    assert {name for name, _ in totals(state)} == {
        names.TELEMETRY_REFUSED.name,
        names.TELEMETRY_SOURCES.name,
    }


def test_a_count_that_falls_within_a_source_is_refused() -> None:
    """A source that loses its memory without a new name cannot pull the totals down."""
    state = TelemetryState()
    state.fold(everything("a", 1, count=5), now=0.0)
    state.fold(everything("a", 2, count=4), now=0.0)
    kinds = [metric.kind for metric in names.METRICS.values()]
    wrong = kinds.count(Kind.COUNTER) - 1 + kinds.count(Kind.HISTOGRAM)
    assert totals(state)[SAMPLES] == 5
    assert refused(state) == {Refusal.WENT_BACKWARDS.value: wrong}


def test_the_number_of_series_is_bounded() -> None:
    """A metric takes no more series than its limit over all sources, and the others are counted."""
    state = TelemetryState(series_max=3)
    for source in ("a", "b"):
        counters: dict[Series, int] = {
            (SAMPLES[0], (f"{source}{number}", "1")): 1 for number in range(2)
        }
        state.fold(Snapshot(source, 1, counters=counters), now=0.0)
    assert sum(name == SAMPLES[0] for name, _ in totals(state)) == 3
    assert refused(state) == {Refusal.TOO_MANY_SERIES.value: 1}


def test_gauges_that_are_gone_make_room() -> None:
    """A gauge of a retired source does not take the place of a living one for ever."""
    state = TelemetryState(silent_s=1.0, series_max=1)
    state.fold(Snapshot("a", 1, gauges={(LAG[0], ("x",)): 1.0}), now=0.0)
    state.retire(now=5.0)
    state.fold(Snapshot("b", 1, gauges={(LAG[0], ("y",)): 1.0}), now=6.0)
    assert refused(state) == {}
    assert totals(state)[LAG[0], ("y",)] == 1.0
