"""How often concept drift is found where there is none, and how soon where there is.

    python -m benchmarks.concept [runs]

A model gives a score, which is the chance of its outcome in the reference. Rows come, all with
their labels, and the monitors of the loss and of calibration look every 100 rows. Prints the tables
of docs/concept-drift.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from configs.settings import Monitors
from monitors.labels.judged import JudgedBlock
from monitors.performance.calibration import CalibrationDrift
from monitors.performance.loss import LossRise
from monitors.profile.build import build_profile
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal, Verdict
from monitors.stats.knots import on_knots
from monitors.stats.risk import RisingRisk, cell_ends
from registry.card import Card, Decision, Feature, Label, Score, Task
from registry.signature import Datatype, Signature, TensorSpec

Floats = NDArray[np.float64]

CARD = Card(
    task=Task.BINARY,
    score=Score(output="p"),
    decision=Decision(threshold=0.5),
    features=(Feature(name="s", input="x", column=0),),
    label=Label(type="boolean", column="y"),
)
SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", datatype=Datatype.FP64, shape=(-1, 1)),),
    outputs=(TensorSpec(name="p", datatype=Datatype.FP64, shape=(-1,)),),
)
ROWS = 4000
LOOK_ROWS = 100
CHANGE = 1000
BUDGET = 0.1
"""Large, so that a promise that is broken shows in a few hundred runs."""

ALONE = 0.0006
"""What one loss has of a whole budget of 1 % beside all other monitors: a threshold of 1,700."""


@dataclass(frozen=True, slots=True)
class World:
    """Scores whose log-odds are normal, and outcomes whose log-odds are `slope` times, plus."""

    mean: float = 0.0
    spread: float = 2.0
    slope: float = 1.0
    plus: float = 0.0

    def draw(self, rng: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
        """Scores, and what came true."""
        odds = self.mean + self.spread * rng.standard_normal(rows)
        return _chance(odds), (rng.random(rows) < self.true(odds)).astype(np.float64)

    def true(self, odds: Floats) -> Floats:
        """The chances of outcomes."""
        return _chance(self.slope * odds + self.plus)


def _chance(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float64)


SAME = World()
Story = Callable[[int], World]
"""The world after so many rows."""

HARMLESS: dict[str, Story] = {
    "nothing changes": lambda _: SAME,
    "inputs move, the risk falls": lambda _: World(mean=2.0),
    "the risk falls, and comes back": lambda at: World(mean=3.0) if at < ROWS // 2 else SAME,
}
ONLY_INPUTS: dict[str, Story] = {"inputs move, the risk rises": lambda _: World(spread=1.0)}
HARM = {
    "scores mean three quarters": World(slope=0.75),
    "scores mean half": World(slope=0.5),
    "scores mean a quarter": World(slope=0.25),
    "outcomes are rarer": World(plus=-0.5),
    "inputs only, the risk rises": World(spread=1.0),
}


def reference(rng: np.random.Generator, rows: int) -> ReferenceProfile:
    """The profile of rows with their truth, half of which are counted."""
    score, label = SAME.draw(rng, rows)
    columns: dict[str, NDArray[Any]] = {"s": score, "y": label.astype(np.bool_)}
    return build_profile(CARD, SIGNATURE, columns, lambda inputs: {"p": inputs["x"][:, 0]})


def judged(scores: Floats, labels: Floats) -> JudgedBlock:
    """Rows with their truth."""
    rows, zeros = len(scores), np.zeros(len(scores))
    return JudgedBlock(
        model="m",
        version=1,
        role="stable",
        keys=np.zeros(rows, dtype=np.uint64),
        scores=scores,
        decisions=(scores >= 0.5).astype(np.float64),
        labels=labels,
        predicted_at=zeros,
        labelled_at=zeros,
        signs=np.ones(rows, dtype=np.int8),
        corrected=np.zeros(rows, dtype=np.bool_),
    )


def looks(
    seed: int, story: Story, rows: int, reference_rows: int, budget: float
) -> Iterator[tuple[int, dict[str, Signal]]]:
    """What the two monitors say after each hundred rows, as if each had the budget to itself."""
    rng = np.random.default_rng([61, seed])
    profile = reference(rng, reference_rows)
    settings = Monitors(alarm_budget=budget)
    detectors = (LossRise(CARD, profile, settings), CalibrationDrift(CARD, profile, settings))
    for at in range(0, rows, LOOK_ROWS):
        block = judged(*story(at).draw(rng, LOOK_ROWS))
        said: dict[str, Signal] = {}
        for detector in detectors:
            detector.judge(block)
            said |= {each.subject: each for each in detector.signals()}
        yield at + LOOK_ROWS, said


def false_alarms(story: Story, runs: int, reference_rows: int) -> dict[str, int]:
    """Runs in which the evidence of each subject was ever enough for a budget of 10 %."""
    found = dict.fromkeys(("wrong", "brier", "score"), 0)
    for seed in range(runs):
        reached: set[str] = set()
        for _, said in looks(seed, story, ROWS, reference_rows, BUDGET):
            enough = -log(BUDGET) / log(10)
            reached |= {n for n in found if (said[n].log10_evidence or 0.0) >= enough}
        for name in reached:
            found[name] += 1
    return found


def delays(world: World, runs: int, reference_rows: int) -> dict[str, list[float]]:
    """Rows from the change until each subject is in alarm, infinite where it never was."""
    found: dict[str, list[float]] = {name: [] for name in ("wrong", "brier", "score")}
    for seed in range(runs):
        first = dict.fromkeys(found, float("inf"))
        story = partial(_changes, world)
        for at, said in looks(1000 + seed, story, CHANGE + ROWS, reference_rows, ALONE):
            for name in first:
                if at > CHANGE and said[name].verdict is Verdict.ALARM:
                    first[name] = min(first[name], at - CHANGE)
            if np.isfinite(list(first.values())).all():
                break
        for name, rows in first.items():
            found[name].append(rows)
    return found


def _changes(world: World, at: int) -> World:
    return SAME if at < CHANGE else world


def risks(world: World) -> tuple[float, float]:
    """The share of wrong decisions, and what a row tells of outcomes against their chances."""
    odds = world.mean + world.spread * np.random.default_rng(0).standard_normal(400_000)
    true, said = world.true(odds), _chance(odds)
    wrong = np.where(odds >= 0, 1 - true, true).mean()
    tells = true * np.log(true / said) + (1 - true) * np.log((1 - true) / (1 - said))
    return float(wrong), float(tells.mean())


def _divergence(p: float, q: float) -> float:
    return p * log(p / q) + (1 - p) * log((1 - p) / (1 - q))


class Bounded(RisingRisk):
    """The usual way: an upper bound of the reference's risk, wrong with a chance of `alpha`."""

    def __init__(self, known: Floats, alpha: float) -> None:
        reference = on_knots(known).sum(axis=0)
        super().__init__(reference, 0)
        hits = float(known.sum())
        most = float(beta.ppf(1 - alpha, hits + 1, len(known) - hits))
        self._cell = int(np.searchsorted(cell_ends(reference), most))

    def log_wealth(self) -> float:
        """What was won against the bound."""
        return float(self._mixture.log_wealth()[self._cell])


def beside_a_bound(before: float, after: float, rows: int, runs: int) -> tuple[float, float]:
    """Median rows from the change at row 1,000 until the evidence is enough, as it is and bounded.

    Looked at every ten rows. `rows` are counted in the reference. Both have the same budget.
    """
    found = []
    for seed in range(runs):
        rng = np.random.default_rng([62, seed])
        known = (rng.random(rows) < before).astype(np.float64)
        risks = (RisingRisk(on_knots(known).sum(axis=0), 0), Bounded(known, ALONE / 2))
        enough = (-log(ALONE), -log(ALONE / 2))
        first = [float("inf")] * 2
        _take(risks, _losses(rng, CHANGE, before))
        for at in range(10, 10_001, 10):
            _take(risks, _losses(rng, 10, after))
            for each, (risk, threshold) in enumerate(zip(risks, enough, strict=True)):
                if risk.log_wealth() >= threshold:
                    first[each] = min(first[each], at)
            if np.isfinite(first).all():
                break
        found.append(first)
    as_it_is, bounded = np.median(found, axis=0).tolist()
    return as_it_is, bounded


def _take(risks: Iterable[RisingRisk], rows: tuple[Floats, NDArray[np.int64]]) -> None:
    for risk in risks:
        risk.update(*rows)


def _losses(rng: np.random.Generator, rows: int, chance: float) -> tuple[Floats, NDArray[np.int64]]:
    losses = (rng.random(rows) < chance).astype(np.float64)
    return losses, np.zeros((rows, 0), dtype=np.int64)


def _told(rows: list[float]) -> str:
    """The median and the 90th percentile, each a dash where it was never found."""
    at = (int(0.5 * (len(rows) - 1)), int(0.9 * (len(rows) - 1)))
    median, late = (f"{sorted(rows)[each]:,.0f}".replace("inf", "-") for each in at)
    return f"{median} ({late})"


def main() -> None:
    """Print the tables."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print("| rows labelled in the reference | 4,000 rows | wrong | brier | miscalibration |")
    print("|---|---|---|---|---|")
    for rows in (400, 6000):
        for name, story in (HARMLESS | ONLY_INPUTS).items():
            shares = false_alarms(story, runs, rows)
            cells = [
                "(it has risen)"
                if name in ONLY_INPUTS and subject != "score"
                else f"{hits} of {runs}"
                for subject, hits in shares.items()
            ]
            print(f"| {rows:,} | {name} | {' | '.join(cells)} |", flush=True)
    print(
        "\n| from row 1,000 on | share of wrong decisions | `wrong` | `brier` | `miscalibration` | "
        "limit, `wrong` | limit, `miscalibration` |"
    )
    print("|---|---|---|---|---|---|---|")
    was, _ = risks(SAME)
    for name, world in HARM.items():
        now, tells = risks(world)
        found = delays(world, max(runs // 8, 5), 6000)
        medians = [_told(rows) for rows in found.values()]
        limits = (
            -log(ALONE) / _divergence(now, was),
            -log(ALONE) / tells if tells > 1e-6 else np.inf,
        )
        bounds = [f"{limit:,.0f}".replace("inf", "-") for limit in limits]
        told = " | ".join([*medians, *bounds])
        print(f"| {name} | {was:.3f}, {now:.3f} | {told} |", flush=True)
    print("\n| share of wrong decisions | counted rows | as it is | with a bound | limit |")
    print("|---|---|---|---|---|")
    for before, after, rows in ((0.1, 0.2, 500), (0.1, 0.2, 3000), (0.1, 0.15, 3000)):
        as_it_is, bounded = beside_a_bound(before, after, rows, max(runs // 7, 5))
        limit = -log(ALONE) / _divergence(after, before)
        told = f"{as_it_is:,.0f} | {bounded:,.0f} | {limit:,.0f}"
        print(f"| {before} to {after} | {rows:,} | {told} |", flush=True)


if __name__ == "__main__":
    main()
