"""A detector that counts judged rows, for tests of who folds them."""

from __future__ import annotations

import numpy as np

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.detectors import Registered
from monitors.labels.judged import JudgedBlock
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal, State, Verdict
from registry.card import Card


class Counting:
    """**Detector** whose signal has as its value how many judged rows stand."""

    def __init__(self, *_made_of: Card | ReferenceProfile | Monitors | None) -> None:
        self._rows = 0
        self._standing = 0

    def update(self, block: SampleBlock) -> None:
        """Rows without their truth do not matter."""

    def judge(self, block: JudgedBlock) -> None:
        """Count rows."""
        self._rows += block.rows
        self._standing += int(block.signs.sum())

    def signals(self) -> tuple[Signal, ...]:
        """One signal."""
        value = float(self._standing)
        return (Signal("test", "counting", "rows", Verdict.OK, self._rows, value=value),)

    def rearm(self, subject: str) -> None:
        """There is no evidence."""

    def state(self) -> State:
        """Both counts."""
        return {"counts": np.array([self._rows, self._standing])}

    def restore(self, state: State) -> None:
        """Go on from both counts."""
        self._rows, self._standing = (int(count) for count in state["counts"])


COUNTING = Registered("test", "counting", Counting)
