"""Which versions a shared host has in hand, in a file that outlives it: who was at work at a crash.

A slot is ten bytes of mapped memory: what names the version, and whether it runs or is loaded now.
What a process has written there is in the file however it ends.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

_NAME_BYTES = 9
_SLOT_BYTES = _NAME_BYTES + 1
_SLOTS = 8192

VersionKey = tuple[str, int]


class InHand:
    """Notes what one process has in hand, for a fraction of a microsecond.

    A version that was taken up twice is no longer in hand once it has been put down: rather nobody
    is suspected than the wrong one. For the same reason nobody notes more than 8,191 versions.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w+b") as file:
            file.truncate(_SLOTS * _SLOT_BYTES)
            self._map = mmap.mmap(file.fileno(), _SLOTS * _SLOT_BYTES)
        self._flags: dict[VersionKey, int] = {}

    def take_up(self, key: VersionKey) -> None:
        """Note that a version is in hand, until it is put down."""
        flag = self._flags.get(key)
        self._map[self._new(key) if flag is None else flag] = 1

    def put_down(self, key: VersionKey) -> None:
        """Note that a version that was taken up is in hand no longer."""
        self._map[self._flags[key]] = 0

    def _new(self, key: VersionKey) -> int:
        """Give where a version is flagged; all for which there is no room share the last slot."""
        start = min(len(self._flags), _SLOTS - 1) * _SLOT_BYTES
        if len(self._flags) < _SLOTS - 1:
            self._map[start : start + _NAME_BYTES] = _name(key)
        self._flags[key] = start + _NAME_BYTES
        return self._flags[key]


def was_in_hand(path: Path, keys: Iterable[VersionKey]) -> set[VersionKey]:
    """Give those of the versions that a process had in hand when it ended."""
    data = path.read_bytes()
    slots = (data[start : start + _SLOT_BYTES] for start in range(0, len(data), _SLOT_BYTES))
    names = {slot[:_NAME_BYTES] for slot in slots if slot[_NAME_BYTES:] == b"\1"}
    return {key for key in keys if _name(key) in names}


def _name(key: VersionKey) -> bytes:
    return blake2b(f"{key[0]}/{key[1]}".encode(), digest_size=_NAME_BYTES).digest()
