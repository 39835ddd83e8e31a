"""Alarms for tests."""

from __future__ import annotations

from registry.alarms import Alarm, AlarmKey, Finding, raised
from registry.routing import Change

KEY = AlarmKey("credit", 2, "stable", "drift", "input_drift", "income", 1)
FOUND = Finding(8.25, 0.42, 0.31, None, "income has moved up")


def minute(number: int) -> str:
    """A moment as the registry writes it."""
    return f"2026-01-01T00:{number:02}:00.000000+00:00"


def why(number: int, actor: str = "ada", reason: str = "because") -> Change:
    """A change made in a minute."""
    return Change(actor=actor, at=minute(number), reason=reason)


def alarm(alarm_id: str = "a1", key: AlarmKey = KEY, at: int = 0) -> Alarm:
    """An alarm that was raised in a minute, and recorded in the next."""
    return raised(alarm_id, key, minute(at), FOUND, why(at + 1, "weir"))
