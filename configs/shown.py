"""A configuration as it may be shown and remembered: flat, plain, and without secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from configs.settings import Settings

_ADDRESSES = ("alarms.webhook", "rollouts.webhook", "telemetry.otlp_endpoint")
"""Whose path, query or user may be a secret."""

_DIGITS = 12


def shown(settings: Settings) -> dict[str, object]:
    """Every setting by its dotted name, as JSON would have it.

    Of addresses only where they lead, and of paths a digest, which tells whether they are others.
    """
    flat = dict(_flat("", settings.model_dump(mode="json")))
    for name, value in _flat("", settings.model_dump()):
        if isinstance(value, Path):
            flat[name] = f"path {sha256(bytes(value)).hexdigest()[:_DIGITS]}"
        elif name in _ADDRESSES and isinstance(value, str):
            flat[name] = _where(value)
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
