"""The observer keeps one panel for each version in each role, and counts what it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from configs.errors import NotFound, NotSupported
from configs.settings import AlarmMode, Monitors
from monitors.blocks import Folded, SampleBlock
from monitors.kept import Place
from monitors.observer import Observer
from monitors.panel import Panel
from monitors.signal import Signal, State, Verdict
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
    observer.note_failure_of_why()
    state = TelemetryState()

    for _ in range(2):
        for told in observer.snapshots():
            state.fold(told, 0.0)

    found = {
        (each.metric.name, point.attributes): point.value
        for each in state.collect()
        for point in each.points
    }
    assert found[names.MONITOR_BLOCKS.name, ("m", "1")] == 1
    assert found[names.MONITOR_LAG.name, ("panel",)] == 3.0
    assert found[names.MONITOR_FAILURES.name, ("panel",)] == 0
    assert found[names.MONITOR_FAILURES.name, ("why",)] == 1
    assert found[names.ALARMS.name, ("m", "1", "stable", "drift", "input_drift", "age")] == 1
    psi = ("m", "1", "stable", "drift", "input_drift", "age", "psi")
    (watched,) = observer.signals("m")
    (age,) = (s for s in watched.signals if (s.name, s.subject) == ("input_drift", "age"))
    assert found[names.SIGNAL_DISTANCE.name, psi] == age.distances[0].value
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


class Memory:
    """Keeps states in memory."""

    def __init__(self) -> None:
        self.held: dict[Place, State] = {}
        self.moment = 0.0

    def all(self) -> Iterator[tuple[Place, State]]:
        """Every state."""
        yield from tuple(self.held.items())

    def write(self, place: Place, state: State) -> None:
        """Keep one."""
        self.held[place] = state

    def forget(self, place: Place) -> None:
        """Keep none."""
        self.held.pop(place, None)

    def forget_older(self, moment: float) -> None:
        """Note since when what is kept must have been written."""
        self.moment = moment


def started(kept: Memory, reference: bytes, settings: Monitors | None = None) -> Observer:
    """An observer that goes on from what is kept."""
    return Observer(
        settings or Monitors(),
        lambda _model, _version: (VERSION, reference),
        "o",
        clock=lambda: NOW,
        processor_time=lambda: 0.0,
        kept=kept,
    )


REFERENCE = profile(np.random.default_rng(1)).to_json()
STABLE = ("m", 1, "stable")
AGE = ("drift", "input_drift", "age")


def keep(observer: Observer, kept: Memory) -> None:
    """Keep what has changed."""
    for place, state in observer.states().items():
        kept.write(place, state)


def test_a_restart_forgets_nothing_that_was_kept() -> None:
    """Signals, rows by source, alarms and when they were raised, before any row has come."""
    kept = Memory()
    first = started(kept, REFERENCE)
    first.fold(drifted("stable"))
    first.fold(part(block(columns(np.random.default_rng(2), 40)), 0, 40))
    keep(first, kept)
    assert first.states() == {}

    second = started(kept, REFERENCE)

    assert second.alarms() == first.alarms()
    assert second.taken("s") == 1040
    (before,), (after,) = first.signals("m"), second.signals("m")
    assert after.rows == 1040
    assert close(after.signals, before.signals)
    counted = [name for snapshot in second.snapshots() for name, _ in snapshot.counters]
    assert names.ALARMS.name not in counted  # They were raised before, and counted then.


def test_rows_after_the_last_time_it_was_kept_are_missed() -> None:
    """`taken` says to the row what a killed observer has lost."""
    kept = Memory()
    first = started(kept, REFERENCE)
    first.fold(part(drifted("stable"), 0, 300))
    keep(first, kept)
    first.fold(part(drifted("stable"), 300, 700))
    assert first.taken("s") == 700

    second = started(kept, REFERENCE)
    second.fold(part(drifted("stable"), 700, 800))

    assert second.taken("s") == 400


def test_another_reference_or_promise_begins_anew() -> None:
    """Evidence against one reference, or under one promise, is none under another."""
    kept = Memory()
    first = started(kept, REFERENCE)
    first.fold(drifted("stable"))
    keep(first, kept)
    held = dict(kept.held)
    others = (
        (profile(np.random.default_rng(7)).to_json(), Monitors()),
        (REFERENCE, Monitors(alarm_mode=AlarmMode.DETECTOR)),
    )
    for reference, settings in others:
        kept.held = dict(held)
        assert started(kept, reference, settings).alarms() == ()
        assert kept.held == {}


def test_a_version_that_is_gone_is_forgotten() -> None:
    """What was kept for it does not stand in the way of the others."""
    kept = Memory()
    first = started(kept, REFERENCE)
    first.fold(drifted("stable"))
    keep(first, kept)

    def gone(_model: str, _version: int) -> tuple[Version, bytes | None]:
        raise NotFound("deleted")

    observer = Observer(Monitors(), gone, "o", lambda: NOW, lambda: 0.0, kept)

    assert observer.alarms() == ()
    assert kept.held == {}


def test_what_cannot_be_described_yet_is_recalled_later() -> None:
    """The registry is out of reach at the first question, and there at the second."""
    kept = Memory()
    first = started(kept, REFERENCE)
    first.fold(drifted("stable"))
    keep(first, kept)
    answers: list[Exception | None] = [ConnectionError("not yet"), None]

    def slow(_model: str, _version: int) -> tuple[Version, bytes | None]:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return VERSION, REFERENCE

    observer = Observer(Monitors(), slow, "o", lambda: NOW, lambda: 0.0, kept)
    with pytest.raises(ConnectionError):
        observer.alarms()
    assert observer.alarms() == first.alarms()


def test_an_alarm_has_its_time_and_arming(observer: Observer) -> None:
    """It stands from when it was raised until it is armed anew, and may then be raised again."""
    observer.fold(drifted("stable"))
    (age,) = [each for each in observer.alarms() if each.key[3:6] == AGE]
    assert (age.raised_at, age.arming) == (NOW, 1)
    assert age.key == (*STABLE, *AGE, 1)

    observer.rearm(STABLE, AGE)
    assert AGE not in {each.key[3:6] for each in observer.alarms()}

    observer.fold(replace(drifted("stable"), source="t"))
    (age,) = [each for each in observer.alarms() if each.key[3:6] == AGE]
    assert age.arming == 2


def test_what_is_not_watched_cannot_be_armed(observer: Observer) -> None:
    """A version without traffic is not found."""
    with pytest.raises(NotFound, match="as canary is not watched"):
        observer.rearm(("m", 1, "canary"), AGE)


def test_few_sources_are_remembered(observer: Observer) -> None:
    """After many gateway processes only the latest are known by their rows."""
    for number in range(100):
        rows = block(columns(np.random.default_rng(number), 2), first=2 * number)
        observer.fold(replace(rows, source=f"gateway-{number}"))
    assert observer.taken("gateway-99") == 2
    assert observer.taken("gateway-0") == 0


def without_reference(kept: Memory, rows: int = 300) -> Observer:
    """An observer of a version that came without a reference."""
    return Observer(
        Monitors(learn_rows=rows),
        lambda _model, _version: (VERSION, None),
        "o",
        clock=lambda: NOW,
        processor_time=lambda: 0.0,
        kept=kept,
    )


def clean(first: int, rows: int = 300) -> SampleBlock:
    """Rows that have not moved."""
    return block(columns(np.random.default_rng(first), rows), first=first)


def drift_of_age(observer: Observer) -> Signal:
    """What is said of the feature that may move."""
    (watched,) = observer.signals("m")
    (signal,) = [s for s in watched.signals if (s.name, s.subject) == ("input_drift", "age")]
    return signal


def test_a_version_without_a_reference_learns_one() -> None:
    """It says how far it is, then watches against its first rows, and finds a later change."""
    observer = without_reference(Memory())
    observer.fold(clean(1, 260))
    signal = drift_of_age(observer)
    assert (signal.verdict, signal.rows_needed) == (Verdict.INSUFFICIENT_DATA, 40)
    assert "260 of 300" in signal.message

    observer.fold(clean(300))
    observer.fold(clean(600))
    assert drift_of_age(observer).verdict is Verdict.OK
    assert "learned from the first 300 live rows" in drift_of_age(observer).message

    observer.fold(drifted("stable"))
    assert drift_of_age(observer).verdict is Verdict.ALARM


def test_learning_can_be_switched_off() -> None:
    """Then a version without a reference says what it lacks."""
    observer = without_reference(Memory(), rows=0)
    observer.fold(clean(1, 1000))
    assert "--reference" in drift_of_age(observer).message
    with pytest.raises(NotSupported, match="learn_rows is 0"):
        observer.adopt(STABLE)


def test_what_was_learned_outlives_the_process() -> None:
    """The reference and the evidence against it; learning that was under way begins anew."""
    kept = Memory()
    first = without_reference(kept)
    first.fold(clean(1, 260))
    keep(first, kept)
    second = without_reference(kept)
    assert drift_of_age(second).rows_needed == 300

    second.fold(clean(300))
    second.fold(drifted("stable"))
    keep(second, kept)
    third = without_reference(kept)
    assert drift_of_age(third).verdict is Verdict.ALARM
    assert third.alarms() == second.alarms()


def test_an_adopted_reference_ends_all_alarms_of_a_version() -> None:
    """What moved becomes what is usual, also after a restart in the middle; armings go on."""
    kept = Memory()
    first = started(kept, REFERENCE, Monitors(learn_rows=300))
    first.fold(drifted("stable"))
    assert first.alarms()
    first.adopt(STABLE)
    assert first.alarms() == ()
    first.fold(part(drifted("stable"), 0, 260))
    keep(first, kept)

    observer = started(kept, REFERENCE, Monitors(learn_rows=300))
    assert "learning a reference" in drift_of_age(observer).message
    for seed in range(4):
        moved = block(columns(np.random.default_rng(seed + 50), 300, shift=2.0), first=300 * seed)
        observer.fold(moved)
    assert drift_of_age(observer).verdict is Verdict.OK

    observer.fold(clean(5000))
    (alarm,) = [each for each in observer.alarms() if each.key[3:6] == AGE]
    assert alarm.arming == 2


DAY_S = 24 * 3600.0


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 20_000 * DAY_S

    def __call__(self) -> float:
        """The time now."""
        return self.now

    def go_on(self, days: float) -> None:
        """Let time pass."""
        self.now += days * DAY_S


def dated(kept: Memory, clock: Time, reference: bytes | None = REFERENCE) -> Observer:
    """An observer whose time can pass, of what lives for ten days."""
    return Observer(
        Monitors(time_to_live_days=10, learn_rows=300),
        lambda _model, _version: (VERSION, reference),
        "o",
        clock=clock,
        processor_time=lambda: 0.0,
        kept=kept,
    )


def now(rows: SampleBlock, clock: Time) -> SampleBlock:
    """Rows that are made now."""
    return replace(rows, made_at=clock.now)


def test_what_nothing_comes_to_is_forgotten_when_its_time_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Panel, alarms and what is kept; it is said once, and what was counted stays counted."""
    kept, clock = Memory(), Time()
    observer = dated(kept, clock)
    observer.fold(now(drifted("stable"), clock))
    observer.fold(now(clean(1), clock))
    keep(observer, kept)
    assert observer.alarms()
    taken = observer.taken("s")

    clock.go_on(9.9)
    observer.fold(now(drifted("shadow"), clock))
    keep(observer, kept)
    assert set(kept.held) == {STABLE, ("m", 1, "shadow")}
    assert observer.alarms()

    clock.go_on(0.2)
    (left,) = observer.signals("m")
    observer.look()
    assert left.role == "shadow"
    assert set(kept.held) == {("m", 1, "shadow")}
    assert {each.key[2] for each in observer.alarms()} == {"shadow"}
    assert observer.taken("s") == taken + 1000
    assert sum("are forgotten" in line for line in caplog.messages) == 1
    assert kept.moment == clock.now - 10 * DAY_S

    observer.fold(now(clean(1), clock))
    (stable,) = [each for each in observer.signals("m") if each.role == "stable"]
    assert stable.rows == 300


def test_a_count_of_failures_never_falls() -> None:
    """Those of a panel that is forgotten stay in it."""
    kept, clock = Memory(), Time()
    observer = dated(kept, clock)
    observer.fold(now(clean(1), clock))
    (watched,) = observer.signals("m")
    watched.panel.failures = 3
    for days in (0.0, 11.0):
        clock.go_on(days)
        counted = observer.snapshots()[0].counters
        assert counted[names.MONITOR_FAILURES.name, ("panel",)] == 3
    assert observer.signals("m") == ()


def test_what_was_too_old_at_the_start_is_not_gone_on_from() -> None:
    """Rows that come then begin anew; what is younger goes on, and its file is that of before."""
    for days, rows in ((9.0, 600), (11.0, 300)):
        kept, clock = Memory(), Time()
        first = dated(kept, clock)
        first.fold(now(clean(1), clock))
        keep(first, kept)
        clock.go_on(days)
        second = dated(kept, clock)
        second.fold(now(clean(400), clock))
        (watched,) = second.signals("m")
        assert watched.rows == rows


def test_a_state_from_before_it_was_dated_lives_from_now_on() -> None:
    """Nothing says how old it is."""
    kept, clock = Memory(), Time()
    first = dated(kept, clock)
    first.fold(now(clean(1), clock))
    keep(first, kept)
    kept.held[STABLE] = {
        name: held for name, held in kept.held[STABLE].items() if name != "watched/came_at"
    }
    clock.go_on(30)
    second = dated(kept, clock)
    assert [each.rows for each in second.signals("m")] == [300]
    clock.go_on(11)
    assert second.signals("m") == ()


def test_old_windows_go_though_there_is_room() -> None:
    """Of a version to which rows come still; in memory, and from what is kept too."""
    kept, clock = Memory(), Time()
    observer = dated(kept, clock)
    for at in range(3):
        observer.fold(now(clean(1 + 400 * at), clock))
        keep(observer, kept)
        clock.go_on(4)
    minutes = 30 * 24 * 60
    assert lived(observer, minutes) == {"age": 600, "town": 600, "score": 600, "decision": 600}
    keep(observer, kept)
    held = kept.held[STABLE]
    oldest = min(held[name][:, 1].min() for name in held if name.endswith("windows"))
    assert oldest >= (clock.now - 11 * DAY_S) // 60
    (watched,) = observer.signals("m")
    assert watched.rows == 900
    assert lived(observer, None) == {"age": 900, "town": 900, "score": 900, "decision": 900}


def lived(observer: Observer, minutes: int | None) -> dict[str, int]:
    """How many rows the bins of some subjects hold."""
    found = {}
    for subject in ("age", "town", "score", "decision"):
        ((_, bins),) = observer.bins("m", subject, minutes)
        found[subject] = int(bins.live.sum())
    return found


def test_old_rows_are_not_learned_from() -> None:
    """A reference comes from rows of its time; what is dropped is lacking again."""
    clock = Time()
    observer = dated(Memory(), clock, reference=None)
    observer.fold(now(clean(1, 200), clock))
    assert drift_of_age(observer).rows_needed == 100
    clock.go_on(6)
    observer.fold(now(clean(300, 50), clock))
    assert drift_of_age(observer).rows_needed == 50
    clock.go_on(6)
    assert drift_of_age(observer).rows_needed == 250
