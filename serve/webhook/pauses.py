"""How long to wait before what has failed is tried again."""

from __future__ import annotations

_FIRST_S = 1.0
_MOST_S = 60.0


def pause_s(failures: int, luck: float) -> float:
    """Seconds to wait after so many failures in a row, of which there is one at least.

    Twice as long each time, up to a minute, less up to half of it by `luck`, which is from 0 to 1:
    many that failed together must not come back together.
    """
    whole = min(_MOST_S, _FIRST_S * 2.0 ** min(failures - 1, 10))
    return whole * (1.0 - luck / 2.0)
