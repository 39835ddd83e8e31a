"""Reference files are read alike whatever their format, and refused with a reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet
import pytest

from configs.errors import Refused
from monitors.profile.reading import as_floats
from monitors.profile.tables import Columns, open_table, rows_kept, sample

AGE = np.array([1.0, np.nan, 3.0])
TOWN = ["a", "b", ""]

KINDS = ["parquet", "csv", "arrow", "feather", "npz", "npy"]


def write(path: Path) -> Path:
    """One small table in the format of the path's extension."""
    table = pa.table({"age": pa.array(AGE, from_pandas=True), "town": TOWN})
    if path.suffix == ".npz":
        np.savez(path, age=AGE, town=np.array(TOWN))
    elif path.suffix == ".npy":
        records = np.array(list(zip(AGE, TOWN, strict=True)), dtype=[("age", "f8"), ("town", "U1")])
        np.save(path, records)
    else:
        WRITERS[path.suffix](table, path)
    return path


def write_stream(table: pa.Table, path: Path) -> None:
    """Arrow's format for pipes, which is also found in files."""
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=50_000)


WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    ".parquet": pa.parquet.write_table,
    ".csv": pa.csv.write_csv,
    ".arrow": write_stream,
    ".feather": pa.feather.write_feather,
}


def read(path: Path, names: list[str], rows_max: int | None = None) -> Columns:
    """The columns of a sample."""
    return sample(path, names, rows_max=rows_max).columns


def csv(folder: Path, text: str | bytes) -> Path:
    """A CSV file."""
    path = folder / "r.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("extension", KINDS)
def test_all_formats_give_the_same_columns(tmp_path: Path, extension: str) -> None:
    """Numbers may have gaps, texts stay texts; names come in the order of the file."""
    path = write(tmp_path / f"r.{extension}")
    columns = read(path, ["town", "age"])
    np.testing.assert_array_equal(as_floats(columns["age"]), AGE)
    assert columns["town"].tolist() == TOWN
    assert open_table(path).names == ("age", "town")


@pytest.mark.parametrize("extension", KINDS)
def test_missing_columns_are_named_with_a_hint(tmp_path: Path, extension: str) -> None:
    """A slip of the pen is met with the name that was meant."""
    path = write(tmp_path / f"r.{extension}")
    with pytest.raises(Refused, match=r"'agee' \(did you mean 'age'\?\), 'zzz'"):
        read(path, ["agee", "zzz", "town"])


def test_of_many_missing_columns_a_few_are_named(tmp_path: Path) -> None:
    """A file of something else is refused at once, and in a sentence that can be read."""
    path = write(tmp_path / "r.csv")
    with pytest.raises(Refused, match=r"'c0'.* and 9995 more$"):
        read(path, [f"c{number}" for number in range(10_000)])


@pytest.mark.parametrize("extension", KINDS)
@pytest.mark.parametrize("content", [b"", b"\x00\xffnonsense"], ids=["empty", "nonsense"])
def test_a_file_that_is_no_table_is_refused_by_its_name(
    tmp_path: Path, extension: str, content: bytes
) -> None:
    """Nothing, and bytes that are not what the extension says."""
    path = tmp_path / f"bad.{extension}"
    path.write_bytes(content)
    with pytest.raises(Refused, match=rf"^bad\.{extension} (cannot be read|lacks)"):
        read(path, ["a"])


@pytest.mark.parametrize("extension", sorted({*KINDS} - {"csv"}))
def test_a_file_cut_in_half_is_refused(tmp_path: Path, extension: str) -> None:
    """Half of the rows are not taken for all of them."""
    path = write(tmp_path / f"r.{extension}")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Refused, match=r"cannot be read: ."):
        read(path, ["age"])


def test_a_csv_file_cut_inside_a_line_is_refused(tmp_path: Path) -> None:
    """The last line lacks columns; one cut inside its last value cannot be told from a whole."""
    with pytest.raises(Refused, match=r"cannot be read: .*Expected 2 columns"):
        read(csv(tmp_path, "a,b\n1,2\n3"), ["a", "b"])


def test_other_files_are_refused(tmp_path: Path) -> None:
    """An unknown extension, an absent file, and NumPy's two kinds by one another's names."""
    with pytest.raises(Refused, match=r"\.parquet, \.csv, \.arrow"):
        open_table(tmp_path / "r.xlsx")
    with pytest.raises(Refused, match="cannot be read"):
        open_table(tmp_path / "absent.csv")
    write(tmp_path / "r.npy").rename(tmp_path / "a.npz")
    with pytest.raises(Refused, match=r"name it \.npy"):
        open_table(tmp_path / "a.npz")
    write(tmp_path / "r.npz").rename(tmp_path / "b.npy")
    with pytest.raises(Refused, match=r"name it \.npz"):
        open_table(tmp_path / "b.npy")


@pytest.mark.parametrize("extension", ["parquet", "feather", "arrow"])
def test_columns_that_are_not_plain_are_refused(tmp_path: Path, extension: str) -> None:
    """Lists, records and times are named with their type and with what to do."""
    path = tmp_path / f"r.{extension}"
    table = pa.table(
        {
            "list": [[1], [2]],
            "record": [{"x": 1}, {"x": 2}],
            "moment": pa.array([0, 1], pa.timestamp("s")),
            "day": pa.array([0, 1], pa.date32()),
            "span": pa.array([0, 1], pa.duration("s")),
        }
    )
    WRITERS[path.suffix](table, path)
    for name in ("list", "record"):
        with pytest.raises(Refused, match=f"'{name}' is of type .* one number or one text a row"):
            read(path, [name])
    for name in ("moment", "day", "span"):
        with pytest.raises(Refused, match=f"'{name}' is of type .* seconds since 1970"):
            read(path, [name])


def test_arrays_that_are_not_plain_are_refused(tmp_path: Path) -> None:
    """Matrices, pickled objects, times, single numbers and arrays of unequal length."""
    path = tmp_path / "r.npz"
    np.savez(
        path,
        matrix=np.zeros((2, 2)),
        objects=np.array([{}], dtype=object),
        moment=np.array(["2026-01-01"], dtype="M8[D]"),
        single=np.float64(1.0),
        long=np.zeros(2),
        short=np.zeros(1),
    )
    for name in ("matrix", "single"):
        with pytest.raises(Refused, match=f"'{name}' must hold one number or one text a row"):
            read(path, [name])
    with pytest.raises(Refused, match="'moment' holds times"):
        read(path, ["moment"])
    with pytest.raises(Refused, match="cannot be read"):
        read(path, ["objects"])
    with pytest.raises(Refused, match="differ in length: 2 in 'long', 1 in 'short'"):
        read(path, ["long", "short"])


def test_records_that_are_not_plain_are_refused(tmp_path: Path) -> None:
    """A field that holds several numbers, and arrays that are neither matrix nor records."""
    path = tmp_path / "r.npy"
    np.save(path, np.zeros(3, dtype=[("a", "f8"), ("several", "f8", (2,))]))
    assert read(path, ["a"])["a"].tolist() == [0, 0, 0]
    with pytest.raises(Refused, match="'several' must hold one number"):
        read(path, ["several"])
    for shape in [(3,), (3, 2, 2)]:
        np.save(path, np.zeros(shape))
        with pytest.raises(Refused, match=r"must hold a matrix \(rows, columns\), or a list"):
            open_table(path)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_matrix_has_the_columns_that_it_is_said_to_have(tmp_path: Path, order: Any) -> None:
    """It names none, so it is asked by the names of all of them, in their order."""
    path = tmp_path / "r.npy"
    matrix = np.arange(6, dtype=">f4").reshape(3, 2)
    np.save(path, np.array(matrix, order=order))
    assert open_table(path).names is None
    columns = read(path, ["a", "b"])
    assert (columns["a"].tolist(), columns["b"].tolist()) == ([0, 2, 4], [1, 3, 5])
    with pytest.raises(Refused, match="has 2 columns, and 3 are needed"):
        read(path, ["a", "b", "c"])


def test_dictionaries_nulls_decimals_and_bytes_are_plain(tmp_path: Path) -> None:
    """What other tools write for texts and numbers is understood."""
    path = tmp_path / "r.parquet"
    table = pa.table(
        {
            "d": pa.array(["x", None]).dictionary_encode(),
            "n": pa.nulls(2),
            "m": pa.array([1, 2]).cast(pa.decimal128(20, 1)),
            "b": pa.array([b"x", "é".encode()]),
            "l": pa.array(["x", "y"], pa.large_string()),
            "f": pa.array([True, False]),
        }
    )
    pa.parquet.write_table(table, path)
    columns = read(path, list("dnmblf"))
    assert columns["d"].tolist() == ["x", None]
    assert np.isnan(columns["n"]).all()
    assert columns["m"].tolist() == [1.0, 2.0]
    assert columns["b"].tolist() == ["x", "é"]
    assert columns["l"].tolist() == ["x", "y"]
    assert columns["f"].dtype == np.bool_


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    """In another encoding the same name would be another category than the live one."""
    latin = "town\nS\xe3o\n".encode("latin-1")
    with pytest.raises(Refused, match=r"r\.csv cannot be read: .*: save it as UTF-8"):
        read(csv(tmp_path, latin), ["town"])
    path = tmp_path / "r.parquet"
    pa.parquet.write_table(pa.table({"town": [b"S\xe3o"]}), path)
    with pytest.raises(Refused, match="'town' holds bytes that are not UTF-8"):
        read(path, ["town"])


def test_columns_of_the_same_name_are_refused(tmp_path: Path) -> None:
    """Which of them is meant would be a guess."""
    with pytest.raises(Refused, match="more than one column named 'a'"):
        open_table(csv(tmp_path, "a,b,a\n1,2,3\n"))
    path = tmp_path / "r.parquet"
    pa.parquet.write_table(pa.Table.from_arrays([[1], [2]], names=["a", "a"]), path)
    with pytest.raises(Refused, match="more than one column named 'a'"):
        open_table(path)


@pytest.mark.parametrize("header", ["0.5,north", "3,7", "1e3,x", "2,1"])
def test_a_csv_file_without_a_header_is_refused(tmp_path: Path, header: str) -> None:
    """Its first row would be lost, and its values be names."""
    with pytest.raises(Refused, match="is the header missing"):
        open_table(csv(tmp_path, f"{header}\n1,2\n"))


@pytest.mark.parametrize("header", ["0,1", "2019,2020", "income,2", ",a"])
def test_columns_may_be_named_by_counting(tmp_path: Path, header: str) -> None:
    """Tools that have no names write 0, 1, 2; an index column has an empty name."""
    assert open_table(csv(tmp_path, f"{header}\n1,2\n")).names == tuple(header.split(","))


@pytest.mark.parametrize("extension", ["parquet", "arrow", "feather", "csv", "npz", "npy"])
def test_a_table_without_rows_is_refused(tmp_path: Path, extension: str) -> None:
    """No row groups, no batches, a header alone, arrays of length zero."""
    path = tmp_path / f"r.{extension}"
    if extension == "npz":
        np.savez(path, age=np.zeros(0))
    elif extension == "npy":
        np.save(path, np.zeros(0, dtype=[("age", "f8")]))
    else:
        WRITERS[path.suffix](pa.table({"age": pa.array([], pa.float64())}), path)
    with pytest.raises(Refused, match="it has no rows"):
        read(path, ["age"])


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", " 2", "", "NA"], [1, 2, None, None]),
        (["1", "2.5", "inf", "1e3"], [1.0, 2.5, np.inf, 1000.0]),
        (["true", "False"], [True, False]),
        (["1", "x", "NA", ""], ["1", "x", "NA", ""]),
        (["", ""], [None, None]),
    ],
    ids=["whole", "numbers", "booleans", "mixed", "empty"],
)
def test_a_csv_column_is_what_all_of_its_values_are(
    tmp_path: Path, cells: list[str], values: list[object]
) -> None:
    """No matter which come first."""
    for turn in (1, -1):
        text = "a,b\n" + "".join(f"{cell},x\n" for cell in cells[::turn])
        column = read(csv(tmp_path, text), ["a"])["a"]
        np.testing.assert_array_equal(column, np.array(values[::turn], dtype=column.dtype))


def test_a_csv_column_of_texts_is_left_as_it_is(tmp_path: Path) -> None:
    """A request brings `007` and `True` as texts, so that they are the names of categories."""
    path = csv(tmp_path, "code,flag,number\n007,True,1\n010,False,2\n")
    columns = sample(path, ["code", "flag", "number"], texts=("code", "flag")).columns
    assert columns["code"].tolist() == ["007", "010"]
    assert columns["flag"].tolist() == ["True", "False"]
    assert columns["number"].tolist() == [1, 2]


def test_whole_numbers_stay_whole_where_some_are_missing(tmp_path: Path) -> None:
    """5 is not 5.0, and a number of 18 digits keeps the last."""
    path = tmp_path / "r.parquet"
    pa.parquet.write_table(pa.table({"id": [123456789012345678, None]}), path)
    assert read(path, ["id"])["id"].tolist() == [123456789012345678, None]


def test_a_csv_column_may_change_after_the_first_block(tmp_path: Path) -> None:
    """Whole numbers for 20 MB, then a fraction, then a text: numbers, and then texts."""
    lines = b"12345678901234567\n" * (20 * 2**20 // 18)
    path = csv(tmp_path, b"a\n" + lines + b"0.5\n")
    rows = 20 * 2**20 // 18 + 1
    assert read(path, ["a"], rows_max=2 * rows)["a"].dtype == np.float64
    path = csv(tmp_path, b"a\n" + lines + b"x\n")
    assert read(path, ["a"], rows_max=2 * rows)["a"][-1] == "x"


@pytest.mark.parametrize("extension", ["parquet", "arrow", "npz", "npy"])
def test_a_large_file_gives_a_uniform_sample(tmp_path: Path, extension: str) -> None:
    """A tenth of the rows, spread over the whole file, in order, the same every time."""
    path = tmp_path / f"r.{extension}"
    numbers = np.arange(300_000)
    if extension == "npz":
        np.savez(path, n=numbers)
    elif extension == "npy":
        np.save(path, numbers[:, None])
    else:
        WRITERS[path.suffix](pa.table({"n": numbers}), path)
    found = sample(path, ["n"], rows_max=30_000)
    kept = found.columns["n"]
    assert found.rows_read == 300_000
    assert len(np.unique(kept)) == 30_000
    assert (np.diff(kept) > 0).all()
    assert kept.mean() == pytest.approx(150_000, rel=0.02)
    np.testing.assert_array_equal(kept, read(path, ["n"], rows_max=30_000)["n"])


def test_the_sample_is_the_same_in_every_format(tmp_path: Path) -> None:
    """It hangs on the row's place, and not on how the rows come."""
    table = pa.table({"n": np.arange(100_000)})
    kept = []
    for extension in ("parquet", "csv", "feather", "arrow"):
        path = tmp_path / f"r.{extension}"
        WRITERS[path.suffix](table, path)
        kept.append(read(path, ["n"], rows_max=1000)["n"])
    for each in kept[1:]:
        np.testing.assert_array_equal(each, kept[0])


def test_of_wide_tables_fewer_rows_are_kept() -> None:
    """So many values as fit in memory: all columns of 200,000 rows, or fewer rows."""
    assert rows_kept(30) == 200_000
    assert rows_kept(10_000) * 10_000 < 2**26
    assert rows_kept(10_000) > 3000


@pytest.mark.parametrize("extension", ["parquet", "csv", "feather", "arrow", "npz", "npy"])
def test_reading_tells_how_far_it_is(tmp_path: Path, extension: str) -> None:
    """The share never falls, moves in between, and ends at one."""
    path = tmp_path / f"r.{extension}"
    table = pa.table({"a": np.arange(400_000) * 0.123456789, "b": np.arange(400_000)})
    if extension == "npz":
        np.savez(path, a=table["a"].to_numpy(), b=table["b"].to_numpy())
    elif extension == "npy":
        np.save(path, np.stack([table["a"].to_numpy(), table["b"].to_numpy()], axis=1))
    elif extension == "parquet":
        pa.parquet.write_table(table, path, row_group_size=100_000)
    else:
        if extension == "csv":
            table = pa.concat_tables([table] * 3)
        WRITERS[path.suffix](table, path)
    shares: list[float] = []
    sample(path, ["a", "b"], shares.append)
    assert shares == sorted(shares)
    assert len(set(shares)) > 1
    assert shares[-1] == 1.0


def test_many_categories_are_bounded_by_the_sample(tmp_path: Path) -> None:
    """Of a column in which every value is another, no more than the sample is held."""
    path = tmp_path / "r.parquet"
    with pa.parquet.ParquetWriter(path, pa.schema({"id": pa.string()})) as file:
        for at in range(0, 1_000_000, 250_000):
            file.write_table(pa.table({"id": [f"id-{n:09}" for n in range(at, at + 250_000)]}))
    found = sample(path, ["id"], rows_max=5000)
    assert (found.rows_read, len(set(found.columns["id"].tolist()))) == (1_000_000, 5000)


def test_a_parquet_file_is_not_held_as_a_whole(tmp_path: Path) -> None:
    """Of 64 MB in row groups of 4 MB, a few are held at a time."""
    path = tmp_path / "r.parquet"
    columns = {name: np.random.default_rng(0).standard_normal(4_000_000) for name in "ab"}
    pa.parquet.write_table(pa.table(columns), path, row_group_size=250_000)
    before = pa.total_allocated_bytes()
    held: list[int] = []
    sample(path, ["a", "b"], lambda _: held.append(pa.total_allocated_bytes()), rows_max=1000)
    assert max(held) - before < 30 * 2**20


def test_wide_files_are_read_in_several_passes_that_keep_the_same_rows(tmp_path: Path) -> None:
    """600 columns that all hold the row's number."""
    path = tmp_path / "r.parquet"
    names = [f"c{number}" for number in range(600)]
    pa.parquet.write_table(pa.table(dict.fromkeys(names, np.arange(3000))), path)
    shares: list[float] = []
    found = sample(path, names, shares.append, rows_max=100)
    assert found.rows_read == 3000
    assert shares == sorted(shares)
    for name in names:
        np.testing.assert_array_equal(found.columns[name], found.columns["c0"])
