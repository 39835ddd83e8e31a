"""The tools that tests need are found, or asked for in plain words."""

from __future__ import annotations

import pytest

from tests.tools.prometheus import binary


def test_a_missing_tool_says_how_to_get_it() -> None:
    """Nobody has to guess which script installs what is missing."""
    with pytest.raises(FileNotFoundError, match="run scripts/install-prometheus"):
        binary("no-such-tool")
