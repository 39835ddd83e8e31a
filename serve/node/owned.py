"""One user of a data folder at a time: a gateway, or a command that works while none runs."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from configs.errors import StartError


@contextlib.contextmanager
def owned(data: Path) -> Iterator[None]:
    """Own a data folder, made if need be; `StartError` when a gateway does."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (data / "weir.lock").open("w")
    except OSError as error:
        raise StartError(f"cannot use the data folder {data}: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(
                f"another gateway is running on {data}: stop it, or choose another data folder"
            ) from None
        yield
