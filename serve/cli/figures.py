"""How effects and evidence are written in tables."""

from __future__ import annotations


def effect(value: float | None, low: float | None, high: float | None) -> str:
    """The value with the bounds that there are, such as `0.31 (0.2 to 0.4)`."""
    if value is None:
        return "-"
    bounds = ""
    if low is not None and high is not None:
        bounds = f" ({low:.3g} to {high:.3g})"
    elif low is not None:
        bounds = f" (at least {low:.3g})"
    elif high is not None:
        bounds = f" (at most {high:.3g})"
    return f"{value:.3g}{bounds}"


def evidence(log10: float | None) -> str:
    """An e-value in figures up to a million, as a power of ten beyond."""
    if log10 is None:
        return "-"
    if log10 >= 6:
        return f"10^{log10:.1f}"
    value: float = 10**log10
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def minute(moment: str) -> str:
    """A moment in UTC to the minute, such as `2026-11-30 08:00Z`."""
    return f"{moment[:10]} {moment[11:16]}Z"
