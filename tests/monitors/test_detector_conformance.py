"""What every registered detector must keep, whatever it measures."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.detectors import Registered, detectors
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Detector, Judges, Signal, Verdict
from registry.card import Card
from tests.monitors.samples import (
    FAIR_CARD,
    LABELLED,
    UNCERTAIN,
    block,
    close,
    columns,
    judged,
    part,
    profile,
)

SETTINGS = Monitors.model_validate(
    {
        "kpis": {
            "m": {
                "selected": {"expression": "where(groups.sex == 'f', decision, score)"},
                "profit": {"expression": "where(label == 1, values.amount, -1) * decision"},
            }
        }
    }
)


ALL = detectors(Monitors(detectors=("river_adwin:ADWIN",)))
"""Weir's own, and the one that `examples/` plugs in."""


CASES = {
    **{each.name: (each, FAIR_CARD if each.family == "fairness" else LABELLED) for each in ALL},
    **{
        f"{each.name} of an interval": (each, UNCERTAIN)
        for each in ALL
        if (each.family, each.name) == ("performance", "realised")
    },
}
"""Each with a card that has something for it."""


@pytest.fixture(params=[*CASES.values()], ids=[*CASES])
def make(request: pytest.FixtureRequest) -> Callable[[ReferenceProfile | None], Detector]:
    """Makes the detector for the sample card."""
    registered: Registered
    card: Card
    registered, card = request.param
    return lambda reference: registered.make(card, reference, SETTINGS)


Maker = Callable[[ReferenceProfile | None], Detector]


@pytest.fixture(scope="module")
def reference() -> ReferenceProfile:
    """The profile of 2,000 clean rows."""
    return profile(np.random.default_rng(0), card=LABELLED)


def take(detector: Detector, rows: dict[str, NDArray[Any]], start: int, stop: int) -> None:
    """Some of the rows, and what was true of them for those who want to know."""
    some = part(block(rows), start, stop)
    detector.update(some)
    if isinstance(detector, Judges):
        detector.judge(judged(some, rows["bought"][start:stop]))


def after(
    detector: Detector, rows: dict[str, NDArray[Any]], sizes: list[int]
) -> tuple[Signal, ...]:
    """The signals after the rows came in blocks of the given sizes, again and again, with truth."""
    whole = block(rows)
    at = turn = 0
    while at < whole.rows:
        size = sizes[turn % len(sizes)]
        take(detector, rows, at, at + size)
        at, turn = at + size, turn + 1
    return detector.signals()


@pytest.mark.parametrize("with_reference", [True, False])
def test_no_data_is_never_ok(
    make: Maker, reference: ReferenceProfile, with_reference: bool
) -> None:
    """Before the first row there are signals, and all say insufficient data."""
    signals = make(reference if with_reference else None).signals()
    assert signals
    assert {signal.verdict for signal in signals} == {Verdict.INSUFFICIENT_DATA}
    assert all(signal.message for signal in signals)


def test_clean_rows_are_ok(make: Maker, reference: ReferenceProfile) -> None:
    """3,000 clean rows: nothing alarms, something is ok."""
    signals = after(make(reference), columns(np.random.default_rng(1), 3000), [500])
    assert Verdict.OK in {signal.verdict for signal in signals}
    assert Verdict.ALARM not in {signal.verdict for signal in signals}


def test_the_split_into_blocks_does_not_matter(make: Maker, reference: ReferenceProfile) -> None:
    """One block, single rows, or odd sizes: the same signals."""
    rows = columns(np.random.default_rng(2), 400, shift=0.7)
    whole = after(make(reference), rows, [400])
    assert close(after(make(reference), rows, [1]), whole)
    assert close(after(make(reference), rows, [13, 250, 0, 3]), whole)


def test_the_same_stream_gives_the_same_signals(make: Maker, reference: ReferenceProfile) -> None:
    """Nothing is drawn at random, and reading changes nothing."""
    rows = columns(np.random.default_rng(3), 300)
    detector = make(reference)
    first = after(detector, rows, [100])
    assert detector.signals() == first
    assert after(make(reference), rows, [100]) == first


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("age", [np.nan]),
        ("age", [np.inf, -np.inf, np.nan]),
        ("age", [1e300, -1e300]),
        ("town", [None, "", b"", "new", b"\xff", "x" * 10_000, "\ud800"]),
        ("town", [1, 2.5, True, np.nan]),
        ("sex", [None, 1, "", "new", b"f", np.nan]),
    ],
)
def test_odd_values_never_raise(
    make: Maker, reference: ReferenceProfile, column: str, values: list[object]
) -> None:
    """NaN, infinities, unseen and unreadable categories, also as the whole stream."""
    rows = columns(np.random.default_rng(4), 200)
    odd = np.empty(200, dtype=rows[column].dtype)
    odd[:] = [values[n % len(values)] for n in range(200)]
    rows[column] = odd
    with np.errstate(over="ignore"):
        assert after(make(reference), rows, [50])
        assert after(make(None), rows, [50])


def test_it_goes_on_from_its_state(make: Maker, reference: ReferenceProfile) -> None:
    """Stopped after any number of rows and begun anew from its state, it says the same."""
    rows = columns(np.random.default_rng(8), 400, shift=0.7)
    whole, first, second = make(reference), make(reference), make(reference)
    for detector, start, stop in ((whole, 0, 233), (whole, 233, 400), (first, 0, 233)):
        take(detector, rows, start, stop)
    second.restore({name: held.copy() for name, held in first.state().items()})
    assert close(second.signals(), first.signals())
    take(second, rows, 233, 400)
    assert close(second.signals(), whole.signals())


def test_a_state_holds_numbers_only(make: Maker, reference: ReferenceProfile) -> None:
    """It can be written as it is, also before the first row and without a reference."""
    for detector in (make(reference), make(None)):
        held = detector.state()
        assert all(array.dtype.kind in "biuf" for array in held.values())
        detector.restore(held)


def test_armed_anew_it_remembers_nothing_of_a_subject(
    make: Maker, reference: ReferenceProfile
) -> None:
    """After drift, a subject armed anew has no evidence; the others keep theirs."""
    detector = make(reference)
    before = {
        each.subject: each
        for each in after(detector, columns(np.random.default_rng(9), 300, shift=1.0), [300])
    }
    for subject, signal in before.items():
        if signal.log10_evidence is None:
            continue
        detector.rearm(subject)
        now = {each.subject: each for each in detector.signals()}
        assert (now[subject].log10_evidence or 0.0) <= 0.01
        assert now[subject].verdict is Verdict.INSUFFICIENT_DATA
        before[subject] = now[subject]
        assert {name: now[name].rows for name in before} == {
            name: each.rows for name, each in before.items()
        }
    detector.rearm("nobody")


def test_a_block_without_rows_changes_nothing(make: Maker, reference: ReferenceProfile) -> None:
    """Zero rows are welcome."""
    detector = make(reference)
    before = detector.signals()
    take(detector, columns(np.random.default_rng(5), 5), 0, 0)
    assert detector.signals() == before


@pytest.mark.parametrize("rows", [1, 2, 30])
def test_a_small_reference_is_said_to_be_one(make: Maker, rows: int) -> None:
    """A tiny reference raises nothing and alarms nobody."""
    tiny = profile(np.random.default_rng(6), rows, LABELLED)
    signals = after(make(tiny), columns(np.random.default_rng(7), 200, shift=3.0), [200])
    assert Verdict.ALARM not in {signal.verdict for signal in signals}


@pytest.mark.parametrize("with_reference", [True, False])
def test_who_lacks_rows_is_helped_by_rows_and_who_lacks_something_else_is_not(
    make: Maker, reference: ReferenceProfile, with_reference: bool
) -> None:
    """Before the first row each signal says what would help; 3,000 rows show that it is so."""
    detector = make(reference if with_reference else None)
    before = {each.subject: each.rows_needed for each in detector.signals()}
    after(detector, columns(np.random.default_rng(1), 3000), [500])
    for subject, needed in before.items():
        said = detector.signals()
        now = [each for each in said if each.subject == subject]
        now = now or [each for each in said if each.subject.partition("=")[0] == subject]
        assert now
        for signal in now:
            still = signal.verdict is Verdict.INSUFFICIENT_DATA
            assert still is (needed is None), signal
            assert needed is None or needed > 0
