"""A simulation of gateways that sample, and of an observer that folds what they send."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from monitors.blocks import Folded
from serve.recorder.dial import Capacity, Dial, FoldCost

SHARE = 0.1
"""The part of a core that folds may take."""

PERIOD_S = 0.5
IN_FLIGHT = 4
BUFFER_ROWS = 8192
MOMENTS = 100
"""In how many parts the traffic of a turn comes."""
TARGET = 4000.0


@dataclass
class Shipment:
    """Rows on their way, and the seconds of work that are left of them."""

    rows: int
    cost: float
    left: float


class Sampling:
    """One of some gateways: its dial, what it knows, and what is unacknowledged."""

    def __init__(self, share: float, target: float) -> None:
        self.dial = Dial(target, PERIOD_S)
        self.known = FoldCost()
        self.sent: list[Shipment] = []
        self._share = share

    def keep(self, rows: float) -> int:
        """Let traffic come for a turn, and give how many of its rows are kept when that ends."""
        part = rows / MOMENTS
        for _ in range(MOMENTS):
            self.dial.kept(int(part * self.dial.rate))
        return min(int(rows * self.dial.rate), BUFFER_ROWS)

    def ship(self, rows: int, cost: float) -> bool:
        """Send rows, if there is room, and turn the dial as the shipper does."""
        behind = len(self.sent) >= IN_FLIGHT // 2
        self.dial.capacity = Capacity(self.known.rows_per_s(self._share), behind=behind)
        self.dial.turn(rows, PERIOD_S)
        if len(self.sent) >= IN_FLIGHT:
            return False
        self.sent.append(Shipment(rows, cost, cost))
        return True


@dataclass
class Watching:
    """Traffic in rows a second over some gateways, and an observer with `core` of a processor.

    A row costs `cost` seconds, give or take the share `noise`. What `run` reports is of its turns
    alone.
    """

    traffic: float
    cost: float
    gateways: int = 1
    core: float = 1.0
    noise: float = 0.0
    target: float = TARGET
    rates: set[float] = field(default_factory=set)
    changes: int = 0
    share_taken: float = 0.0
    lost: int = 0
    kept: int = 0

    def __post_init__(self) -> None:
        share = SHARE / self.gateways
        self._sampling = [Sampling(share, self.target) for _ in range(self.gateways)]
        self._folded = Folded()
        self._rng = np.random.default_rng(0)

    def run(self, turns: int) -> None:
        """Let so many half seconds pass."""
        before = [each.dial.rate for each in self._sampling]
        self.rates, self.changes, self.lost, self.kept, worked = set(), 0, 0, 0, 0.0
        for _ in range(turns):
            worked += self._fold(self.core * PERIOD_S)
            for each in self._sampling:
                rows = each.keep(self.traffic / self.gateways * PERIOD_S)
                cost = rows * self.cost * (1 + self.noise * self._rng.uniform(-1, 1))
                self.kept += rows
                self.lost += not each.ship(rows, cost)
            now = [each.dial.rate for each in self._sampling]
            self.rates.update(now)
            self.changes += now != before
            before = now
        self.share_taken = worked / (turns * PERIOD_S)

    def _fold(self, seconds: float) -> float:
        """Work through what was sent, and give the time that it took, `seconds` at most."""
        left = seconds
        for each in self._sampling:
            while each.sent and left > 0:
                shipment = each.sent[0]
                took = min(left, shipment.left)
                shipment.left -= took
                left -= took
                if shipment.left <= 0:
                    each.sent.pop(0)
                    rows, spent = self._folded.rows, self._folded.seconds
                    self._folded = Folded(rows + shipment.rows, spent + shipment.cost)
                    each.known.learn(self._folded)
        return seconds - left
