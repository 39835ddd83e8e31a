"""Files of labels: Parquet, CSV and JSON lines, as the messages that the gateway takes.

A table has the columns `prediction_id` or `key`, `row`, `label`, `at`, and `group_NAME` and
`value_NAME` for group attributes and values. An empty cell is left out. What a message says is
judged by the gateway alone; a text that is no number is sent as it is, and refused with the reason.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from configs.errors import BadInput

Message = Mapping[str, object]

LABEL_TYPES = ("boolean", "integer", "number", "string")
_COLUMNS = frozenset({"prediction_id", "key", "row", "label", "at"})
_GROUP = "group_"
_VALUE = "value_"
_AT_A_TIME = 5000
_SECONDS_FROM = 1e8
_FLAGS = {"true": True, "false": False, "1": True, "0": False}


def messages(path: Path, label_type: str | None = None) -> Iterator[Message]:
    """Give the messages in a file, by the ending of its name.

    `label_type` says what the labels of a table are to be taken for; unless it does, those of a
    Parquet file are what they are, and those of a CSV file what they look like. `BadInput` for a
    file that cannot be read, or a column that means nothing.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise BadInput(f"{path}: a file of labels ends in {', '.join(sorted(_READERS))}")
    return reader(path, label_type)


def rows_of(path: Path) -> int:
    """Give about how many messages a file has, to show how far one has come."""
    if path.suffix.lower() != ".parquet":
        with path.open("rb") as file:
            return sum(part.count(b"\n") for part in iter(lambda: file.read(2**20), b""))
    from pyarrow import ArrowException  # noqa: PLC0415 - slow to import
    from pyarrow.parquet import read_metadata  # noqa: PLC0415

    try:
        return int(read_metadata(path).num_rows)
    except (ArrowException, OSError) as error:
        raise BadInput(f"{path} cannot be read as Parquet: {error}") from None


def _parquet(path: Path, label_type: str | None) -> Iterator[Message]:
    from pyarrow import ArrowException  # noqa: PLC0415 - slow to import
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415

    try:
        with ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow.names)
            for batch in file.iter_batches(_AT_A_TIME):
                for row in _in_microseconds(batch).to_pylist():
                    yield _message(row, _typed(label_type, _as_it_is))
    except (ArrowException, OSError) as error:
        raise BadInput(f"{path} cannot be read as Parquet: {error}") from None


def _in_microseconds(batch: Any) -> Any:
    """Give a batch whose moments fit Python's."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import

    fields = [
        field.with_type(pa.timestamp("us", field.type.tz))
        if pa.types.is_timestamp(field.type)
        else field
        for field in batch.schema
    ]
    return pa.Table.from_batches([batch]).cast(pa.schema(fields), safe=False)


def _csv(path: Path, label_type: str | None) -> Iterator[Message]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, restkey="")
            _check_columns(path, rows.fieldnames or ())
            for row in rows:
                if "" in row:
                    raise BadInput(f"{path}, line {rows.line_num}: more cells than columns")
                yield _message(row, _typed(label_type, _looks_like))
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{path} cannot be read as CSV in UTF-8: {error}") from None


def _lines(path: Path, label_type: str | None) -> Iterator[Message]:
    if label_type is not None:
        raise BadInput("JSON says itself what a label is: leave out --label-type")
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _of_line(path, number, line)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error}") from None


def _of_line(path: Path, number: int, line: bytes) -> Message:
    try:
        message = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"{path}, line {number} is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise BadInput(f"{path}, line {number} is not an object")
    return message


_READERS: Mapping[str, Callable[[Path, str | None], Iterator[Message]]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".jsonl": _lines,
    ".ndjson": _lines,
}


def _check_columns(path: Path, names: Iterable[str]) -> None:
    there = set(names)
    unknown = sorted(
        name for name in there if name not in _COLUMNS and not name.startswith((_GROUP, _VALUE))
    )
    if unknown:
        raise BadInput(
            f"{path}: column {unknown[0]!r} means nothing; columns are "
            f"{', '.join(sorted(_COLUMNS))}, {_GROUP}NAME and {_VALUE}NAME"
        )
    if not there & {"prediction_id", "key"}:
        raise BadInput(f"{path} has neither a column 'prediction_id' nor a column 'key'")


def _message(row: Mapping[str, object], label: Callable[[object], object]) -> Message:
    groups: dict[str, object] = {}
    values: dict[str, object] = {}
    message: dict[str, object] = {}
    for name, cell in row.items():
        if _empty(cell):
            continue
        if name.startswith(_GROUP):
            groups[name.removeprefix(_GROUP)] = _text(cell)
        elif name.startswith(_VALUE):
            values[name.removeprefix(_VALUE)] = _number(cell)
        elif name == "label":
            message[name] = label(cell)
        else:
            message[name] = _FIELDS[name](cell)
    if groups:
        message["groups"] = groups
    if values:
        message["values"] = values
    return message


def _empty(cell: object) -> bool:
    """Whether nothing stands in a cell: no value, no text, or a float that is not a number."""
    return cell is None or cell == "" or cell != cell  # noqa: PLR0124


def _text(cell: object) -> str:
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)


def _number(cell: object) -> object:
    if isinstance(cell, Decimal):
        return float(cell)
    return _parsed(float, cell)


def _whole(cell: object) -> object:
    if isinstance(cell, float) and cell.is_integer():  # A column with a gap in it.
        return int(cell)
    return _parsed(int, cell)


def _moment(cell: object) -> object:
    """Give ISO 8601, or seconds since 1970; a day begins at midnight.

    What has no time zone is in UTC. 20261128 is a day, 1795874400 a second.
    """
    if isinstance(cell, date) and not isinstance(cell, datetime):
        cell = datetime.combine(cell, time())
    if isinstance(cell, datetime):
        return (cell if cell.tzinfo else cell.replace(tzinfo=UTC)).isoformat()
    seconds = _number(cell)
    return seconds if isinstance(seconds, float) and seconds >= _SECONDS_FROM else cell


def _parsed(kind: Callable[[str], object], cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    try:
        return kind(cell)
    except ValueError:
        return cell


def _typed(
    label_type: str | None, unless: Callable[[object], object]
) -> Callable[[object], object]:
    return unless if label_type is None else _LABELS[label_type]


def _as_it_is(cell: object) -> object:
    if isinstance(cell, bytes):
        return _text(cell)
    return float(cell) if isinstance(cell, Decimal) else cell


def _looks_like(cell: object) -> object:
    """Give what a text looks like: true or false, a whole number, a number, else a text."""
    for kind in (_boolean_word, _whole, _number):
        found = kind(cell)
        if not isinstance(found, str):
            return found
    return cell


def _boolean_word(cell: object) -> object:
    return {"true": True, "false": False}.get(str(cell).lower(), cell)


def _boolean(cell: object) -> object:
    return _FLAGS.get(str(cell).lower().removesuffix(".0"), cell)


_LABELS: Mapping[str, Callable[[object], object]] = {
    "boolean": _boolean,
    "integer": _whole,
    "number": _number,
    "string": _text,
}
_FIELDS: Mapping[str, Callable[[object], object]] = {
    "prediction_id": _text,
    "key": _text,
    "row": _whole,
    "at": _moment,
}
