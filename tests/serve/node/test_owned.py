"""A data folder has one user at a time, and is nobody else's to read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from configs.errors import StartError
from serve.node.owned import owned


def test_a_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    """The second is told which folder is taken; when the first is done the next may have it."""
    with (
        owned(tmp_path),
        pytest.raises(StartError, match=f"gateway is running on {tmp_path}"),
        owned(tmp_path),
    ):
        pass
    with owned(tmp_path):
        pass


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    """Other accounts of the machine read neither routes nor logs."""
    with owned(tmp_path / "a" / "data"):
        assert stat.S_IMODE((tmp_path / "a" / "data").stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_is_a_clear_error(tmp_path: Path) -> None:
    """A file in its place is said in one sentence."""
    (tmp_path / "data").touch()
    with pytest.raises(StartError, match="cannot use the data folder"), owned(tmp_path / "data"):
        pass
