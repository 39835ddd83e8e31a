"""What monitors remember, kept in files, so that it outlives the process."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from monitors.signal import State, from_words, words

Place = tuple[str, int, str]
"""A model, a version and a role."""

_log = logging.getLogger("weir.monitors")

_PLACE = "place"
_FINISHED, _UNFINISHED = ".npz", ".new"


class Kept(Protocol):
    """**Protocol:** where states are kept between two starts."""

    def all(self) -> Iterator[tuple[Place, State]]:
        """Every state that can be read."""

    def write(self, place: Place, state: State) -> None:
        """Keep a state in the place of an earlier one."""

    def forget(self, place: Place) -> None:
        """Keep nothing for a place any more."""

    def forget_older(self, moment: float) -> None:
        """Keep nothing that was written before a moment, in seconds since 1970."""


class KeptNowhere:
    """**Kept** that forgets everything."""

    def all(self) -> Iterator[tuple[Place, State]]:
        """Nothing."""
        return iter(())

    def write(self, place: Place, state: State) -> None:
        """Forget it."""

    def forget(self, place: Place) -> None:
        """There is nothing to forget."""

    def forget_older(self, moment: float) -> None:
        """There is nothing to forget."""


class KeptInFolder:
    """**Kept** as one file of arrays for each place; a file is whole or not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> Iterator[tuple[Place, State]]:
        """Every state that can be read; what cannot is logged, and left until it is old."""
        for path in sorted(self._folder.glob(f"*{_FINISHED}")):
            try:
                state = _read(path)
                model, version, role = from_words(state.pop(_PLACE))
            except (OSError, ValueError, KeyError, BadZipFile) as error:
                _log.warning("%s cannot be read, its monitors begin anew: %s", path.name, error)
                continue
            yield (model, version, role), state

    def write(self, place: Place, state: State) -> None:
        """Keep a state in the place of an earlier one."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path(place)
        fresh = path.with_suffix(_UNFINISHED)
        arrays: dict[str, Any] = {**state, _PLACE: words(place)}
        with fresh.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)

    def forget(self, place: Place) -> None:
        """Keep nothing for a place any more."""
        path = self._path(place)
        path.unlink(missing_ok=True)
        path.with_suffix(_UNFINISHED).unlink(missing_ok=True)

    def forget_older(self, moment: float) -> None:
        """Keep nothing that was written before a moment, be it unfinished or not to be read."""
        for suffix in (_FINISHED, _UNFINISHED):
            for path in self._folder.glob(f"*{suffix}"):
                with suppress(FileNotFoundError):  # What is written meanwhile gets another name.
                    if path.stat().st_mtime < moment:
                        path.unlink()

    def _path(self, place: Place) -> Path:
        # Names of models may hold what names of files may not.
        digest = blake2b(words(place).tobytes(), digest_size=16).hexdigest()
        return self._folder / f"{digest}{_FINISHED}"


def _read(path: Path) -> dict[str, NDArray[Any]]:
    # Opened here, since numpy leaves a file open that it cannot make sense of.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
