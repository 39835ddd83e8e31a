"""The page that the run with real clients wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.features import FEATURES
from tests.conformance.page import ABSENT, FAILS, WORKS
from tests.conformance.table import CLIENTS, Client

PAGE = (Path(__file__).parents[1] / "docs" / "conformance.md").read_text(encoding="utf-8")
TABLE = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("|")
]


def test_no_client_fails() -> None:
    """The committed page was written by a run in which every client could do all that it can."""
    cells = {cell for row in TABLE[2:] for cell in row[1:]}
    assert cells == {WORKS, ABSENT}, f"a {FAILS} must be mended, not committed"


def test_the_page_is_of_this_table() -> None:
    """Clients and features are those of the suite: a new one must run before it is on the page."""
    assert TABLE[0][1:] == [client.title for client in CLIENTS]
    assert [row[0] for row in TABLE[2:]] == list(FEATURES.values())


@pytest.mark.parametrize("client", CLIENTS, ids=[client.program for client in CLIENTS])
def test_every_dash_has_one_reason(client: Client) -> None:
    """A feature that a client does not have is missing for one reason, and exists for others."""
    absent = [name for names in client.absent.values() for name in names]
    assert len(absent) == len(set(absent)), sorted(absent)
    assert set(absent) < set(FEATURES)
