"""Refused requests: whether more than one in a hundred break the model's contract."""

from __future__ import annotations

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal, State
from monitors.stats.bounded import BoundedShare
from monitors.stats.effects import Effect
from monitors.stats.intervals import Z99_ONE_SIDED, wilson
from monitors.verdicts import Monitor
from registry.card import Card

SUBJECT = "requests"

MOST = 0.01
"""The share of refused requests that is nobody's concern: there is no reference for it."""

_FLOOR = 0.01
_KIND = "share of refused requests above 1 %"


class RefusedRequests:
    """**Detector** of a share of requests above 1 % that are refused for breaking the contract.

    All requests count, whether their rows are sampled or not.
    """

    def __init__(self, _card: Card, _profile: ReferenceProfile | None, settings: Monitors) -> None:
        self._monitor = Monitor("quality", "refused_requests", _FLOOR, settings)
        self._share = self._anew()

    def update(self, block: SampleBlock) -> None:
        """Take in how many requests were answered and refused."""
        self._share.update(block.refused, block.answered, block.minute)

    def signals(self) -> tuple[Signal, ...]:
        """One signal about all requests."""
        requests = int(self._share.counts.sum())
        answered, refused = self._share.counts_since_change().tolist()
        effect = None
        if answered + refused:
            share = refused / (answered + refused)
            lower, upper = wilson(refused, answered + refused, Z99_ONE_SIDED)
            # Fewer than one in a hundred is no change in the other direction.
            effect = Effect(_KIND, share - MOST, lower - MOST, max(upper - MOST, 0.0))
        return (self._monitor.signal(SUBJECT, requests, self._share.log_wealth(), effect),)

    def rearm(self, subject: str) -> None:
        """Begin anew."""
        if subject == SUBJECT:
            self._share = self._anew()

    def state(self) -> State:
        """All that must be remembered."""
        return self._share.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._share.restore(state)

    def _anew(self) -> BoundedShare:
        return BoundedShare(MOST, self._monitor.settings.alarm_mode)
