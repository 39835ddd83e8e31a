"""Two models whose monitors saw something: one whose inputs moved, one whose relationship did.

    PYTHONPATH=. python examples/concept_drift.py

Rows are generated. Both models are the same, were made of the same rows, and meet 4,000 rows like
these first. Then one meets rows whose inputs have moved, of which it is as sure as ever, or surer;
the other one meets rows that look as ever, in which income no longer means what it meant. Labels
come for all rows. What is printed is what `weir signals` prints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.labels.judged import JudgedBlock
from monitors.panel import Panel
from monitors.profile.build import build_profile
from monitors.profile.reading import decisions, scores
from monitors.signal import Signal
from registry.card import Card, Decision, Feature, Label, Score, Task
from registry.signature import Datatype, Signature, TensorSpec

Floats = NDArray[np.float64]

CARD = Card(
    task=Task.BINARY,
    score=Score(output="p"),
    decision=Decision(threshold=0.5),
    features=(
        Feature(name="income", input="x", column=0),
        Feature(name="debt", input="x", column=1),
        Feature(name="age", input="x", column=2),
    ),
    label=Label(type="boolean", column="repaid"),
)
SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", datatype=Datatype.FP64, shape=(-1, 3)),),
    outputs=(TensorSpec(name="p", datatype=Datatype.FP64, shape=(-1,)),),
)
NAMES = tuple(feature.name for feature in CARD.features)
OF_INCOME, OF_DEBT = 2.0, -1.0
BLOCK_ROWS = 200

Inputs = Callable[[np.random.Generator, int], Floats]
"""Draws rows of inputs, shape (rows, 3)."""

Truth = Callable[[Floats], Floats]
"""The chance of a repaid loan by its inputs, shape (rows,)."""


def chance(x: Floats, of_income: float = OF_INCOME) -> Floats:
    """The chance that a loan is repaid; the model knows it as it was in the reference."""
    return np.asarray(1 / (1 + np.exp(-(of_income * x[:, 0] + OF_DEBT * x[:, 1]))))


def model(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A model that was right when it was made."""
    return {"p": chance(inputs["x"])}


def as_ever(rng: np.random.Generator, rows: int) -> Floats:
    """Inputs like those of the reference."""
    return rng.standard_normal((rows, 3))


def richer(rng: np.random.Generator, rows: int) -> Floats:
    """Incomes that have risen by one standard deviation."""
    return as_ever(rng, rows) + np.array([1.0, 0.0, 0.0])


def doubtful(rng: np.random.Generator, rows: int) -> Floats:
    """Incomes that lie closer together, where the model was never sure."""
    return as_ever(rng, rows) * np.array([0.3, 1.0, 1.0])


def income_means_less(x: Floats) -> Floats:
    """The relationship has moved: income tells a quarter of what it told."""
    return chance(x, OF_INCOME / 4)


def reference(rng: np.random.Generator, rows: int = 6000) -> dict[str, NDArray[Any]]:
    """Rows that the model was not made of, with what was true of them."""
    x = as_ever(rng, rows)
    columns: dict[str, NDArray[Any]] = dict(zip(NAMES, x.T, strict=True))
    return {**columns, "repaid": rng.random(rows) < chance(x)}


def live(x: Floats, first: int) -> SampleBlock:
    """Rows as they come; `first` numbers their prediction ids."""
    ids = [f"{number:032x}" for number in range(first, first + len(x))]
    inputs: dict[str, NDArray[Any]] = {"x": x}
    return SampleBlock(
        model="credit",
        version=1,
        role="stable",
        source="example",
        rate=1.0,
        prediction_ids=np.array(ids, dtype="S32"),
        row_numbers=np.zeros(len(x), dtype=np.int64),
        inputs=inputs,
        outputs=model(inputs),
        answered=len(x),
    )


def judged(block: SampleBlock, labels: Floats) -> JudgedBlock:
    """The same rows once their truth has come."""
    rows, nothing = block.rows, np.zeros(block.rows)
    score, decided = scores(CARD, block.outputs), decisions(CARD, block.outputs)
    return JudgedBlock(
        model=block.model,
        version=block.version,
        role=block.role,
        keys=block.keys(),
        scores=nothing if score is None else score,
        decisions=nothing if decided is None else decided,
        labels=labels,
        predicted_at=nothing,
        labelled_at=nothing + block.made_at,
        signs=np.ones(rows, dtype=np.int8),
        corrected=np.zeros(rows, dtype=np.bool_),
    )


def new_panel(seed: int, settings: Monitors | None = None) -> Panel:
    """The monitors of the model, which know its reference."""
    profile = build_profile(CARD, SIGNATURE, reference(np.random.default_rng(seed)), model)
    return Panel(CARD, SIGNATURE, profile, settings or Monitors())


def feed(panel: Panel, rng: np.random.Generator, rows: int, inputs: Inputs, truth: Truth) -> None:
    """Give rows and their labels to the monitors, block by block."""
    for first in range(0, rows, BLOCK_ROWS):
        x = inputs(rng, BLOCK_ROWS)
        block = live(x, int(rng.integers(2**60)) + first)
        panel.update(block)
        panel.judge(judged(block, (rng.random(BLOCK_ROWS) < truth(x)).astype(np.float64)))


STORIES: dict[str, tuple[Inputs, Truth]] = {
    "inputs moved, and it is as right as it was": (richer, chance),
    "inputs moved to where it was never sure": (doubtful, chance),
    "the relationship moved": (as_ever, income_means_less),
}


def told(story: str, seed: int = 1) -> tuple[Signal, ...]:
    """What the monitors say after 4,000 rows as ever and 2,000 of a story."""
    inputs, truth = STORIES[story]
    panel, rng = new_panel(seed), np.random.default_rng(seed + 1)
    feed(panel, rng, 4000, as_ever, chance)
    feed(panel, rng, 2000, inputs, truth)
    return panel.signals()


def main() -> None:
    """Tell the stories."""
    from serve.cli.signals import show_signals  # noqa: PLC0415
    from serve.control.schemas import ArmSignalsView, SignalsView, SignalView  # noqa: PLC0415

    for story in STORIES:
        views = tuple(SignalView.of(signal) for signal in told(story))
        arm = ArmSignalsView(version=1, role="stable", rows=6000, signals=views)
        print(f"== {story} ==")
        show_signals(SignalsView(model="credit", arms=(arm,)))


if __name__ == "__main__":
    main()
