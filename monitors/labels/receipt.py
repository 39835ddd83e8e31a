"""What became of the messages of one request that brought truth or group attributes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Receipt:
    """How many messages were accepted, and what for; of those that were refused, why.

    `refused` pairs the place of a message with the reason.
    """

    accepted: int = 0
    joined: int = 0
    waiting: int = 0
    repeated: int = 0
    corrected: int = 0
    refused: tuple[tuple[int, str], ...] = ()
    refused_count: int = 0
