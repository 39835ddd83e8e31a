"""Cards, predictions and messages that the tests of labels share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from configs.settings import Labels
from monitors.blocks import SampleBlock
from monitors.labels.book import LabelBook
from monitors.labels.judged import JudgedBlock
from monitors.labels.message import Awaited
from registry.card import Card, Decision, Group, Label, Score, Task

START = 1_700_000_000.0
DAY_S = 86_400.0
STABLE = ("m", 1, "stable")

CARD = Card(
    task=Task.BINARY,
    score=Score(output="p"),
    decision=Decision(threshold=0.5),
    groups=(
        Group(name="sex"),
        Group(name="town", source="label"),
        Group(name="origin", source="audit"),
    ),
    label=Label(type="boolean"),
)
AWAITED = Awaited(CARD.label or Label(), frozenset(["town"]), frozenset(["origin"]))


def waits_days(days: float) -> Card:
    """The card, with labels that count from when their prediction is so old."""
    return CARD.model_copy(update={"label": Label(type="boolean", expected_delay_days=days)})


def name(number: int) -> str:
    """The id of a prediction; ids that begin alike have tests of their own."""
    return f"{number:016x}" * 2


def predictions(
    numbers: Sequence[int],
    now: float = START,
    *,
    arm: tuple[int, str] = (1, "stable"),
    keys: Sequence[str | None] | None = None,
) -> SampleBlock:
    """Predictions as a block; the score of each follows from its number."""
    rows = len(numbers)
    score = np.array([score_of(number) for number in numbers], dtype=np.float32)
    return SampleBlock(
        "m",
        *arm,
        source="s",
        rate=1.0,
        prediction_ids=np.array([name(number) for number in numbers], dtype="S32"),
        row_numbers=np.zeros(rows, dtype=np.int64),
        inputs={},
        outputs={"p": score.reshape(-1, 1)},
        groups={"sex": np.array(["f" if n % 2 else "m" for n in numbers], dtype=np.object_)},
        made_at=now,
        answered=rows,
        request_ids=None if keys is None else np.array(keys, dtype=np.object_),
    )


def score_of(number: int) -> float:
    """A score that a 32-bit float holds exactly."""
    return number % 8 / 8


def label(number: int, value: object = True, **more: Any) -> dict[str, Any]:
    """A message that names its prediction by its id."""
    return {"prediction_id": name(number), "label": value, **more}


class Reader:
    """Folds judged rows as an observer does: it remembers how far it has come."""

    def __init__(self, folder: Path, settings: Labels | None = None) -> None:
        self._folder = folder
        self._settings = settings or Labels()
        self.book = LabelBook(folder, self._settings)
        self.blocks: list[JudgedBlock] = []
        self._after: dict[tuple[int, str], int] = {}

    def restart(self) -> None:
        """Begin anew with the file; what was folded is remembered."""
        self.book.close()
        self.book = LabelBook(self._folder, self._settings)

    def read(self, now: float, card: Card = CARD) -> None:
        """Fold what is judged at a moment."""
        self.book.ripen(now)
        for model, version, role in self.book.heads():
            arm = (version, role)
            for block, last in self.book.judged(
                (model, version, role), card, self._after.get(arm, 0)
            ):
                self.blocks.append(block)
                self._after[arm] = last

    def rows(self) -> list[tuple[str, float, float, int, bool]]:
        """Role, score, label, sign and whether corrected of all that was folded, in its order."""
        return [
            (block.role, *row)
            for block in self.blocks
            for row in zip(
                block.scores.tolist(),
                block.labels.tolist(),
                block.signs.tolist(),
                block.corrected.tolist(),
                strict=True,
            )
        ]
