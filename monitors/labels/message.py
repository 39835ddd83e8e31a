"""One message that brings the truth of a prediction, or group attributes for an audit."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite, isnan, nan
from types import MappingProxyType
from typing import Any, NamedTuple

from configs.errors import InTheFuture, Refused
from monitors.labels.codes import Value, code_of
from monitors.profile.categories import text_of
from registry.card import Card, Label

AHEAD_MAX_S = 300.0
"""Clocks differ: a label may be from so far in the future, and no farther."""

KEY_MAX = 1024
ROW_MAX = 2**31
VALUES_MAX = 16
"""So many numbers may come with one label."""

_NAME_MAX = 64
_WHOLE_MAX = 2**53
_PLAIN = (bool, int, float, str)
_KEYS = frozenset(("prediction_id", "key", "row", "label", "at", "groups", "values"))
_MOST_HAVE = frozenset(("prediction_id", "label"))
_ID = re.compile(r"[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class Awaited:
    """What may come for a model: its labels, and group attributes with them or by themselves.

    `read` remembers labels that were read, where there are few of them, each with its type.
    """

    label: Label
    with_labels: frozenset[str] = frozenset()
    by_audit: frozenset[str] = frozenset()
    read: dict[tuple[type, Value], Value] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, card: Card) -> Awaited | None:
        """What a card says may come; None where it says nothing of labels."""
        if card.label is None:
            return None
        return cls(
            card.label,
            frozenset(group.name for group in card.groups if group.source == "label"),
            frozenset(group.name for group in card.groups if group.source == "audit"),
        )


class Truth(NamedTuple):
    """What was true of one row of one prediction.

    The prediction is named by its id (32 lower-case hexadecimal digits) or by `key`, the caller's
    own name of the request. `value` is the label; without one the message brings `groups` for
    audits. `at` is when the truth was known, in seconds since 1970; None for now.
    """

    prediction_id: str | None
    key: str | None
    row: int = 0
    value: Value | None = None
    at: float | None = None
    groups: Mapping[str, str] = MappingProxyType({})
    values: Mapping[str, float] = MappingProxyType({})


def truth_of(
    plain: Mapping[str, Any], awaited: Awaited, now: float, *, audit: bool = False
) -> Truth:
    """Read a message of plain values, as JSON has them; `now` is in seconds since 1970.

    On the channel for audits there are groups and no label, on the other one always a label.
    `Refused` with the reason for one that cannot be right, `InTheFuture` for one that cannot be
    known yet.
    """
    if not audit and plain.keys() == _MOST_HAVE and None not in plain.values():
        return Truth(_id(plain["prediction_id"]), None, 0, _value(plain["label"], awaited))
    if not plain.keys() <= _KEYS:
        strange = ", ".join(repr(str(key)[:_NAME_MAX]) for key in plain if key not in _KEYS)
        raise Refused(f"unknown key {strange}; a message may have {', '.join(sorted(_KEYS))}")
    prediction_id, key = _address(plain.get("prediction_id"), plain.get("key"))
    row = plain.get("row", 0)
    if type(row) is not int or not 0 <= row < ROW_MAX:
        raise Refused("row must be a whole number from 0, the row's place in its request")
    at = _time(plain.get("at"), now)
    label = plain.get("label")
    if audit:
        if label is not None:
            raise Refused("a label does not come over the channel for audits")
        return Truth(prediction_id, key, row, None, at, _audited(plain, awaited))
    if label is None:
        raise Refused("label is missing; groups for audits have a channel of their own")
    value = _value(label, awaited)
    groups = _groups(plain.get("groups"), awaited.with_labels, "label")
    return Truth(prediction_id, key, row, value, at, groups, _values(plain.get("values")))


def _address(prediction_id: object, key: object) -> tuple[str | None, str | None]:
    if (prediction_id is None) == (key is None):
        raise Refused("exactly one of prediction_id and key must say which prediction is meant")
    if key is not None:
        if not isinstance(key, str) or not 0 < len(key) <= KEY_MAX:
            raise Refused(f"key must be a text of 1 to {KEY_MAX} characters, the request's own id")
        return None, key
    return _id(prediction_id), None


def _id(given: object) -> str:
    if not isinstance(given, str) or not _ID.fullmatch(given):
        raise Refused("prediction_id must be 32 hexadecimal digits, as Weir-Prediction-Id has them")
    return given.lower()


def _value(given: object, awaited: Awaited) -> Value:
    label = awaited.label
    if not isinstance(given, _PLAIN):
        raise Refused(_wrong_type(label))
    known = awaited.read.get((type(given), given))
    if known is not None:
        return known
    value = _read(given, label)
    if isnan(code_of(value, label)):
        raise Refused(f"label {_shown(given)} is not one of label.classes of the card")
    if label.classes or label.type == "boolean":
        awaited.read[type(given), given] = value
    return value


def _read(given: Value, label: Label) -> Value:
    """The label in the type that the card declares; `Refused` where it cannot be."""
    read = _READ[label.type](given, label)
    if read is None:
        raise Refused(_wrong_type(label))
    return read


def _boolean(given: Value, label: Label) -> Value | None:
    if isinstance(given, str):
        return given if given in label.classes else None
    return bool(given) if given in (0, 1) else None


def _string(given: Value, _label: Label) -> Value | None:
    return given if isinstance(given, str) else None


def _number(given: Value, label: Label) -> Value | None:
    if isinstance(given, bool | str):
        return None
    number = _finite(given, "label")
    if label.type == "number":
        return number
    return int(given) if number.is_integer() and abs(number) <= _WHOLE_MAX else None


_READ = {"boolean": _boolean, "string": _string, "integer": _number, "number": _number}


def _finite(given: object, what: str) -> float:
    """A number as it is computed with; `Refused` where there is none."""
    try:
        number = float(given) if isinstance(given, int | float) else nan
    except OverflowError:
        number = nan
    if not isfinite(number):
        raise Refused(f"{what} must be a finite number")
    return number


def _wrong_type(label: Label) -> str:
    wanted = {
        "boolean": "true or false",
        "integer": "a whole number",
        "number": "a number",
        "string": "a text",
    }
    return f"label must be {wanted[label.type]}, as the card says"


def _time(given: object, now: float) -> float | None:
    if given is None:
        return None
    if isinstance(given, str):
        at = _of_iso(given)
    elif isinstance(given, int | float) and not isinstance(given, bool):
        at = _as_moment(given)
    else:
        raise Refused("at must be seconds since 1970 or a time in ISO 8601")
    if at > now + AHEAD_MAX_S:
        raise InTheFuture(f"at is more than {AHEAD_MAX_S:.0f} s in the future")
    return at


def _as_moment(given: float) -> float:
    if not 0 <= given < 2**40:
        raise Refused("at must be seconds since 1970")
    return float(given)


def _of_iso(given: str) -> float:
    try:
        moment = datetime.fromisoformat(given)
        # Without an offset a time is taken to be in UTC: the time here is nothing to the sender.
        return _as_moment((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise Refused(f"at {_shown(given)} is not a time in ISO 8601") from None


def _audited(plain: Mapping[str, Any], awaited: Awaited) -> Mapping[str, str]:
    groups = _groups(plain.get("groups"), awaited.by_audit, "audit")
    if not groups:
        raise Refused("groups are missing")
    if plain.get("values"):
        raise Refused("values come with a label, and label is missing")
    return groups


def _groups(given: object, allowed: Collection[str], source: str) -> Mapping[str, str]:
    if not given:
        return {}
    if not isinstance(given, Mapping):
        raise Refused("groups must be an object of names and texts")
    groups: dict[str, str] = {}
    for name, value in given.items():
        if name not in allowed:
            raise Refused(f"group {_shown(name)} is none that the card takes from source: {source}")
        if value is not None and not isinstance(value, str | int | float):
            raise Refused(f"group {_shown(name)} must be a text")
        text = text_of(value)
        if text is not None:
            groups[name] = text
    return groups


def _values(given: object) -> Mapping[str, float]:
    if not given:
        return {}
    if not isinstance(given, Mapping):
        raise Refused("values must be an object of names and numbers")
    if len(given) > VALUES_MAX:
        raise Refused(f"{len(given)} values came with one label; at most {VALUES_MAX} may")
    values: dict[str, float] = {}
    for name, value in given.items():
        if not isinstance(name, str) or not 0 < len(name) <= _NAME_MAX:
            raise Refused(f"the name of a value must have 1 to {_NAME_MAX} characters")
        if value is None:
            continue
        values[name] = _finite(value, f"value {_shown(name)}")
    return values


def _shown(given: object) -> str:
    return repr(given if isinstance(given, bool | int | float) else str(given)[:_NAME_MAX])
