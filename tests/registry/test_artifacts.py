"""Artifacts are whole, on disk, and what their name says."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.errors import BadInput, NotFound, Refused, TooLarge
from registry.artifacts import Artifacts


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    """An empty folder of artifacts."""
    return Artifacts(tmp_path / "artifacts")


def _files(artifacts: Artifacts) -> list[Path]:
    return sorted(artifacts.path("sha256:" + "0" * 64).parent.iterdir())


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunks=st.lists(st.binary(max_size=50)))
def test_what_is_put_is_read_under_its_sha256(artifacts: Artifacts, chunks: list[bytes]) -> None:
    """Whatever the chunks, the digest is that of their sum, and it reads back."""
    data = b"".join(chunks)
    digest = artifacts.put_stream(chunks, max_bytes=len(data))
    assert digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert artifacts.put(data) == digest
    assert artifacts.read(digest) == data
    assert artifacts.check(digest) == len(data)


def test_a_stream_above_the_cap_is_stopped_and_leaves_nothing(artifacts: Artifacts) -> None:
    """The cap acts while bytes arrive, not after."""
    taken: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield b"x" * 10

    with pytest.raises(TooLarge, match="100 bytes"):
        artifacts.put_stream(endless(), max_bytes=100)
    assert len(taken) == 11
    assert _files(artifacts) == []


def test_a_failing_stream_leaves_nothing(artifacts: Artifacts) -> None:
    """When the sender goes away, no half file stays."""

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        artifacts.put_stream(broken(), max_bytes=100)
    assert _files(artifacts) == []


def test_a_file_changed_on_disk_is_refused_and_can_be_put_again(artifacts: Artifacts) -> None:
    """One flipped bit is noticed by read and by check; putting the bytes again heals it."""
    digest = artifacts.put(b"model")
    path = artifacts.path(digest)
    path.chmod(0o644)
    path.write_bytes(b"modem")
    for look in (artifacts.read, artifacts.check):
        with pytest.raises(Refused, match="changed on disk"):
            look(digest)
    artifacts.put(b"model")
    assert artifacts.read(digest) == b"model"


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha256:",
        "a" * 64,
        "md5:" + "a" * 64,
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:../../../etc/passwd",
        "sha256:" + "a" * 64 + "\n",
    ],
)
def test_what_is_no_digest_is_refused(artifacts: Artifacts, digest: str) -> None:
    """No path is ever made from anything but 64 lower-case hexadecimal digits."""
    with pytest.raises(BadInput, match="not a digest"):
        artifacts.path(digest)


def test_an_unknown_digest_is_not_found(artifacts: Artifacts) -> None:
    """A digest nobody put is named in the error."""
    for look in (artifacts.read, artifacts.check):
        with pytest.raises(NotFound, match="sha256:0000"):
            look("sha256:" + "0" * 64)


def test_bytes_are_on_disk_before_the_name_is(
    artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synced, then renamed, then the folder is synced: power may fail at any moment."""
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        steps.append("folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file")
        sync(descriptor)

    def noted_replace(path: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    artifacts.put(b"model")
    assert steps == ["file", "rename", "folder"]


def test_sweep_removes_only_what_is_half_written(artifacts: Artifacts) -> None:
    """After a crash the rest of a half-written file goes and whole files stay."""
    digest = artifacts.put(b"model")
    artifacts.path(digest).with_name("0.partial").write_bytes(b"ha")
    artifacts.sweep()
    assert _files(artifacts) == [artifacts.path(digest)]
