"""What all formats of reference files have in common: rows that come in batches, by their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from configs.errors import Refused

Places = NDArray[np.int64]

Told = Callable[[float], None]
"""Is told which share of a file has been read, from 0 to 1."""

_CELLS = 2**23
_ROWS = 65_536
_ROWS_MIN = 256
_HINTS = 5


class Batch(NamedTuple):
    """The next `rows` of a file; `take` gives those at some of their places, in that order."""

    rows: int
    take: Callable[[Places], pa.RecordBatch]


class Table(Protocol):
    """**Protocol:** a file of rows. What cannot be read raises what its library raises."""

    typed: bool
    """Whether values come with their types; if not, all are texts, numbers among them."""

    columns_at_once: int
    """How many columns to read in one pass: all, if 0. A pass costs the same for fewer columns."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """The columns' names in the order of the file; None where it gives none."""

    def batches(self, names: Sequence[str], told: Told) -> Iterator[Batch]:
        """All rows of the named columns; without names of its own, a file has just these."""


def rows_at_once(columns: int) -> int:
    """How many rows of so many columns to read together: few enough to be held whole."""
    return max(_ROWS_MIN, min(_ROWS, _CELLS // max(columns, 1)))


def check_distinct(path: Path, names: Sequence[str]) -> None:
    """`Refused` when two columns have the same name: which of them is meant would be a guess."""
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        message = f"{path.name} has more than one column named {', '.join(map(repr, twice))}"
        raise Refused(message)


def check_names(path: Path, names: Sequence[str], have: Sequence[str]) -> None:
    """`Refused`, naming the missing columns and the likeliest ones meant."""
    known = set(have)
    missing = [name for name in names if name not in known]
    if not missing:
        return
    hints = []
    for name in missing[:_HINTS]:
        close = get_close_matches(name, have, n=1)
        hints.append(f"'{name}'" + (f" (did you mean '{close[0]}'?)" if close else ""))
    more = f" and {len(missing) - _HINTS} more" if len(missing) > _HINTS else ""
    message = f"{path.name} lacks the columns {', '.join(hints)}{more}"
    raise Refused(message)
