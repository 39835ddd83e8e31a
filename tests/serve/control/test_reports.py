"""What replicas have counted adds up, each count once, whatever reports are lost on the way."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from serve.control.reports import Increment, Reports, from_json, since, to_json, whole
from serve.rollout.counting import RolloutCount
from serve.rollout.pairing import Pair
from serve.rollout.tallies import JudgedArm, Pairs, Report, Tally, Times
from serve.rollout.units import UNKEYED, Share

STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["see", "pair", "report", "fold"]),
        st.sampled_from(list(JudgedArm)),
        st.integers(0, 15),
    ),
    max_size=60,
)


def counted(increments: list[Increment]) -> tuple[dict[object, int], int, int]:
    """Units and events by generation and arm, pairs, and answers, of several increments."""
    sums, waiting = dict[object, int](), dict[object, int]()
    for increment in increments:
        for generation, arms in increment.stretches.items():
            for arm, tally in arms.items():
                waiting[generation, arm] = waiting.get((generation, arm), 0) + tally.waiting
                counts: dict[str, int] = {"units": tally.units}
                counts |= {f"events of {metric}": n for metric, n in tally.events.items()}
                counts |= {f"trials of {metric}": n for metric, n in tally.trials.items()}
                for name, count in counts.items():
                    assert count >= 0
                    sums[generation, arm, name] = sums.get((generation, arm, name), 0) + count
    return (
        {key: count for key, count in {**sums, **waiting}.items() if count},
        sum(increment.pairs.rows for increment in increments),
        sum(times.total for each in increments for times in each.latency.values()),
    )


@given(STEPS)
def test_what_is_folded_adds_up_to_what_was_counted(
    steps: list[tuple[int, str, JudgedArm, int]],
) -> None:
    """Two processes count; some reports come through, some of what came is folded, in any order."""
    counts = [RolloutCount("r", Share), RolloutCount("r", Share)]
    reports, folded, increments = Reports(lambda: 0.0), from_json("[]"), list[Increment]()
    for who, step, arm, flags in steps:
        stretch = counts[who].stretch(flags % 3)
        if step == "see":
            sighting = stretch[arm].see(b"%d" % flags)
            if flags % 4:
                stretch[arm].happened(sighting, flags)
            stretch[arm].took(0.01 * flags if flags else inf)
        elif step == "pair":
            pair = Pair(agrees=bool(flags % 2), score_change=float(flags))
            counts[who].pair(UNKEYED, lambda pair=pair: pair)  # type: ignore[misc]
        elif step == "report":
            reports.take([counts[who].report()])
        else:
            last = reports.of("r")
            increments.append(since(last, folded))
            folded = from_json(to_json(last))
    reports.take(count.report() for count in counts)
    increments.append(since(reports.of("r"), folded))

    assert counted(increments) == counted([whole(reports.of("r"))])
    assert since(reports.of("r"), reports.of("r")).stretches == {}


def test_a_report_is_kept_as_it_was() -> None:
    """As JSON and back, group by group."""
    count = RolloutCount("r", Share)
    arm = count.stretch(7)[JudgedArm.CANDIDATE]
    arm.happened(arm.see(None), 5)
    arm.took(0.2)
    arm.took(inf)
    count.pair(UNKEYED, lambda: Pair(agrees=False, score_change=0.5, turned=1, groups={"sex": "f"}))
    count.pair(UNKEYED, lambda: Pair(agrees=True, score_change=0.1, yes=True, chances=True))
    report = count.report()

    assert from_json(to_json({report.source: report})) == {report.source: report}


def test_who_has_reported_not_long_ago_is_known() -> None:
    """By process, as one that is silent must not be taken for heard; who is over is forgotten."""
    now = 0.0
    reports = Reports(lambda: now)
    assert reports.heard("r", 10.0) == 0
    reports.take([Report("a", "r"), Report("b", "r")])
    now = 9.0
    reports.take([Report("a", "r")])
    assert reports.heard("r", 10.0) == 2
    now = 11.0
    assert reports.heard("r", 10.0) == 1

    reports.take([Report("a", "s")])
    reports.keep_only({"s"})

    assert (reports.heard("r", 10.0), reports.of("r")) == (0, {})
    assert (reports.heard("s", 10.0), {*reports.of("s")}) == (1, {"a"})


def test_a_process_that_counts_anew_or_says_goodbye_is_not_missed() -> None:
    """What it counted before stays."""
    now = 0.0
    reports = Reports(lambda: now)
    reports.take([Report("1-a", "r"), Report("2-a", "r")])
    now = 20.0
    reports.take([Report("1-b", "r")])
    assert (reports.heard("r", 10.0), reports.heard("r", 60.0)) == (1, 2)

    reports.gone("2")

    assert (reports.heard("r", 10.0), reports.heard("r", 60.0)) == (1, 1)
    assert {*reports.of("r")} == {"1-a", "1-b", "2-a"}


def test_an_increment_of_nothing() -> None:
    """Before the first report there is nothing."""
    assert since({}, {}) == Increment({}, Pairs(), {})
    empty = Report(
        "a",
        "r",
        {1: {arm: Tally() for arm in JudgedArm}},
        latency={arm: Times() for arm in JudgedArm},
    )
    assert since({"a": empty}, {}) == Increment({}, Pairs(), {})
