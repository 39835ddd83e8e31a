"""With strata a rhythm and another mix of segments alarm nobody; a true change still does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.settings import AlarmMode, Monitors
from monitors.blocks import SampleBlock
from monitors.panel import Panel
from monitors.profile.build import build_profile
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal, Verdict
from registry.card import Card, Decision, Feature, FeatureType, Score, Strata, Task
from registry.signature import Datatype, Signature, TensorSpec
from tests.monitors.samples import close, part

NAMES = ("waved", "still", "colour")
FEATURES = (
    Feature(name="waved", input="x", column=0),
    Feature(name="still", input="x", column=1),
    Feature(name="colour", input="c", column=0, type=FeatureType.CATEGORICAL),
    Feature(name="shop", input="c", column=1, type=FeatureType.CATEGORICAL),
)
PLAIN = Card(task=Task.REGRESSION, score=Score(output="y"), features=FEATURES)
HOURLY = PLAIN.model_copy(update={"strata": Strata(hour_of_week=True, hours=3, time="at")})
BY_SHOP = PLAIN.model_copy(update={"strata": Strata(feature="shop")})
SIGNATURE = Signature(
    inputs=(
        TensorSpec(name="x", datatype=Datatype.FP64, shape=(-1, 2)),
        TensorSpec(name="c", datatype=Datatype.INT64, shape=(-1, 2)),
    ),
    outputs=(
        TensorSpec(name="y", datatype=Datatype.FP64, shape=(-1, 1)),
        TensorSpec(name="classes", datatype=Datatype.FP64, shape=(-1, 2)),
    ),
)
HOUR_S = 3600.0
HOUR_ROWS = 60
WEEK = 168 * HOUR_ROWS

Rows = dict[str, NDArray[Any]]


def model(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The sum of the numbers, and what speaks against it and for it."""
    total = inputs["x"].sum(axis=1, keepdims=True)
    return {"y": total, "classes": np.concatenate([-total, total], axis=1)}


def rhythmic(seed: int, rows: int, first: int = 0, shift: float = 0.0) -> Rows:
    """Rows with a day and a week in them; `first` is the first row's place in the week."""
    rng = np.random.default_rng(seed)
    hour = (np.arange(first, first + rows) // HOUR_ROWS).astype(np.float64)
    wave = np.sin(2 * np.pi * hour / 24) + 0.5 * (hour % 168 >= 120)
    return {
        "at": hour * HOUR_S + 4 * 24 * HOUR_S,
        "waved": rng.standard_normal(rows) + wave + shift,
        "still": rng.standard_normal(rows),
        "colour": (rng.random(rows) < 0.5 + 0.3 * np.sin(2 * np.pi * hour / 24)).astype(np.int64),
        "shop": rng.integers(0, 3, rows),
    }


def mixed(seed: int, rows: int, shops: tuple[float, ...], shift: float = 0.0) -> Rows:
    """Rows of shops that differ in everything, with these shares."""
    rng = np.random.default_rng(seed)
    shop = rng.choice(len(shops), rows, p=shops)
    return {
        "at": np.zeros(rows),
        "waved": rng.standard_normal(rows) + shop + shift,
        "still": rng.standard_normal(rows) * (1 + shop),
        "colour": (rng.random(rows) < 0.2 + 0.2 * shop).astype(np.int64),
        "shop": shop,
    }


def block(rows: Rows, first: int = 0) -> SampleBlock:
    """Rows of one moment as a live block."""
    count = len(rows["at"])
    inputs = {
        "x": np.stack([rows["waved"], rows["still"]], axis=1),
        "c": np.stack([rows["colour"], rows["shop"]], axis=1),
    }
    ids = np.array([f"{number:032x}" for number in range(first, first + count)], dtype="S32")
    return SampleBlock(
        model="m",
        version=1,
        role="stable",
        source="s",
        rate=1.0,
        prediction_ids=ids,
        row_numbers=np.zeros(count, dtype=np.int64),
        inputs=inputs,
        outputs=model(inputs),
        answered=count,
        made_at=float(rows["at"][0]) if count else 0.0,
    )


def hours(rows: Rows, first: int = 0) -> Iterator[SampleBlock]:
    """A block for each hour."""
    for at in range(0, len(rows["at"]), HOUR_ROWS):
        yield block(
            {name: column[at : at + HOUR_ROWS] for name, column in rows.items()}, first + at
        )


def profiled(card: Card, rows: Rows) -> ReferenceProfile:
    """The profile of reference rows."""
    return build_profile(card, SIGNATURE, rows, model)


def panel(card: Card, known: ReferenceProfile, **settings: Any) -> Panel:
    """All monitors of the card."""
    return Panel(card, SIGNATURE, known, Monitors(**settings))


def alarms(watching: Panel) -> set[str]:
    """What has drifted; data quality knows of no strata."""
    signals = watching.signals()
    assert watching.failures == 0
    return {s.subject for s in signals if s.family == "drift" and s.verdict is Verdict.ALARM}


def drift(watching: Panel, subject: str) -> Signal:
    """The signal of drift about a subject."""
    names = ("input_drift", "prediction_drift", "row_drift")
    found = [s for s in watching.signals() if s.subject == subject and s.name in names]
    return found[0]


@pytest.fixture(scope="module")
def weeks() -> Rows:
    """Two weeks of reference rows."""
    return rhythmic(1, 2 * WEEK)


@pytest.mark.parametrize("mode", [AlarmMode.MARTINGALE, AlarmMode.DETECTOR])
@pytest.mark.slow
def test_a_daily_and_weekly_rhythm_alarms_nobody_within_hours(weeks: Rows, mode: AlarmMode) -> None:
    """Six streams of three days at any place of the week; looked at every four hours."""
    known = profiled(HOURLY, weeks)
    for seed in range(6):
        watching = panel(HOURLY, known, alarm_mode=mode)
        start = seed * 17 * HOUR_ROWS
        blocks = hours(rhythmic(100 + seed, 72 * HOUR_ROWS, start), start)
        for number, each in enumerate(blocks):
            watching.update(each)
            assert number % 4 or alarms(watching) == set()


def test_without_strata_the_same_rhythm_alarms(weeks: Rows) -> None:
    """After a day, every time: what follows the hour, and the score that does."""
    known = profiled(PLAIN, weeks)
    for seed in range(5):
        watching = panel(PLAIN, known)
        for each in hours(rhythmic(100 + seed, 24 * HOUR_ROWS)):
            watching.update(each)
        assert {"waved", "score"} <= alarms(watching)
        assert "still" not in alarms(watching)


def test_a_shift_within_hours_is_found_and_measured(weeks: Rows) -> None:
    """After a clean day, by 0.6 of the spread within an hour; what is still is not blamed."""
    watching = panel(HOURLY, profiled(HOURLY, weeks))
    for each in hours(rhythmic(7, 24 * HOUR_ROWS)):
        watching.update(each)
    assert alarms(watching) == set()
    moved = rhythmic(8, 24 * HOUR_ROWS, 24 * HOUR_ROWS, shift=0.6)
    for each in hours(moved, 24 * HOUR_ROWS):
        watching.update(each)
    assert {"waved", "score"} <= alarms(watching)
    assert not {"still", "colour", "shop"} & alarms(watching)
    signal = drift(watching, "waved")
    # Over a whole day the spread is that of the rows and of the wave together.
    assert signal.value == pytest.approx(0.6 / np.sqrt(1.5), abs=0.15)
    assert "within strata" in signal.message


def test_the_effect_of_a_rhythm_is_none_within_hours(weeks: Rows) -> None:
    """A few hours of the day are compared with these hours: no shift, and distances are small."""
    few = rhythmic(9, 6 * HOUR_ROWS, 3 * HOUR_ROWS)
    found = {}
    for card in (PLAIN, HOURLY):
        watching = panel(card, profiled(card, weeks))
        for each in hours(few):
            watching.update(each)
        found[card] = drift(watching, "waved"), drift(watching, "colour")
    (shift, share), (still_shift, still_share) = found[PLAIN], found[HOURLY]
    assert abs(shift.value or 0) > 0.5
    assert abs(still_shift.value or 0) < 0.2
    assert abs(share.value or 0) > 0.15
    assert abs(still_share.value or 0) < 0.1
    for plain, within in ((shift, still_shift), (share, still_share)):
        psi = [next(d for d in s.distances if d.name == "psi") for s in (plain, within)]
        assert psi[0].lower > 0
        assert psi[1].lower == 0


def test_a_change_of_the_mix_of_segments_is_seen_in_the_segment_alone() -> None:
    """A shop that grows changes every feature without strata; with them only the shop's share."""
    few, many = (0.8, 0.15, 0.05), (0.2, 0.2, 0.6)
    reference = mixed(1, 8000, few)
    live = block(mixed(2, 3000, many), 10**6)
    blind, seeing = (panel(card, profiled(card, reference)) for card in (PLAIN, BY_SHOP))
    for each in (blind, seeing):
        each.update(live)
    assert {"waved", "still", "colour", "shop", "score", "rows"} <= alarms(blind)
    assert alarms(seeing) == {"shop"}
    assert "within strata" not in drift(seeing, "shop").message


def test_classes_and_decisions_are_compared_within_segments() -> None:
    """As the score is: another mix is no change of them, a change in every shop is."""
    classes = {"score": Score(output="classes"), "decision": Decision(argmax=True)}
    reference = mixed(1, 8000, (0.8, 0.15, 0.05))
    predictions = {"score[0]", "score[1]", "decision"}
    for card, shift, changed in ((PLAIN, 0.0, True), (BY_SHOP, 0.0, False), (BY_SHOP, 2.0, True)):
        card_of_classes = card.model_copy(update=classes)
        watching = panel(card_of_classes, profiled(card_of_classes, reference))
        watching.update(block(mixed(2, 3000, (0.2, 0.2, 0.6), shift)))
        assert alarms(watching) & predictions == (predictions if changed else set())


def test_a_change_within_segments_is_found_while_their_mix_changes() -> None:
    """A shift by half a standard deviation in every shop."""
    reference = mixed(3, 8000, (0.8, 0.15, 0.05))
    watching = panel(BY_SHOP, profiled(BY_SHOP, reference))
    watching.update(block(mixed(4, 3000, (0.2, 0.2, 0.6), shift=0.5)))
    found = alarms(watching)
    assert {"waved", "shop"} <= found
    assert not {"still", "colour"} & found


def test_categories_that_change_within_segments_are_found() -> None:
    """The colour of every shop; the change is that of the share, averaged over live rows."""
    shops = (0.5, 0.3, 0.2)
    watching = panel(BY_SHOP, profiled(BY_SHOP, mixed(5, 8000, shops)))
    rows = mixed(6, 3000, (0.2, 0.3, 0.5))
    turned = (np.random.default_rng(7).random(3000) < 0.3) & (rows["colour"] == 0)
    rows["colour"] = np.where(turned, 1, rows["colour"])
    watching.update(block(rows))
    assert "colour" in alarms(watching)
    expected = 0.3 * (1 - 0.2 - 0.2 * (0.3 + 2 * 0.5))
    assert abs(drift(watching, "colour").value or 0) == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("card", [HOURLY, BY_SHOP], ids=["hours", "segments"])
def test_strata_that_the_reference_lacks_begin_with_live_rows(card: Card) -> None:
    """A reference of other hours, and of other shops: nothing alarms until something changes."""
    if card is HOURLY:
        reference, live = rhythmic(10, 8 * HOUR_ROWS), rhythmic(11, 12 * HOUR_ROWS, 12 * HOUR_ROWS)
        moved = rhythmic(12, 12 * HOUR_ROWS, 12 * HOUR_ROWS, shift=1.5)
        # A week later the same hours have been met.
        moved["at"] = moved["at"] + 168 * HOUR_S
    else:
        reference, live = mixed(10, 2000, (1.0,)), mixed(11, 900, (0.0, 1.0))
        moved = mixed(12, 900, (0.0, 1.0), shift=1.5)
    watching = panel(card, profiled(card, reference))
    for each in hours(live, 10**6):
        watching.update(each)
    assert not {"waved", "still", "score"} & alarms(watching)
    for each in hours(moved, 2 * 10**6):
        watching.update(each)
    assert "waved" in alarms(watching)


@pytest.mark.parametrize("card", [HOURLY, BY_SHOP], ids=["hours", "segments"])
def test_splits_and_restarts_change_nothing(card: Card, weeks: Rows) -> None:
    """Rows in odd blocks, and a state that is gone on from, say the same."""
    known = profiled(card, weeks)
    rows = rhythmic(13, 8 * HOUR_ROWS, shift=0.3)
    whole, odd, again = (panel(card, known) for _ in range(3))
    for number, each in enumerate(hours(rows)):
        whole.update(each)
        for start, stop in ((0, 1), (1, 14), (14, 60)):
            odd.update(replace(part(each, start, stop), made_at=each.made_at))
        again.update(each)
        if number % 3 == 0:
            state = {name: held.copy() for name, held in again.state().items()}
            again = panel(card, known)
            again.restore(state)
    assert close(odd.signals(), whole.signals())
    assert close(again.signals(), whole.signals())


def test_armed_anew_a_subject_begins_within_its_strata(weeks: Rows) -> None:
    """It has no evidence, and goes on without a false alarm."""
    watching = panel(HOURLY, profiled(HOURLY, weeks))
    for each in hours(rhythmic(14, 6 * HOUR_ROWS, shift=1.0)):
        watching.update(each)
    assert "waved" in alarms(watching)
    watching.rearm(("drift", "input_drift", "waved"))
    for each in hours(rhythmic(15, 24 * HOUR_ROWS, 6 * HOUR_ROWS), 6 * HOUR_ROWS):
        watching.update(each)
    assert drift(watching, "waved").verdict is Verdict.OK
    assert drift(watching, "waved").rows == 24 * HOUR_ROWS
