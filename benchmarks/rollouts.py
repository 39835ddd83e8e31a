"""How often rollouts err, how soon they find harm, and what other tools would have done.

    python -m benchmarks.rollouts [rollouts] [part ...]

Parts are `delays`, `errors`, `margin`, `stalls` and `rivals`, all by default; `rollouts` is how
many are simulated for each figure. Prints the tables of docs/simulating.md: shares with one-sided
95 % upper bounds (Clopper and Pearson).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from math import log

import numpy as np

from configs.policy import Alpha, Guardrail, Metric, Policy
from serve.rollout.budget import harm_alpha
from serve.rollout.evidence import Shares
from serve.rollout.simulation.compare import side_by_side
from serve.rollout.simulation.counts import Counts, Floats
from serve.rollout.simulation.crowd import Guard
from serve.rollout.simulation.outcomes import End, Outcomes, Share
from serve.rollout.simulation.setting import Setting
from serve.rollout.simulation.traffic import ROUGH, Traffic
from serve.rollout.simulation.weir_runs import run_weir

BATCH = 2500
POLICY = Policy()
AT_FIVE_PERCENT: Shares = (500, 500, 9000)
CLUSTERED = replace(ROUGH, frail=0.1)
"""More failures in clusters than at random."""

PAUSED = Setting(horizon_s=4 * 3600.0, tick_s=30.0, pauses=0.3)

STALLING = Traffic(rate=1000.0, base={Metric.LATENCY_OVER_SLO: 0.0001}, stalls=6.0, stall_s=0.2)
"""Six stalls of a fifth of a second an hour, of the candidate's hosts and of the baseline's."""

AT_MARGIN = {
    "errors, 2 % and 2.5 %": (
        Guardrail(metric=Metric.ERROR_RATIO, margin_abs=0.005),
        replace(ROUGH, base={**ROUGH.base, Metric.ERROR_RATIO: 0.02}, frail=0.0),
        1.25,
    ),
    "invalid outputs, 1 % and 1.1 %": (
        Guardrail(metric=Metric.INVALID_OUTPUT, margin_abs=0.001),
        replace(CLUSTERED, base={**ROUGH.base, Metric.INVALID_OUTPUT: 0.01}),
        1.1,
    ),
    "latency over the objective, 1 % and 2 %": (
        Guardrail(metric=Metric.LATENCY_OVER_SLO, margin_rel=1.0),
        CLUSTERED,
        2.0,
    ),
}

WORLDS = {
    "the same, calm": Traffic(),
    "the same, rough": ROUGH,
    "the same, rough, nearly 1 % of its requests fail": CLUSTERED,
    "the same, 4 requests a minute": Traffic(rate=4 / 60),
    "errors x 50": replace(ROUGH, worse={Metric.ERROR_RATIO: 50.0}),
    "errors x 10": replace(ROUGH, worse={Metric.ERROR_RATIO: 10.0}),
    "errors x 3": replace(ROUGH, worse={Metric.ERROR_RATIO: 3.0}),
    "errors x 10 after 20 minutes": replace(
        ROUGH, worse={Metric.ERROR_RATIO: 10.0}, harm_from_s=1200.0
    ),
    "late answers x 4": replace(ROUGH, worse={Metric.LATENCY_OVER_SLO: 4.0}),
    "invalid outputs x 20": replace(ROUGH, worse={Metric.INVALID_OUTPUT: 20.0}),
}


def main() -> None:
    """Print the tables."""
    numbers = [each for each in sys.argv[1:] if each.isdigit()]
    rollouts = int(numbers[0]) if numbers else 10_000
    parts = [each for each in sys.argv[1:] if not each.isdigit()]
    parts = parts or list(PARTS)
    for part in parts:
        began = time.process_time()
        PARTS[part](rollouts)
        print(f"\n{part}: {time.process_time() - began:.0f} s of processor time\n", flush=True)


def delays(rollouts: int) -> None:
    """Events until harm is found, at 5 % of the traffic and with six guardrails."""
    print(
        "| candidate | compared with | events of both, median | of them the candidate's | "
        "events of both, 90th percentile | times as many as at once |"
    )
    print("|---|---|---|---|---|---|")
    for metric in (Metric.INVALID_OUTPUT, Metric.ERROR_RATIO):
        other = "all stable traffic" if metric is Metric.INVALID_OUTPUT else "the baseline"
        for times in (10.0, 50.0):
            fresh = events_to_find(metric, times, 0, rollouts)
            print(f"| {times:g} times worse | {other} | {_told(fresh)} | 1 |", flush=True)
            late = events_to_find(metric, times, 1000, rollouts)
            ratio = np.median(late[0]) / np.median(fresh[0])
            told = f"{_told(late)} | {ratio:.1f}"
            print(f"| the same, after 1,000 events without harm | {other} | {told} |", flush=True)


def events_to_find(
    metric: Metric, times: float, clean: int, rollouts: int
) -> tuple[Floats, Floats]:
    """Events of both arms since harm began, and those of the candidate, until it is found.

    Streams in which it was found before harm began are left out.
    """
    rng = np.random.default_rng(7)
    guardrail = POLICY.guardrail(metric)
    assert guardrail is not None
    guard = Guard(guardrail, [AT_FIVE_PERCENT], rollouts, log(20))
    needed = -log(harm_alpha(POLICY, same_behaviour=True))
    share = 0.05 if metric is Metric.INVALID_OUTPUT else 0.5
    other = 2 if metric is Metric.INVALID_OUTPUT else 1
    going, found = np.arange(rollouts), np.full((rollouts, 2), -1.0)
    before = np.zeros((rollouts, 2), np.int64)
    event = 0
    while going.size and event < clean + 5000:
        ratio = times if event >= clean else 1.0
        ours = rng.random(going.size) < share * ratio / (share * ratio + 1 - share)
        events = np.zeros((going.size, 3), np.int64)
        events[np.arange(going.size), np.where(ours, 0, other)] = 1
        nought = np.zeros(going.size, np.int64)
        counts = Counts(events, {metric: events}, {metric: events})
        guard.fold(going, nought, counts, nought, nought)
        event += 1
        if event == clean:
            before[going] = guard.bad_events[going]
        out = guard.log_harm(going) >= needed
        if event > clean:
            since = guard.bad_events[going[out]] - before[going[out]]
            found[going[out]] = np.stack([since.sum(1), since[:, 0]], axis=1)
        going = going[~out]
    late = found[found[:, 0] > 0]
    return late[:, 0], late[:, 1]


def _told(events: tuple[Floats, Floats]) -> str:
    both, ours = events
    return f"{np.median(both):.0f} | {np.median(ours):.0f} | {np.percentile(both, 90):.0f}"


def errors(rollouts: int) -> None:
    """False rollbacks of versions that are the same, looked at after every event."""
    print("| traffic | rollouts | rolled back | upper bound | promoted | held | open |")
    print("|---|---|---|---|---|---|---|")
    for name, traffic in (("rough, errors in clusters", CLUSTERED), ("calm", Traffic())):
        ends = _ends(_batches(POLICY, traffic, replace(PAUSED, rollouts=rollouts)))
        print(f"| {name} | {_row(ends)} |", flush=True)


def margin(rollouts: int) -> None:
    """Promotions of versions exactly at the margin, with rollbacks and without."""
    print("| worse by the margin | rollbacks | rollouts | promoted | upper bound | rolled back |")
    print("|---|---|---|---|---|---|")
    for name, (guardrail, traffic, times) in AT_MARGIN.items():
        for rollback in (0.01, 1e-12):
            policy = Policy(
                guardrails=(guardrail,),
                alpha=Alpha(rollback=rollback),
                hard_limits=(),
                step_max_s=10800.0,
            )
            worse = replace(traffic, rate=10.0, worse={guardrail.metric: times})
            of = rollouts if rollback > 1e-6 else rollouts // 5
            ends = _ends(_batches(policy, worse, replace(PAUSED, rollouts=of)))
            promoted, out = (_share(ends, each) for each in (End.PROMOTED, End.ROLLED_BACK))
            told = f"{_percent(promoted.value)} | {_percent(promoted.upper())}"
            on = "on" if rollback > 1e-6 else "off"
            print(f"| {name} | {on} | {of:,} | {told} | {_percent(out.value)} |", flush=True)


def stalls(rollouts: int) -> None:
    """False rollbacks where hosts stall, of late answers that count each or once a mishap."""
    print("| late answers | rollouts | rolled back | upper bound | promoted | held | open |")
    print("|---|---|---|---|---|---|---|")
    setting = Setting(horizon_s=7200.0, tick_s=1.0, rollouts=min(rollouts, 1000))
    for name, cluster_s in (("each counts", 0.0), ("once a second and arm", 1.0)):
        late = Guardrail(metric=Metric.LATENCY_OVER_SLO, margin_rel=1.0, cluster_s=cluster_s)
        policy = Policy(guardrails=(late,))
        ends = _ends(_batches(policy, STALLING, setting))
        print(f"| {name} | {_row(ends)} |", flush=True)


def rivals(rollouts: int) -> None:
    """The same traffic through every rule."""
    print("| candidate | rule | rolled back | promoted | not decided | minutes | exposed | bad |")
    print("|---|---|---|---|---|---|---|---|")
    setting = replace(PAUSED, rollouts=min(rollouts, 500))
    for name, traffic in WORLDS.items():
        for outcomes in side_by_side(POLICY, traffic, setting):
            print(f"| {name} | {_side_by_side(outcomes)} |", flush=True)


def _side_by_side(outcomes: Outcomes) -> str:
    out, promoted = outcomes.share(End.ROLLED_BACK), outcomes.share(End.PROMOTED)
    neither = outcomes.share(End.OPEN).value + outcomes.share(End.HELD).value
    minutes = outcomes.median_after_s() / 60
    return (
        f"{outcomes.rule} | {_percent(out.value)} | {_percent(promoted.value)} | "
        f"{_percent(neither)} | {minutes:.0f} | {outcomes.median_exposed():,.0f} | "
        f"{outcomes.median_bad():,.0f}"
    )


def _batches(policy: Policy, traffic: Traffic, setting: Setting) -> Iterator[Outcomes]:
    """In batches that fit into a processor's memory, each with a seed of its own."""
    for seed, first in enumerate(range(0, setting.rollouts, BATCH), start=1):
        size = min(BATCH, setting.rollouts - first)
        outcomes = run_weir(policy, traffic, replace(setting, rollouts=size, seed=seed))
        out = outcomes.share(End.ROLLED_BACK)
        print(f"{first + size}: {out.count} of {out.of} rolled back", file=sys.stderr, flush=True)
        yield outcomes


def _ends(batches: Iterator[Outcomes]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.concatenate([each.end for each in batches])


def _share(ends: np.ndarray[tuple[int], np.dtype[np.int64]], end: End) -> Share:
    return Share(int((ends == end).sum()), len(ends))


def _row(ends: np.ndarray[tuple[int], np.dtype[np.int64]]) -> str:
    out = _share(ends, End.ROLLED_BACK)
    others = (_share(ends, each).value for each in (End.PROMOTED, End.HELD, End.OPEN))
    told = [f"{len(ends):,}", f"{out.count} ({_percent(out.value)})", _percent(out.upper())]
    return " | ".join([*told, *(_percent(each) for each in others)])


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


PARTS = {"delays": delays, "errors": errors, "margin": margin, "stalls": stalls, "rivals": rivals}

if __name__ == "__main__":
    main()
