"""What a person is told to do, by what moved and what the labels say."""

from dataclasses import replace

import pytest

from monitors.performance.cause import Change, explained, moved_inputs, with_cause
from monitors.signal import Signal, Verdict

RISE = Change(0.09, 0.06, 0.12)
ALL_OF_IT, NONE_OF_IT = Change(0.085, 0.06, 0.11), Change(0.01, -0.01, 0.03)
UNSURE = Change(0.05, 0.01, 0.09)


@pytest.mark.parametrize(
    ("moved", "gap", "first", "later"),
    [
        ([], ALL_OF_IT, "the relationship moved", "retrain on rows that came since"),
        (["age"], ALL_OF_IT, "the same scores are wrong more often", "feeds age first"),
        (["age"], NONE_OF_IT, "inputs moved (age) to where", "scores mean what they meant"),
        ([], NONE_OF_IT, "the inputs moved to where", "no single one alarms"),
        (["age"], UNSURE, "labels do not tell yet", "+0.040 is what the scores let expect"),
        (["age"], None, "why cannot be told", ""),
    ],
)
def test_a_risen_loss_says_what_to_do(
    moved: list[str], gap: Change | None, first: str, later: str
) -> None:
    """Retrain, look at a pipe, or wait for labels."""
    sentence = explained(moved, RISE, gap, alarm=True)
    assert sentence.startswith(first)
    assert later in sentence


def test_the_parts_of_a_rise_add_up() -> None:
    """What scores let expect and what they do not, as numbers."""
    sentence = explained([], RISE, ALL_OF_IT, alarm=True)
    assert "+0.005 is what the scores let expect, and +0.085 (+0.060 to +0.110) is not" in sentence


def test_moved_inputs_of_a_model_that_is_still_right() -> None:
    """No need to retrain; unless the loss may have risen, which labels do not prove."""
    right = explained(["age", "debt"], Change(0.001, -0.02, 0.02), NONE_OF_IT, alarm=False)
    assert "inputs moved (age, debt)" in right
    assert "no need to retrain" in right
    maybe = explained(["age"], Change(0.05, 0.01, 0.09), UNSURE, alarm=False)
    assert "may be less right" in maybe
    assert "no need" not in maybe


def test_where_nothing_moved_nothing_is_said() -> None:
    """No alarm of any kind."""
    assert explained([], Change(0.001, -0.02, 0.02), None, alarm=False) == ""


def test_many_inputs_are_not_all_named() -> None:
    """Three, and how many more."""
    said = explained(list("abcde"), Change(0.0, -0.01, 0.01), None, alarm=False)
    assert "(a, b, c and 2 more)" in said


def signal(family: str, name: str, subject: str, verdict: Verdict, evidence: float) -> Signal:
    """A signal without numbers."""
    return Signal(family, name, subject, verdict, 100, log10_evidence=evidence, message="as it was")


LOSS = replace(
    signal("performance", "loss", "wrong", Verdict.ALARM, 9.0), value=0.09, lower=0.06, upper=0.12
)
GAP = replace(
    signal("performance", "loss", "gap", Verdict.OK, 0.0), value=0.085, lower=0.06, upper=0.11
)


def test_moved_inputs_are_alarms_by_their_evidence() -> None:
    """Of drift and data quality; each once, and no other signals."""
    said = [
        signal("drift", "input_drift", "age", Verdict.ALARM, 5.0),
        signal("quality", "missing_values", "debt", Verdict.ALARM, 8.0),
        signal("quality", "outliers", "age", Verdict.ALARM, 4.0),
        signal("drift", "input_drift", "town", Verdict.OK, 9.0),
        signal("drift", "prediction_drift", "score", Verdict.ALARM, 9.0),
        signal("quality", "repeated_rows", "rows", Verdict.ALARM, 9.0),
    ]
    assert moved_inputs(said) == ["debt", "age"]


def test_the_sentence_stands_before_what_the_first_loss_says() -> None:
    """Other signals stay as they are, and so does all where there is no loss, or no number."""
    brier = replace(LOSS, subject="brier")
    drift = signal("drift", "prediction_drift", "score", Verdict.OK, 0.0)
    said = with_cause([drift, LOSS, brier, GAP])
    assert said[0] is drift
    assert said[1].message.startswith("the relationship moved")
    assert said[1].message.endswith("(as it was)")
    assert said[2:] == (brier, GAP)
    assert with_cause([drift]) == (drift,)
    early = replace(LOSS, value=None, verdict=Verdict.INSUFFICIENT_DATA)
    assert with_cause([early, GAP]) == (early, GAP)
