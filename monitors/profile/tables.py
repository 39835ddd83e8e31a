"""Reference rows from a file: Parquet, CSV or NPZ, by the file's extension.

Files are read batch by batch. Of a file with more rows than `ROWS_MAX`, a uniform sample of
that many is taken, chosen by a hash of the row's place, so that the same file gives the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.stats.uniforms import mixed

ROWS_MAX = 200_000
_BATCH_ROWS = 65_536

Columns = dict[str, NDArray[Any]]


def read_columns(path: Path, names: Sequence[str], rows_max: int = ROWS_MAX) -> Columns:
    """The named columns, each of shape (rows,), rows in the order of the file.

    `Refused` for an extension other than .parquet, .csv, .npz, for missing or nested columns,
    and for a file that cannot be read.
    """
    readers = {".parquet": _parquet, ".csv": _csv, ".npz": _npz}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        message = f"{path.name}: a reference is a file named .parquet, .csv or .npz"
        raise Refused(message)
    try:
        return _sampled(reader(path, names), names, rows_max)
    except (pa.ArrowException, OSError, BadZipFile, ValueError) as error:
        message = f"{path.name} cannot be read: {error}"
        raise Refused(message) from error


def _sampled(batches: Iterator[Columns], names: Sequence[str], rows_max: int) -> Columns:
    # Keeping the rows_max smallest hashes is a uniform sample, and needs no look ahead.
    held: list[Columns] = []
    keys = np.zeros(0, dtype=np.uint64)
    seen = 0
    for batch in batches:
        rows = len(batch[names[0]]) if names else 0
        keys = np.r_[keys, mixed(np.arange(seen, seen + rows, dtype=np.uint64))]
        seen += rows
        held.append(batch)
        if len(keys) > 2 * rows_max:
            keys, held = _smallest(keys, _joined(held, names), rows_max)
    if len(keys) > rows_max:
        keys, held = _smallest(keys, _joined(held, names), rows_max)
    return _joined(held, names)


def _smallest(
    keys: NDArray[np.uint64], columns: Columns, count: int
) -> tuple[NDArray[np.uint64], list[Columns]]:
    keep = np.sort(np.argpartition(keys, count - 1)[:count])
    return keys[keep], [{name: values[keep] for name, values in columns.items()}]


def _joined(parts: list[Columns], names: Sequence[str]) -> Columns:
    if not parts:
        return {name: np.zeros(0) for name in names}
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def check_names(path: Path, names: Sequence[str], have: Sequence[str]) -> None:
    """`Refused`, naming every missing column and the likeliest one meant."""
    missing = [name for name in names if name not in have]
    if not missing:
        return
    hints = []
    for name in missing:
        close = get_close_matches(name, have, n=1)
        hints.append(f"'{name}'" + (f" (did you mean '{close[0]}'?)" if close else ""))
    message = f"{path.name} lacks the columns {', '.join(hints)}"
    raise Refused(message)


def _parquet(path: Path, names: Sequence[str]) -> Iterator[Columns]:
    with pa.parquet.ParquetFile(path) as file:
        check_names(path, names, file.schema_arrow.names)
        _check_types(path, names, file.schema_arrow)
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(names)):
            yield _from_arrow(batch, names)


def _csv(path: Path, names: Sequence[str]) -> Iterator[Columns]:
    options = pa.csv.ReadOptions(block_size=16 * 2**20)
    with pa.csv.open_csv(path, read_options=options) as reader:
        check_names(path, names, reader.schema.names)
        _check_types(path, names, reader.schema)
        for batch in reader:
            yield _from_arrow(batch, names)


def _npz(path: Path, names: Sequence[str]) -> Iterator[Columns]:
    with np.load(path, allow_pickle=False) as arrays:
        check_names(path, names, list(arrays.keys()))
        columns = {name: arrays[name] for name in names}
    for name, values in columns.items():
        if values.ndim != 1 or values.dtype.kind not in "biufUS":
            message = f"{path.name}: array '{name}' must be a list of numbers or texts"
            raise Refused(message)
    if len({len(values) for values in columns.values()}) > 1:
        message = f"{path.name}: its arrays differ in length"
        raise Refused(message)
    yield {
        name: values.astype(np.object_) if values.dtype.kind in "US" else values
        for name, values in columns.items()
    }


def _check_types(path: Path, names: Sequence[str], schema: pa.Schema) -> None:
    for name in names:
        kind = schema.field(name).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        plain = (
            pa.types.is_integer,
            pa.types.is_floating,
            pa.types.is_boolean,
            pa.types.is_decimal,
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_binary,
            pa.types.is_null,
        )
        if not any(test(kind) for test in plain):
            message = f"{path.name}: column '{name}' is of type {kind}; numbers or texts are needed"
            raise Refused(message)


def _from_arrow(batch: pa.RecordBatch, names: Sequence[str]) -> Columns:
    return {name: _values(batch.column(batch.schema.get_field_index(name))) for name in names}


def _values(column: pa.Array) -> NDArray[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values
