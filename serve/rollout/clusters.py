"""Evidence of a guardrail whose events cluster by host: what comes within a block counts once.

A block is as long as the policy says, and longer until both arms have units. What happens at a
block's end may go on in the next: so after one with an event a block is passed over, and blocks
that are bet on have nothing to do with one another as long as no mishap outlasts a block. How many
events of a block are kept is set by those before it, so that the busier arm has about one. Only
first requests count: which blocks units that come again fill depends on what became of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Any

from configs.policy import Guardrail
from monitors.stats.event_ratio import WORSE, log_sum, smaller_than
from monitors.stats.mishap_bets import log_below_gains, log_not_worse_gains, log_worse_gains
from monitors.stats.restarts import Restarts
from monitors.stats.weighted_difference import LOG_WEIGHTS, PARTS, Trials
from serve.rollout.block import Block

FORGET = 0.1
"""The weight of the last block in the mean number of events."""

_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Clusters:
    """Bets on one guardrail: `won` from the beginning on, `anew` ever again, `good` on goodness.

    `mean` is about how many events the busier arm has in a block.
    """

    guardrail: Guardrail
    won: tuple[float, ...]
    anew: Restarts
    good: tuple[float, ...]
    mean: float = 0.0
    block: Block | None = None

    @classmethod
    def of(cls, guardrail: Guardrail) -> Clusters:
        """Nothing seen yet."""
        margin = guardrail.margin_rel
        bets = len(PARTS) if margin is None else len(smaller_than(1 + margin))
        return cls(guardrail, (0.0,) * len(WORSE), Restarts.of(len(WORSE)), (0.0,) * bets)

    @property
    def log_worse(self) -> float:
        """The natural logarithm of what equal bets on harm have won from the beginning on."""
        return log_sum(self.won) - log(len(self.won))

    def log_good(self, times: float = 1.0) -> float:
        """The natural logarithm of the e-value against "mishaps by the margin more, or beyond".

        If so many times as much had been seen, all alike.
        """
        stakes: Sequence[float] = LOG_WEIGHTS.tolist()
        if self.guardrail.margin_rel is not None:
            stakes = [-log(len(self.good))] * len(self.good)
        return log_sum([one + times * won for one, won in zip(stakes, self.good, strict=True)])

    def fold(self, trials: Trials, step: int, at_s: float) -> Clusters:
        """Take in the first requests that came until `at_s`, which is the same within a look."""
        minute = int(at_s // _MINUTE_S)
        block = self.block or Block(at_s, at_s, step, minute)
        if not block.is_over(at_s, self.guardrail.block_s):
            return replace(self, block=block.plus(trials, at_s))
        mean = (1 - FORGET) * self.mean + FORGET * max(block.events)
        rests = max(block.events) > 0 and not block.rests
        after = Block(block.until_s, at_s, step, minute, 1 / max(1.0, mean), rests)
        then = self if block.rests else self._bet_on(block)
        return replace(then, mean=mean, block=after.plus(trials, at_s))

    def to_list(self) -> list[Any]:
        """All but the guardrail, as JSON has it."""
        block = self.block and self.block.to_list()
        return [list(self.won), self.anew.to_list(), list(self.good), self.mean, block]

    def read(self, told: list[Any]) -> Clusters:
        """Go on from what `to_list` gave."""
        won, anew, good, mean, block = told
        return replace(
            self,
            won=tuple(won),
            anew=Restarts.from_list(anew),
            good=tuple(good),
            mean=mean,
            block=Block.from_list(block) if block else None,
        )

    def _bet_on(self, block: Block) -> Clusters:
        """Take in a block that is over."""
        ours, theirs = block.mishaps
        worse = log_worse_gains(ours * block.part, theirs)
        anew = self.anew
        if sum(block.events):
            anew = anew.at(block.step, block.minute).won(worse, 1)
        return replace(
            self,
            won=_plus(self.won, worse),
            anew=anew,
            good=_plus(self.good, self._gains_of_goodness(block)),
        )

    def _gains_of_goodness(self, block: Block) -> tuple[float, ...]:
        if (margin := self.guardrail.margin_rel) is not None:
            return log_not_worse_gains(*block.mishaps, margin)
        ours, theirs = (one / of for one, of in zip(block.events, block.units, strict=True))
        return log_below_gains(ours, theirs, self.guardrail.margin_abs or 0.0)


def _plus(won: Sequence[float], gains: Sequence[float]) -> tuple[float, ...]:
    return tuple(one + other for one, other in zip(won, gains, strict=True))
