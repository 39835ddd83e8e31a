"""Bodies of labels are understood, or refused with what is wrong with them."""

from __future__ import annotations

import contextlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import BadInput, Refused, TooLarge, WeirError
from monitors.labels.receipt import Receipt
from serve.protocol.feedback import MESSAGES_MAX, Sent, messages, taken, told

ONE = {"prediction_id": "0" * 32, "row": 1, "label": True}
TWO = {"key": "mine", "label": 0.5, "groups": {"sex": "F"}, "values": {"profit": -1}}


def test_an_object_with_a_list() -> None:
    """One body brings many labels, in their order."""
    assert messages(Sent("m", orjson.dumps({"labels": [ONE, TWO]}))) == [ONE, TWO]


def test_lines_of_json() -> None:
    """Each line is a message; empty ones are none, and the last may lack its end."""
    body = b"\n".join([orjson.dumps(ONE), b"", b"  \r", orjson.dumps(TWO)])

    assert messages(Sent("m", body, lines=True)) == [ONE, TWO]
    assert messages(Sent("m", body + b"\r\n", lines=True)) == [ONE, TWO]


def test_the_two_channels_do_not_mix() -> None:
    """What is meant for audits stands under a key of its own."""
    groups = Sent("m", orjson.dumps({"groups": [TWO]}), audit=True)

    assert messages(groups) == [TWO]
    with pytest.raises(BadInput, match="'labels'"):
        messages(Sent("m", groups.body))
    with pytest.raises(BadInput, match="'groups'"):
        messages(Sent("m", orjson.dumps({"labels": [TWO]}), audit=True))


@pytest.mark.parametrize(
    ("body", "lines", "says"),
    [
        (b"{", False, "not JSON"),
        (b"[]", False, "an object with the one key"),
        (b'{"labels": [], "model": "m"}', False, "an object with the one key"),
        (b'{"labels": {}}', False, "must be a list"),
        (b'{"labels": []}', False, "no message"),
        (b'{"labels": [{}, 1]}', False, "message 1 is not an object"),
        (b"", True, "no message"),
        (b'{"label": 1}\n{"label"', True, "line 2 .* not JSON"),
        (b"{}\n[]", True, "message 1 is not an object"),
        (b'{"label": NaN}', True, "line 1 .* not JSON"),
    ],
)
def test_what_is_no_body_of_labels(body: bytes, lines: bool, says: str) -> None:
    """The sentence says what is wrong, and where."""
    with pytest.raises(BadInput, match=says):
        messages(Sent("m", body, lines=lines))


@pytest.mark.parametrize("lines", [False, True])
def test_so_many_and_no_more(lines: bool) -> None:
    """The last that is allowed comes in, one more is too many."""
    for count in (MESSAGES_MAX, MESSAGES_MAX + 1):
        body = b"{}\n" * count if lines else orjson.dumps({"labels": [{}] * count})
        if count == MESSAGES_MAX:
            assert len(messages(Sent("m", body, lines=lines))) == count
        else:
            with pytest.raises(TooLarge, match=str(count)):
                messages(Sent("m", body, lines=lines))


@given(st.binary(), st.booleans())
def test_any_bytes_are_understood_or_refused(body: bytes, lines: bool) -> None:
    """No body raises anything but what its sender is told."""
    with contextlib.suppress(WeirError):
        assert messages(Sent("m", body, lines=lines))


def test_a_single_message_that_is_refused_is_an_error() -> None:
    """Of several, those that are good count."""
    receipt = Receipt(refused=((0, "no such prediction"),), refused_count=1)

    with pytest.raises(Refused, match="no such prediction"):
        taken(receipt, [ONE])
    assert taken(receipt, [ONE, TWO]) is receipt


def test_what_the_sender_is_told() -> None:
    """Every count has its name, every refusal its place and reason."""
    receipt = Receipt(5, 1, 2, 1, 1, ((3, "late"),), 1)

    assert told(receipt) == {
        "accepted": 5,
        "joined": 1,
        "waiting": 2,
        "repeated": 1,
        "corrected": 1,
        "refused": [{"index": 3, "reason": "late"}],
        "refused_count": 1,
    }
