"""Prediction drift watches the score and the decision that the card names."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.drift.prediction import PredictionDrift
from monitors.profile.build import build_profile
from monitors.quality.events import REGISTER_AGAIN
from monitors.signal import Signal, Verdict
from monitors.stats.familiar import Familiar
from registry.card import Decision
from tests.monitors.samples import CARD, SIGNATURE, block, columns, model, profile


def by_subject(detector: PredictionDrift) -> dict[str, Signal]:
    """What is said of each subject."""
    return {signal.subject: signal for signal in detector.signals()}


def test_a_moved_score_alarms_and_so_does_its_decision() -> None:
    """Inputs that move the score by about a standard deviation; the decision is told by name."""
    rng = np.random.default_rng(0)
    detector = PredictionDrift(CARD, profile(rng), Monitors())
    detector.update(block(columns(rng, 300, shift=1.0)))
    found = by_subject(detector)
    assert {subject: each.verdict for subject, each in found.items()} == {
        "score": Verdict.ALARM,
        "decision": Verdict.ALARM,
    }
    assert abs(found["decision"].value or 0.0) == pytest.approx(0.34, abs=0.08)
    assert found["decision"].message.startswith(("category 0: ", "category 1: "))


def test_scores_that_move_and_decide_nothing_alarm_alone() -> None:
    """All far from the threshold already: the score moves, no decision does."""
    rng = np.random.default_rng(1)
    detector = PredictionDrift(CARD, profile(rng), Monitors())
    rows = block(columns(rng, 600))
    far = np.where(rows.outputs["p"] > 0.5, 0.999, 0.001).astype(np.float32)
    detector.update(replace(rows, outputs={"p": far}))
    found = by_subject(detector)
    assert found["score"].verdict is Verdict.ALARM
    assert found["decision"].verdict is Verdict.OK


def test_a_card_without_a_score_says_what_to_do() -> None:
    """Nothing is guessed: the signal says that the card names no score; nothing is decided."""
    card = CARD.model_copy(update={"score": None, "decision": None})
    (signal,) = PredictionDrift(card, None, Monitors()).signals()
    assert "names no score" in signal.message
    assert "declare score" in signal.message
    assert signal.rows_needed is None


def test_without_a_reference_both_say_how_to_give_one() -> None:
    """A score and a decision, of which nothing is known."""
    found = by_subject(PredictionDrift(CARD, None, Monitors()))
    assert set(found) == {"score", "decision"}
    assert all("--reference" in signal.message for signal in found.values())


def test_a_profile_from_before_decisions_were_counted_watches_the_score() -> None:
    """The decision says to register again; the kept state of the score is that of before."""
    rng = np.random.default_rng(2)
    whole = profile(rng)
    old = PredictionDrift(CARD, whole.model_copy(update={"decision": None}), Monitors())
    rows = block(columns(rng, 300, shift=1.0))
    old.update(rows)
    assert by_subject(old)["score"].verdict is Verdict.ALARM
    assert by_subject(old)["decision"].message == REGISTER_AGAIN
    assert old.bins("decision", None) is None
    assert not [name for name in old.state() if name.startswith("decision")]
    now = PredictionDrift(CARD, whole, Monitors())
    now.update(rows)
    assert old.state().keys() < now.state().keys()


def test_both_have_familiar_distances() -> None:
    """All seven of a number, the five of a category."""
    rng = np.random.default_rng(1)
    detector = PredictionDrift(CARD, profile(rng), Monitors())
    detector.update(block(columns(rng, 900)))
    found = by_subject(detector)
    every = [name.value for name in Familiar]
    assert [each.name for each in found["score"].distances] == every
    assert [each.name for each in found["decision"].distances] == every[:5]
    assert all(each.lower == 0 for each in found["score"].distances)


def test_a_decision_of_its_own_is_told_in_its_words() -> None:
    """Texts, truth values or numbers, as the model gives them: each is a category by its name."""
    rng = np.random.default_rng(3)
    card = CARD.model_copy(update={"decision": Decision(output="verdict")})
    kinds = {
        "grant": np.array(["refuse", "grant"], dtype=np.object_),
        "true": np.array([False, True]),
        "7": np.array([3, 7]),
        "8": np.array([4.0, 8.0], dtype=np.float32),
    }
    for name, values in kinds.items():

        def decides(
            inputs: dict[str, NDArray[Any]], values: NDArray[Any] = values
        ) -> dict[str, NDArray[Any]]:
            high = (inputs["x"][:, 0] > 0.5).astype(int)
            return {**model(inputs), "verdict": values[high][:, None]}

        whole = build_profile(card, SIGNATURE, columns(rng, 2000), decides)
        detector = PredictionDrift(card, whole, Monitors())
        rows = block(columns(rng, 2000))
        live = (rng.random(2000) < 0.6).astype(int)
        outputs = {**rows.outputs, "verdict": values[live][:, None]}
        detector.update(replace(rows, outputs=outputs))
        signal = by_subject(detector)["decision"]
        assert signal.verdict is Verdict.ALARM, name
        bins = detector.bins("decision", None)
        assert bins is not None
        told = dict(zip(bins.labels, bins.live.tolist(), strict=True))
        assert told[name] == live.sum()
        assert told["(unseen)"] == 0
