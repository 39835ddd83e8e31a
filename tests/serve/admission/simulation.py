"""A version, its queue and its callers as a discrete-event simulation, with the real limit."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from serve.admission.limit import Limit
from serve.models.caps import Caps

Run = Callable[[float, int], float]
"""The seconds that a batch of so many jobs takes when it begins at a moment."""
Rate = Callable[[float], float]
"""Requests a second at a moment."""


@dataclass(slots=True)
class Outcome:
    """What became of the requests: `answered` as (came at, seconds), `refused` as came at."""

    answered: list[tuple[float, float]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    limits: list[tuple[float, int]] = field(default_factory=list)
    copied: int = 0

    def per_s(self, start: float, end: float, within_s: float = 30.0) -> float:
        """Answers a second to what came between two moments and was answered in time."""
        good = sum(start <= came < end and took <= within_s for came, took in self.answered)
        return good / (end - start)

    @property
    def share_copied(self) -> float:
        """The share of the answers after which a shadow version would have got a copy."""
        return self.copied / max(len(self.answered), 1)

    def share_refused(self, start: float, end: float) -> float:
        """The share of what came between two moments that was refused."""
        no = sum(start <= came < end for came in self.refused)
        yes = sum(start <= came < end for came, _ in self.answered)
        return no / max(no + yes, 1)

    def quantile(self, share: float, start: float, end: float) -> float:
        """A quantile of the seconds of the answers to what came between two moments."""
        times = sorted(took for came, took in self.answered if start <= came < end)
        return times[min(int(share * len(times)), len(times) - 1)] if times else float("nan")

    def mean_limit(self, start: float, end: float) -> float:
        """The mean of the limit over the batches that left between two moments."""
        seen = [limit for at, limit in self.limits if start <= at < end]
        return sum(seen) / len(seen)


@dataclass(slots=True)
class Simulation:
    """Poisson arrivals at `rate(now)` to `replicas` that run batches, behind a limit.

    A batch takes all that waits up to `batch_max`, or what `caps` allow.
    """

    limit: Limit
    run: Run
    rate: Rate
    batch_max: int = 256
    replicas: int = 1
    seed: int = 0
    caps: Caps | None = None

    def until(self, end: float) -> Outcome:
        """Let time pass; everything that came before the end is answered."""
        draw = random.Random(self.seed)  # noqa: S311 - a simulation
        outcome = Outcome()
        waiting: deque[float] = deque()
        done: list[tuple[float, int, list[float], float]] = []
        arrival = draw.expovariate(self.rate(0.0))
        out = number = 0
        while arrival < end or done:
            if done and done[0][0] <= arrival:
                now, _, jobs, began = heapq.heappop(done)
                in_flight = len(waiting) + out
                self.limit.ran(now, len(jobs), now - began, in_flight, self.replicas)
                out -= len(jobs)
                outcome.answered += [(came, now - came) for came in jobs]
                outcome.copied += 0 if self.limit.busy(len(waiting) + out) else len(jobs)
            else:
                now = arrival
                arrival = now + draw.expovariate(self.rate(now)) if now < end else float("inf")
                if self.limit.admits(len(waiting) + out):
                    waiting.append(now)
                else:
                    outcome.refused.append(now)
            carriers = self.replicas
            while waiting and len(done) < self.replicas:
                most = self.caps.rows(len(waiting), carriers) if self.caps else self.batch_max
                size = min(len(waiting), most)
                carriers -= 1
                jobs = [waiting.popleft() for _ in range(size)]
                outcome.limits.append((now, self.limit.value))
                number += 1
                out += size
                heapq.heappush(done, (now + self.run(now, size), number, jobs, now))
            if arrival >= end:
                arrival = float("inf")
        return outcome
