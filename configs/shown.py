"""A configuration as it may be shown and remembered: flat, plain, and without secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from configs.settings import Settings

_ADDRESSES = ("alarms.webhook", "telemetry.otlp_endpoint")
"""Whose path, query or user may be a secret."""


def shown(settings: Settings) -> dict[str, object]:
    """Every setting by its dotted name as JSON would have it; of addresses only where they lead."""
    flat = dict(_flat("", settings.model_dump(mode="json")))
    for name in _ADDRESSES:
        address = flat[name]
        if isinstance(address, str):
            flat[name] = _where(address)
    return flat


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[str]:
    """What is another than before, each as `name: before -> after`, by name."""
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield f"{name}: {old} -> {new}"


def _flat(prefix: str, values: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def _where(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
