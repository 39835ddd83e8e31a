"""Intervals of a share that hold at every look at once."""

from __future__ import annotations

from math import log

from scipy.optimize import brentq
from scipy.special import betaln, xlog1py, xlogy

_TINY = 1e-12


def anytime_share(hits: float, rows: float, alpha: float = 0.05) -> tuple[float, float]:
    """The interval of hits / rows that covers the true share at all sample sizes at once.

    With chance 1 - alpha it never leaves it out, however often it is looked at, if each row is a
    hit with that chance given the rows before it. It holds the shares p against which the mixture
    of all bets, prior Beta(1/2, 1/2), has not won 1 / alpha (Robbins 1970; Howard, Ramdas,
    McAuliffe, Sekhon 2021, section 3.2). (0, 1) without rows.
    """
    if rows <= 0:
        return 0.0, 1.0
    misses = rows - hits
    won = betaln(hits + 0.5, misses + 0.5) - betaln(0.5, 0.5)

    def excess(share: float) -> float:
        return float(won - xlogy(hits, share) - xlog1py(misses, -share) + log(alpha))

    middle = hits / rows
    lower = 0.0 if hits <= 0 or excess(_TINY) <= 0 else brentq(excess, _TINY, middle)
    upper = 1.0 if misses <= 0 or excess(1 - _TINY) <= 0 else brentq(excess, middle, 1 - _TINY)
    return float(lower), float(upper)


def log_won_outside(hits: float, rows: float, least: float, most: float = 1.0) -> float:
    """The natural logarithm of the evidence that the true share is outside of `least` to `most`.

    What the mixture of all bets has won against the share that it refutes worst of all between
    them; both lie within 0 to 1. Its e-value exceeds 1/a ever with chance at most a if each row is
    a hit with one such chance, given the rows before it. 0 without rows.
    """
    if rows <= 0:
        return 0.0
    misses = rows - hits
    worst = min(max(least, hits / rows), most)
    won = betaln(hits + 0.5, misses + 0.5) - betaln(0.5, 0.5)
    return float(won - xlogy(hits, worst) - xlog1py(misses, -worst))
