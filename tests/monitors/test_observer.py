"""The observer keeps one panel for each version in each role, and counts what it does."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from configs.settings import Monitors
from monitors.blocks import Folded, SampleBlock
from monitors.observer import Observer
from monitors.panel import Panel
from monitors.signal import Verdict
from monitors.telemetry import names
from monitors.telemetry.state import TelemetryState
from registry.records import Version
from tests.monitors.samples import CARD, SIGNATURE, block, close, columns, part, profile

VERSION = Version("m", 1, "sha256:0", SIGNATURE, CARD, "sha256:1", 1, "ada", "")
NOW = 100.0


@pytest.fixture
def observer() -> Observer:
    """An observer of one version, at a moment that stands still."""
    reference = profile(np.random.default_rng(1)).to_json()
    ticks = count()
    return Observer(
        Monitors(),
        lambda _model, _version: (VERSION, reference),
        "o",
        clock=lambda: NOW,
        processor_time=lambda: float(next(ticks)),
    )


def drifted(role: str, made_at: float = NOW) -> SampleBlock:
    """Rows of which one feature has moved by two standard deviations."""
    rows = block(columns(np.random.default_rng(2), 1000, shift=2.0), role=role)
    return replace(rows, made_at=made_at)


def test_roles_are_watched_apart(observer: Observer) -> None:
    """A drift in what the shadow sees is not laid at the stable arm's door."""
    observer.fold(block(columns(np.random.default_rng(3), 300)))
    observer.fold(drifted("shadow"))

    watched = {each.role: each for each in observer.signals("m")}

    assert set(watched) == {"stable", "shadow"}
    assert watched["shadow"].rows == 1000
    alarms = {
        role: {signal.subject for signal in each.signals if signal.verdict is Verdict.ALARM}
        for role, each in watched.items()
    }
    assert "age" in alarms["shadow"]
    assert "age" not in alarms["stable"]


def test_pinned_requests_are_not_watched(observer: Observer) -> None:
    """Whoever pins a version is not the traffic that it was made for."""
    observer.fold(drifted("pinned"))

    assert observer.signals("m") == ()
    assert observer.signals("another") == ()


def test_what_it_does_is_counted(observer: Observer) -> None:
    """Blocks, lag and each alarm once are told in series that the telemetry registry knows."""
    observer.fold(drifted("stable", made_at=NOW - 3.0))
    observer.snapshot()

    told = observer.snapshot()

    state = TelemetryState()
    state.fold(told, 0.0)
    found = {
        (each.metric.name, point.attributes): point.value
        for each in state.collect()
        for point in each.points
    }
    assert found[names.MONITOR_BLOCKS.name, ("m", "1")] == 1
    assert found[names.MONITOR_LAG.name, ("panel",)] == 3.0
    assert found[names.MONITOR_FAILURES.name, ("panel",)] == 0
    assert found[names.ALARMS.name, ("m", "1", "stable", "drift", "input_drift", "age")] == 1
    refused = [value for (name, _), value in found.items() if name == names.TELEMETRY_REFUSED.name]
    assert not any(refused)


def test_small_blocks_are_folded_together(observer: Observer) -> None:
    """Blocks of 40 rows wait for 250, or for a look; signals are those of one block."""
    whole = block(columns(np.random.default_rng(4), 600))
    for at in range(0, 600, 40):
        observer.fold(part(whole, at, at + 40))
    assert observer.folded == Folded(560, 2.0)

    (watched,) = observer.signals("m")

    assert watched.rows == 600
    assert observer.folded.rows == 560  # Folds of a few rows say little about the cost of a row.
    panel = Panel(CARD, SIGNATURE, profile(np.random.default_rng(1)), Monitors())
    panel.update(whole)
    assert close(watched.signals, panel.signals())


def test_blocks_that_differ_are_folded_apart(observer: Observer) -> None:
    """Another rate, another group attribute: nothing is joined that would lose something."""
    whole = block(columns(np.random.default_rng(4), 90))
    for changed in (
        part(whole, 0, 30),
        replace(part(whole, 30, 60), rate=0.5),
        replace(part(whole, 60, 90), rate=0.5, groups={}),
    ):
        observer.fold(changed)

    (watched,) = observer.signals("m")

    assert {signal.rows for signal in watched.signals if signal.name == "input_drift"} == {90}
    sexes = [signal.rows for signal in watched.signals if signal.subject.startswith("sex=")]
    assert sum(sexes) == 90


def test_a_look_at_what_has_not_changed_is_not_repeated(observer: Observer) -> None:
    """Signals are asked for once after rows came, and stand until more come."""
    observer.fold(block(columns(np.random.default_rng(3), 300)))
    (first,) = observer.signals("m")
    before = first.signals

    observer.look()
    assert first.signals is before

    observer.fold(block(columns(np.random.default_rng(5), 10), first=300))
    observer.look()
    assert first.signals is not before
