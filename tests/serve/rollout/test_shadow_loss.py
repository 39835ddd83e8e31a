"""What labels of shadow pairs say: worse, not worse by a margin, or not known yet."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import log10, nan
from typing import Any

import pytest
from pydantic import ValidationError

from configs.policy import Guardrail, Metric, Policy
from monitors.stats.paired_losses import Losses
from serve.control.reports import from_json, since, to_json
from serve.rollout.evidence import Evidence, fold_pairs
from serve.rollout.finding import Finding, bounded
from serve.rollout.guardrails import SignalsSeen, judge
from serve.rollout.tallies import JudgedArm, Pairs, Report

ABSOLUTE = Guardrail(metric=Metric.SHADOW_LOSS, margin_abs=0.02)
RELATIVE = Guardrail(metric=Metric.SHADOW_LOSS, margin_rel=0.5)


def found(losses: Losses, guardrail: Guardrail = ABSOLUTE, shown: bool = True) -> Finding:
    """The finding of a policy with this one guardrail."""
    policy = Policy(guardrails=(guardrail,))
    evidence = fold_pairs(Evidence.begin(policy), Pairs(losses=losses))
    (finding,) = judge(evidence, policy, False, SignalsSeen(), shown)
    return finding


def test_a_version_that_alone_is_wrong_is_harmful() -> None:
    """In words that say how often, and of what."""
    harmful = found(Losses(200, 10, 20, 1))

    assert (harmful.harmful, harmful.good) == (True, False)
    assert harmful.harm_log10 > harmful.harm_at == pytest.approx(-log10(0.009))
    assert harmful.events == {JudgedArm.CANDIDATE: 30, JudgedArm.STABLE: 11}
    assert harmful.message.startswith(
        "30 of 200 labelled rows that both versions answered were answered wrongly with the "
        "candidate, 11 of 200 with the stable version; of these the candidate alone 20, the stable "
        "version alone 1: +9.5 points ("
    )
    assert "; worse, evidence " in harmful.message


def test_what_both_get_wrong_says_nothing_of_who_is_better() -> None:
    """However much it is: the difference is within the margin after some 200 labels."""
    assert found(Losses(300, 150, 0, 0)).good
    assert not found(Losses(100, 50, 0, 0)).good
    assert found(Losses(300, 150, 0, 0)).harm_log10 == 0.0


def test_a_margin_may_be_a_part_of_how_often_the_stable_version_is_wrong() -> None:
    """Then what both get wrong counts."""
    good = found(Losses(400, 40, 3, 3), RELATIVE)

    assert good.good
    assert good.measure == "ratio of rates"
    assert good.estimate == 1.0
    assert "less than 1.5 times as often is allowed: shown" in good.message
    assert not found(Losses(400, 0, 3, 3), RELATIVE).good


@pytest.mark.parametrize(
    ("losses", "guardrail"), [(Losses(100, 20, 1, 1), ABSOLUTE), (Losses(100, 8, 1, 1), RELATIVE)]
)
def test_so_many_more_labels_as_it_says_are_enough(losses: Losses, guardrail: Guardrail) -> None:
    """If all goes on as it did."""
    unknown = found(losses, guardrail)
    assert not unknown.good
    assert unknown.more_units is not None
    times = (100 + unknown.more_units) / 100

    assert found(losses.times(times), guardrail).good
    assert not found(losses.times(1 + (times - 1) * 0.8), guardrail).good
    assert f"about {unknown.more_units:,} more labelled rows" in unknown.message


def test_a_version_that_is_beyond_its_margin_is_not_told_how_many_more_it_takes() -> None:
    """No number of labels would show it to be good."""
    assert found(Losses(100, 0, 5, 1)).more_units is None


@pytest.mark.parametrize("losses", [Losses(), Losses(100, 0, 60, 0), Losses(10**7, 0, 3, 2)])
def test_a_guardrail_that_allows_everything_stops_no_change(losses: Losses) -> None:
    """Each change is kept with what it rests on, in numbers that JSON has."""
    everything = bounded(found(losses, Guardrail(metric=Metric.SHADOW_LOSS, margin_abs=1.0)))
    json.dumps(asdict(everything), allow_nan=False)
    nothing = bounded(Finding(Metric.SHADOW_LOSS, harm_log10=nan, good_log10=nan))
    assert (nothing.harm_log10, nothing.good_log10) == (-999.0, -999.0)


def test_no_label_tells_nothing() -> None:
    """And what is not shown is not worked out."""
    nothing = found(Losses())
    assert (nothing.harmful, nothing.good, nothing.message) == (False, False, "")
    assert found(Losses(200, 10, 20, 1), shown=False).lower is None


def test_labels_come_beside_what_gateway_processes_count() -> None:
    """They are added up, kept and read again; what is new is folded, be it labels alone."""
    gateway = Report("1-a", "r", pairs=Pairs(30, 2))
    labels = Report("labels-f", "r", pairs=Pairs(losses=Losses(9, 1, 2, 3)))
    last = {"1-a": gateway, "labels-f": labels}
    more = {**last, "labels-f": Report("labels-f", "r", pairs=Pairs(losses=Losses(10, 1, 2, 4)))}

    assert from_json(to_json(last)) == last
    assert since(last, {}).pairs == Pairs(30, 2, losses=Losses(9, 1, 2, 3))
    increment = since(more, last)
    assert increment.pairs == Pairs(losses=Losses(1, 0, 0, 1))
    assert increment.pairs
    assert not since(last, last).pairs

    policy = Policy(guardrails=(ABSOLUTE,))
    evidence = fold_pairs(Evidence.begin(policy), since(more, {}).pairs)
    assert Evidence.from_json(evidence.to_json(), policy) == evidence
    assert evidence.pairs.counts() == since(more, {}).pairs


@pytest.mark.parametrize(
    ("keys", "refusal"),
    [
        ({"max": 0.1}, "guardrail shadow_loss takes margin_abs or margin_rel"),
        ({}, "guardrail shadow_loss takes margin_abs or margin_rel"),
    ],
)
def test_another_margin_is_refused(keys: dict[str, Any], refusal: str) -> None:
    """By the guardrail's name."""
    with pytest.raises(ValidationError, match=refusal):
        Guardrail(metric=Metric.SHADOW_LOSS, **keys)


def test_without_a_shadow_stage_there_are_no_pairs() -> None:
    """Which is said at once, unless nothing waits for it."""
    with pytest.raises(ValidationError, match=r"shadow_loss needs a shadow stage: .* is 0"):
        Policy(guardrails=(ABSOLUTE,), shadow={"fraction": 0.0})  # type: ignore[arg-type]
    optional = ABSOLUTE.model_copy(update={"optional": True})
    assert Policy(guardrails=(optional,), shadow={"fraction": 0.0}).by_labels  # type: ignore[arg-type]
