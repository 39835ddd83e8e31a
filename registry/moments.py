"""Moments as texts that sort as the moments do."""

from __future__ import annotations

from datetime import UTC, datetime

from configs.errors import BadInput


def utc_text(moment: datetime) -> str:
    """A moment in UTC with microseconds (ISO 8601); `BadInput` for one without a time zone."""
    if moment.utcoffset() is None:
        raise BadInput("the time must have a zone, such as 2026-01-31T12:00:00Z")
    try:
        return moment.astimezone(UTC).isoformat(timespec="microseconds")
    except OverflowError:
        raise BadInput("the time is beyond the years that have a date in UTC") from None
