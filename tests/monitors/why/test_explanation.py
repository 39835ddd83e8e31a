"""From an observer that raised an alarm to what can be said of it, and what cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.errors import ModelFailed
from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.kept import Place
from monitors.observer import Observer
from monitors.profile.build import build_profile
from monitors.profile.reference import Importance
from monitors.signal import Key, Signal, Verdict
from monitors.why.answer import Why
from monitors.why.case import open_case
from monitors.why.explanation import explain
from monitors.why.model import Model
from registry.card import Card, Label, Policy, Strata
from registry.records import Version
from registry.signature import Datatype, TensorSpec
from tests.monitors.samples import CARD, LABELLED, SIGNATURE, block, columns, model

VERSION = Version("m", 1, "sha256:0", SIGNATURE, CARD, "sha256:1", 1, "ada", "")
PLACE: Place = ("m", 1, "stable")
AGE: Key = ("drift", "input_drift", "age")
BEGUN = 600_000.0
CHANGED = BEGUN + 300


@contextmanager
def opened(version: Version) -> Iterator[Model]:
    """The model itself."""
    yield lambda inputs: model(dict(inputs))


def observer(
    card: Card = CARD, reference: bool = True, settings: Monitors | None = None
) -> Observer:
    """An observer of one version of a card."""
    values = columns(np.random.default_rng(1), 2000)
    known = build_profile(card, SIGNATURE, values, model).to_json() if reference else None
    ticks = count()
    return Observer(
        settings or Monitors(),
        lambda _model, _version: (replace(VERSION, card=card), known),
        "o",
        clock=lambda: CHANGED + 60,
        processor_time=lambda: float(next(ticks)),
    )


def at(moment: float, shift: float, seed: int, rows: int = 500) -> SampleBlock:
    """Rows that came at a moment, of which `age` is shifted."""
    values = columns(np.random.default_rng(seed), rows, shift)
    return replace(block(values, first=1000 * seed), made_at=moment)


def drifted(watching: Observer, before: int = 2) -> Observer:
    """Rows as in the reference, then rows of which one feature has moved."""
    for seed in range(before):
        watching.fold(at(BEGUN + seed, 0.0, seed + 10))
    for seed in range(2):
        watching.fold(at(CHANGED + seed, 2.0, seed + 20))
        watching.look()
    return watching


def why(watching: Observer, key: Key = AGE) -> Why:
    """What is known of an alarm."""
    return explain(watching.case(PLACE, key), opened)


def in_place(known: tuple[Signal, ...], *new: Signal) -> tuple[Signal, ...]:
    """Signals, of which some say something else now."""
    said = {each.key for each in new}
    return (*(each for each in known if each.key not in said), *new)


def with_alarm(signal: Signal, card: Card = LABELLED, *, moves: bool = True) -> Why:
    """What is known of an alarm that a monitor raised while one feature has moved, or none."""
    watching = drifted(observer(card)) if moves else observer(card)
    if not moves:
        watching.fold(at(BEGUN, 0.0, 10))
        watching.look()
    (watched,) = watching.signals("m")
    watched.signals = in_place(watched.signals, signal)
    watched.note_alarm(signal.key, CHANGED + 60)
    return explain(open_case(watched, signal.key, CHANGED + 60), opened)


@pytest.mark.parametrize(
    ("key", "about"),
    [
        (("performance", "realised", "accuracy"), "how right the model is"),
        (("performance", "miscalibration", "score"), "how right the model is"),
        (("performance", "estimated", "accuracy"), "how right the model is"),
        (("fairness", "selection_rate", "age"), "how groups fare beside one another"),
        (("fairness", "equal_opportunity", "sex=f"), "how groups fare beside one another"),
        (("business", "kpi", "age"), "what predictions are worth"),
    ],
)
def test_an_alarm_about_outcomes_is_put_down_to_no_feature(key: Key, about: str) -> None:
    """Its own signal comes first, without the bins of a feature or score of that name."""
    signal = Signal(*key, Verdict.ALARM, 700, 0.7, 0.6, 0.8, message="0.7; allowed from 0.9")
    found = with_alarm(signal)
    assert found.moved[0].signal == signal
    assert found.moved[0].bins == ()
    assert (found.attribution, found.slices, found.estimated) == (None, None, False)
    said = "; ".join(found.notes)
    assert about in said
    assert "age" in said.split("moved too")[0]
    of_labels = key[1] in ("realised", "miscalibration", "equal_opportunity")
    assert ("it rests on labels" in said) is of_labels


def test_where_no_feature_moved_that_is_said_and_none_of_that_name_is_blamed() -> None:
    """A figure that is called like a feature is none."""
    signal = Signal("business", "kpi", "age", Verdict.ALARM, 700, message="too little")
    found = with_alarm(signal, moves=False)
    assert [each.signal for each in found.moved] == [signal]
    assert found.notes[-1] == "no monitor of drift or of data quality is in alarm"


def test_beside_an_alarm_about_outcomes_the_others_of_its_family_are_told() -> None:
    """The monitor of the loss knows whether inputs moved; of another family nothing is told."""
    watching = drifted(observer(LABELLED))
    (watched,) = watching.signals("m")
    loss, accuracy, fair = (
        Signal(*key, Verdict.ALARM, 700, message=key[2])
        for key in (
            ("performance", "loss", "loss"),
            ("performance", "realised", "accuracy"),
            ("fairness", "selection_rate", "sex=f"),
        )
    )
    watched.signals = in_place(watched.signals, fair, loss, accuracy)
    found = explain(open_case(watched, accuracy.key, CHANGED + 60), opened)
    told = [each.signal for each in found.moved]
    assert told[:2] == [accuracy, loss]
    assert fair not in told
    assert AGE in [each.key for each in told]
    of_drift = explain(open_case(watched, AGE, CHANGED + 60), opened)
    assert {each.signal.family for each in of_drift.moved} <= {"drift", "quality"}


def test_how_late_labels_are_is_said_in_days() -> None:
    """What was changed before the alarm is what labels are about."""
    late = LABELLED.model_copy(update={"label": Label(expected_delay_days=30)})
    signal = Signal("performance", "loss", "loss", Verdict.ALARM, 700, message="worse")
    said = "; ".join(with_alarm(signal, late).notes)
    assert "labels, which count 30 days after their predictions or later" in said


def test_in_strata_it_says_that_bins_and_parts_are_not() -> None:
    """Of a day on which other hours came than usual, that is part of what is told."""
    card = CARD.model_copy(update={"strata": Strata(feature="town")})
    found = why(drifted(observer(card)))
    assert "compare rows within town, but the bins, parts and slices here do not" in found.notes[0]
    assert found.attribution is not None


def test_an_alarm_of_which_no_monitor_tells_now_says_so() -> None:
    """As of a figure that is no longer in the settings."""
    found = why(drifted(observer()), ("business", "kpi", "profit"))
    assert "the monitor does not tell of this now" in found.notes[0]


def test_what_drifted_is_blamed_for_what_it_did() -> None:
    """Which feature, since when, in which bins, with which part of the score, and in which rows."""
    found = why(drifted(observer()))
    assert (found.changed_at, found.estimated) == (CHANGED, True)
    assert found.moved[0].signal.key == AGE
    assert found.moved[0].bins[0].total_variation >= found.moved[0].bins[1].total_variation > 0
    assert found.attribution is not None
    score = found.attribution.outcomes[0]
    parts = {part.feature: part for part in score.parts}
    # The score is the logistic function of age alone.
    assert score.without == pytest.approx(0.5, abs=0.05)
    assert score.now == pytest.approx(0.84, abs=0.03)
    assert parts["age"].value == pytest.approx(score.now - score.without)
    assert parts["age"].lower > 0.25
    assert found.attribution.same == 1.0
    assert found.slices is not None
    assert found.slices.found[0].where[0][0] == "age"
    assert found.notes == ()


def test_a_change_of_the_score_is_put_down_to_features() -> None:
    """The alarm is about the score; the parts are those of what moved."""
    found = why(drifted(observer()), ("drift", "prediction_drift", "score"))
    assert found.moved[0].signal.subject == "score"
    assert found.attribution is not None
    assert "age" in [part.feature for part in found.attribution.outcomes[0].parts]


def test_a_change_is_dated_when_it_is_noticed() -> None:
    """Later it is known less well, also after a restart."""
    watching = drifted(observer())
    for seed in range(20):
        watching.fold(at(CHANGED + 10 + seed, 2.0, seed + 30))
    found = why(watching)
    assert (found.changed_at, found.estimated) == (CHANGED, True)
    (state,) = watching.states().values()
    again = observer()
    again.fold(at(CHANGED + 60, 2.0, 60))
    (watched,) = again.signals("m")
    watched.restore(state)
    assert why(again).changed_at == CHANGED

    old = {name: array for name, array in state.items() if name != "watched/changed_at"}
    watched.changed_at = {}
    watched.restore(old)
    assert why(again).estimated is False


def test_an_alarm_that_is_not_dated_is_taken_as_old_as_itself() -> None:
    """Missing values have no estimate of when they began."""
    watching = drifted(observer())
    watching.look()
    found = why(watching, ("quality", "missing_values", "age"))
    assert (found.changed_at, found.estimated) == (CHANGED + 60, False)


@pytest.mark.parametrize(
    ("watching", "note"),
    [
        (observer(reference=False, settings=Monitors(learn_rows=0)), "there is no reference"),
        (observer(settings=Monitors(why_rows=0)), "monitors.why_rows is 0"),
        (observer(CARD.model_copy(update={"score": None, "decision": None})), "names no score"),
    ],
    ids=["reference", "rows", "score"],
)
def test_what_cannot_be_said_is_said_to_be_so(watching: Observer, note: str) -> None:
    """With the reason, in place of the attribution; the rest is there."""
    found = why(drifted(watching))
    assert found.attribution is None
    assert note in "; ".join(found.notes)
    assert found.changed_at > 0


def test_without_rows_it_says_how_many_it_takes() -> None:
    """As after a restart of the monitors."""
    watching = drifted(observer())
    case = replace(watching.case(PLACE, AGE), before=None, since=None)
    found = explain(case, opened)
    assert found.attribution is None
    assert "0 rows since the change are in memory, and it takes 50" in found.notes[0]


def test_without_rows_from_before_slices_are_not_compared() -> None:
    """The attribution needs none."""
    found = why(drifted(observer(), before=0))
    assert found.attribution is not None
    assert found.slices is None
    assert "0 rows from before the change" in found.notes[0]


def test_what_has_not_moved_is_not_put_back() -> None:
    """There is nothing to be attributed to."""
    watching = observer()
    watching.fold(at(BEGUN, 0.0, 10))
    found = why(watching, ("drift", "prediction_drift", "score"))
    assert found.attribution is None
    assert "no feature has moved for sure" in found.notes[0]


def test_a_model_that_fails_takes_no_more_than_its_part() -> None:
    """And its sentence is there."""

    @contextmanager
    def failing(version: Version) -> Iterator[Model]:
        def run(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
            raise ModelFailed("the model crashed")

        yield run

    found = explain(drifted(observer()).case(PLACE, AGE), failing)
    assert found.attribution is None
    assert found.notes == ("what it did to the score is not known: the model crashed",)
    assert found.slices is not None


def test_what_is_not_kept_is_zero_and_named() -> None:
    """A feature that the card drops, and an input that nobody watches."""
    debt = CARD.features[1].model_copy(update={"policy": Policy.DROP})
    card = CARD.model_copy(update={"features": (CARD.features[0], debt, CARD.features[2])})
    watching = drifted(observer(card))
    case = watching.case(PLACE, AGE)
    wider = TensorSpec(name="photo", datatype=Datatype.UINT8, shape=(-1, -1, 3))
    signature = SIGNATURE.model_copy(update={"inputs": (*SIGNATURE.inputs, wider)})
    shapes = set()

    @contextmanager
    def seeing(version: Version) -> Iterator[Model]:
        def run(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
            shapes.add((inputs["photo"].dtype, inputs["photo"].shape))
            assert (inputs["x"][:, 1] == 0).all()
            return model(dict(inputs))

        yield run

    found = explain(replace(case, version=replace(case.version, signature=signature)), seeing)
    assert "were zeros when the model ran: photo, debt" in found.notes[0]
    assert found.attribution is not None
    assert shapes == {(np.dtype(np.uint8), (found.attribution.rows, 1, 3))}


def test_another_model_is_told_of() -> None:
    """Its parts would be of something else than what answered."""

    @contextmanager
    def other(version: Version) -> Iterator[Model]:
        yield lambda inputs: {"p": model(dict(inputs))["p"][:, ::-1]}

    found = explain(drifted(observer()).case(PLACE, AGE), other)
    assert "another score than they were answered with" in found.notes[0]


def test_rows_are_in_nothing_that_is_written() -> None:
    """They stay in memory: the state that outlives the process has none of their values."""
    watching = drifted(observer())
    (state,) = watching.states().values()
    case = watching.case(PLACE, AGE)
    assert case.since is not None
    debts = set(case.since.inputs["x"][:, 1].astype(np.float64).tolist())
    for name, array in state.items():
        if array.dtype.kind == "f" and "outliers" not in name:
            assert not debts & set(array.reshape(-1).astype(np.float64).tolist()), name


def test_a_category_and_the_score_are_dated_too() -> None:
    """Monitors of drift say since how many rows; the others do not, nor of what is no subject."""
    watching = observer()
    watching.fold(at(BEGUN, 0.0, 10))
    for seed in range(2):
        moved = columns(np.random.default_rng(seed), 500, shift=2.0)
        moved["town"][:250] = "c"
        watching.fold(replace(block(moved, first=1000 * seed + 50_000), made_at=CHANGED + seed))
        watching.look()
    for key in (
        ("drift", "input_drift", "town"),
        ("drift", "prediction_drift", "score"),
        AGE,
    ):
        case = watching.case(PLACE, key)
        assert case.estimated, key
        assert case.changed_at == pytest.approx(CHANGED, abs=1), key
    for key in (("drift", "input_drift", "nothing"), ("drift", "row_drift", "rows")):
        assert not watching.case(PLACE, key).estimated


def test_a_feature_that_comes_to_matter_more_is_told_of() -> None:
    """Where the version was registered with how much its features matter."""
    values = columns(np.random.default_rng(1), 2000)
    plain = build_profile(CARD, SIGNATURE, values, model)

    def noted(age: float) -> tuple[str, ...]:
        matters = {
            "age": Importance(value=age, error=0.01),
            "debt": Importance(value=0.0, error=0.0),
        }
        known = plain.model_copy(update={"importance": matters})
        case = drifted(observer()).case(PLACE, AGE)
        return explain(replace(case, reference=known), opened).notes

    (note,) = noted(0.1)
    assert note.startswith("age matters more than when the version was registered")
    assert note.endswith("and 0.1 then")
    # Rows that are two off from a normal feature: 0.34 of a probability on average.
    assert noted(0.33) == ()
    (note,) = noted(0.8)
    assert note.startswith("age matters less")
