"""The Parquet files of the training log: one folder a model, version and day, each file whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from monitors.stats.uniforms import row_keys
from registry.card import Feature, FeatureType

DAY_S = 86_400

Truth = tuple[float, float]
"""A label, and when it came, in seconds since 1970."""

Row = tuple[Any, ...]
"""The values of `FIXED` in their order, and then the JSON list of the features."""

_TIME = pa.timestamp("ms", tz="UTC")

FIXED = (
    pa.field("weir_prediction_id", pa.string()),
    pa.field("weir_row", pa.int64()),
    pa.field("weir_request_id", pa.string()),
    pa.field("weir_predicted_at", _TIME),
    pa.field("weir_score", pa.float64()),
    pa.field("weir_decision", pa.float64()),
    pa.field("weir_label", pa.float64()),
    pa.field("weir_labelled_at", _TIME),
)
"""What every file has beside the features, which have their own names."""

_TYPES = {FeatureType.NUMERIC: pa.float64(), FeatureType.CATEGORICAL: pa.string()}
_FINISHED, _UNFINISHED = ".parquet", ".new"


def day_folder(root: Path, model: str, version: int, day: int) -> Path:
    """Where the rows of a day, counted since 1970, are."""
    name = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()
    return root / model / f"version={version}" / f"day={name}"


def write_part(folder: Path, part: int, features: Sequence[Feature], rows: Sequence[Row]) -> int:
    """Write rows as the part of that number, in place of an earlier one; says how many bytes."""
    fixed = list(zip(*(row[: len(FIXED)] for row in rows), strict=True))
    kept = list(zip(*(orjson.loads(row[len(FIXED)]) for row in rows), strict=True))
    schema = pa.schema([*FIXED, *(pa.field(each.name, _TYPES[each.type]) for each in features)])
    columns = [
        _column(values, field) for values, field in zip([*fixed, *kept], schema, strict=True)
    ]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"part-{part:012d}{_FINISHED}"
    _replace(path, pa.table(columns, schema=schema))
    return path.stat().st_size


def correct(folder: Path, truths: Mapping[int, Truth]) -> int:
    """Give rows of a day their new labels, by the rows' 64-bit keys; says how many were found."""
    found = 0
    for path in sorted(folder.glob(f"*{_FINISHED}")):
        table = _read(path)
        keys = _keys(table)
        at = [place for place, key in enumerate(keys) if key in truths]
        if not at:
            continue
        found += len(at)
        labels, moments = (table[name].to_pylist() for name in ("weir_label", "weir_labelled_at"))
        for place in at:
            labels[place], moments[place] = truths[keys[place]]
        for field, values in zip(FIXED[-2:], (labels, moments), strict=True):
            place = table.schema.get_field_index(field.name)
            table = table.set_column(place, field, _column(values, field))
        _replace(path, table)
    return found


def delete_rows(root: Path, model: str, wanted: str) -> int:
    """Take out all rows of a prediction id or request id; says how many there were."""
    gone = 0
    for path in sorted((root / model).glob(f"*/*/*{_FINISHED}")):
        ids = _read(path, ["weir_prediction_id", "weir_request_id"])
        hit = pc.or_(
            *(pc.fill_null(pc.equal(column, wanted), False) for column in ids.itercolumns())
        )
        if not (count := pc.sum(hit).as_py()):
            continue
        gone += count
        if count == ids.num_rows:
            path.unlink()
        else:
            _replace(path, _read(path).filter(pc.invert(hit)))
    return gone


def drop_days(root: Path, before: float) -> int:
    """Delete the files of days that ended before a moment, and empty folders; says how many."""
    first = datetime.fromtimestamp(before, UTC).date().isoformat()
    gone = 0
    for folder in sorted(root.glob("*/version=*/day=*")):
        if folder.name.removeprefix("day=") < first:
            for path in _files(folder):
                path.unlink()
                gone += 1
            with suppress(OSError):  # Somebody else's files may be in it.
                folder.rmdir()
    return gone


def _read(path: Path, columns: list[str] | None = None) -> pa.Table:
    """The rows of a file; `OSError` for one that is damaged."""
    try:
        with pq.ParquetFile(path) as file:
            return file.read(columns)
    except pa.ArrowException as error:
        message = f"{path} cannot be read: {error}"
        raise OSError(message) from error


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in folder.iterdir() if path.suffix in (_FINISHED, _UNFINISHED))


def _keys(table: pa.Table) -> list[int]:
    ids = np.array(table["weir_prediction_id"].to_pylist(), dtype="S32")
    keys = row_keys(ids, table["weir_row"].to_numpy())
    signed: list[int] = keys.view(np.int64).tolist()
    return signed


def _column(values: Iterable[object], field: pa.Field) -> pa.Array:
    if field.type == _TIME:
        values = [_moment(value) for value in values]
    return pa.array(values, type=field.type)


def _moment(value: object) -> object:
    """Seconds since 1970 as a time; what is one is left as it is."""
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else value


def _replace(path: Path, table: pa.Table) -> None:
    fresh = path.with_suffix(_UNFINISHED)
    with fresh.open("wb") as file:
        pq.write_table(table, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
