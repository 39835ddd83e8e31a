"""Input drift: whether the distribution of a feature has moved away from the reference."""

from __future__ import annotations

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.drift import categorical, numeric
from monitors.drift.categorical import CategoricalComparison, CategoricalStream
from monitors.drift.numeric import NumericStreams
from monitors.explain import Bins
from monitors.profile.columns import NumberColumns
from monitors.profile.reading import feature_values, watched
from monitors.profile.reference import CategoricalProfile, NumericProfile, ReferenceProfile
from monitors.profile.strata import stratifier
from monitors.signal import Signal, State, packed, unpacked
from monitors.verdicts import NO_REFERENCE, Monitor
from monitors.windows import Forgets
from registry.card import Card, Feature

SHIFT_FLOOR = 0.125
"""In standard deviations: what moves 5 % of a normal distribution (total variation 0.05)."""

SHARE_FLOOR = 0.03
"""Change of a category's share of the rows."""

TOO_FEW = (
    "the reference has too few rows of this to compare with: register the version with more rows"
)


class InputDrift:
    """**Detector** of changed features; missing and non-finite values are left to `MissingValues`.

    One signal per watched feature. Numeric: shift or change of spread on reference bins.
    Categorical: the largest change of a share.

    Where the card declares strata, rows are compared within them, but for the feature that says the
    segment: a change of the mix of segments is seen there, and nowhere else.
    """

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        by_shift = Monitor("drift", "input_drift", SHIFT_FLOOR, settings)
        by_share = Monitor("drift", "input_drift", SHARE_FLOOR, settings)
        known = profile.features if profile else {}
        self._strata = strata = stratifier(card, profile)
        numerics: dict[str, NumericProfile] = {}
        self._categoricals: list[tuple[Feature, CategoricalStream]] = []
        self._silent: list[Signal] = []
        for feature in watched(card):
            reference = known.get(feature.name)
            if isinstance(reference, NumericProfile) and numeric.ready(reference):
                numerics[feature.name] = reference
            elif isinstance(reference, CategoricalProfile) and categorical.ready(reference):
                within = None
                if strata is not None and not strata.is_segment(feature.name):
                    within = strata.counts(feature.name, reference)
                stream = CategoricalStream(feature.name, reference, by_share, within)
                self._categoricals.append((feature, stream))
            else:
                why = NO_REFERENCE if reference is None else TOO_FEW
                self._silent.append(by_shift.silent(feature.name, why))
        self._columns = NumberColumns([each for each in card.features if each.name in numerics])
        tables = None
        if strata is not None:
            tables = [strata.counts(name, each) for name, each in numerics.items()]
        self._numerics = NumericStreams(numerics, by_shift, tables)
        self._compared = CategoricalComparison([stream for _, stream in self._categoricals])

    def update(self, block: SampleBlock) -> None:
        """Take in the inputs of one block."""
        keys = block.keys()
        values = self._columns.read(block.inputs, block.rows)
        strata = self._strata.of(block) if self._strata else None
        self._numerics.update(keys, values, block.minute, strata)
        for feature, stream in self._categoricals:
            stream.update(keys, feature_values(feature, block.inputs), block.minute, strata)

    def signals(self) -> tuple[Signal, ...]:
        """One signal per watched feature."""
        return (*self._numerics.signals(), *self._compared.signals(), *self._silent)

    def bins(self, subject: str, minutes: int | None) -> Bins | None:
        """The bins of a feature."""
        for feature, stream in self._categoricals:
            if feature.name == subject:
                return stream.bins(minutes)
        return self._numerics.bins(subject, minutes)

    def rows_since_change(self, subject: str) -> int | None:
        """Rows since a feature's estimated change."""
        for feature, stream in self._categoricals:
            if feature.name == subject:
                return stream.rows_since_change()
        return self._numerics.rows_since_change(subject)

    def rearm(self, subject: str) -> None:
        """Begin anew with one feature."""
        self._numerics.rearm(subject)
        for feature, stream in self._categoricals:
            if feature.name == subject:
                stream.rearm()

    def forget(self, minute: int) -> bool:
        """Drop the windows that ended before a minute; says whether there were any."""
        streams: list[Forgets] = [self._numerics, *(stream for _, stream in self._categoricals)]
        dropped = [each.forget(minute) for each in streams]
        return any(dropped)

    def state(self) -> State:
        """All that must be remembered; categorical features by their place among them."""
        parts = {"numeric": self._numerics.state()}
        for at, (_, stream) in enumerate(self._categoricals):
            parts[f"categorical {at}"] = stream.state()
        return packed(parts)

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._numerics.restore(unpacked(state, "numeric"))
        for at, (_, stream) in enumerate(self._categoricals):
            stream.restore(unpacked(state, f"categorical {at}"))
