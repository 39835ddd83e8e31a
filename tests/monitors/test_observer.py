"""The observer keeps one panel for each version in each role, and counts what it does."""

from __future__ import annotations

import numpy as np
import pytest

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.observer import Observer
from monitors.signal import Verdict
from monitors.telemetry import names
from monitors.telemetry.state import TelemetryState
from registry.records import Version
from tests.monitors.samples import CARD, SIGNATURE, block, columns, profile

VERSION = Version("m", 1, "sha256:0", SIGNATURE, CARD, "sha256:1", 1, "ada", "")
NOW = 100.0


@pytest.fixture
def observer() -> Observer:
    """An observer of one version, at a moment that stands still."""
    reference = profile(np.random.default_rng(1)).to_json()
    return Observer(Monitors(), lambda _model, _version: (VERSION, reference), "o", lambda: NOW)


def drifted(role: str, made_at: float = NOW) -> SampleBlock:
    """Rows of which one feature has moved by two standard deviations."""
    rows = block(columns(np.random.default_rng(2), 1000, shift=2.0), role=role)
    return SampleBlock(
        **{name: getattr(rows, name) for name in rows.__slots__ if name != "made_at"},
        made_at=made_at,
    )


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
