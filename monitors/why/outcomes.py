"""What can be said of an alarm that is about how predictions turned out, and not about rows.

Labels and decisions by group say how good, how fair or of what worth predictions were. Rows in
memory have no labels, so such an alarm cannot be put down to features as one of drift can.
"""

from __future__ import annotations

from collections.abc import Sequence

from monitors.signal import Key, Signal, Verdict
from registry.card import FAIRNESS_OF_LABELS, Card

FAMILIES = frozenset(("performance", "fairness", "business"))

OF_ROWS = ("drift", "quality")
"""Families that say that what comes in, or goes out, is no longer as it was."""

_ABOUT = {
    "performance": "how right the model is",
    "fairness": "how groups fare beside one another",
    "business": "what predictions are worth",
}
_DAY_H = 24


def notes(key: Key, card: Card, moved: Sequence[Signal]) -> list[str]:
    """Sentences about an alarm of such a family, given what else moved or is in alarm."""
    about = f"it is about {_ABOUT[key[0]]}, which rows in memory do not tell"
    told = [f"{about}: nothing is put down to features, and no slices are compared"]
    if _of_labels(key) and card.label is not None:
        told.append(_late(card.label.expected_delay_days))
    others = [each.subject for each in moved if _alarms(each) and each.family in OF_ROWS]
    if others:
        names = ", ".join(dict.fromkeys(others))
        told.append(f"{names} moved too: the alarms of these say what that did to the score")
    else:
        told.append("no monitor of drift or of data quality is in alarm")
    return told


def _of_labels(key: Key) -> bool:
    family, name, _ = key
    of_scores = family == "performance" and name == "estimated"
    return (family == "performance" and not of_scores) or name in FAIRNESS_OF_LABELS


def _late(days: float) -> str:
    told = f"{days:g} days" if days >= 1 else f"{days * _DAY_H:.2g} hours"
    when = f"{told} after their predictions or later" if days else "after their predictions"
    return (
        f"it rests on labels, which count {when}: what it is about may be as much older than the "
        "alarm, and what was changed until then is told by weir audit list"
    )


def _alarms(signal: Signal) -> bool:
    return signal.verdict is Verdict.ALARM
