"""Python's search for reference cycles, made rare where requests wait for it."""

from __future__ import annotations

import gc

_THRESHOLDS = (10_000, 20, 20)


def collect_seldom() -> None:
    """Leave out of the search what exists now, and search seldom: a request makes no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
