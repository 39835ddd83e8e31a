"""Row drift: whether features go together otherwise than in the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.drift.input import SHIFT_FLOOR
from monitors.drift.numeric import NumericStreams, ready
from monitors.profile.columns import NumberColumns
from monitors.profile.reading import watched
from monitors.profile.reference import ReferenceProfile, WholeRows
from monitors.profile.strata import Stratifier, stratifier
from monitors.profile.whole_rows import DIRECTIONS, Projector, squared_discrepancy
from monitors.signal import Signal, State, packed, unpacked
from monitors.verdicts import NO_REFERENCE, Monitor
from registry.card import Card

SUBJECT = "rows"

NOT_DESCRIBED = (
    "the reference does not describe whole rows: it takes two numeric features of policy 'keep' "
    "that vary, and a registration by this version of Weir"
)


class RowDrift:
    """**Detector** of changed whole rows of numeric features. One signal, whose subject is `rows`.

    Rows are seen from a few whitened random directions, each like a numeric feature; the effect is
    that of the direction in which most has changed, in units of its spread.
    """

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        monitor = Monitor("drift", "row_drift", SHIFT_FLOOR, settings)
        self._monitor = monitor
        self._watch: _Watch | None = None
        self._silent: tuple[Signal, ...] = ()
        if profile is None:
            self._silent = (monitor.silent(SUBJECT, NO_REFERENCE),)
        elif profile.whole_rows is None or not all(map(ready, profile.whole_rows.projections)):
            self._silent = (monitor.silent(SUBJECT, NOT_DESCRIBED),)
        else:
            self._watch = _Watch(card, profile.whole_rows, monitor, stratifier(card, profile))

    def update(self, block: SampleBlock) -> None:
        """Take in the inputs of one block."""
        if self._watch:
            self._watch.update(block)

    def signals(self) -> tuple[Signal, ...]:
        """One signal about the rows."""
        return (self._watch.signal(),) if self._watch else self._silent

    def rearm(self, subject: str) -> None:
        """Begin anew with the rows."""
        if self._watch and subject == SUBJECT:
            self._watch.rearm()

    def forget(self, minute: int) -> bool:
        """Drop the windows that ended before a minute; says whether there were any."""
        return self._watch.forget(minute) if self._watch else False

    def state(self) -> State:
        """All that must be remembered."""
        return self._watch.state() if self._watch else {}

    def restore(self, state: State) -> None:
        """Go on from a state."""
        if self._watch:
            self._watch.restore(state)


class _Watch:
    """A fold over the projections of whole rows."""

    def __init__(
        self, card: Card, reference: WholeRows, monitor: Monitor, strata: Stratifier | None
    ) -> None:
        self._reference = reference
        self._monitor = monitor
        by_name = {feature.name: feature for feature in watched(card)}
        self._columns = NumberColumns([by_name[name] for name in reference.features])
        self._projector = Projector(reference)
        names = [f"{SUBJECT}/{at}" for at in range(len(reference.projections))]
        profiles = dict(zip(names, reference.projections, strict=True))
        self._strata = strata
        within = strata.projection_counts(reference.projections) if strata else None
        self._streams = NumericStreams(profiles, monitor, within)
        self._cosines = np.zeros(len(reference.cosines), dtype=np.int64)
        self._rows = 0

    def update(self, block: SampleBlock) -> None:
        values = self._columns.read(block.inputs, block.rows)
        projections = self._projector.project(values)
        keys = block.keys()
        strata = self._strata.of(block) if self._strata else None
        self._streams.update(keys, projections, block.minute, strata)
        self._cosines += self._projector.cosines(projections)
        self._rows += block.rows

    def signal(self) -> Signal:
        signal = self._monitor.signal(SUBJECT, *self._streams.together())
        if signal.value is None:
            return signal
        discrepancy = squared_discrepancy(
            np.array(self._reference.cosines), self._reference.rows, self._cosines, self._rows
        )
        shown = f"in one of {DIRECTIONS} directions; squared discrepancy {discrepancy:.4f}"
        return replace(signal, message=f"{signal.message} ({shown})")

    def rearm(self) -> None:
        for name in self._streams.names:
            self._streams.rearm(name)
        self._cosines[:] = 0
        self._rows = 0

    def forget(self, minute: int) -> bool:
        return self._streams.forget(minute)

    def state(self) -> State:
        own = {"cosines": self._cosines, "rows": np.array(self._rows, dtype=np.int64)}
        return packed({"streams": self._streams.state(), "own": own})

    def restore(self, state: State) -> None:
        self._streams.restore(unpacked(state, "streams"))
        own = unpacked(state, "own")
        self._cosines = own["cosines"].astype(np.int64)
        self._rows = int(own["rows"])
