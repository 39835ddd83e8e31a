"""Replicas are found by the sockets in their version's folder."""

from __future__ import annotations

from pathlib import Path

from serve.models.addresses import addresses, folder, forget


def test_every_version_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Folders differ by model and version, are the same every time, and are short."""
    pairs = [("credit", 1), ("credit", 11), ("credit/1", 1), ("c" * 64, 999_999_999)]
    folders = {folder(tmp_path, *pair) for pair in pairs}

    assert len(folders) == 4
    assert folder(tmp_path, "credit", 1) in folders
    assert all(len(str(found.relative_to(tmp_path))) <= 14 for found in folders)


def test_only_sockets_with_their_final_name_are_found(tmp_path: Path) -> None:
    """A replica that is not ready yet has another name; a folder that is not there is empty."""
    for name in ("b.sock", "a.sock", "c.new", "d"):
        (tmp_path / name).touch()

    assert addresses(tmp_path) == (str(tmp_path / "a.sock"), str(tmp_path / "b.sock"))
    assert addresses(tmp_path / "nowhere") == ()


def test_forgetting_twice_does_no_harm(tmp_path: Path) -> None:
    """Two gateway replicas may remove the same dead socket."""
    (tmp_path / "a.sock").touch()
    (address,) = addresses(tmp_path)

    forget(address)
    forget(address)

    assert addresses(tmp_path) == ()
