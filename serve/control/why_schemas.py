"""What the control API says when it is asked why an alarm was raised."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Literal

from monitors.why.answer import Attribution, Moved, Outcome, Slice, Slices
from registry.records import AuditEntry
from serve.control.alarm_schemas import AlarmView
from serve.control.schemas import BinView, SignalView, View
from serve.control.service import Explained


class MovedView(View):
    """A signal that says that something has moved, and the bins that moved most."""

    signal: SignalView
    bins: tuple[BinView, ...]

    @classmethod
    def of(cls, moved: Moved) -> MovedView:
        """The view of something that moved."""
        bins = tuple(BinView(**asdict(each)) for each in moved.bins)
        return cls(signal=SignalView.of(moved.signal), bins=bins)


class PartView(View):
    """What the drift of one feature did to a mean over rows, with a 95 % interval."""

    feature: str
    value: float
    lower: float
    upper: float


class OutcomeView(View):
    """The mean score, or the share of rows that are selected: as it is, and without the drift.

    The parts add up to `now` minus `without`.
    """

    outcome: Literal["score", "selected"]
    now: float
    without: float
    parts: tuple[PartView, ...]

    @classmethod
    def of(cls, outcome: Outcome) -> OutcomeView:
        """The view of one outcome."""
        parts = tuple(PartView(**asdict(each)) for each in outcome.parts)
        return cls(outcome=outcome.name, now=outcome.now, without=outcome.without, parts=parts)


class AttributionView(View):
    """What drift did, from so many rows in so many runs of the model.

    `same` is the share of rows to which the model gave the score that they were answered with.
    """

    rows: int
    runs: int
    same: float | None
    outcomes: tuple[OutcomeView, ...]

    @classmethod
    def of(cls, found: Attribution) -> AttributionView:
        """The view of an attribution."""
        outcomes = tuple(OutcomeView.of(each) for each in found.outcomes)
        return cls(rows=found.rows, runs=found.runs, same=found.same, outcomes=outcomes)


class WhereView(View):
    """A feature and the bin that its values are in."""

    feature: str
    bin: str


class SliceView(View):
    """Rows with one or two features in some bins; before the change, and since.

    Shares are of all rows, scores are means; null where they would tell of few people.
    """

    where: tuple[WhereView, ...]
    share_before: float | None
    share_since: float | None
    score_before: float | None
    score_since: float | None
    p_value: float

    @classmethod
    def of(cls, found: Slice) -> SliceView:
        """The view of a slice."""
        where = tuple(WhereView(feature=name, bin=label) for name, label in found.where)
        return cls(where=where, **{name: getattr(found, name) for name in _SLICE_NUMBERS})


class SlicesView(View):
    """The slices that changed, the surest first, of so many that were looked at.

    Of those that are told, 5 % are told by chance, at most and in the long run.
    """

    looked_at: int
    found: tuple[SliceView, ...]

    @classmethod
    def of(cls, slices: Slices) -> SlicesView:
        """The view of slices."""
        return cls(looked_at=slices.looked_at, found=tuple(map(SliceView.of, slices.found)))


class NearbyView(View):
    """A change in the audit log; `after_s` is how long after the alarm's change it was made."""

    sequence: int
    at: str
    after_s: float
    actor: str
    action: str
    resource: str
    reason: str

    @classmethod
    def of(cls, entry: AuditEntry, changed_at: float) -> NearbyView:
        """The view of a change in the log."""
        after_s = datetime.fromisoformat(entry.at).timestamp() - changed_at
        told = {name: getattr(entry, name) for name in cls.model_fields if name != "after_s"}
        return cls(after_s=round(after_s, 3), **told)


class WhyView(View):
    """Why an alarm was raised.

    `changed_at` is when what it is about has changed, as far as that is `estimated`; else it is
    when the alarm was raised. `notes` say what is not known, and why.
    """

    alarm: AlarmView
    changed_at: str
    estimated: bool
    moved: tuple[MovedView, ...]
    attribution: AttributionView | None
    slices: SlicesView | None
    nearby: tuple[NearbyView, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, explained: Explained) -> WhyView:
        """The view of an explained alarm."""
        why = explained.why
        return cls(
            alarm=AlarmView.of(explained.alarm),
            changed_at=datetime.fromtimestamp(why.changed_at, UTC).isoformat(),
            estimated=why.estimated,
            moved=tuple(map(MovedView.of, why.moved)),
            attribution=AttributionView.of(why.attribution) if why.attribution else None,
            slices=SlicesView.of(why.slices) if why.slices else None,
            nearby=tuple(NearbyView.of(each, why.changed_at) for each in explained.nearby),
            notes=why.notes,
        )


_SLICE_NUMBERS = ("share_before", "share_since", "score_before", "score_since", "p_value")
