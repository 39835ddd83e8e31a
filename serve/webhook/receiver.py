"""Whoever is to know of alarms."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from serve.webhook.message import Message


class Outcome(StrEnum):
    """What became of a delivery: taken, not wanted, or not received."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    FAILED = "failed"


class Receiver(Protocol):
    """**Protocol:** somebody who can be told something."""

    async def send(self, message: Message) -> Outcome:
        """Tell them once."""

    async def close(self) -> None:
        """Let go of them."""
