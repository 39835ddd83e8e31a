"""Selection rates are judged by intervals, and small groups by nobody."""

import numpy as np
import pytest

from configs.settings import Monitors
from monitors.fairness.selection_rate import SelectionRate
from monitors.profile.reference import GroupShare, ReferenceProfile
from monitors.signal import Signal, Verdict
from monitors.stats.intervals import newcombe
from registry.card import Decision
from tests.monitors.samples import CARD, block, profile


def judged(
    counts: dict[str | None, tuple[int, int]],
    minimum: int = 50,
    reference: ReferenceProfile | None = None,
) -> dict[str, Signal]:
    """The signals after so many (selected, all) rows of each group."""
    ages, sexes = [], []
    for group, (selected, rows) in counts.items():
        ages += [5.0] * selected + [-5.0] * (rows - selected)
        sexes += [group] * rows
    detector = SelectionRate(CARD, reference, Monitors(minimum_rows=minimum))
    rows_of = {
        "age": np.array(ages),
        "debt": np.zeros(len(ages)),
        "town": np.full(len(ages), "a", dtype=np.object_),
        "sex": np.array(sexes, dtype=np.object_),
    }
    detector.update(block(rows_of))
    return {signal.subject: signal for signal in detector.signals()}


def test_each_verdict_follows_from_the_interval() -> None:
    """Wholly outside the allowed gap, wholly inside, or across its edge."""
    apart = judged({"f": (200, 1000), "m": (500, 1000)})["sex=f"]
    assert apart.verdict is Verdict.ALARM
    assert (apart.lower, apart.upper) == pytest.approx(newcombe((200, 1000), (500, 1000)))
    assert judged({"f": (500, 2000), "m": (500, 2000)})["sex=f"].verdict is Verdict.OK
    across = judged({"f": (40, 100), "m": (50, 100)})["sex=f"]
    assert across.verdict is Verdict.INSUFFICIENT_DATA


def test_rows_needed_would_be_about_enough() -> None:
    """With as many more rows as are asked for, at the same rates, the verdict is reached."""
    few = judged({"f": (30, 100), "m": (50, 100)})["sex=f"]
    assert few.verdict is Verdict.INSUFFICIENT_DATA
    times = 1.1 * (100 + (few.rows_needed or 0)) / 100
    rows = int(100 * times)
    more = judged({"f": (int(0.3 * rows), rows), "m": (int(0.5 * rows), rows)})["sex=f"]
    assert more.verdict is Verdict.ALARM


def test_small_groups_wait_and_say_how_long() -> None:
    """Below the minimum no rate is shown, only how many rows are lacking."""
    signals = judged({"f": (20, 30), "m": (50, 100)})
    assert signals["sex=f"].rows_needed == 20
    assert signals["sex=f"].value is None
    assert "others" not in signals["sex=f"].message
    assert signals["sex=m"].rows_needed == 20


def test_a_missing_group_is_unknown_and_no_yardstick() -> None:
    """Rows without a group are shown, and left out of everybody's comparison."""
    signals = judged({"f": (500, 1000), "m": (500, 1000), None: (0, 1000)})
    assert signals["sex=f"].value == pytest.approx(0)
    assert signals["sex=unknown"].value == pytest.approx(-0.5)


def test_a_group_alone_has_nobody_to_be_compared_with() -> None:
    """One group only is insufficient data."""
    assert judged({"f": (50, 100)})["sex=f"].verdict is Verdict.INSUFFICIENT_DATA


def test_groups_are_few() -> None:
    """Of a hundred groups 32 are named, the rest are `other`, and no row is lost."""
    signals = judged({f"g{n}": (5, 10) for n in range(100)}, minimum=1)
    assert len(signals) == 33
    assert signals["sex=other"].rows == 680
    assert sum(signal.rows for signal in signals.values()) == 1000


def test_a_card_without_a_decision_says_so() -> None:
    """Groups without a decision are insufficient data, with the reason."""
    silent = CARD.model_copy(update={"decision": None})
    (signal,) = SelectionRate(silent, None, Monitors()).signals()
    assert "no decision" in signal.message
    assert "declare decision" in signal.message
    assert signal.rows_needed is None


def test_a_gap_at_its_edge_says_that_rows_would_not_tell() -> None:
    """A difference of just what is allowed: a hundred times the rows would be needed, and more."""
    edge = judged({"f": (4000, 10_000), "m": (5000, 10_000)})["sex=f"]
    assert (edge.verdict, edge.rows_needed) == (Verdict.INSUFFICIENT_DATA, None)
    assert "too near to it for a hundred times the rows to tell" in edge.message
    near = judged({"f": (30, 100), "m": (50, 100)})["sex=f"]
    assert near.rows_needed
    assert "too near" not in near.message


def test_how_many_rows_are_lacking_does_not_tell_how_many_there_are() -> None:
    """Where numbers are withheld, it is the minimum that is told, and that rows would help."""
    told = judged({"f": (20, 30), "m": (500, 1001), "x": (3, 3)})["sex=f"]
    assert (told.verdict, told.rows, told.rows_needed) == (Verdict.INSUFFICIENT_DATA, 0, 50)


def test_favourable_may_be_zero() -> None:
    """Where 0 is what people hope for, 0 is counted as selected."""
    card = CARD.model_copy(update={"decision": Decision(threshold=0.5, favourable=0)})
    detector = SelectionRate(card, None, Monitors())
    values = {
        "age": np.r_[np.full(60, -5.0), np.full(60, 5.0)],
        "debt": np.zeros(120),
        "town": np.full(120, "a", dtype=np.object_),
        "sex": np.array(["f", "m"], dtype=np.object_).repeat(60),
    }
    detector.update(block(values))
    assert detector.signals()[0].value == 1.0


def test_equal_groups_seldom_alarm() -> None:
    """300 audits of 200 rows of two like groups: at most a few find a gap above 0.1."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(300):
        f, m = rng.binomial(200, 0.3, 2)
        signals = judged({"f": (int(f), 200), "m": (int(m), 200)})
        alarms += signals["sex=f"].verdict is Verdict.ALARM
    assert alarms <= 3


def test_a_handful_of_rows_is_not_told_of_by_name_or_number() -> None:
    """Three rows of `x` are `(rare)`; the smaller of the other groups tells no number either."""
    signals = judged({"f": (200, 1000), "m": (500, 1001), "x": (3, 3)})
    assert set(signals) == {"sex=f", "sex=m", "sex=(rare)"}
    rare = signals["sex=(rare)"]
    assert (rare.verdict, rare.rows, rare.value) == (Verdict.INSUFFICIENT_DATA, 0, None)
    told = signals["sex=f"]
    assert (told.rows, told.value, told.lower, told.upper) == (0, None, None, None)


def test_a_handful_of_rows_does_not_blind_the_monitor() -> None:
    """Verdicts are reached, also where the numbers behind them are not told."""
    extras: list[dict[str | None, tuple[int, int]]] = [{}, {"x": (3, 3)}]
    for extra in extras:
        signals = judged({"f": (200, 1000), "m": (500, 1001), **extra})
        assert signals["sex=f"].verdict is signals["sex=m"].verdict is Verdict.ALARM


def test_rows_without_a_group_hide_a_small_one_best() -> None:
    """They are no group: with theirs withheld, all the others keep their numbers."""
    signals = judged({"f": (200, 1000), "m": (500, 1001), "x": (3, 3), None: (5, 50)})
    assert signals["sex=f"].rows == 1000
    assert signals["sex=f"].value == pytest.approx(-0.3, abs=0.001)
    assert signals["sex=unknown"].value is None


def test_a_group_that_the_reference_knows_has_its_name() -> None:
    """How few live rows it has is not told."""
    share = GroupShare(name="x", rows=10, decided=0, selected=0)
    reference = profile(np.random.default_rng(0)).model_copy(update={"groups": {"sex": (share,)}})
    signals = judged({"f": (200, 1000), "x": (3, 3)}, reference=reference)
    assert signals["sex=x"].rows == 0
    assert "fewer than 10 rows" in signals["sex=x"].message


def test_small_groups_are_in_nobodys_comparison() -> None:
    """Else they could be had from the rates and intervals of the others."""
    with_few = judged({"f": (200, 1000), "m": (500, 1001), "x": (3, 3), None: (5, 50)})
    without = judged({"f": (200, 1000), "m": (500, 1001), None: (5, 50)})
    assert with_few["sex=f"] == without["sex=f"]
