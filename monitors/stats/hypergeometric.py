"""How a count in a random part of some rows compares with what chance gives: its exact tail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]

_NEGLIGIBLE = 1e-17
_STIRLING_FROM = 10.0


def tails(hits: Floats, rows: Floats, all_hits: Floats, all_rows: Floats) -> tuple[Floats, Floats]:
    """Chances that a random part of `rows` rows has more hits than `hits`, and just as many.

    The part is drawn from `all_rows` rows with `all_hits` hits, its own among them. Whole numbers
    as floats, of one shape. Exact to some ten digits, however small; below 1e-300 it may be 0.
    """
    misses = all_rows - all_hits
    log_chance = _log_falling(rows, hits) - gammaln(hits + 1)
    log_chance += _log_falling(all_hits, hits) + _log_falling(misses, rows - hits)
    log_chance -= _log_falling(all_rows, rows)
    as_many = np.exp(log_chance)
    more = np.zeros_like(as_many)
    term, at = as_many.copy(), hits.copy()
    while True:
        # Each chance follows from the one before; after the largest count possible they are 0.
        term *= (all_hits - at) * (rows - at) / ((at + 1) * (misses - rows + at + 1))
        if not (term > _NEGLIGIBLE * more).any():
            return more, as_many
        more += term
        at += 1


def _log_falling(base: Floats, steps: Floats) -> Floats:
    """The logarithm of base (base - 1) ... over so many steps, at most as many as the base.

    By Stirling's series, in a form in which what is large cancels before it is rounded.
    """
    high, low = base + 1, base - steps + 1
    logs: Floats = steps * (np.log(high) - 1) - (low - 0.5) * np.log1p(-steps / high)
    logs += _correction(high) - _correction(low)
    small = low < _STIRLING_FROM
    logs[small] = gammaln(high[small]) - gammaln(low[small])
    return logs


def _correction(z: Floats) -> Floats:
    """What Stirling's formula lacks of the logarithm of the gamma function."""
    square = z * z
    return np.asarray((1 - (1 - 2 / (7 * square)) / (30 * square)) / (12 * z))
