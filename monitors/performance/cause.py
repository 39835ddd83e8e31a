"""Why a model is less right than it was: its inputs moved, or what they mean did.

A calibrator says what to expect of the inputs that came, as if scores meant what they meant in the
reference. The rise of the loss is the rise that it expects, which the inputs explain, and a gap,
which they do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from monitors.signal import Signal, Verdict

GAP = "gap"
"""The subject of the signal that says what inputs do not explain of a rise of the loss."""

_OF_NO_INPUT = ("repeated_rows", "refused_requests")
"""Monitors of data quality whose subject is no input."""

_NAMED = 3
_PART = 1 / 3
"""A cause is named where it surely explains more than this part of a rise."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a loss, with the bounds of its interval."""

    value: float
    lower: float
    upper: float


def explained(moved: Sequence[str], rise: Change, gap: Change | None, alarm: bool) -> str:
    """What a person may do about a model, given its inputs that moved and what it came to lose.

    `rise` is that of its realised loss over that of the reference, `alarm` whether it is proved,
    and `gap` how much of it is more than the inputs let expect, None where nobody can say. Empty
    where there is nothing to do.
    """
    if not alarm:
        return _still_right(moved, rise) if moved else ""
    if rise.value <= 0:
        return ""
    if gap is None:
        return "why cannot be told: what these inputs let expect is not known"
    parts = (
        f"of the rise, {rise.value - gap.value:+.3f} is what the scores let expect, and "
        f"{gap.value:+.3f} ({gap.lower:+.3f} to {gap.upper:+.3f}) is not"
    )
    if gap.lower > rise.value * _PART:
        return f"{_relationship_moved(moved)}; {parts}"
    if gap.upper < rise.value * (1 - _PART):
        return f"{_inputs_moved(moved)}; {parts}"
    return f"labels do not tell yet whether inputs moved or what they mean; {parts}"


def _still_right(moved: Sequence[str], rise: Change) -> str:
    if rise.value < 0 or rise.lower <= 0:
        return (
            f"inputs moved ({_named(moved)}), and labels do not show that the model is less right "
            f"(at most {rise.upper:+.3f}): look at the pipe that feeds {moved[0]}; if its values "
            "are right, adopt a new reference, there is no need to retrain"
        )
    return (
        f"inputs moved ({_named(moved)}), and the model may be less right: labels do not prove it "
        f"yet; look at the pipe that feeds {moved[0]}"
    )


def _relationship_moved(moved: Sequence[str]) -> str:
    if not moved:
        return (
            "the relationship moved and the inputs did not, the same scores are wrong more often "
            "than they were: retrain on rows that came since"
        )
    return (
        f"the same scores are wrong more often than they were, and inputs moved ({_named(moved)}): "
        f"look at the pipe that feeds {moved[0]} first; if its values are right, the relationship "
        "moved: retrain on rows that came since"
    )


def _inputs_moved(moved: Sequence[str]) -> str:
    if not moved:
        return (
            "the inputs moved to where the model was never sure, though no single one alarms; "
            "scores mean what they meant: retraining helps only if it learns more about such rows"
        )
    return (
        f"inputs moved ({_named(moved)}) to where the model was never sure, and scores mean what "
        f"they meant: look at the pipe that feeds {moved[0]}; if its values are right, retraining "
        "helps only if it learns more about such rows"
    )


def _named(moved: Sequence[str]) -> str:
    more = len(moved) - _NAMED
    return ", ".join(moved[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def with_cause(signals: Sequence[Signal]) -> tuple[Signal, ...]:
    """The signals, with what may be done about it in the message of the first watched loss.

    That is the loss of which the signal `gap` says what inputs do not explain.
    """
    losses = [s for s in signals if (s.family, s.name) == ("performance", "loss")]
    gap = next((s for s in losses if s.subject == GAP), None)
    loss = next((s for s in losses if s.subject != GAP), None)
    rise = _change(loss)
    if loss is None or rise is None:
        return tuple(signals)
    alarm = loss.verdict is Verdict.ALARM
    sentence = explained(moved_inputs(signals), rise, _change(gap), alarm)
    if not sentence:
        return tuple(signals)
    said = replace(loss, message=f"{sentence} ({loss.message})")
    return tuple(said if signal is loss else signal for signal in signals)


def moved_inputs(signals: Iterable[Signal]) -> list[str]:
    """The features in alarm for drift or data quality, those with the strongest evidence first."""
    alarms = [
        s
        for s in signals
        if s.verdict is Verdict.ALARM
        and (s.name == "input_drift" or s.family == "quality")
        and s.name not in _OF_NO_INPUT
    ]
    alarms.sort(key=lambda s: -(s.log10_evidence or 0.0))
    return list(dict.fromkeys(s.subject for s in alarms if s.subject))


def _change(signal: Signal | None) -> Change | None:
    if signal is None or signal.value is None or signal.lower is None or signal.upper is None:
        return None
    return Change(signal.value, signal.lower, signal.upper)
