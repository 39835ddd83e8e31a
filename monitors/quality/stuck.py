"""Stuck features: whether values repeat the one before them more often than chance makes them."""

from __future__ import annotations

from math import sqrt

import numpy as np

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.profile.reading import watched
from monitors.profile.reference import FeatureProfile, ReferenceProfile
from monitors.profile.words import GAP, WordColumns, Words
from monitors.quality.events import (
    REGISTER_AGAIN,
    SHARE_FLOOR,
    EventShares,
    Expected,
    Said,
    in_profile,
)
from monitors.signal import State
from registry.card import Card

_BY_DRIFT = 0.1
_BLOCK_PAIRS = 25
CONSTANT = (
    "all values of the reference are the same, so none can be more alike: if it is to vary, "
    "register the version with a reference in which it does"
)


class StuckFeatures(EventShares):
    """**Detector** of values that equal the one before them, one signal per feature.

    Rows are taken in pairs as they come, no row in two, against pairs drawn by chance from the
    reference; a pair with a missing value says nothing. An odd row waits for the next block.
    """

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        features = watched(card)
        said = {each.name: in_profile(profile, each, _equal) for each in features}
        super().__init__("stuck", said, settings, unit_rows=2, block=_BLOCK_PAIRS, only_more=True)
        self._columns = WordColumns([each for each in features if each.name in self.subjects])
        self._waiting: Words = np.zeros((0, len(self.subjects)), dtype=np.uint64)

    def update(self, block: SampleBlock) -> None:
        """Take in the inputs of one block."""
        waited = len(self._waiting)
        words = self._columns.read(block.inputs, block.rows)
        words = np.concatenate([self._waiting, words]) if waited else words
        pairs = len(words) // 2
        first, second = words[: 2 * pairs : 2], words[1 : 2 * pairs : 2]
        self._waiting = words[2 * pairs :].copy()
        present = (first != GAP) & (second != GAP)
        # A pair has the key of its second row.
        self.take(block.keys()[1 - waited :: 2], block.minute, (first == second) & present, present)

    def state(self) -> State:
        """All that must be remembered, with the row that waits."""
        return {**super().state(), "waiting": self._waiting}

    def restore(self, state: State) -> None:
        """Go on from a state; `ValueError` where it is not one of the same features."""
        waiting = state["waiting"]
        if waiting.shape[1:] != self._waiting.shape[1:]:
            message = f"a row of {waiting.shape[1:]} values waits, not {self._waiting.shape[1:]}"
            raise ValueError(message)
        super().restore(state)
        self._waiting = waiting.astype(np.uint64)


def _equal(reference: FeatureProfile) -> Said:
    pairs = reference.pairs
    if pairs is None:
        return REGISTER_AGAIN
    if pairs.compared and pairs.equal == pairs.compared:
        return CONSTANT
    # If a category's share moves by 0.05, which is no drift yet, that of equal pairs moves by up
    # to 0.1 times the root of what it was.
    share = pairs.equal / max(pairs.compared, 1)
    return Expected(pairs.equal, pairs.compared, SHARE_FLOOR + _BY_DRIFT * sqrt(share))
