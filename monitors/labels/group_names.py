"""Names of groups as numbers: a name is kept once, however many rows have it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

NAMES_MAX = 4096
"""So many names of one attribute are told apart; rows with any further one are in `OTHER`."""

OTHER = "other"

_UNKNOWN = 0
_CODE = np.dtype("<i4")


class GroupNames:
    """The numbers of names, kept in the file that holds the rows."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._codes: dict[tuple[str, str], int] = {}
        self._names: dict[int, str] = {}
        self._used = Counter[str]()
        for code, attribute, name in db.execute("SELECT code, attribute, name FROM group_names"):
            self._learn(code, attribute, name)

    def packed(
        self, groups: Mapping[str, Sequence[str | None]], rows: int
    ) -> Sequence[bytearray | None]:
        """The numbers of each row's groups, in the order of the attributes; None where no groups.

        Names that are new are kept at once.
        """
        if not groups:
            return [None] * rows
        table = np.zeros((rows, len(groups)), dtype=_CODE)
        for place, (attribute, names) in enumerate(groups.items()):
            codes = {name: self._code(attribute, name) for name in dict.fromkeys(names)}
            table[:, place] = [codes[name] for name in names]
        whole, width = table.tobytes(), len(groups) * _CODE.itemsize
        # Python's sqlite3 looks for an adapter of bytes each time, and hands these over at once.
        return [bytearray(whole[at : at + width]) for at in range(0, len(whole), width)]

    def unpacked(
        self, kept: Sequence[bytes | None], attributes: Sequence[str]
    ) -> dict[str, NDArray[np.object_]]:
        """The names of each row's groups by attribute, shape (rows,); None where unknown."""
        if not attributes:
            return {}
        width = len(attributes) * _CODE.itemsize
        whole = b"".join(
            each if each is not None and len(each) == width else bytes(width) for each in kept
        )
        table = np.frombuffer(whole, dtype=_CODE).reshape(len(kept), len(attributes))
        return {
            attribute: _objects(self._names.get(code) for code in table[:, place].tolist())
            for place, attribute in enumerate(attributes)
        }

    def _code(self, attribute: str, name: str | None) -> int:
        if name is None:
            return _UNKNOWN
        known = self._codes.get((attribute, name))
        if known is not None:
            return known
        if self._used[attribute] >= NAMES_MAX and name != OTHER:
            return self._code(attribute, OTHER)
        fresh = self._db.execute(
            "INSERT INTO group_names (attribute, name) VALUES (?, ?) RETURNING code",
            (attribute, name),
        ).fetchall()
        code: int = fresh[0][0]
        self._learn(code, attribute, name)
        return code

    def _learn(self, code: int, attribute: str, name: str) -> None:
        self._codes[attribute, name] = code
        self._names[code] = name
        self._used[attribute] += 1


def _objects(names: Iterable[str | None]) -> NDArray[np.object_]:
    return np.array(list(names), dtype=np.object_)
