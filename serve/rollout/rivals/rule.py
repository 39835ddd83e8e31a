"""What a rule of another tool is told, and what it says, for many rollouts at once."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from serve.rollout.simulation.counts import Flags, Ints
from serve.rollout.simulation.outcomes import End
from serve.rollout.simulation.traffic import Requests

LEAST_SUCCESS = 0.99
"""The share of requests that must succeed, the same for every tool (Flagger's built-in example)."""

MOST_SLOW = 0.01
"""A 99th percentile is over a limit if more than so many requests are."""


class Rule(Protocol):
    """Decides every `interval_s` seconds on what was counted since the time before.

    `weight_bp` is what the candidate gets, and `end` how each rollout ended, both by rollout.
    """

    name: str
    interval_s: float
    weight_bp: Ints
    end: Ints

    def look(self, now_s: float, window: Requests) -> None:
        """Take in a window, by rollout, and decide."""


def failing(window: Requests) -> Flags:
    """Whether too few requests succeeded; without requests nothing did."""
    return window.failed > (1 - LEAST_SUCCESS) * window.all


def slow(window: Requests) -> Flags:
    """Whether the 99th percentile of latency is over the limit."""
    return window.slow > MOST_SLOW * window.all


def empty(window: Requests) -> Flags:
    """Whether there is nothing to tell from."""
    return np.asarray(window.all == 0)


def running(end: Ints) -> Flags:
    """Whether a rollout goes on."""
    return np.asarray(end == End.OPEN)
