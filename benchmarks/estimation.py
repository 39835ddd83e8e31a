"""How good estimated and corrected performance are: `python -m benchmarks.estimation`.

Simulates references, live rows and labels for a part of them, from seeds, and writes the table of
`docs/performance-without-labels.md`. Two minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from benchmarks.page import placed
from monitors.labels.judged import JudgedBlock
from monitors.performance.calibrator import Expectation, Rows, expectation_of
from monitors.performance.corrections import Corrections
from monitors.performance.estimands import MEANS, Estimated
from monitors.performance.estimates import Estimates
from monitors.performance.losses import realised
from monitors.profile.build import describe
from monitors.profile.seen import Seen
from monitors.profile.truth import Truth
from monitors.stats.anytime_normal import at_one_look
from registry.card import Card, Decision, Label, Score, Task

Floats = NDArray[np.float64]

PAGE = Path(__file__).parents[1] / "docs" / "performance-without-labels.md"
BEGIN = "<!-- written by benchmarks/estimation: begin -->"
END = "<!-- written by benchmarks/estimation: end -->"

REFERENCE_ROWS = 20_000
ROWS = 20_000
LABELLED = 0.05
_GRID = 200_001
_HEADINGS = (
    "task",
    "world",
    "measure",
    "true value",
    "estimate holds it",
    "labels alone hold it",
    "corrected holds it",
    "corrected is narrower by",
    "ever wider",
)
_WIDTH = at_one_look()

_BINARY = Card(
    task=Task.BINARY,
    score=Score(output="p"),
    decision=Decision(threshold=0.5),
    label=Label(),
)
_REGRESSION = Card(task=Task.REGRESSION, score=Score(output="p"), label=Label(type="number"))


@dataclass(frozen=True, slots=True)
class World:
    """How inputs and labels come: a hidden number z, normal around `centre`.

    A binary label has the log-odds slope * z + offset, a number is z + offset with a noise that
    grows with z.
    """

    centre: float = 0.0
    slope: float = 4.0
    offset: float = 0.0


AS_BEFORE = World()

WORLDS = {
    "nothing moved": AS_BEFORE,
    "inputs moved": World(centre=0.5),
    "relationship moved": World(slope=2.0, offset=-1.0),
    "both moved": World(centre=0.5, slope=2.0, offset=-1.0),
}


@dataclass(slots=True)
class Came:
    """What came of all trials of one measure in one world."""

    truth: float
    held: dict[str, list[bool]] = field(
        default_factory=lambda: {"estimated": [], "labels": [], "corrected": []}
    )
    widths: list[tuple[float, float]] = field(default_factory=list)


def scored(task: Task, z: Floats) -> Floats:
    """The model's scores: right in the world as it was."""
    return expit(AS_BEFORE.slope * z) if task is Task.BINARY else z


def labels_of(task: Task, world: World, z: Floats, rng: np.random.Generator) -> Floats:
    """What comes true."""
    if task is Task.BINARY:
        return (rng.random(len(z)) < expit(world.slope * z + world.offset)).astype(np.float64)
    noise = (0.2 + expit(2 * z)) * world.slope / AS_BEFORE.slope
    return z + world.offset + noise * rng.standard_normal(len(z))


def decided(task: Task, scores: Floats) -> Floats | None:
    """The decisions."""
    return (scores >= 0.5).astype(np.float64) if task is Task.BINARY else None


def reference(card: Card, rng: np.random.Generator) -> Truth:
    """What a reference of the world as it was tells."""
    z = rng.standard_normal(REFERENCE_ROWS)
    scores = scored(card.task, z)
    rows = Seen(
        rows=REFERENCE_ROWS,
        features={},
        score=scores,
        score_columns=None,
        decided=None,
        decision=None,
        groups={},
        labels=labels_of(card.task, AS_BEFORE, z, rng),
        classes=decided(card.task, scores),
    )
    truth = describe(card, rows).truth
    assert truth is not None
    return truth


def true_values(card: Card, world: World) -> dict[str, float]:
    """The measures on rows without end, by integration over z."""
    z = norm.ppf((np.arange(_GRID) + 0.5) / _GRID) + world.centre
    scores = scored(card.task, z)
    decisions = decided(card.task, scores)
    if card.task is Task.BINARY:
        chance = expit(world.slope * z + world.offset)
        ends = [
            realised(card.task, scores, None, decisions, np.full(len(z), end)) for end in (0.0, 1.0)
        ]
        means = {
            name: float(np.mean((1 - chance) * ends[0][name] + chance * ends[1][name]))
            for name in ends[0]
        }
    else:
        noise = (0.2 + expit(2 * z)) * world.slope / AS_BEFORE.slope
        folded = noise * np.sqrt(2 / np.pi) * np.exp(-((world.offset / noise) ** 2) / 2)
        folded += world.offset * (1 - 2 * norm.cdf(-world.offset / noise))
        means = {
            "outcome": float(np.mean(z + world.offset)),
            "absolute": float(np.mean(folded)),
            "squared": float(np.mean(noise**2 + world.offset**2)),
        }
    return {
        each.name: each.of_mean(Estimated(means[each.loss], 0.0, 1)).value
        for each in MEANS
        if each.loss in means
    }


def trial(card: Card, world: World, rng: np.random.Generator, found: Mapping[str, Came]) -> None:
    """Draw a reference, live rows, and labels; note which intervals hold the truth."""
    truth = reference(card, rng)
    expectation = expectation_of(card, truth)
    assert expectation is not None
    z = rng.standard_normal(ROWS) + world.centre
    scores = scored(card.task, z)
    rows = Rows(scores, None, decided(card.task, scores))
    estimates = Estimates(expectation, truth)
    estimates.update(rows)
    corrections = _corrected(card.task, expectation, truth, rows)
    known = np.flatnonzero(rng.random(ROWS) < LABELLED)
    labels = labels_of(card.task, world, z[known], rng)
    corrections.judge(_judged(rows, known, labels), np.ones(len(known), dtype=np.bool_))
    estimated, corrected = estimates.figures(), corrections.figures()
    for name, score in found.items():
        three = {
            "estimated": estimated[name],
            "labels": corrected[name].alone,
            "corrected": corrected[name].mean,
        }
        for kind, each in three.items():
            lower, upper = each.interval(_WIDTH)
            score.held[kind].append(lower <= score.truth <= upper)
        score.widths.append((corrected[name].mean.error, corrected[name].alone.error))


def _corrected(task: Task, expectation: Expectation, truth: Truth, rows: Rows) -> Corrections:
    corrections = Corrections(task, expectation, truth)
    corrections.update(rows)
    return corrections


def _judged(rows: Rows, known: NDArray[np.intp], labels: Floats) -> JudgedBlock:
    assert rows.scores is not None
    count = len(known)
    return JudgedBlock(
        model="m",
        version=1,
        role="stable",
        keys=known.astype(np.uint64),
        scores=rows.scores[known],
        decisions=np.full(count, np.nan) if rows.decisions is None else rows.decisions[known],
        labels=labels,
        predicted_at=np.zeros(count),
        labelled_at=np.zeros(count),
        signs=np.ones(count, dtype=np.int8),
        corrected=np.zeros(count, dtype=np.bool_),
    )


def auc(world: World) -> float:
    """The chance that a score of a positive row is above that of a negative one."""
    z = norm.ppf((np.arange(_GRID) + 0.5) / _GRID) + world.centre
    chance = expit(world.slope * z + world.offset)
    below = np.cumsum(1 - chance) - (1 - chance) / 2
    return float((chance * below).sum() / (chance.sum() * (1 - chance).sum()))


def simulate(card: Card, trials: int, seed: int) -> dict[str, dict[str, Came]]:
    """What comes of so many trials, by world and measure."""
    found: dict[str, dict[str, Came]] = {}
    for at, (name, world) in enumerate(WORLDS.items()):
        rng = np.random.default_rng((seed, at))
        scores = {measure: Came(value) for measure, value in true_values(card, world).items()}
        for _ in range(trials):
            trial(card, world, rng, scores)
        found[name] = scores
        print(f"{card.task}, {name}: done", flush=True)
    return found


def table(trials: int, run: Callable[[Card, int, int], dict[str, dict[str, Came]]]) -> str:
    """The table for the page."""
    lines = [
        f"{trials:,} trials a line: {REFERENCE_ROWS:,} reference rows, {ROWS:,} live rows, a label "
        f"for {LABELLED:.0%} of them, drawn by chance. Intervals of 95 % at one look. The AUC of "
        "the binary model is "
        + ", ".join(f"{auc(world):.3f} ({name})" for name, world in WORLDS.items())
        + ".",
        "",
        f"| {' | '.join(_HEADINGS)} |",
        f"|{' --- |' * len(_HEADINGS)}",
    ]
    for card in (_BINARY, _REGRESSION):
        for world, scores in run(card, trials, 7).items():
            lines += [_line(card.task, world, name, score) for name, score in scores.items()]
    return "\n".join(["", *lines, ""])


def _line(task: Task, world: str, name: str, score: Came) -> str:
    held = [f"{np.mean(score.held[kind]):.1%}" for kind in ("estimated", "labels", "corrected")]
    corrected, alone = np.array(score.widths).T
    narrower = f"{1 - np.median(corrected / alone):.0%}"
    cells = [task, world, name, f"{score.truth:.3f}", *held, narrower]
    return f"| {' | '.join(cells)} | {int((corrected > alone).sum())} times |"


def main() -> int:
    """Simulate, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimation", description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--page", type=Path, default=PAGE)
    asked = parser.parse_args()
    text = asked.page.read_text(encoding="utf-8")
    written = placed(text, "the table needs", BEGIN, END, table(asked.trials, simulate))
    asked.page.write_text(written, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
