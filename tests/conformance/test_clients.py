"""Every client can do with a gateway what it was made to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.page import FAILS, render
from tests.conformance.results import Results, version
from tests.conformance.table import CLIENTS, Client

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(600)]

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


@pytest.mark.parametrize(
    ("client", "feature"),
    [
        pytest.param(client, feature, id=f"{client.program}-{feature}")
        for client in CLIENTS
        for feature in client.features
    ],
)
def test_feature(said: Callable[[Client], Results], client: Client, feature: str) -> None:
    """The client has what the table says that it has, and it works."""
    found = said(client).get(feature)
    assert found is not None, "the client's program does not try it"
    assert found.ok, found.detail


@pytest.mark.parametrize("client", CLIENTS, ids=[client.program for client in CLIENTS])
def test_nothing_is_left_out(said: Callable[[Client], Results], client: Client) -> None:
    """What a client's program tries is in the table, so that the page can tell of it."""
    assert set(said(client)) <= set(client.features)


def test_the_page_tells_what_the_clients_said(said: Callable[[Client], Results]) -> None:
    """The page is written anew by each run; the same result leaves it as it was."""
    results = {client.program: said(client) for client in CLIENTS}
    versions = {client.program: version(client) for client in CLIENTS}
    page = render(versions, results)

    PAGE.write_text(page, encoding="utf-8")

    assert FAILS not in page.partition(f"{FAILS} does not")[0]
