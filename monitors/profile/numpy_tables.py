"""Reference rows from NumPy's files: arrays by name, records, or a matrix without names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.profile.batches import Batch, Places, Told, check_names, rows_at_once

Array = NDArray[Any]


class NpzTable:
    """An `.npz` file: an array of shape (rows,) for each column, one of which is held at a time."""

    typed = True
    columns_at_once = 0

    def __init__(self, path: Path) -> None:
        self._path = path
        with _arrays(path) as arrays:
            self.names = tuple(arrays.keys())

    def batches(self, names: Sequence[str], told: Told) -> Iterator[Batch]:
        """All rows of the named columns at once."""
        check_names(self._path, names, self.names)
        with _arrays(self._path) as arrays:
            rows = len(self._column(arrays, names[0]))

            def take(places: Places) -> pa.RecordBatch:
                columns = []
                for done, name in enumerate(names, start=1):
                    values = self._column(arrays, name)
                    if len(values) != rows:
                        message = (
                            f"{self._path.name}: its arrays differ in length: {rows} in "
                            f"'{names[0]}', {len(values)} in '{name}'"
                        )
                        raise Refused(message)
                    columns.append(_as_arrow(values[places]))
                    told(done / len(names))
                return pa.RecordBatch.from_arrays(columns, names=list(names))

            yield Batch(rows, take)

    def _column(self, arrays: NpzFile, name: str) -> Array:
        values: Array = arrays[name]
        _check_plain(self._path, f"array '{name}'", values.dtype, values.ndim)
        return values


class NpyTable:
    """An `.npy` file: records with named fields, or a matrix, whose columns have no names."""

    typed = True
    columns_at_once = 0

    def __init__(self, path: Path) -> None:
        self._path = path
        rows = _mapped(path)
        self.names = rows.dtype.names
        if rows.ndim != (2 if self.names is None else 1):
            message = f"{path.name} must hold a matrix (rows, columns), or a list of records"
            raise Refused(message)

    def batches(self, names: Sequence[str], told: Told) -> Iterator[Batch]:
        """All rows of the named columns, or of a matrix's columns in the order of `names`."""
        rows = _mapped(self._path)
        if self.names is None:
            self._check_matrix(rows, names)
        else:
            check_names(self._path, names, self.names)
            for name in names:
                field = rows.dtype[name]
                _check_plain(self._path, f"field '{name}'", field, 1 + len(field.shape))
        size = rows_at_once(len(names))
        for at in range(0, len(rows), size):
            part = rows[at : at + size]
            yield Batch(len(part), partial(_taken, part, names))
            told((at + len(part)) / len(rows))

    def _check_matrix(self, rows: Array, names: Sequence[str]) -> None:
        _check_plain(self._path, "the matrix", rows.dtype, 1)
        if rows.shape[1] != len(names):
            message = f"{self._path.name} has {rows.shape[1]} columns, and {len(names)} are needed"
            raise Refused(message)


@contextmanager
def _arrays(path: Path) -> Iterator[NpzFile]:
    # NumPy leaves a file open that it cannot read.
    with path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        if not isinstance(loaded, NpzFile):
            message = f"{path.name} holds a single array: name it .npy"
            raise Refused(message)
        yield loaded


def _mapped(path: Path) -> Array:
    loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    if isinstance(loaded, NpzFile):
        loaded.close()
        message = f"{path.name} holds arrays by name: name it .npz"
        raise Refused(message)
    rows: Array = loaded
    return rows


def _check_plain(path: Path, what: str, kind: np.dtype[Any], dimensions: int) -> None:
    if kind.kind in "mM":
        message = (
            f"{path.name}: {what} holds times; write them as the number that the model is given, "
            "such as days before the request or seconds since 1970"
        )
        raise Refused(message)
    if dimensions != 1 or kind.kind not in "biufUS":
        message = f"{path.name}: {what} must hold one number or one text a row"
        raise Refused(message)


def _taken(rows: Array, names: Sequence[str], places: Places) -> pa.RecordBatch:
    part = rows[places]
    columns = part.T if part.dtype.names is None else [part[name] for name in names]
    return pa.RecordBatch.from_arrays([_as_arrow(column) for column in columns], names=list(names))


def _as_arrow(values: Array) -> pa.Array:
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    return pa.array(np.ascontiguousarray(native))
