"""The audit log knows how the gateway was configured, and since when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry.configurations import CONFIGURATION, Configurations
from registry.sqlite import SqliteStore


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Configurations]:
    """The log of a new data folder."""
    opened = Configurations(SqliteStore(tmp_path), lambda: datetime(2026, 1, 1, tzinfo=UTC), bytes)
    yield opened
    opened.close()


def test_the_first_configuration_is_noted_whole(log: Configurations) -> None:
    """Nothing was there before it."""
    entry = log.note_configuration({"hosts.threads": None, "weir": "1"})
    assert entry is not None
    assert (entry.actor, entry.action, entry.resource) == ("weir", "configure", CONFIGURATION)
    assert (entry.before, json.loads(entry.after)) == ("", {"hosts.threads": None, "weir": "1"})
    assert log.audit() == (entry,)


def test_a_start_with_the_same_configuration_changes_nothing(log: Configurations) -> None:
    """The log tells of changes, and not of starts."""
    values = {"listen.tls": ["a", "b"], "monitors.alarm_budget": 0.01}
    log.note_configuration(values)
    assert log.note_configuration(json.loads(json.dumps(values))) is None
    assert len(log.audit()) == 1


def test_a_change_names_what_is_another(log: Configurations) -> None:
    """What was set, what is new, and what is gone; the rest is in the states."""
    log.note_configuration({"a": 1, "b": 2, "gone": True, "weir": "1"})
    entry = log.note_configuration({"a": 1, "b": 3, "new": "x", "weir": "2"})
    assert entry is not None
    assert entry.reason == "b: 2 -> 3; gone: True -> None; new: None -> x; weir: 1 -> 2"
    assert json.loads(entry.before)["b"] == 2
    assert log.verify_audit() is None
