"""The observer keeps what awaits labels, and gives the monitors what is judged, each row once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.errors import NotFound, NotSupported, Unavailable
from configs.settings import Labels, Monitors
from monitors.blocks import SampleBlock
from monitors.kept import KeptInFolder
from monitors.labels.assigned import Assigned
from monitors.labels.book import LabelBook
from monitors.observer import Observer
from monitors.telemetry import names
from monitors.telemetry.state import TelemetryState
from registry.card import Card
from registry.records import Version
from registry.signature import Datatype, Signature, TensorSpec
from tests.monitors.labels.samples import CARD, DAY_S, START, label, predictions, waits_days

SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 1)),),
    outputs=(TensorSpec(name="p", datatype=Datatype.FP32, shape=(-1, 1)),),
)
SETTINGS = Monitors(detectors=("tests.monitors.labels.counting:COUNTING",), learn_rows=0)


class Watching:
    """An observer with its files, and a clock that stands until it is moved."""

    def __init__(self, folder: Path, card: Card = CARD) -> None:
        self.now = START
        self.card = card
        self.gone: set[int] = set()
        self._folder = folder
        self._open()

    def _open(self) -> None:
        self.book = LabelBook(self._folder / "labels", Labels())
        self.kept = KeptInFolder(self._folder / "monitors")
        self.observer = Observer(
            SETTINGS,
            self._describe,
            "o",
            clock=lambda: self.now,
            processor_time=lambda: 0.0,
            kept=self.kept,
            book=self.book,
        )

    def _describe(self, model: str, number: int) -> tuple[Version, bytes | None]:
        if number in self.gone:
            raise NotFound(f"no version {number} of {model!r}")
        return Version(model, number, "", SIGNATURE, self.card, None, 1, "ada", ""), None

    def crash(self) -> None:
        """Begin anew from what is on disk; what was in memory is lost."""
        self.book.close()  # Only to give its lock back, as the end of a process does.
        self._open()

    def keep(self) -> None:
        """Write what the monitors remember."""
        for place, state in self.observer.states().items():
            self.kept.write(place, state)

    def fold(self, *numbers: int, arm: tuple[int, str] = (1, "stable")) -> None:
        """Fold predictions."""
        self.observer.fold(block(list(numbers), self.now, arm))

    def hear(self, *messages: dict[str, Any]) -> None:
        """Take in labels, all of which are right."""
        assert self.observer.feedback("m", messages).refused_count == 0

    def folded(self, role: str = "stable", version: int = 1) -> tuple[int, float] | None:
        """How many judged rows the monitors of a role were given, and how many of them stand."""
        for watched in self.observer.signals("m"):
            if (watched.role, watched.version) == (role, version):
                (signal,) = (s for s in watched.signals if s.name == "counting")
                return signal.rows, signal.value or 0.0
        return None

    def series(self) -> dict[tuple[str, tuple[str, ...]], object]:
        """What is told to the exporter."""
        state = TelemetryState()
        for told in self.observer.snapshots():
            state.fold(told, 0.0)
        return {
            (each.metric.name, point.attributes): point.value
            for each in state.collect()
            for point in each.points
        }


def block(numbers: list[int], now: float, arm: tuple[int, str]) -> SampleBlock:
    """Predictions with the model's input."""
    made = predictions(numbers, now, arm=arm)
    return replace(made, inputs={"x": made.outputs["p"]})


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Watching]:
    """An observer of a model that awaits labels."""
    watching = Watching(tmp_path)
    yield watching
    watching.book.close()


def test_a_label_reaches_the_monitors_of_its_version(watching: Watching) -> None:
    """Of the version and role that answered, and of the shadow that answered too."""
    watching.fold(1, 2, 3)
    watching.fold(2, 3, arm=(2, "shadow"))
    watching.observer.look()
    watching.hear(label(1), label(2))

    assert watching.folded() == (2, 2.0)
    assert watching.folded("shadow", 2) == (1, 1.0)


def test_each_judged_row_is_folded_once_whatever_was_lost(watching: Watching) -> None:
    """Kept before the rows were folded, after it, and not at all."""
    watching.fold(*range(10))
    watching.observer.look()
    watching.hear(*[label(n) for n in range(4)])
    assert watching.folded() == (4, 4.0)
    watching.crash()  # Nothing was kept: the monitors begin anew, and are given all of it.
    assert watching.folded() == (4, 4.0)

    watching.keep()
    watching.hear(label(4), label(0, False))
    assert watching.folded() == (7, 5.0)
    watching.crash()
    assert watching.folded() == (7, 5.0)

    watching.keep()
    watching.crash()
    assert watching.folded() == (7, 5.0)
    watching.hear(label(5))
    assert watching.folded() == (8, 6.0)


def test_labels_of_a_version_that_nobody_asks_any_more_count_too(watching: Watching) -> None:
    """Its monitors are made again; of a version that is gone, rows are passed over."""
    watching.fold(1)
    watching.fold(2, arm=(2, "stable"))
    watching.observer.look()
    watching.crash()
    watching.gone.add(2)
    watching.hear(label(1), label(2))

    assert watching.folded() == (1, 1.0)
    assert watching.folded(version=2) is None
    assert watching.series()[names.MONITOR_FAILURES.name, ("labels",)] == 0


def test_pinned_requests_do_not_wait_for_labels(watching: Watching) -> None:
    """Whoever pins a version is not the traffic that it is judged by."""
    watching.fold(1)
    watching.fold(2, arm=(1, "pinned"))
    watching.observer.look()

    assert watching.observer.feedback("m", [label(2)]).waiting == 1
    assert watching.observer.labels("m").counts["predictions"] == 1


def test_labels_that_come_early_count_later(tmp_path: Path) -> None:
    """When their prediction is as old as the card expects, and nothing else has to happen."""
    watching = Watching(tmp_path, waits_days(3.0))
    watching.fold(1)
    watching.observer.look()
    watching.hear(label(1))
    watching.now = START + 3 * DAY_S - 1.0
    assert watching.folded() == (0, 0.0)
    watching.now += 1.0
    assert watching.folded() == (1, 1.0)
    watching.book.close()


def test_what_became_of_labels_is_told(watching: Watching) -> None:
    """Outcomes, what waits and the share that has come, in series that the registry knows."""
    watching.fold(1, 2, 3, 4)
    watching.observer.look()
    watching.now += 60.0
    receipt = watching.observer.feedback("m", [label(1), label(1), label(9), label(2, "x")])
    assert (receipt.joined, receipt.repeated, receipt.waiting) == (1, 1, 1)

    series = watching.series()

    for outcome, count in (("joined", 1), ("repeated", 1), ("waiting", 1), ("refused", 1)):
        assert series[names.LABELS.name, ("m", outcome)] == count
    assert series[names.LABELS.name, ("m", "unmatched")] == 0
    assert series[names.LABELS_PENDING.name, ("m",)] == 3.0
    assert series[names.LABELS_COVERAGE.name, ("m", "1", "stable")] == 0.25
    assert series[names.LABELS_PREDICTIONS_LOST.name, ("m", "evicted")] == 0
    (arm,) = watching.observer.labels("m").arms
    assert (arm.all.predictions, arm.all.labelled, arm.delays.labels) == (4, 1, 1)


def test_rows_that_do_not_fit_the_card_are_counted(watching: Watching) -> None:
    """The monitors go on, and say so themselves."""
    watching.observer.fold(replace(block([1], START, (1, "stable")), outputs={}))

    series = watching.series()

    assert series[names.MONITOR_FAILURES.name, ("labels",)] == 1
    assert series[names.LABELS_PREDICTIONS_LOST.name, ("m", "unreadable")] == 1


def test_a_disk_that_cannot_be_written_loses_labels_only(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is acknowledged, rows are counted as lost, and the monitors go on."""
    watching.fold(1)
    watching.observer.look()
    store = watching.book._stores["m"]
    store._db.execute("PRAGMA query_only = ON")
    watching.fold(2, 3)

    with pytest.raises(Unavailable, match="cannot be written"):
        watching.observer.feedback("m", [label(1)])
    series = watching.series()
    assert series[names.LABELS_PREDICTIONS_LOST.name, ("m", "unwritten")] == 2
    (watched,) = watching.observer.signals("m")
    assert watched.rows == 3

    store._db.execute("PRAGMA query_only = OFF")
    assert watching.observer.feedback("m", [label(1)]).joined == 1


def test_labels_may_come_before_anything_else(watching: Watching) -> None:
    """A version that somebody knows to await them is enough."""
    receipt = watching.observer.feedback("m", [label(1)], versions=[1])

    assert receipt.waiting == 1


def test_nothing_is_heard_of_a_model_of_which_nothing_is_known(watching: Watching) -> None:
    """The sender is to try again; what there is to say of its labels is not found."""
    with pytest.raises(Unavailable, match="try again"):
        watching.observer.feedback("another", [label(1)])
    with pytest.raises(NotFound):
        watching.observer.labels("another")


def test_without_a_book_labels_are_not_supported() -> None:
    """And nothing else is changed by its absence."""
    observer = Observer(
        SETTINGS,
        lambda model, number: (
            Version(model, number, "", SIGNATURE, CARD, None, 1, "ada", ""),
            None,
        ),
        "o",
        clock=lambda: START,
        processor_time=lambda: 0.0,
    )
    observer.fold(block([1], START, (1, "stable")))
    observer.look()
    with pytest.raises(NotSupported):
        observer.feedback("m", [label(1)])
    with pytest.raises(NotSupported):
        observer.labels("m")


def test_a_file_that_was_taken_away_is_begun_anew(watching: Watching, tmp_path: Path) -> None:
    """Numbers begin at one again, and are not taken for those that were folded."""
    watching.fold(*range(5))
    watching.observer.look()
    watching.hear(*[label(n) for n in range(5)])
    assert watching.folded() == (5, 5.0)
    watching.keep()
    watching.book.close()
    for path in (tmp_path / "labels").iterdir():
        path.unlink()
    watching.crash()
    watching.fold(10)
    watching.observer.look()
    watching.hear(label(10))

    assert watching.folded() == (6, 6.0)


def test_units_of_a_rollout_are_counted_where_labels_are_kept(watching: Watching) -> None:
    """With what they were assigned to, also after a crash that the monitors forget things by."""
    arm = Assigned("r", 7, "candidate")
    marks = np.full(2, None, dtype=np.object_)
    marks[1] = arm
    watching.observer.fold(replace(block([1, 2], START, (1, "stable")), assigned=marks))
    watching.observer.look()
    watching.hear(label(1), label(2))
    watching.crash()

    (units,) = watching.observer.labelled_units("m")

    assert (units.assigned, units.labelled, units.wrong) == (arm, 1, 1)
    assert watching.observer.labelled_units("other") == ()
