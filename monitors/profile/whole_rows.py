"""Whole rows seen from a few directions, so that a change of how features go together is seen.

Numeric features are standardised and whitened by the covariance of the half of the reference that
chooses, and projected on random directions. Whitened, a correlation that breaks changes the spread
of every projection, however small the part of the variance that it held. The cosines of the
projections are random Fourier features of a Gaussian kernel (Rahimi and Recht, Random features for
large-scale kernel machines, 2007): how far their means are apart estimates the maximum mean
discrepancy of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.profile.reference import NumericProfile, WholeRows

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

DIRECTIONS = 8
FEATURES_MAX = 256
"""Beyond these, covariances would cost more than they tell."""

_SEED = 20_071_203
_OUTLYING = 8.0
_RIDGE = 1e-3
_DIGITS = 9

COSINE_UNIT = 2**20
"""Cosines are added up as whole numbers of parts of one, so that sums merge exactly."""


class Projector:
    """Projects rows of features on the directions of a reference."""

    def __init__(self, reference: WholeRows) -> None:
        self._centres = np.array(reference.centres)[:, None]
        self._scales = np.array(reference.scales)[:, None]
        self._directions = np.array(reference.directions).reshape(-1, len(reference.features))
        self._phases = np.array(reference.phases)[:, None]

    def project(self, values: Floats) -> Floats:
        """Projections (directions, rows) of values (features, rows)."""
        return self._directions @ standardised(values, self._centres, self._scales)

    def cosines(self, projections: Floats) -> NDArray[np.int64]:
        """Sums of cosines over rows, (directions,), in parts of `COSINE_UNIT`."""
        parts = np.rint(np.cos(projections + self._phases) * COSINE_UNIT)
        return np.asarray(parts.sum(axis=1), dtype=np.int64)


def standardised(values: Floats, centres: Floats, scales: Floats) -> Floats:
    """Values in units of their scales, missing ones and infinities at the centre, cut at eight."""
    with np.errstate(over="ignore", invalid="ignore"):
        z = values - centres
        z /= scales
    z[~np.isfinite(values)] = 0.0
    return z.clip(-_OUTLYING, _OUTLYING, out=z)


def squared_discrepancy(
    reference: NDArray[np.int64], reference_rows: int, live: NDArray[np.int64], rows: int
) -> float:
    """The squared maximum mean discrepancy that sums of cosines tell; may be negative by chance.

    The kernel is twice the mean over directions of products of cosines, so that k(x, x) is one on
    average over phases. By how much two samples differ at random is taken away: each mean's
    variance, (1/2 - mean^2) / rows.
    """
    means = reference / COSINE_UNIT / reference_rows, live / COSINE_UNIT / rows
    noise = sum((0.5 - mean**2) / n for mean, n in zip(means, (reference_rows, rows), strict=True))
    return float(2 * np.mean((means[0] - means[1]) ** 2 - noise))


def whole_rows(
    columns: Mapping[str, NDArray[np.floating[Any]]],
    chooses: Mask,
    profile_of: Callable[[Floats, Mask], NumericProfile],
) -> WholeRows | None:
    """The projections of numeric columns, each of shape (rows,); None where fewer than two vary.

    `profile_of` bins a column by the rows that choose and counts the others.
    """
    names = [name for name, values in columns.items() if _varies(values[chooses])][:FEATURES_MAX]
    if len(names) < 2:
        return None
    values = np.stack([columns[name] for name in names], dtype=np.float64)
    choosing = values[:, chooses]
    choosing[~np.isfinite(choosing)] = np.nan
    centres = np.nanmean(choosing, axis=1)
    scales = np.nanstd(choosing, axis=1)
    del choosing
    z = standardised(values, centres[:, None], scales[:, None])
    del values
    rng = np.random.default_rng(_SEED)
    directions = _directions(z[:, chooses], rng)
    phases = rng.uniform(0, 2 * np.pi, DIRECTIONS)
    projections = np.round(directions, _DIGITS) @ z
    counted = projections[:, ~chooses]
    cosines = np.rint(np.cos(counted + np.round(phases, _DIGITS)[:, None]) * COSINE_UNIT)
    return WholeRows(
        features=tuple(names),
        centres=tuple(centres.tolist()),
        scales=tuple(scales.tolist()),
        directions=tuple(tuple(row) for row in np.round(directions, _DIGITS).tolist()),
        phases=tuple(np.round(phases, _DIGITS).tolist()),
        projections=tuple(profile_of(row, chooses) for row in projections),
        cosines=tuple(int(each) for each in cosines.sum(axis=1)),
        rows=int((~chooses).sum()),
    )


def _varies(values: NDArray[np.floating[Any]]) -> bool:
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        scale = float(np.std(finite, dtype=np.float64))
    return bool(np.isfinite(scale) and scale > 0)


def _directions(z: Floats, rng: np.random.Generator) -> Floats:
    """Random directions in whitened rows, each of which gives projections of variance one."""
    values, vectors = np.linalg.eigh(np.cov(z) + _RIDGE * np.eye(len(z)))
    whitening = (vectors / np.sqrt(values)) @ vectors.T
    random = rng.standard_normal((DIRECTIONS, len(z)))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    return np.asarray(random @ whitening)
