"""One owner at a time: a lock on a file that the system gives back when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from configs.errors import StartError


class OwnerLock:
    """The exclusive right to a data folder, from construction to `close`.

    Raises `StartError` at once, with the holder's process id, if somebody else has it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "registry.lock").open("a+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read(20).decode("ascii", "replace").strip()
            self._file.close()
            raise StartError(
                f"{folder} belongs to a running gateway (process {holder or 'unknown'}): "
                "stop it, or choose another data folder"
            ) from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n".encode())

    def close(self) -> None:
        """Give the folder back; once more does nothing."""
        self._file.close()
