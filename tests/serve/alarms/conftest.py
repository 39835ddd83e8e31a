"""Fixtures of the tests of what is done about alarms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.alarm_book import AlarmBook
from tests.serve.alarms.fakes import Clock, open_book


@pytest.fixture
def clock() -> Clock:
    """A clock that a test moves."""
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> Iterator[AlarmBook]:
    """A book of alarms without any."""
    made = open_book(tmp_path, clock)
    yield made
    made.close()
