"""Bets that begin anew now and then, so that what comes late is found nearly as soon.

A bet that has met a thousand events without harm has lost what it must first win back. So more
begin later: at each step of a rollout, after every few events, and with every hour that has some.
Each beginning has a weight, and all weights sum to at most one. What all of them together have won
needs one number a bet, R <- (R + weight) * gain, and the weight that is not spent yet counts as
cash: the sum is an e-process of mean one, if each bet alone is one. Whether a bet begins is known
before the events that it meets. (Shin, Ramdas, Rinaldo, E-detectors, 2023, for the recursion.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, inf, log
from typing import Any

from monitors.stats.event_ratio import log_sum

AT_ONCE = 0.2
"""The weight of what is bet from the beginning."""

_STEPS = 0.4
"""The weight of all beginnings at later steps: the k-th has 1 / k(k+1) of it."""

_LATER = 1 - AT_ONCE - _STEPS
_FLAT = 50.0
_FALL = 0.4
"""The other beginnings share `_LATER`; from the 50th on their weights fall like k^-1.4."""

BLOCK_EVENTS = 4
_MINUTES = 60


@dataclass(frozen=True, slots=True)
class Restarts:
    """The wealth of some bets, each mixed over when it began.

    `log_wealth` is by bet, -inf before the first begins. `steps` and `later` count the beginnings
    of each kind, `events` those since the latest of any kind; `step` and `hour` are the latest.
    """

    log_wealth: tuple[float, ...]
    steps: int = 0
    later: int = 0
    events: int = 0
    step: int | None = None
    hour: int = 0

    @classmethod
    def of(cls, bets: int) -> Restarts:
        """So many bets, of equal stakes, before anything was seen."""
        return cls((-inf,) * bets)

    @property
    def unspent(self) -> float:
        """What all beginnings are worth that are yet to come."""
        first = AT_ONCE if self.step is None else 0.0
        later: float = _LATER * (_FLAT / (self.later + _FLAT)) ** _FALL
        return first + _STEPS / (self.steps + 1) + later

    @property
    def log_evidence(self) -> float:
        """The natural logarithm of the e-value."""
        return log_sum([*self.log_wealth, log(self.unspent)])

    def to_list(self) -> list[Any]:
        """All of it as JSON has it, without infinity: bets that have not begun have no wealth."""
        wealth = None if self.step is None else list(self.log_wealth)
        bets = len(self.log_wealth)
        return [bets, wealth, self.steps, self.later, self.events, self.step, self.hour]

    @classmethod
    def from_list(cls, told: list[Any]) -> Restarts:
        """Go on from what `to_list` gave."""
        bets, wealth, *rest = told
        return cls.of(bets) if wealth is None else cls(tuple(wealth), *rest)

    def at(self, step: int, minute: int) -> Restarts:
        """Begin what is due, before the events of this step and minute are known."""
        before, hour = self.unspent, max(self.hour, minute // _MINUTES)
        if self.step is None:
            begun = replace(self, step=step, hour=hour)
        elif step != self.step:
            begun = replace(self, step=step, hour=hour, steps=self.steps + 1, events=0)
        elif self.events >= BLOCK_EVENTS or (self.events and hour > self.hour):
            begun = replace(self, hour=hour, later=self.later + 1, events=0)
        else:
            return self
        stake = log((before - begun.unspent) / len(self.log_wealth))
        return replace(begun, log_wealth=tuple(_log_add(each, stake) for each in self.log_wealth))

    def won(self, log_gains: Sequence[float], events: int) -> Restarts:
        """Take in what each bet has won by some events (or whatever bets are on)."""
        wealth = tuple(each + gain for each, gain in zip(self.log_wealth, log_gains, strict=True))
        return replace(self, log_wealth=wealth, events=self.events + events)


def _log_add(one: float, other: float) -> float:
    high, low = max(one, other), min(one, other)
    return high + log(1 + exp(low - high))
