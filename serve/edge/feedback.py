"""The way in for labels and group attributes: what may come for which model, and how many wait."""

from __future__ import annotations

import asyncio
from typing import Protocol

from configs.errors import Conflict, Overloaded, Unavailable
from configs.settings import Limits
from monitors.labels.receipt import Receipt
from registry.card import Card
from serve.edge.bodies import Bodies
from serve.gateway import Gateway
from serve.protocol.feedback import BODY_MAX_BYTES, Sent
from serve.protocol.paths import Ask, Endpoint

UNDER_WAY_MAX = 16
"""So many bodies may be on their way to the observer, which takes them one after the other."""

ANSWER_S = 10.0
"""An observer that was killed is back within this time, or something is wrong."""


class Observer(Protocol):
    """**Protocol:** the way to the process that joins labels with predictions."""

    async def feedback(self, sent: Sent) -> Receipt:
        """Hand a body over; what it brought is on disk when this returns."""


class Feedback:
    """Hands bodies over to the observer, and says what became of them.

    They have room of their own, so that however many come, inference loses none of its.
    """

    def __init__(
        self,
        gateway: Gateway,
        limits: Limits,
        observer: Observer,
        answer_s: float = ANSWER_S,
    ) -> None:
        each_max = min(limits.body_max_bytes, BODY_MAX_BYTES)
        self.bodies = Bodies(each_max, UNDER_WAY_MAX * each_max)
        self._gateway = gateway
        self._observer = observer
        self._answer_s = answer_s
        self._under_way: set[asyncio.Task[Receipt]] = set()

    def awaiting(self, asked: Endpoint) -> tuple[int, ...]:
        """Give the versions of a model that are served and await what is brought.

        `ModelNotFound` for a model that is not registered, `Conflict` where none of its versions
        awaits it. Of a model that is not served the cards are not known here: it has no versions.
        """
        cards = self._gateway.cards(asked.model)
        audit = asked.ask is Ask.GROUPS
        found = tuple(
            sorted(number for number, card in cards.items() if _awaits(card, audit=audit))
        )
        if cards and not found:
            raise Conflict(
                f"no version of {asked.model} awaits this: declare `label` in its card"
                + (", and a group with `source: audit`" if audit else "")
            )
        return found

    async def hand_over(self, sent: Sent, deadline: float) -> Receipt:
        """Give what became of a body; `deadline` is a reading of the loop's clock.

        `Overloaded` when too many are on their way, `Unavailable` when the observer does not
        answer. Its place is free when the observer is done with it, not when somebody stops to
        wait.
        """
        loop = asyncio.get_running_loop()
        if len(self._under_way) >= UNDER_WAY_MAX:
            raise Overloaded("too much feedback is on its way already; send it again")
        call = loop.create_task(self._observer.feedback(sent))
        self._under_way.add(call)
        call.add_done_callback(self._settled)
        patience_s = max(0.0, min(deadline - loop.time(), self._answer_s))
        done, _ = await asyncio.wait((call,), timeout=patience_s)
        if not done:
            raise Unavailable(
                "the observer has not answered in time; send it again: nothing counts twice"
            )
        return call.result()

    def _settled(self, call: asyncio.Task[Receipt]) -> None:
        self._under_way.discard(call)
        if not call.cancelled():
            call.exception()  # Looked at, also where nobody waits for it any more.


def _awaits(card: Card, *, audit: bool) -> bool:
    """Whether a card declares labels, and for audits a group that comes by itself."""
    if card.label is None:
        return False
    return not audit or any(group.source == "audit" for group in card.groups)
