"""Reference rows from a file: a uniform sample of bounded size, whatever the file is.

Files are read batch by batch. Of a file with more rows than `rows_kept` allows, as many are kept,
chosen by a hash of the row's place, so that the same file gives the same rows.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.profile.arrow_tables import ArrowTable, CsvTable, ParquetTable, not_plain
from monitors.profile.batches import Batch, Table, Told, check_distinct
from monitors.profile.cells import parsed, values_of
from monitors.profile.numpy_tables import NpyTable, NpzTable
from monitors.stats.uniforms import mixed

ROWS_MAX = 200_000
_CELLS_MAX = 2**25

Columns = dict[str, NDArray[Any]]

_TABLES: dict[str, Callable[[Path], Table]] = {
    ".parquet": ParquetTable,
    ".csv": CsvTable,
    ".arrow": ArrowTable,
    ".feather": ArrowTable,
    ".npz": NpzTable,
    ".npy": NpyTable,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """The rows that were kept, in the order of the file, and how many were read.

    Each of `columns` has the shape (kept rows,).
    """

    columns: Columns
    rows_read: int


def rows_kept(columns: int) -> int:
    """How many rows of so many columns are kept at most: 200,000 of up to 167 columns."""
    return max(1, min(ROWS_MAX, _CELLS_MAX // max(columns, 1)))


def open_table(path: Path) -> Table:
    """A file of reference rows, by its extension.

    `Refused` for one that has another extension, cannot be read, or names two columns alike.
    """
    table = _TABLES.get(path.suffix.lower())
    if table is None:
        message = (
            f"{path.name}: a reference is a file named .parquet, .csv, .arrow, .feather, .npz or "
            ".npy"
        )
        raise Refused(message)
    with _readable(path):
        opened = table(path)
    check_distinct(path, opened.names or ())
    return opened


def sample(
    path: Path,
    names: Sequence[str],
    told: Told = lambda _: None,
    rows_max: int | None = None,
    texts: Collection[str] = (),
    times: Collection[str] = (),
) -> Sample:
    """A uniform sample of the rows of a file, with the named columns alone, of which there is one.

    In a file without types, `texts` names the columns that are texts, whatever they look like. In
    one with types, `times` names those that may hold moments, which come as seconds since 1970.
    `Refused` for a file that cannot be read or has no rows, and for columns that are missing or
    hold more than a number or a text a row.
    """
    rows_max = rows_kept(len(names)) if rows_max is None else rows_max
    table = open_table(path)
    columns: Columns = {}
    step = table.columns_at_once or len(names)
    for at in range(0, len(names), step):
        part = names[at : at + step]
        told_of_part = _within(told, at / len(names), len(part) / len(names))
        with _readable(path):
            seen, kept = _kept(table, part, rows_max, told_of_part)
        for name in part:
            column, typed = kept.column(name), table.typed or name in texts
            if pa.types.is_timestamp(column.type) and name not in times:
                raise not_plain(path, name, column.type)
            columns[name] = _values(path, name, column, typed)
    told(1.0)
    return Sample(columns, seen)


def _within(told: Told, before: float, share: float) -> Told:
    return lambda done: told(before + done * share)


def _kept(table: Table, names: Sequence[str], rows_max: int, told: Told) -> tuple[int, pa.Table]:
    keeper = _Keeper(rows_max)
    for batch in table.batches(names, told):
        keeper.add(batch)
    if not keeper.seen:
        message = "it has no rows"
        raise ValueError(message)
    return keeper.seen, keeper.rows()


def _values(path: Path, name: str, column: pa.ChunkedArray, typed: bool) -> NDArray[Any]:
    try:
        return values_of(column if typed else parsed(column))
    except pa.ArrowInvalid as error:
        message = f"{path.name}: column '{name}' holds bytes that are not UTF-8 text"
        raise Refused(message) from error


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, BadZipFile, zlib.error, EOFError, ValueError) as error:
        # The first line says it; what follows is the inner life of a library.
        reason = str(error).partition("\n")[0] or type(error).__name__
        hint = ": save it as UTF-8" if "utf" in reason.lower() else ""
        message = f"{path.name} cannot be read: {reason}{hint}"
        raise Refused(message) from error


class _Keeper:
    """Keeps the rows whose hashes are smallest: a uniform sample, without a look ahead."""

    def __init__(self, rows_max: int) -> None:
        self.seen = 0
        self._rows_max = rows_max
        self._held: list[pa.RecordBatch] = []
        self._keys = np.zeros(0, dtype=np.uint64)
        self._largest = np.uint64(2**64 - 1)

    def add(self, batch: Batch) -> None:
        """Take in the next rows of the file."""
        keys = mixed(np.arange(self.seen, self.seen + batch.rows, dtype=np.uint64))
        self.seen += batch.rows
        places = np.flatnonzero(keys <= self._largest)
        if len(places) > self._rows_max:
            places = places[_smallest(keys[places], self._rows_max)]
        if not len(places):
            return
        self._held.append(batch.take(places))
        self._keys = np.r_[self._keys, keys[places]]
        if len(self._keys) > self._rows_max + self._rows_max // 4:
            self._shrink()

    def rows(self) -> pa.Table:
        """The rows that are kept, in the order of the file."""
        if len(self._keys) > self._rows_max:
            self._shrink()
        return pa.Table.from_batches(self._held)

    def _shrink(self) -> None:
        keep = _smallest(self._keys, self._rows_max)
        self._keys = self._keys[keep]
        self._largest = self._keys.max()
        kept = pa.Table.from_batches(self._held).take(pa.array(keep))
        self._held = kept.combine_chunks().to_batches()


def _smallest(keys: NDArray[np.uint64], count: int) -> NDArray[np.int64]:
    return np.sort(np.argpartition(keys, count - 1)[:count])
