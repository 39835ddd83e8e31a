"""Messages are read strictly, and each mistake is named."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from configs.errors import InTheFuture, Refused
from monitors.labels.codes import Value, code_of
from monitors.labels.message import Awaited, Truth, truth_of
from registry.card import Card, Group, Label, Task

NOW = 1_700_000_000.0
ID = "0123456789abcdef" * 2
BOOLEAN = Awaited(Label(type="boolean"), frozenset(["town"]), frozenset(["origin"]))


def read(awaited: Awaited = BOOLEAN, **plain: Any) -> Truth:
    """A message about a prediction, unless it says otherwise."""
    address = {} if plain.get("key") or "prediction_id" in plain else {"prediction_id": ID}
    return truth_of(address | plain, awaited, NOW)


def test_a_full_message_is_read() -> None:
    """Everything that a label may bring is taken over, and ids are spelled in one way."""
    truth = read(
        prediction_id=ID.upper(),
        row=3,
        label=True,
        at="2023-11-14T22:13:20Z",
        groups={"town": "Graz"},
        values={"paid": 12},
    )
    assert truth == Truth(ID, None, 3, True, NOW, {"town": "Graz"}, {"paid": 12.0})


def test_a_message_may_name_the_request_by_the_callers_own_key() -> None:
    """Then there is no prediction id, and row 0 is meant."""
    assert read(key="order 17", label=False) == Truth(None, "order 17", 0, False)


@pytest.mark.parametrize(
    ("rule", "given", "value", "code"),
    [
        (Label(type="boolean"), True, True, 1.0),
        (Label(type="boolean"), 0, False, 0.0),
        (Label(type="boolean"), 1.0, True, 1.0),
        (Label(type="boolean", classes=("no", "yes")), "yes", "yes", 1.0),
        (Label(type="integer"), 7, 7, 7.0),
        (Label(type="integer"), -2.0, -2, -2.0),
        (Label(type="integer", classes=("3", "5", "7")), 7, 7, 2.0),
        (Label(type="number"), 2, 2.0, 2.0),
        (Label(type="number"), -0.5, -0.5, -0.5),
        (Label(type="string", classes=("good", "bad")), "bad", "bad", 1.0),
    ],
)
def test_a_label_is_read_in_the_type_of_the_card(
    rule: Label, given: object, value: Value, code: float
) -> None:
    """Its number is its place among the classes, or 0 and 1, or itself."""
    truth = read(Awaited(rule), label=given)
    assert truth.value == value
    assert type(truth.value) is type(value)
    assert truth.value is not None
    assert code_of(truth.value, rule) == code


@pytest.mark.parametrize(
    ("rule", "given"),
    [
        (Label(type="boolean"), "true"),
        (Label(type="boolean"), 2),
        (Label(type="boolean"), nan),
        (Label(type="integer"), True),
        (Label(type="integer"), 1.5),
        (Label(type="integer"), 2**60),
        (Label(type="integer"), "3"),
        (Label(type="integer", classes=("3", "5")), 4),
        (Label(type="number"), "1"),
        (Label(type="number"), False),
        (Label(type="number"), nan),
        (Label(type="number"), inf),
        (Label(type="number"), 10**400),
        (Label(type="string", classes=("a",)), "b"),
        (Label(type="string", classes=("a",)), 1),
        (Label(type="number"), [1]),
    ],
)
def test_a_label_that_cannot_be_one_is_refused(rule: Label, given: object) -> None:
    """A wrong type, a class that the card does not name, a number that is not finite."""
    with pytest.raises(Refused, match="label"):
        read(Awaited(rule), label=given)


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({"label": True, "lable": 1}, "unknown key 'lable'"),
        ({"label": True, "key": "a", "prediction_id": ID}, "exactly one"),
        ({"label": True, "prediction_id": None}, "exactly one"),
        ({"label": True, "prediction_id": ID[:-1]}, "32 hexadecimal digits"),
        ({"label": True, "prediction_id": "x" * 32}, "32 hexadecimal digits"),
        ({"label": True, "prediction_id": ID + "\n"}, "32 hexadecimal digits"),
        ({"label": True, "prediction_id": 7}, "32 hexadecimal digits"),
        ({"label": True, "key": ""}, "key"),
        ({"label": True, "key": 5}, "key"),
        ({"label": True, "key": "k" * 1025}, "key"),
        ({"label": True, "row": -1}, "row"),
        ({"label": True, "row": True}, "row"),
        ({"label": True, "row": 2**31}, "row"),
        ({"label": True, "at": "yesterday"}, "ISO 8601"),
        ({"label": True, "at": -1}, "seconds since 1970"),
        ({"label": True, "at": nan}, "seconds since 1970"),
        ({"label": True, "at": True}, "seconds since 1970"),
        ({"label": True, "groups": {"origin": "x"}}, "source: label"),
        ({"label": True, "groups": {"town": ["x"]}}, "must be a text"),
        ({"label": True, "groups": ["town"]}, "object"),
        ({"label": True, "values": {"paid": nan}}, "finite"),
        ({"label": True, "values": {"paid": inf}}, "finite"),
        ({"label": True, "values": {"paid": "1"}}, "finite"),
        ({"label": True, "values": {"": 1}}, "name of a value"),
        ({"label": True, "values": {str(n): n for n in range(17)}}, "at most 16"),
        ({"label": True, "values": [1]}, "object"),
        ({}, "label is missing"),
        ({"label": None, "groups": {"town": "x"}}, "source: audit"),
        ({"groups": {"origin": "x"}, "values": {"paid": 1}}, "label is missing"),
    ],
)
def test_a_message_that_cannot_be_right_is_refused(plain: dict[str, Any], said: str) -> None:
    """The reason names what is wrong."""
    with pytest.raises(Refused, match=said):
        read(**plain)


def test_clocks_may_differ_by_five_minutes_and_no_more() -> None:
    """A label from the future is refused as such, so that it can be counted."""
    assert read(label=True, at=NOW + 300.0).at == NOW + 300.0
    with pytest.raises(InTheFuture, match="in the future"):
        read(label=True, at=NOW + 301.0)


def test_a_time_without_an_offset_is_in_utc() -> None:
    """So the same message means the same wherever Weir runs."""
    assert read(label=True, at="2023-11-14T22:13:20").at == NOW
    assert read(label=True, at="2023-11-14T23:13:20+01:00").at == NOW


def test_groups_without_a_label_are_for_audits() -> None:
    """They have no value, and only the attributes of the audit channel may come so."""
    assert read(groups={"origin": "x"}) == Truth(ID, None, groups={"origin": "x"})


def test_what_is_missing_in_a_message_may_be_null() -> None:
    """Tables with empty cells become messages with nulls."""
    plain: dict[str, Any] = {
        "key": None,
        "at": None,
        "groups": {"town": None},
        "values": {"paid": None},
    }
    assert read(prediction_id=ID, label=True, **plain) == Truth(ID, None, 0, True)


def test_the_card_says_what_may_come() -> None:
    """Nothing of a card without a label; else its rule, and groups by their source."""
    assert Awaited.of(Card(task=Task.OTHER)) is None
    groups = (
        Group(name="a", source="label"),
        Group(name="b", source="audit"),
        Group(name="c"),
    )
    card = Card(task=Task.OTHER, label=Label(), groups=groups)
    assert Awaited.of(card) == Awaited(Label(), frozenset("a"), frozenset("b"))
