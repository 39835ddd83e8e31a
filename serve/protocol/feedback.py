"""Bodies that bring the truth about predictions, or group attributes for audits.

Everything here is a pure function of bytes. What is inside a message is judged where labels are
joined with predictions, in `monitors.labels`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from configs.errors import BadInput, Refused, TooLarge
from monitors.labels.receipt import Receipt

MESSAGES_MAX = 10_000
"""So many messages may come in one request."""

BODY_MAX_BYTES = 4 * 2**20
"""Four hundred bytes a message, which is more than twice what one takes."""

LABELS = "labels"
GROUPS = "groups"


@dataclass(frozen=True, slots=True)
class Sent:
    """One body as it came, and the model that it is about.

    `audit` says that it came on the channel for group attributes, `lines` that each line of it is a
    message of its own. `versions` are those that are served and await what it brings.
    """

    model: str
    body: bytes
    audit: bool = False
    lines: bool = False
    versions: tuple[int, ...] = ()


def messages(sent: Sent) -> list[dict[str, Any]]:
    """Give the messages in a body, in their order.

    `BadInput` says what is wrong with it, `TooLarge` that it brings too many.
    """
    if sent.lines:
        found = _of_lines(sent.body)
    else:
        found = _of_object(sent.body, GROUPS if sent.audit else LABELS)
    if not found:
        raise BadInput("the body has no message in it")
    if len(found) > MESSAGES_MAX:
        raise _too_many(len(found))
    for index, message in enumerate(found):
        if not isinstance(message, dict):
            raise BadInput(f"message {index} is not an object")
    return found


def taken(receipt: Receipt, sent: Sequence[object]) -> Receipt:
    """Give what became of some messages; `Refused` where it was a single one, and was refused."""
    if len(sent) == 1 and receipt.refused:
        raise Refused(receipt.refused[0][1])
    return receipt


def told(receipt: Receipt) -> Mapping[str, object]:
    """Give what the sender is told."""
    return {
        "accepted": receipt.accepted,
        "joined": receipt.joined,
        "waiting": receipt.waiting,
        "repeated": receipt.repeated,
        "corrected": receipt.corrected,
        "refused": [{"index": index, "reason": reason} for index, reason in receipt.refused],
        "refused_count": receipt.refused_count,
    }


def _of_object(body: bytes, key: str) -> list[Any]:
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"the body is not JSON: {error}") from None
    if not isinstance(whole, dict) or whole.keys() != {key}:
        raise BadInput(
            f"the body must be an object with the one key {key!r}, or lines of JSON sent as "
            "Content-Type: application/x-ndjson"
        )
    found = whole[key]
    if not isinstance(found, list):
        raise BadInput(f"{key!r} must be a list of objects")
    return found


def _of_lines(body: bytes) -> list[Any]:
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    if len(lines) > MESSAGES_MAX:
        raise _too_many(len(lines))
    return [_of_line(number, line) for number, line in lines]


def _of_line(number: int, line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"line {number} of the body is not JSON: {error}") from None


def _too_many(count: int) -> TooLarge:
    return TooLarge(f"the body has {count} messages, {MESSAGES_MAX} are allowed in one request")
