"""Prediction drift watches the score that the card names."""

import numpy as np

from configs.settings import Monitors
from monitors.drift.prediction import PredictionDrift
from monitors.signal import Verdict
from monitors.stats.familiar import Familiar
from tests.monitors.samples import CARD, block, columns, profile


def test_a_moved_score_alarms() -> None:
    """Inputs that move the score by about a standard deviation."""
    rng = np.random.default_rng(0)
    detector = PredictionDrift(CARD, profile(rng), Monitors())
    detector.update(block(columns(rng, 300, shift=1.0)))
    (signal,) = detector.signals()
    assert signal.verdict is Verdict.ALARM


def test_a_card_without_a_score_says_so() -> None:
    """Nothing is guessed: the signal says that the card names no score."""
    card = CARD.model_copy(update={"score": None, "decision": None})
    (signal,) = PredictionDrift(card, None, Monitors()).signals()
    assert "names no score" in signal.message


def test_the_score_has_familiar_distances() -> None:
    """All seven, as it is a number."""
    rng = np.random.default_rng(1)
    detector = PredictionDrift(CARD, profile(rng), Monitors())
    detector.update(block(columns(rng, 900)))
    (signal,) = detector.signals()
    assert [each.name for each in signal.distances] == [name.value for name in Familiar]
    assert all(each.lower == 0 for each in signal.distances)
