"""Reference rows from files that Arrow reads: Parquet, CSV and Arrow's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from configs.errors import Refused
from monitors.profile.batches import Batch, Places, Told, check_names, rows_at_once

_CSV_BLOCK_BYTES = 4 * 2**20
_PARQUET_BUFFERS_BYTES = 64 * 2**20
_ARROW_FILE = b"ARROW1"


class ParquetTable:
    """A Parquet file, read a part of a row group at a time."""

    typed = True
    columns_at_once = 64  # each has its own buffers, of some megabytes in all

    def __init__(self, path: Path) -> None:
        self._path = path
        self._metadata = pa.parquet.read_metadata(path)
        self._schema = self._metadata.schema.to_arrow_schema()
        self.names = tuple(self._schema.names)

    def batches(self, names: Sequence[str], told: Told) -> Iterator[Batch]:
        """All rows of the named columns."""
        # With a buffer made before, all row groups would come to stay in memory.
        buffer = min(2**20, max(2**13, _PARQUET_BUFFERS_BYTES // len(names)))
        with pa.parquet.ParquetFile(
            self._path, metadata=self._metadata, buffer_size=buffer, pre_buffer=False
        ) as file:
            check_names(self._path, names, self.names)
            _check_types(self._path, names, self._schema)
            rows, done = max(1, self._metadata.num_rows), 0
            for batch in file.iter_batches(rows_at_once(len(names)), columns=list(names)):
                yield _batch(batch, names)
                done += batch.num_rows
                told(done / rows)


class CsvTable:
    """A CSV file with a header. Its values stay texts, since no single row says what they are."""

    typed = False
    columns_at_once = 0

    def __init__(self, path: Path) -> None:
        self._path = path
        with pa.csv.open_csv(path, read_options=_blocks()) as reader:
            self.names = tuple(reader.schema.names)
        _check_header(path, self.names)

    def batches(self, names: Sequence[str], told: Told) -> Iterator[Batch]:
        """All rows of the named columns, as texts."""
        check_names(self._path, names, self.names)
        as_texts = pa.csv.ConvertOptions(
            include_columns=list(names), column_types=dict.fromkeys(names, pa.string())
        )
        blocks = max(1, self._path.stat().st_size / _CSV_BLOCK_BYTES)
        with pa.csv.open_csv(
            self._path, read_options=_blocks(), convert_options=as_texts
        ) as reader:
            # A batch is what one block holds; the file itself is read far ahead.
            for done, batch in enumerate(reader, start=1):
                yield _batch(batch, names)
                told(min(1.0, done / blocks))


class ArrowTable:
    """A file of Arrow's own format, also known as Feather, or a stream in a file."""

    typed = True
    columns_at_once = 0

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self._is_file = file.read(len(_ARROW_FILE)) == _ARROW_FILE
        with pa.memory_map(str(path)) as source:
            self.names = tuple(self._reader(source).schema.names)

    def batches(self, names: Sequence[str], told: Told) -> Iterator[Batch]:
        """All rows of the named columns."""
        check_names(self._path, names, self.names)
        places = {name: place for place, name in enumerate(self.names)}
        wanted = pa.ipc.IpcReadOptions(included_fields=sorted(places[name] for name in names))
        with pa.memory_map(str(self._path)) as source:
            reader = self._reader(source, wanted)
            _check_types(self._path, names, reader.schema)
            for batch, share in self._parts(reader, source):
                yield _batch(batch, names)
                told(share)

    def _reader(
        self, source: pa.NativeFile, options: pa.ipc.IpcReadOptions | None = None
    ) -> pa.ipc.RecordBatchStreamReader | pa.ipc.RecordBatchFileReader:
        opened = pa.ipc.open_file if self._is_file else pa.ipc.open_stream
        return opened(source, options=options)

    def _parts(
        self, reader: pa.RecordBatchReader, source: pa.NativeFile
    ) -> Iterator[tuple[pa.RecordBatch, float]]:
        if self._is_file:
            count = reader.num_record_batches
            yield from ((reader.get_batch(at), (at + 1) / count) for at in range(count))
        else:
            size = source.size()
            yield from ((batch, source.tell() / size) for batch in reader)


def _blocks() -> pa.csv.ReadOptions:
    return pa.csv.ReadOptions(block_size=_CSV_BLOCK_BYTES)


def _batch(batch: pa.RecordBatch, names: Sequence[str]) -> Batch:
    return Batch(batch.num_rows, partial(_taken, batch.select(list(names))))


def _taken(batch: pa.RecordBatch, places: Places) -> pa.RecordBatch:
    return batch.take(pa.array(places))


def _check_header(path: Path, names: Sequence[str]) -> None:
    """`Refused` where the first line is more likely a row: its numbers are nobody's names.

    Columns that are counted, such as 0, 1, 2, are names.
    """
    numbers = [name for name in names if _is_number(name)]
    counted = all(name.isdecimal() for name in numbers)
    if not numbers or (counted and len(numbers) < len(names)):
        return
    if counted and [int(name) - int(names[0]) for name in names] == list(range(len(names))):
        return
    message = (
        f"{path.name}: its first line, which must name the columns, holds the number "
        f"{numbers[0]!r}: is the header missing?"
    )
    raise Refused(message)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_types(path: Path, names: Sequence[str], schema: pa.Schema) -> None:
    for name in names:
        kind = schema.field(name).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if not any(test(kind) for test in _PLAIN):
            raise not_plain(path, name, kind)


def not_plain(path: Path, name: str, kind: pa.DataType) -> Refused:
    """The refusal of a column whose values are neither numbers nor texts."""
    return Refused(f"{path.name}: column '{name}' is of type {kind}; {_remedy(kind)}")


_PLAIN = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_decimal,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_null,
    pa.types.is_timestamp,  # Of some columns: whoever takes the values knows which.
)


def _remedy(kind: pa.DataType) -> str:
    if pa.types.is_temporal(kind):
        return (
            "write it as the number that the model is given, such as days before the request or "
            "seconds since 1970"
        )
    return "one number or one text a row is needed: make a column of each part"
