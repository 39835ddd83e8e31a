"""Bets on p-values: densities on [0, 1], whose value at a uniform p-value is an e-value.

Every bet here is an exponential tilt, so the logarithm of its e-value over a block of rows is
linear in a few sums over the block. A `Tilts` holds what turns sums into bets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]

LOCATIONS = np.array([-1.4, -0.7, -0.35, -0.18, 0.18, 0.35, 0.7, 1.4])
SCALES = np.array([0.6, 1.6])
RATIOS = np.array([0.25, 0.5, 0.7, 1.5, 2.0, 4.0, 16.0, 64.0])
WIDE_RATIOS = np.array([4.0, 16.0])
WIDTHS = np.array([0.001, 0.003, 0.01, 0.03])


@dataclass(frozen=True, slots=True)
class Tilts:
    """A family of bets on streams of p-values.

    `statistics` maps p-values (rows, streams) to what is summed, (rows, streams, sums), zero for
    NaN; `coefficients` has shape (streams or 1, sums, bets); `weights` (bets,) sum to one.
    """

    statistics: Callable[[Floats], Floats]
    coefficients: Floats
    weights: Floats

    def log_e_values(self, sums: Floats) -> Floats:
        """Natural logarithms of the e-values of sums (..., streams, sums): (..., streams, bets)."""
        return np.asarray((sums[..., None, :] @ self.coefficients)[..., 0, :], dtype=np.float64)


def normal_tilts() -> Tilts:
    """Bets that the normal score z of the p-value has another mean or another spread.

    Location: exp(t z - t^2/2). Scale: the density of N(0, s^2) over that of N(0, 1).
    Each has mean one when the p-value is uniform, as both are ratios of densities.
    """
    zero_l, zero_s = np.zeros_like(LOCATIONS), np.zeros_like(SCALES)
    location = np.stack([-(LOCATIONS**2) / 2, LOCATIONS, zero_l])
    scale = np.stack([-np.log(SCALES), zero_s, (1 - SCALES**-2) / 2])
    weights = np.r_[
        np.full(len(LOCATIONS), 0.8 / len(LOCATIONS)), np.full(len(SCALES), 0.2 / len(SCALES))
    ]
    return Tilts(_normal_scores, np.hstack([location, scale])[None], weights)


def _normal_scores(p: Floats) -> Floats:
    seen = ~np.isnan(p)
    # Ranks among many rows may round to 0 or 1, whose scores would be infinite.
    z = ndtri(np.clip(np.where(seen, p, 0.5), 1e-15, 1 - 1e-15))
    return np.stack([seen.astype(np.float64), z, z * z], axis=-1)


def share_tilts(shares: Floats) -> Tilts:
    """Bets that an event, which ranks above all else, has become more or less frequent.

    The density is r times higher on the top `share` of [0, 1] than below it, for each ratio r.
    `shares` (streams,), strictly between 0 and 1, must come from rows that are not ranked.
    A rare event that becomes frequent soon fills more than its old share: some bets use a wider
    top, one for each of `WIDTHS`.
    """
    tops = np.maximum(shares[:, None], np.r_[0.0, WIDTHS])

    def statistics(p: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            hits = p[..., None] > 1 - tops
        return np.concatenate([~np.isnan(p)[..., None], hits], axis=-1).astype(np.float64)

    top = np.r_[np.zeros(len(RATIOS), dtype=int), np.repeat(np.arange(len(WIDTHS)) + 1, 2)]
    ratio = np.r_[RATIOS, np.tile(WIDE_RATIOS, len(WIDTHS))]
    bets = len(ratio)
    coefficients = np.zeros((len(shares), 1 + tops.shape[1], bets))
    coefficients[:, 0] = -np.log1p((ratio - 1) * tops[:, top])
    coefficients[:, 1 + top, np.arange(bets)] = np.log(ratio)
    return Tilts(statistics, coefficients, np.full(bets, 1 / bets))
