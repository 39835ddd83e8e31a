"""Groups are judged by intervals and evidence, and small groups by nobody."""

from dataclasses import replace

import numpy as np
import pytest

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.fairness.detector import GroupFairness
from monitors.fairness.measures import SELECTION_RATE
from monitors.profile.reference import GroupShare, ReferenceProfile
from monitors.signal import Signal, Verdict
from monitors.stats.intervals import newcombe
from registry.card import Band, Card, Decision, Fairness, Group
from tests.monitors.samples import CARD, block, profile


def known(*names: str) -> ReferenceProfile:
    """A reference that has ten rows of each group, and says nothing of who was selected."""
    shares = tuple(GroupShare(name=name, rows=10, decided=0, selected=0) for name in names)
    clean = profile(np.random.default_rng(0), 50)
    return clean.model_copy(update={"groups": {"sex": shares}})


def selector(
    minimum: int = 50, reference: ReferenceProfile | None = None, card: Card = CARD
) -> GroupFairness:
    """The detector of selection rates, with `f` and `m` as known groups unless said otherwise."""
    settings = Monitors(minimum_rows=minimum)
    return GroupFairness(SELECTION_RATE, card, reference or known("f", "m"), settings)


def rows_of(counts: dict[str | None, tuple[int, int]]) -> SampleBlock:
    """So many (selected, all) rows of each group."""
    ages, sexes = [], []
    for group, (selected, rows) in counts.items():
        ages += [5.0] * selected + [-5.0] * (rows - selected)
        sexes += [group] * rows
    columns = {
        "age": np.array(ages),
        "debt": np.zeros(len(ages)),
        "town": np.full(len(ages), "a", dtype=np.object_),
        "sex": np.array(sexes, dtype=np.object_),
    }
    return block(columns)


def feed(
    detector: GroupFairness, counts: dict[str | None, tuple[int, int]], hour: int = 0
) -> dict[str, Signal]:
    """The signals after so many (selected, all) rows more of each group."""
    detector.update(replace(rows_of(counts), made_at=3600.0 * hour))
    return {signal.subject: signal for signal in detector.signals()}


def judged(
    counts: dict[str | None, tuple[int, int]],
    minimum: int = 50,
    reference: ReferenceProfile | None = None,
    card: Card = CARD,
) -> dict[str, Signal]:
    """The signals after so many (selected, all) rows of each group."""
    return feed(selector(minimum, reference, card), counts)


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
    many: dict[str | None, tuple[int, int]] = {f"g{n}": (5, 10) for n in range(100)}
    signals = judged(many, minimum=1, reference=known())
    groups = {name: signal.rows for name, signal in signals.items() if name != "sex"}
    assert len(groups) == 34
    assert groups["sex=other"] == 680
    assert sum(groups.values()) == 1000


def test_a_card_without_a_decision_says_so() -> None:
    """Groups without a decision are insufficient data, with the reason."""
    silent = CARD.model_copy(update={"decision": None})
    (signal,) = GroupFairness(SELECTION_RATE, silent, None, Monitors()).signals()
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
    detector = GroupFairness(SELECTION_RATE, card, None, Monitors())
    values = {
        "age": np.r_[np.full(60, -5.0), np.full(60, 5.0)],
        "debt": np.zeros(120),
        "town": np.full(120, "a", dtype=np.object_),
        "sex": np.array(["f", "m"], dtype=np.object_).repeat(60),
    }
    detector.update(block(values))
    assert detector.signals()[0].value == 1.0


def test_equal_groups_seldom_alarm() -> None:
    """100 audits of 200 rows of two like groups: none proves a gap above 0.1."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(100):
        f, m = rng.binomial(200, 0.3, 2)
        signals = judged({"f": (int(f), 200), "m": (int(m), 200)})
        alarms += signals["sex=f"].verdict is Verdict.ALARM
    assert alarms == 0


def test_a_handful_of_rows_is_not_told_of_by_name_or_number() -> None:
    """Three rows of `x` are `(rare)`; the smaller of the other groups tells no number either."""
    signals = judged({"f": (200, 1000), "m": (500, 1001), "x": (3, 3)})
    assert set(signals) == {"sex", "sex=f", "sex=m", "sex=(rare)", "sex=unknown"}
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
    signals = judged({"f": (200, 1000), "x": (3, 3)}, reference=known("x"))
    assert signals["sex=x"].rows == 0
    assert "fewer than 10 rows" in signals["sex=x"].message


def test_small_groups_are_in_nobodys_comparison() -> None:
    """Else they could be had from the rates and intervals of the others."""
    with_few = judged({"f": (200, 1000), "m": (500, 1001), "x": (3, 3), None: (5, 50)})
    without = judged({"f": (200, 1000), "m": (500, 1001), None: (5, 50)})
    assert _but_evidence(with_few["sex=f"]) == _but_evidence(without["sex=f"])
    # All digits of it would tell of the few.
    told = with_few["sex=f"].log10_evidence
    assert told == np.floor(without["sex=f"].log10_evidence or 0.0)


def _but_evidence(signal: Signal) -> Signal:
    return replace(signal, log10_evidence=None)


def test_a_group_column_of_ten_thousand_values_is_bounded() -> None:
    """Each of 10,000 rows names another group: a few names, and all of it is judged together."""
    rows: dict[str | None, tuple[int, int]] = {f"g{n}": (1, 1) for n in range(10_000)}
    signals = judged(rows)
    assert set(signals) == {"sex", "sex=f", "sex=m", "sex=other", "sex=(rare)", "sex=unknown"}


def test_the_interval_leaves_the_band_before_there_is_an_alarm() -> None:
    """Sooner or later a gap is outside at one look: what is not proved says how many rows would."""
    early = judged({"f": (15, 60), "m": (30, 60)})["sex=f"]
    assert early.upper is not None
    assert early.verdict is Verdict.INSUFFICIENT_DATA
    assert (early.rows_needed or 0) > 60
    near = judged({"f": (17, 100), "m": (40, 100)})["sex=f"]
    assert near.upper is not None
    assert near.upper < -0.1
    assert near.verdict is Verdict.INSUFFICIENT_DATA


def test_a_ratio_may_be_what_is_allowed() -> None:
    """Two of a hundred against four: a gap of nothing, and half as many."""
    fairness = Fairness(selection_rate=Band(min_ratio=0.8))
    strict = CARD.model_copy(update={"fairness": fairness})
    counts: dict[str | None, tuple[int, int]] = {"f": (200, 10_000), "m": (400, 10_000)}
    assert judged(counts)["sex=f"].verdict is Verdict.OK
    found = judged(counts, card=strict)["sex=f"]
    assert found.verdict is Verdict.ALARM
    assert "ratio 0.50" in found.message
    alike: dict[str | None, tuple[int, int]] = {"f": (1480, 3000), "m": (1500, 3000)}
    assert judged(alike, card=strict)["sex=f"].verdict is Verdict.OK


def test_the_smaller_of_two_gaps_is_that_of_intersections() -> None:
    """Where no band is declared, several attributes at once may differ by the least of them."""
    card = CARD.model_copy(
        update={
            "groups": (Group(name="sex", max_gap=0.2), Group(name="town", source="feature")),
            "fairness": Fairness(depth=2),
        }
    )
    told = judged({"f": (500, 1000), "m": (500, 1000)}, card=card, reference=known())
    assert "allowed gap 0.2" in told["sex=f"].message
    assert "allowed gap 0.1" in told["sex & town=f & a"].message


def test_harm_that_comes_late_is_found() -> None:
    """After 200 fair hours a group is selected much less: an alarm in 30 hours, and the gap now.

    Over all rows the gap is within what is allowed.
    """
    detector = selector()
    fair = rows_of({"f": (25, 50), "m": (25, 50)})
    for hour in range(200):
        detector.update(replace(fair, made_at=3600.0 * hour))
    for hour in range(200, 230):
        found = feed(detector, {"f": (12, 50), "m": (25, 50)}, hour)["sex=f"]
        if found.verdict is Verdict.ALARM:
            break
    assert found.verdict is Verdict.ALARM
    assert (found.value or 0) < -0.15
    overall = (12 * (hour - 199) + 25 * 200) / (50 * (hour + 1)) - 0.5
    assert abs(overall) < 0.1


def test_groups_that_are_met_later_share_an_alarm() -> None:
    """Without a reference the attribute is the subject; it names the group, which stays silent."""
    signals = judged({"f": (200, 1000), "m": (500, 1001)}, reference=known())
    assert signals["sex"].verdict is Verdict.ALARM
    assert (signals["sex"].log10_evidence or 0) > 2
    assert signals["sex"].message.startswith(("sex=f:", "sex=m:"))
    for name in ("sex=f", "sex=m"):
        assert signals[name].log10_evidence is None
        assert signals[name].verdict is Verdict.INSUFFICIENT_DATA
        assert "see sex" in signals[name].message


def test_nobody_is_paged_on_rows_of_no_known_group() -> None:
    """They are shown with their share, however much they differ."""
    signals = judged({"f": (500, 1000), "m": (500, 1000), None: (0, 2000)})
    unknown = signals["sex=unknown"]
    assert unknown.verdict is Verdict.INSUFFICIENT_DATA
    assert (unknown.log10_evidence, unknown.rows_needed) == (None, None)
    assert unknown.message.startswith("50.0% of all rows are of no known group")
    assert "every row" in judged({"f": (500, 1000)})["sex=unknown"].message


def test_small_intersections_leave_no_numbers_of_the_others() -> None:
    """Whoever has the numbers of each attribute alone could have theirs by subtraction."""
    groups = (*CARD.groups, Group(name="town", source="feature"))
    card = CARD.model_copy(update={"groups": groups, "fairness": Fairness(depth=2)})
    detector = selector(card=card, reference=known())
    feed(detector, {"f": (200, 1000), "m": (500, 1000)})
    few = {
        "age": np.full(3, 5.0),
        "debt": np.zeros(3),
        "town": np.full(3, "b", dtype=np.object_),
        "sex": np.full(3, "f", dtype=np.object_),
    }
    detector.update(block(few))
    found = {each.subject: each for each in detector.signals()}
    assert found["sex=f"].rows == 1003
    for subject, signal in found.items():
        if subject.startswith("sex & town="):
            assert (signal.rows, signal.value, signal.lower) == (0, None, None)


def test_a_reference_that_fits_finds_it_sooner() -> None:
    """What it counted of each group is what is bet on; the bets are as fair as before."""
    told = known().model_copy(
        update={
            "groups": {
                "sex": (
                    GroupShare(name="f", rows=500, decided=500, selected=150),
                    GroupShare(name="m", rows=500, decided=500, selected=300),
                )
            }
        }
    )
    counts: dict[str | None, tuple[int, int]] = {"f": (60, 200), "m": (120, 200)}
    plain = judged(counts)["sex=f"].log10_evidence or 0.0
    informed = judged(counts, reference=told)["sex=f"].log10_evidence or 0.0
    assert informed > plain + 0.5


def test_a_state_of_old_begins_anew_and_one_of_others_is_refused() -> None:
    """The first detector of selection rates kept other things."""
    detector = selector()
    detector.restore({"rows": np.zeros(1), "selected": np.zeros(1)})
    groups = (Group(name="region"),)
    other = selector(card=CARD.model_copy(update={"groups": groups}))
    with pytest.raises(ValueError, match="region"):
        detector.restore(other.state())
