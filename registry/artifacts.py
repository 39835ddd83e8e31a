"""Files named by their content: `sha256:<hex>` is both the name and the proof."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from configs.errors import BadInput, NotFound, Refused, TooLarge

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHUNK = 2**20
_PARTIAL = ".partial"


class Artifacts:
    """A folder of immutable files. A file is there whole, on disk, or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "sha256"
        self._folder.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes) -> str:
        """Keep the bytes and return their digest."""
        return self.put_stream([data], max_bytes=len(data))

    def put_stream(self, chunks: Iterable[bytes], max_bytes: int) -> str:
        """Keep what the chunks make together and return its digest; `TooLarge` above the cap."""
        partial = self._folder / f"{secrets.token_hex(16)}{_PARTIAL}"
        try:
            digest = _write(partial, chunks, max_bytes)
            partial.replace(self.path(digest))
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        sync_folder(self._folder)
        return digest

    def path(self, digest: str) -> Path:
        """Where the file of a digest is or would be; `BadInput` if it is no digest."""
        if not _DIGEST.fullmatch(digest):
            raise BadInput(f"{digest[:80]!r} is not a digest; it must look like sha256:<64 hex>")
        return self._folder / digest.removeprefix("sha256:")

    def read(self, digest: str) -> bytes:
        """The bytes of a digest; `Refused` if the file has changed since it was put."""
        try:
            data = self.path(digest).read_bytes()
        except FileNotFoundError:
            raise _missing(digest) from None
        _compare(digest, hashlib.sha256(data).hexdigest())
        return data

    def check(self, digest: str) -> int:
        """The size in bytes of an unchanged file, read piece by piece; errors as `read`."""
        path, found, size = self.path(digest), hashlib.sha256(), 0
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    found.update(chunk)
                    size += len(chunk)
        except FileNotFoundError:
            raise _missing(digest) from None
        _compare(digest, found.hexdigest())
        return size

    def sweep(self) -> None:
        """Remove what a crash left half written; only the folder's one writer may call this."""
        for partial in self._folder.glob(f"*{_PARTIAL}"):
            partial.unlink()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, chunks: Iterable[bytes], max_bytes: int) -> str:
    """Write all chunks to disk and return their digest."""
    found, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        for chunk in chunks:
            size += len(chunk)
            if size > max_bytes:
                raise TooLarge(f"the file is larger than the cap of {max_bytes} bytes")
            found.update(chunk)
            file.write(chunk)
        file.flush()
        os.fchmod(file.fileno(), 0o444)
        os.fsync(file.fileno())
    return f"sha256:{found.hexdigest()}"


def _missing(digest: str) -> NotFound:
    return NotFound(f"no artifact {digest} is stored")


def _compare(digest: str, found: str) -> None:
    if digest != f"sha256:{found}":
        raise Refused(f"the file of {digest} was changed on disk: restore it or register it again")
