"""An observer that a test can look into, and that lives without Ray."""

from __future__ import annotations

import asyncio

from configs.errors import Unavailable
from monitors.labels.receipt import Receipt
from registry.card import Card, Group, Label, Task
from serve.protocol.feedback import Sent, messages, taken

AWAITING = Card(
    task=Task.REGRESSION,
    label=Label(type="number"),
    groups=(Group(name="sex", source="audit"),),
)
"""What awaits labels, and group attributes on the channel for audits."""

BAD = {"label": "bad"}
"""A message that this observer refuses."""


class Observing:
    """Reads what it is sent as the real one does, remembers it, and holds it while it is told to.

    It takes everything but `BAD` for a label of a prediction that it knows.
    """

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.holds = False
        self.gone = False

    async def feedback(self, sent: Sent) -> Receipt:
        """Take a body in."""
        if self.gone:
            raise Unavailable("the observer is not there")
        self.sent.append(sent)
        while self.holds:  # noqa: ASYNC110 - told from another thread
            await asyncio.sleep(0.002)
        brought = messages(sent)
        bad = tuple((place, "it is bad") for place, each in enumerate(brought) if each == BAD)
        good = len(brought) - len(bad)
        return taken(Receipt(good, good, refused=bad, refused_count=len(bad)), brought)
