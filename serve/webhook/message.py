"""What is told: the body of a request, under an id."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """The body of a request, and its id, which is the same at every try."""

    id: str
    body: bytes
