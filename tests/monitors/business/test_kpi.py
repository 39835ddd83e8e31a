"""KPIs are means with intervals, over the rows that can have them, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from configs.settings import Monitors
from monitors.business.kpi import BusinessValue
from monitors.labels.judged import JudgedBlock
from monitors.panel import Panel
from monitors.signal import Judges, Signal, Verdict
from monitors.stats.asymptotic_means import at_any_look
from monitors.watched import Watched
from registry.card import Card, Group, Label
from registry.records import Version
from tests.monitors.samples import CARD, SIGNATURE, block, columns, part, profile

LABELLED = CARD.model_copy(update={"label": Label()})
PROFIT = "where(decision == 1, where(label == 1, -500, 120), 0)"


def made(card: Card = LABELLED, **kpis: str | dict[str, object]) -> BusinessValue:
    """The detector of KPIs by name; of a text that is all there is to say of it."""
    full = {
        name: kpi if isinstance(kpi, dict) else {"expression": kpi} for name, kpi in kpis.items()
    }
    return BusinessValue(card, None, Monitors.model_validate({"kpis": {"m": full}}))


def judged(
    rng: np.random.Generator, rows: int, loss: float = 0.15, first: int = 0, **values: float
) -> JudgedBlock:
    """Rows of which two thirds are decided 1; so many of their labels are 1."""
    return JudgedBlock(
        model="m",
        version=1,
        role="stable",
        keys=np.arange(first, first + rows, dtype=np.uint64),
        scores=rng.random(rows),
        decisions=(rng.random(rows) < 2 / 3).astype(np.float64),
        labels=(rng.random(rows) < loss).astype(np.float64),
        predicted_at=np.zeros(rows),
        labelled_at=np.ones(rows),
        signs=np.ones(rows, dtype=np.int8),
        corrected=np.zeros(rows, dtype=np.bool_),
        groups={"sex": rng.choice(np.array(["f", "m", None], dtype=np.object_), rows)},
        values={name: np.full(rows, value) for name, value in values.items()},
    )


def profits(rows: JudgedBlock) -> NDArray[np.float64]:
    """What `PROFIT` says, written otherwise."""
    return rows.decisions * (120 - 620 * rows.labels)


def one(detector: BusinessValue) -> Signal:
    """The only signal."""
    (signal,) = detector.signals()
    return signal


def test_a_kpi_is_the_mean_per_prediction_with_its_intervals() -> None:
    """Held against means and Student's intervals made otherwise."""
    rows = judged(np.random.default_rng(1), 3000)
    detector = made(profit={"expression": PROFIT, "unit": "EUR"})
    detector.judge(rows)
    signal, expected = one(detector), profits(rows)

    assert signal.key == ("business", "kpi", "profit")
    assert (signal.verdict, signal.rows, signal.log10_evidence) == (Verdict.OK, 3000, None)
    assert signal.value == pytest.approx(expected.mean())
    ends = at_any_look(3000, float(expected.mean()), float(expected.var()))
    assert (signal.lower, signal.upper) == pytest.approx(ends)
    low, high = stats.t.interval(0.95, 2999, expected.mean(), stats.sem(expected))
    told = f"{expected.mean():.4g} EUR a prediction ({low:.4g} to {high:.4g} at one look)"
    assert signal.message.startswith(told)
    assert f"{expected.sum():,.0f} EUR of 3,000 judged rows" in signal.message
    assert "no minimum or maximum is asked" in signal.message


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [
        ({"minimum": 0.0}, Verdict.OK),
        ({"minimum": 0.0, "maximum": 100.0}, Verdict.OK),
        ({"minimum": 60.0}, Verdict.ALARM),
        ({"maximum": -20.0}, Verdict.ALARM),
        ({"minimum": 20.0}, Verdict.INSUFFICIENT_DATA),
        ({"maximum": 20.0}, Verdict.INSUFFICIENT_DATA),
    ],
)
def test_the_interval_must_be_clear_of_the_bounds(
    bounds: dict[str, object], verdict: Verdict
) -> None:
    """About 18 a prediction, on 1,500 rows."""
    detector = made(profit={"expression": PROFIT, **bounds})
    detector.judge(judged(np.random.default_rng(2), 1500))
    signal = one(detector)
    assert signal.verdict is verdict, signal
    assert (signal.rows_needed is None) is (verdict is not Verdict.INSUFFICIENT_DATA)


def test_as_many_more_rows_as_were_said_tell() -> None:
    """If nothing but the width of the interval changes."""
    rng = np.random.default_rng(5)
    detector = made(profit={"expression": PROFIT, "minimum": 5.0})
    detector.judge(judged(rng, 1500))
    needed = one(detector).rows_needed
    assert needed is not None
    detector.judge(judged(rng, int(1.5 * needed)))
    assert one(detector).verdict is Verdict.OK


def test_a_mean_at_its_bound_says_that_rows_do_not_help() -> None:
    """And what it is too near to."""
    rows = judged(np.random.default_rng(2), 1500)
    detector = made(profit={"expression": PROFIT, "minimum": float(profits(rows).mean())})
    detector.judge(rows)
    signal = one(detector)
    assert (signal.verdict, signal.rows_needed) == (Verdict.INSUFFICIENT_DATA, None)
    assert "too near to it" in signal.message


def test_rows_that_are_taken_back_leave_no_trace() -> None:
    """A corrected label counts once, with its new value."""
    rng = np.random.default_rng(3)
    rows = judged(rng, 1000)
    some = np.arange(1000) < 200
    wrong = replace(rows, labels=np.where(some, 1 - rows.labels, rows.labels))
    back = replace(wrong, signs=np.where(some, -1, 1).astype(np.int8))
    first, second = made(profit=PROFIT), made(profit=PROFIT)
    first.judge(rows)
    second.judge(wrong)
    second.judge(_taken(back, some))
    second.judge(replace(_taken(rows, some), corrected=np.ones(200, dtype=np.bool_)))
    one_, other = one(first), one(second)
    assert one_.rows == other.rows == 1000
    assert other.value == pytest.approx(one_.value)
    assert (other.lower, other.upper) == pytest.approx((one_.lower, one_.upper))


def test_taking_back_what_was_never_seen_is_survived() -> None:
    """The state may be older than the labels: nothing is counted below zero."""
    rows = judged(np.random.default_rng(3), 60)
    detector = made(profit=PROFIT, share="values.amount / 0")
    detector.judge(replace(rows, signs=np.full(60, -1, dtype=np.int8)))
    assert {signal.rows for signal in detector.signals()} == {0}
    assert not any("left out" in signal.message for signal in detector.signals())
    detector.judge(rows)
    assert [signal.rows for signal in detector.signals()] == [60, 0]


def test_rows_without_a_value_are_left_out_and_counted_by_reason() -> None:
    """Division by zero, and what the labels did not bring."""
    rows = judged(np.random.default_rng(4), 300, amount=5.0)
    amounts = np.where(np.arange(300) % 3 == 0, np.nan, 5.0)
    rows = replace(rows, values={"amount": amounts})
    detector = made(share="values.amount / label + score", gone="values.gone * score")
    detector.judge(rows)
    share, gone = detector.signals()

    zeros = int(((rows.labels == 0) & ~np.isnan(amounts)).sum())
    assert share.rows == 300 - 100 - zeros
    assert f"left out: {zeros} with division by zero, 100 with no values.amount" in share.message
    assert (gone.verdict, gone.rows) == (Verdict.INSUFFICIENT_DATA, 0)
    assert "left out: 300 with no values.gone" in gone.message


@pytest.mark.parametrize(
    ("card", "expression", "why"),
    [
        (CARD, "label", "awaits no labels"),
        (CARD, "values.amount", "awaits no labels"),
        (CARD.model_copy(update={"score": None}), "score", "names no score"),
        (CARD.model_copy(update={"decision": None}), "decision", "declares no decision"),
        (CARD, "where(groups.town == 'a', score, 0)", "no group attribute 'town'"),
    ],
)
def test_what_a_version_lacks_is_said(card: Card, expression: str, why: str) -> None:
    """No rows would help, whatever comes."""
    detector = made(card, kpi=expression)
    detector.update(block(columns(np.random.default_rng(1), 100)))
    detector.judge(judged(np.random.default_rng(1), 100))
    signal = one(detector)
    assert (signal.verdict, signal.rows_needed) == (Verdict.INSUFFICIENT_DATA, None)
    assert why in signal.message


def test_kpis_that_need_no_truth_are_taken_over_all_rows() -> None:
    """Sampled rows count for them alone, judged rows for the others alone."""
    rows = block(columns(np.random.default_rng(6), 800))
    detector = made(
        selected="decision == 1",
        women="where(groups.sex == 'f', decision, 0)",
        profit=PROFIT,
    )
    detector.update(rows)
    selected, women, profit = detector.signals()
    decided = rows.outputs["p"][:, 1] >= 0.5
    assert selected.value == pytest.approx(decided.mean())
    assert women.value == pytest.approx((decided & (rows.groups["sex"] == "f")).mean())
    assert "800 sampled rows" in selected.message
    assert profit.rows == 0
    assert isinstance(detector, Judges)
    detector.judge(judged(np.random.default_rng(6), 90))
    assert [signal.rows for signal in detector.signals()] == [800, 800, 90]


def test_a_group_that_comes_with_the_truth_makes_a_kpi_wait_for_it() -> None:
    """It is not known before."""
    card = LABELLED.model_copy(update={"groups": (Group(name="sex", source="label"),)})
    detector = made(card, women="where(groups.sex == 'f', decision, 0)")
    detector.update(block(columns(np.random.default_rng(6), 800)))
    assert one(detector).rows == 0
    rows = judged(np.random.default_rng(6), 300)
    detector.judge(rows)
    assert one(detector).value == pytest.approx(
        (rows.decisions * (rows.groups["sex"] == "f")).mean()
    )


def test_a_score_of_several_columns_is_no_score() -> None:
    """A KPI that reads it says so, and fails nobody."""
    several = CARD.model_copy(
        update={"score": CARD.score and CARD.score.model_copy(update={"column": None})}
    )
    detector = made(several, mean="score")
    detector.update(block(columns(np.random.default_rng(6), 80)))
    assert "left out: 80 with no score" in one(detector).message


def test_values_that_are_all_the_same_tell_no_interval() -> None:
    """No row was lost yet; that says little of how many will be."""
    detector = made(profit=PROFIT)
    rows = judged(np.random.default_rng(7), 400, loss=0.0)
    detector.judge(replace(rows, decisions=np.ones(400)))
    signal = one(detector)
    assert (signal.verdict, signal.value) == (Verdict.INSUFFICIENT_DATA, 120.0)
    assert (signal.lower, signal.rows_needed) == (None, 50)


def test_rare_losses_need_more_rows() -> None:
    """With three of them in a thousand rows the mean is not near to normal."""
    rows = judged(np.random.default_rng(7), 1000, loss=0.0)
    labels = np.where(np.arange(1000) < 3, 1.0, 0.0)
    detector = made(profit={"expression": PROFIT, "minimum": 110.0})
    detector.judge(replace(rows, decisions=np.ones(1000), labels=labels))
    signal = one(detector)
    assert signal.verdict is Verdict.INSUFFICIENT_DATA
    assert signal.rows_needed is not None
    assert 5000 < signal.rows_needed < 9000
    assert "uneven" in signal.message


def test_only_kpis_of_the_model_are_told() -> None:
    """Of a model without any, nothing."""
    settings = Monitors.model_validate(
        {"kpis": {"m": {"a": {"expression": "score"}}, "n": {"b": {"expression": "score"}}}}
    )
    assert _subjects(settings.of_model("m")) == ["a"]
    assert _subjects(settings.of_model("n")) == ["b"]
    assert _subjects(settings.of_model("o")) == []
    assert _subjects(Monitors()) == []


def test_whoever_watches_a_version_tells_of_its_models_kpis() -> None:
    """And of no other's."""
    settings = Monitors.model_validate(
        {"kpis": {"m": {"a": {"expression": "score"}}, "n": {"b": {"expression": "score"}}}}
    )
    version = Version("m", 1, "sha256:0", SIGNATURE, LABELLED, None, 1, "ada", "")
    watched = Watched(("m", 1, "stable"), version, None, settings, 0.0)
    watched.fold(block(columns(np.random.default_rng(1), 60)))
    watched.look()
    told = [each for each in watched.signals if each.family == "business"]
    assert [(each.subject, each.rows) for each in told] == [("a", 60)]


def test_another_kpi_costs_no_other_monitor_its_evidence() -> None:
    """A panel goes on from its state, and the new KPI begins."""
    drifted = block(columns(np.random.default_rng(2), 1000, shift=2.0))
    reference = profile(np.random.default_rng(1))
    settings = [
        Monitors.model_validate({"kpis": {"m": {"worth": {"expression": text}}}})
        for text in (PROFIT, "label - score")
    ]
    before, after = (Panel(LABELLED, SIGNATURE, reference, each) for each in settings)
    before.update(drifted)
    before.judge(judged(np.random.default_rng(1), 80))
    told = {each.key: each for each in before.signals()}
    assert told["business", "kpi", "worth"].rows == 80
    after.restore(before.state())
    now = {each.key: each for each in after.signals()}
    assert now.pop(("business", "kpi", "worth")).rows == 0
    del told["business", "kpi", "worth"]
    assert now == told


def test_it_goes_on_from_its_state_but_for_expressions_that_have_changed() -> None:
    """Another expression is another figure; its bounds may change."""
    rng = np.random.default_rng(8)
    before = made(profit=PROFIT, lost="label", selected="decision == 1")
    before.judge(judged(rng, 500))
    before.update(block(columns(rng, 300)))
    after = made(profit={"expression": PROFIT, "minimum": 0.0}, lost="1 - label", new="decision")
    after.restore({name: held.copy() for name, held in before.state().items()})
    assert {signal.subject: signal.rows for signal in after.signals()} == {
        "profit": 500, "lost": 0, "new": 0
    }  # fmt: skip
    rows = judged(rng, 500, first=500)
    before.judge(rows)
    after.judge(rows)
    assert after.signals()[0].value == before.signals()[0].value


def test_a_state_that_does_not_fit_is_refused() -> None:
    """It is somebody else's."""
    detector = made(profit=PROFIT)
    state = {**detector.state(), "profit/faults": np.zeros(2, dtype=np.int64)}
    with pytest.raises(ValueError, match="not what was counted of the KPI profit"):
        detector.restore(state)


def test_the_split_into_blocks_does_not_matter() -> None:
    """Judged rows in whatever blocks."""
    rows = judged(np.random.default_rng(9), 700)
    whole, parts = made(profit=PROFIT), made(profit=PROFIT)
    whole.judge(rows)
    for at in range(0, 700, 70):
        parts.judge(_taken(rows, (np.arange(700) >= at) & (np.arange(700) < at + 70)))
    assert one(parts).value == pytest.approx(one(whole).value)
    assert one(parts).lower == pytest.approx(one(whole).lower)
    before = one(parts)
    parts.judge(_taken(rows, np.zeros(700, dtype=np.bool_)))
    parts.update(part(block(columns(np.random.default_rng(9), 5)), 0, 0))
    assert one(parts) == before


def _subjects(settings: Monitors) -> list[str]:
    return [signal.subject for signal in BusinessValue(LABELLED, None, settings).signals()]


def _taken(rows: JudgedBlock, mask: NDArray[np.bool_]) -> JudgedBlock:
    def some(arrays: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        return {name: values[mask] for name, values in arrays.items()}

    return replace(
        rows,
        keys=rows.keys[mask],
        scores=rows.scores[mask],
        decisions=rows.decisions[mask],
        labels=rows.labels[mask],
        predicted_at=rows.predicted_at[mask],
        labelled_at=rows.labelled_at[mask],
        signs=rows.signs[mask],
        corrected=rows.corrected[mask],
        groups={name: values[mask] for name, values in rows.groups.items()},
        values=some(rows.values),
    )
