"""What is still to be told, as whoever keeps it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from serve.webhook.message import Message

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Letter(Generic[T]):
    """What is told of a change, and the change; None of one that nobody need hear of."""

    message: Message | None
    change: T


class Outbox(Protocol[T]):
    """**Protocol:** changes on disk, of which it is known whether they have been told."""

    def untold(self) -> Sequence[Letter[T]]:
        """Of each thing the first change that is to be told."""

    def told(self, letter: Letter[T]) -> None:
        """Note that a change has been told."""

    def standing(self) -> Message | None:
        """All that stands, for a receiver that forgets; else None."""
