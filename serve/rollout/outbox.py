"""Which changes of rollouts are still to be told."""

from __future__ import annotations

from collections.abc import Sequence

from registry.rollout_book import RolloutBook
from registry.rollouts import RolloutChange
from serve.rollout.messages import event
from serve.webhook.message import Message
from serve.webhook.outbox import Letter


class RolloutOutbox:
    """The changes that the registry keeps, of which those at named points are told."""

    def __init__(self, book: RolloutBook) -> None:
        self._book = book

    def untold(self) -> Sequence[Letter[RolloutChange]]:
        """Of each rollout the first change that is to be told."""
        return [Letter(event(change), change) for change in self._book.untold_rollout_changes()]

    def told(self, letter: Letter[RolloutChange]) -> None:
        """Note that a change has been told."""
        self._book.told_rollout_change(letter.change.rollout)

    def standing(self) -> Message | None:
        """Nothing: whoever is told of a change remembers it."""
        return None
