"""Bets on p-values: densities on [0, 1], whose value at a uniform p-value is an e-value.

Every bet here is an exponential tilt, so the logarithm of its e-value over a block of rows is
linear in a few sums over the block. A `Tilts` holds what turns sums into bets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Starts = NDArray[np.intp]

LOCATIONS = np.array([-1.0, -0.5, -0.25, 0.25, 0.5, 1.0])
SCALES = np.array([0.6, 1.6])
LOCATION_SHARE = 0.8
RATIOS = np.array([0.25, 0.5, 0.7, 1.5, 2.0, 4.0, 16.0, 64.0])
WIDE_RATIOS = np.array([4.0, 16.0])
WIDTHS = np.array([0.001, 0.003, 0.01, 0.03])


@dataclass(frozen=True, slots=True)
class Tilts:
    """A family of bets on streams of p-values.

    `sums` adds up p-values (streams, rows) over the blocks that begin at the given rows, into
    shape (streams, sums, blocks); NaN adds nothing, and a block has 255 rows at most.
    `coefficients` has shape (streams or 1, bets, sums); `weights` (bets,) sum to one.
    """

    sums: Callable[[Floats, Starts], Floats]
    coefficients: Floats
    weights: Floats

    def log_e_values(self, sums: Floats) -> Floats:
        """Natural logarithms of the e-values of sums, shape (streams, bets, blocks)."""
        return np.asarray(self.coefficients @ sums, dtype=np.float64)


def normal_tilts() -> Tilts:
    """Bets that the normal score z of the p-value has another mean or another spread.

    Location: exp(t z - t^2/2). Scale: the density of N(0, s^2) over that of N(0, 1).
    Each has mean one when the p-value is uniform, as both are ratios of densities.
    """
    zero_l, zero_s = np.zeros_like(LOCATIONS), np.zeros_like(SCALES)
    location = np.stack([-(LOCATIONS**2) / 2, LOCATIONS, zero_l], axis=1)
    scale = np.stack([-np.log(SCALES), zero_s, (1 - SCALES**-2) / 2], axis=1)
    weights = np.r_[
        np.full(len(LOCATIONS), LOCATION_SHARE / len(LOCATIONS)),
        np.full(len(SCALES), (1 - LOCATION_SHARE) / len(SCALES)),
    ]
    return Tilts(_score_sums, np.vstack([location, scale])[None], weights)


def _score_sums(p: Floats, starts: Starts) -> Floats:
    """Rows, their normal scores, and the squares of these."""
    # Ranks among many rows may round to 0 or 1, whose scores would be infinite.
    z = np.minimum(np.maximum(p, 1e-15), 1 - 1e-15)
    ndtri(z, out=z)
    unseen = np.isnan(z)
    sums = np.empty((len(p), 3, len(starts)))
    sums[:, 0] = np.diff(starts, append=p.shape[1])
    if unseen.any():
        z[unseen] = 0.0
        sums[:, 0] -= np.add.reduceat(unseen, starts, axis=1, dtype=np.float64)
    np.add.reduceat(z, starts, axis=1, out=sums[:, 1])
    z *= z
    np.add.reduceat(z, starts, axis=1, out=sums[:, 2])
    return sums


def share_tilts(shares: Floats) -> Tilts:
    """Bets that an event, which ranks above all else, has become more or less frequent.

    The density is r times higher on the top `share` of [0, 1] than below it, for each ratio r.
    `shares` (streams,), strictly between 0 and 1, must come from rows that are not ranked.
    A rare event that becomes frequent soon fills more than its old share: some bets use a wider
    top, one for each of `WIDTHS`.
    """
    tops = np.maximum(shares[:, None], np.r_[0.0, WIDTHS])
    top = np.r_[np.zeros(len(RATIOS), dtype=int), np.repeat(np.arange(len(WIDTHS)) + 1, 2)]
    ratio = np.r_[RATIOS, np.tile(WIDE_RATIOS, len(WIDTHS))]
    bets = len(ratio)
    coefficients = np.zeros((len(shares), bets, 1 + tops.shape[1]))
    coefficients[:, :, 0] = -np.log1p((ratio - 1) * tops[:, top])
    coefficients[:, np.arange(bets), 1 + top] = np.log(ratio)
    return Tilts(partial(_hit_sums, 1 - tops), coefficients, np.full(bets, 1 / bets))


def _hit_sums(floors: Floats, p: Floats, starts: Starts) -> Floats:
    """Rows, and those of them that lie in each of the tops, above `floors` (streams, tops).

    The hits of a row stand side by side in a 64-bit word, so that one addition counts them all.
    """
    sums = 1 + floors.shape[1]
    hits = np.zeros((*p.shape, 8), dtype=np.bool_)
    np.greater_equal(p, 0, out=hits[:, :, 0])
    for at in range(1, sums):
        np.greater(p, floors[:, at - 1, None], out=hits[:, :, at])
    words = np.add.reduceat(hits.view(np.uint64)[:, :, 0], starts, axis=1)
    counts = words.view(np.uint8).reshape(*words.shape, 8)[:, :, :sums]
    return np.asarray(counts.swapaxes(1, 2), dtype=np.float64)
