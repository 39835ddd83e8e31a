"""When the rows of a reference were, as a column of a file says it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.profile.reading import MISSING

Minutes = NDArray[np.int64]

UNKNOWN = -1

_SECONDS_MAX = 1e11
"""Some 3,000 years: numbers above it are no seconds, but thousandths or less."""


def minutes_of(column: str, values: NDArray[Any]) -> Minutes:
    """Minutes since 1970 of values, shape (rows,): `UNKNOWN` where they are missing.

    Numbers are seconds since 1970, texts ISO 8601, in UTC unless they say otherwise. `Refused` for
    anything else, and for a column without any time.
    """
    if values.dtype.kind in "iuf":
        seconds = values.astype(np.float64)
    else:
        seconds = np.array([_seconds(column, value) for value in values.tolist()])
    known = np.isfinite(seconds)
    if not known.any():
        message = f"column '{column}', which strata.time names, holds no time at all"
        raise Refused(message)
    if seconds[known].min() < 0 or seconds[known].max() > _SECONDS_MAX:
        message = (
            f"column '{column}', which strata.time names, holds numbers that are no seconds since "
            "1970: divide thousandths by 1,000"
        )
        raise Refused(message)
    minutes = np.full(len(values), UNKNOWN, dtype=np.int64)
    minutes[known] = seconds[known] // 60
    return minutes


def _seconds(column: str, value: object) -> float:
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if value is None or (isinstance(value, str) and value.strip() in MISSING):
        return np.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        when = datetime.fromisoformat(str(value).strip())
    except ValueError:
        message = (
            f"column '{column}', which strata.time names, must hold seconds since 1970 or texts "
            "such as 2026-11-28T18:25:00Z"
        )
        raise Refused(message) from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
