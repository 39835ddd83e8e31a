"""How soon evidence of a rollout tells: events until harm, units and labels until goodness.

    python -m benchmarks.rollout_evidence [RUNS]

One guardrail of the default policy, with its part of the budget, looked at after every event.
"""

from __future__ import annotations

import sys
from math import inf, log
from statistics import median
from typing import NamedTuple

import numpy as np

from configs.policy import Guardrail, Metric, Policy
from monitors.stats import paired_losses
from monitors.stats.paired_losses import NO_LOSSES, Losses
from serve.rollout.between_arms import log_goodness
from serve.rollout.budget import harm_alpha
from serve.rollout.evidence import Evidence, fold
from serve.rollout.guardrails import SignalsSeen, judge
from serve.rollout.tallies import JudgedArm, Tally

METRIC = Metric.INVALID_OUTPUT
ONE = Policy(guardrails=(Guardrail(metric=METRIC, margin_rel=1.0),), hard_limits=())
NEEDED = -log(harm_alpha(Policy(), same_behaviour=True))
"""Six guardrails share nine tenths of 1 %: an e-value of 667."""

HARM = (
    *((0.01, ratio) for ratio in (10.0, 50.0)),
    *((0.05, ratio) for ratio in (50.0, 10.0, 5.0, 2.0)),
    *((0.25, ratio) for ratio in (10.0, 2.0)),
    *((0.5, ratio) for ratio in (50.0, 10.0, 2.0)),
)
"""The candidate's share, and how many times worse it is."""

BY_BLOCKS = (
    *((5.0, 0.01, ratio) for ratio in (1.0, 4.0, 10.0)),
    *((50.0, 0.01, ratio) for ratio in (1.0, 2.0, 4.0, 10.0)),
    *((500.0, 0.01, ratio) for ratio in (1.0, 2.0, 4.0, 50.0)),
)
"""Units a second of each arm, the share that is late in the baseline, and how many times that."""

BY_LABELS = tuple((alone, worse) for alone in (0.0, 0.01, 0.04) for worse in (0.0, 0.02, 0.05, 0.2))
"""How often each of two versions is wrong alone, and the candidate besides; both in `WRONG`."""

WRONG = 0.1
WITHIN = Guardrail(metric=Metric.SHADOW_LOSS, margin_abs=0.02)

_MOST = 20_000
_LOOK = 10
_BLOCK = 4


class Found(NamedTuple):
    """Events until harm was found, since it began: the candidate's, and both arms'."""

    candidate: int
    both: int


def until_harm(seed: int, share: float, ratio: float, clean: int = 0) -> Found:
    """Units that come once; after so many clean events the candidate has `ratio` times as many."""
    rng = np.random.default_rng([81, seed])
    points = round(share * 10_000)
    shares = {JudgedArm.CANDIDATE: points, JudgedArm.STABLE: 10_000 - points}
    evidence = Evidence.begin(ONE)
    for ours in rng.binomial(_BLOCK, share, clean // _BLOCK).tolist():
        evidence = fold(evidence, shares, _events(ours, _BLOCK - ours), 0, 0.0)
    chance = share * ratio / (share * ratio + 1 - share)
    found = 0
    for count in range(1, _MOST):
        ours = int(rng.random() < chance)
        found += ours
        evidence = fold(evidence, shares, _events(ours, 1 - ours), 0, 0)
        if evidence.log_harm(METRIC) >= NEEDED:
            return Found(found, count)
    return Found(found, _MOST)


def until_good(seed: int, share: float, rate: float, guardrail: Guardrail) -> int:
    """Units of the candidate until a version that is as good as the other is shown to be so."""
    rng = np.random.default_rng([83, seed])
    points = round(share * 10_000)
    shares = {JudgedArm.CANDIDATE: points, JudgedArm.STABLE: 10_000 - points}
    evidence, units = Evidence.begin(ONE), 0
    look = max(100, round(50 / share))
    while units < 1_000_000:
        ours = int(rng.binomial(look, share))
        units += ours
        tallies = {
            arm: Tally(count, {METRIC: events}, {METRIC: events})
            for arm, count in ((JudgedArm.CANDIDATE, ours), (JudgedArm.STABLE, look - ours))
            for events in (int(rng.binomial(count, rate)),)
        }
        evidence = fold(evidence, shares, tallies, 0, 0)
        if log_goodness(evidence.trials(METRIC), guardrail) >= log(20):
            return units
    return units


def seconds_of_blocks(seed: int, rate: float, late: float, ratio: float) -> tuple[float, float]:
    """Seconds until late answers show harm, and until they show goodness, by blocks of a second.

    `rate` is of each arm, `late` the share of its answers in the baseline. Infinite after an hour.
    """
    rng = np.random.default_rng([85, seed])
    guardrail = Guardrail(metric=Metric.LATENCY_OVER_SLO, margin_rel=1.0, cluster_s=1.0)
    policy = Policy(guardrails=(guardrail,), hard_limits=())
    shares = {JudgedArm.CANDIDATE: 5000, JudgedArm.BASELINE: 5000}
    evidence, harm_s, good_s = Evidence.begin(policy), inf, inf
    for second in range(3600):
        tallies = {}
        for arm, chance in ((JudgedArm.CANDIDATE, late * ratio), (JudgedArm.BASELINE, late)):
            units = int(rng.poisson(rate))
            events = {guardrail.metric: int(rng.binomial(units, chance))}
            tallies[arm] = Tally(units, events, events)
        evidence = fold(evidence, shares, tallies, 0, float(second))
        if evidence.log_harm(guardrail.metric) >= NEEDED:
            harm_s = min(harm_s, second)
        (found,) = judge(evidence, policy, False, SignalsSeen(), shown=False)
        if found.good:
            good_s = min(good_s, second)
        if min(harm_s, good_s) < inf:
            break
    return harm_s, good_s


def labels_of_pairs(seed: int, alone: float, worse: float) -> tuple[float, float]:
    """Labels until pairs show harm, and until they show goodness within two points."""
    rng = np.random.default_rng([87, seed])
    chances = WRONG - alone, alone + worse, alone
    losses, harm, good = NO_LOSSES, inf, inf
    while min(harm, good) == inf and losses.pairs < _MOST:
        drawn = rng.multinomial(_LOOK, [*chances, 1 - sum(chances)]).tolist()
        losses = losses.plus(Losses(_LOOK, *drawn[:3]))
        if paired_losses.log_worse(losses) >= NEEDED:
            harm = losses.pairs
        if paired_losses.log_not_worse(losses, WITHIN.margin_abs or 0.0) >= log(20):
            good = losses.pairs
    return harm, good


def labels_of_arms(seed: int, worse: float) -> tuple[float, float]:
    """The same of labelled units of two arms of a half each, counted over both."""
    rng = np.random.default_rng([89, seed])
    shares = {JudgedArm.CANDIDATE: 5000, JudgedArm.STABLE: 5000}
    evidence, harm, good, units = Evidence.begin(ONE), inf, inf, 0
    while min(harm, good) == inf and units < _MOST:
        ours, units = int(rng.binomial(_LOOK, 0.5)), units + _LOOK
        tallies = {
            arm: Tally(count, {METRIC: events}, {METRIC: events})
            for arm, count, chance in (
                (JudgedArm.CANDIDATE, ours, WRONG + worse),
                (JudgedArm.STABLE, _LOOK - ours, WRONG),
            )
            for events in (int(rng.binomial(count, chance)),)
        }
        evidence = fold(evidence, shares, tallies, 0, 0)
        if evidence.log_harm(METRIC) >= NEEDED:
            harm = units
        if log_goodness(evidence.trials(METRIC), WITHIN) >= log(20):
            good = units
    return harm, good


def _events(ours: int, theirs: int) -> dict[JudgedArm, Tally]:
    return {
        arm: Tally(count, {METRIC: count}, {METRIC: count})
        for arm, count in ((JudgedArm.CANDIDATE, ours), (JudgedArm.STABLE, theirs))
    }


def main(runs: int) -> None:
    """Print both tables."""
    print(f"median events until harm is found, of {runs} runs: both arms (the candidate's)")
    print("| candidate's share | times worse | fresh | 9 in 10 within | after 1,000 clean events |")
    print("|---|---|---|---|---|")
    for share, ratio in HARM:
        fresh = [until_harm(seed, share, ratio) for seed in range(runs)]
        late = [until_harm(seed, share, ratio, 1000) for seed in range(runs)]
        both = [each.both for each in fresh]
        print(
            f"| {share:.0%} | {ratio:g} | {median(both):g} "
            f"({median(each.candidate for each in fresh):g}) "
            f"| {np.quantile(both, 0.9):.0f} | {median(each.both for each in late):g} "
            f"({median(each.candidate for each in late):g}) |",
            flush=True,
        )
    print("\nmedian units of the candidate until an equal version is shown to be good")
    print("| guardrail | events in both arms | 5 % | 25 % | 50 % |\n|---|---|---|---|---|")
    for what, guardrail, rates in (
        ("0.5 points", Guardrail(metric=METRIC, margin_abs=0.005), (0.0, 0.001, 0.01)),
        ("0.1 points", Guardrail(metric=METRIC, margin_abs=0.001), (0.0, 0.0001)),
        ("twice as often", Guardrail(metric=METRIC, margin_rel=1.0), (0.001, 0.01)),
    ):
        for rate in rates:
            units = [
                median(until_good(seed, share, rate, guardrail) for seed in range(runs // 4))
                for share in (0.05, 0.25, 0.5)
            ]
            row = " | ".join(f"{each:,.0f}" for each in units)
            print(f"| {what} | {rate:.2%} | {row} |", flush=True)


def by_blocks(runs: int) -> None:
    """Print how long late answers take to tell."""
    print("\nmedian seconds until late answers tell, counted once a second and arm")
    print("| units a second, each arm | late in the baseline | times as often | harm | good |")
    print("|---|---|---|---|---|")
    for rate, late, ratio in BY_BLOCKS:
        told = [seconds_of_blocks(seed, rate, late, ratio) for seed in range(runs)]
        harm_s, good_s = (_middle([each[at] for each in told]) for at in (0, 1))
        print(f"| {rate:g} | {late:.1%} | {ratio:g} | {harm_s} | {good_s} |", flush=True)


def by_labels(runs: int) -> None:
    """Print how many labels tell who is wrong more often: of pairs, and of arms."""
    print(
        f"\nmedian labels until it is told; {WRONG:.0%} of the stable version's answers are wrong"
    )
    print("| each wrong alone | the candidate besides | pairs: harm | good | arms: harm | good |")
    print("|---|---|---|---|---|---|")
    arms: dict[float, list[str]] = {}
    for alone, worse in BY_LABELS:
        told = [labels_of_pairs(seed, alone, worse) for seed in range(runs)]
        if worse not in arms:
            between = [labels_of_arms(seed, worse) for seed in range(runs)]
            arms[worse] = [_middle([each[at] for each in between]) for at in (0, 1)]
        cells = [_middle([each[at] for each in told]) for at in (0, 1)] + arms[worse]
        print(f"| {alone:.0%} | {worse:.0%} | {' | '.join(cells)} |", flush=True)


def _middle(told: list[float]) -> str:
    middle = median(told)
    return "" if middle == inf else f"{middle:,.0f}"


if __name__ == "__main__":
    RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    main(RUNS)
    by_blocks(max(1, RUNS // 10))
    by_labels(max(1, RUNS // 4))
