"""The figures that a gateway is held to: a shadow that sleeps, and promotions taken back."""

from __future__ import annotations

from statistics import median
from time import perf_counter, sleep

from benchmarks.isolation import models
from benchmarks.isolation.asking import Asked, Window, within
from benchmarks.isolation.stage import Stage
from benchmarks.isolation.trials import RATE
from benchmarks.processes import wait_until
from registry.rollouts import RolloutState

TURN_S = 3.0
_SETTLE_S = 0.5


def sleeper(stage: Stage, turns: int) -> str:
    """Primary latency with a shadow that sleeps 30 s, in turns with none."""
    model = "sleeper"
    stage.prepare(model, models.sleeping())
    # The host stays for a moment after it was in the route: nothing starts between the turns.
    windows: dict[bool, list[Window]] = {True: [], False: []}
    shadow = (2, 100.0)
    stage.control.set_route(model, {1: 100}, shadow=shadow, reason="on")
    before = stage.counts(model)
    with stage.load(model, RATE) as asking:
        for _ in range(turns):
            for on in (True, False):
                wanted = shadow if on else (2, 0.01)
                stage.control.set_route(model, {1: 100}, shadow=wanted, reason="turn")
                sleep(_SETTLE_S)
                began = perf_counter()
                sleep(TURN_S)
                windows[on].append((began, perf_counter()))
        asked = asking.stop()
    sleep(1.5)
    counts = stage.counts(model)
    lines = [_counted(asked)]
    for name, share in (("p50", 0), ("p99", 1)):
        each = {on: [_quantiles(asked, one)[share] for one in windows[on]] for on in windows}
        ratios = [one / other for one, other in zip(each[True], each[False], strict=True)]
        differences = [
            1e3 * (one - other) for one, other in zip(each[True], each[False], strict=True)
        ]
        lines.append(
            f"{name}: {1e3 * median(each[True]):.2f} ms with, {1e3 * median(each[False]):.2f} ms "
            f"without; of {turns} turns the median ratio is {median(ratios):.3f}, "
            f"the median difference {median(differences):+.2f} ms"
        )
    all_of = {on: within(asked, windows[on]) for on in windows}
    for on, met in all_of.items():
        word = "with" if on else "without"
        lines.append(
            f"{word}: {met.requests:,} requests, pooled p50 {1e3 * met.p50_s:.2f} ms, "
            f"p99 {1e3 * met.p99_s:.2f} ms, longest {met.longest_s:.3f} s"
        )
    copies = {
        name: counts.get(f"copies {name}", 0) - before.get(f"copies {name}", 0)
        for name in ("sent", "failed", "dropped")
    }
    lines.append(f"copies: {copies}")
    return "\n".join(lines)


def cycles(stage: Stage, count: int) -> str:
    """Promote and roll back, so often."""
    model = "cycles"
    stage.prepare(model, models.good("other"))
    stage.control.set_route(model, {1: 99, 2: 1}, reason="start its host")
    commands, answered = [], []
    with stage.load(model, RATE) as asking:
        for _ in range(count):
            stage.control.promote(model, 2, "cycle")
            sleep(0.3)
            began = perf_counter()
            stage.control.rollback(model, "cycle")
            answered.append(perf_counter() - began)
            commands.append(began)
            sleep(0.3)
        asked = asking.stop()
    return "\n".join([_counted(asked), _told("rollback", commands, answered, asked)])


def rollouts(stage: Stage, count: int) -> str:
    """Start a rollout, promote it on a person's reason, and abort it while it bakes, so often."""
    model = "rollouts"
    stage.prepare(model, models.good("other"))
    policy = {"steps": [50], "dwell_s": 600, "shadow": {"fraction": 0.0}, "bake_s": 600}
    commands, answered = [], []
    with stage.load(model, RATE) as asking:
        for _ in range(count):
            rollout = stage.control.start_rollout(model, 2, policy, "cycle").rollout.id
            _wait(stage, rollout, RolloutState.CANARY)
            stage.control.command_rollout(rollout, "promote", "cycle")
            _wait(stage, rollout, RolloutState.BAKING)
            sleep(0.3)
            began = perf_counter()
            stage.control.command_rollout(rollout, "abort", "cycle")
            answered.append(perf_counter() - began)
            commands.append(began)
            _wait(stage, rollout, RolloutState.ROLLED_BACK)
        asked = asking.stop()
    return "\n".join([_counted(asked), _told("abort", commands, answered, asked)])


def _wait(stage: Stage, rollout: str, state: RolloutState) -> None:
    wait_until(state.value, lambda: stage.control.rollout(rollout).state is state, 60.0)


def _told(what: str, commands: list[float], answered: list[float], asked: list[Asked]) -> str:
    """From each command until it was answered, and until the last answer of version 2 was due."""
    last = []
    for began, took in zip(commands, answered, strict=True):
        late = [
            one.due - began
            for one in asked
            if one.version == "2" and began <= one.due < began + took + 0.25
        ]
        last.append(max(late, default=0.0))
    return (
        f"{len(commands)} x {what}: answered after {median(answered):.3f} s in the median, "
        f"{max(answered):.3f} s at most; the last request that version 2 answered was due "
        f"{median(last):.3f} s after the command in the median, {max(last):.3f} s at most"
    )


def _quantiles(asked: list[Asked], window: Window) -> tuple[float, float]:
    met = within(asked, [window])
    return met.p50_s, met.p99_s


def _counted(asked: list[Asked]) -> str:
    failures = [one.failure for one in asked if one.failure is not None]
    return f"{len(asked):,} requests, {len(failures)} failed {failures[:3] or ''}"
