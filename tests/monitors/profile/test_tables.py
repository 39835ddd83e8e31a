"""Reference files are read alike whatever their format, and refused with a reason."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from configs.errors import Refused
from monitors.profile.tables import read_columns

AGE = np.array([1.0, np.nan, 3.0])
TOWN = ["a", "b", ""]


def write(path: Path) -> Path:
    """One small table in the format of the path's extension."""
    if path.suffix == ".npz":
        np.savez(path, age=AGE, town=np.array(TOWN))
    else:
        table = pa.table({"age": pa.array(AGE, from_pandas=True), "town": TOWN})
        if path.suffix == ".csv":
            pa.csv.write_csv(table, path)
        else:
            pa.parquet.write_table(table, path)
    return path


@pytest.mark.parametrize("extension", ["parquet", "csv", "npz"])
def test_all_formats_give_the_same_columns(tmp_path: Path, extension: str) -> None:
    """Numbers with gaps become NaN, texts stay texts."""
    columns = read_columns(write(tmp_path / f"r.{extension}"), ["town", "age"])
    np.testing.assert_array_equal(columns["age"], AGE)
    assert columns["town"].tolist() == TOWN


@pytest.mark.parametrize("extension", ["parquet", "csv", "npz"])
def test_missing_columns_are_named_with_a_hint(tmp_path: Path, extension: str) -> None:
    """A slip of the pen is met with the name that was meant."""
    path = write(tmp_path / f"r.{extension}")
    with pytest.raises(Refused, match=r"'agee' \(did you mean 'age'\?\), 'zzz'"):
        read_columns(path, ["agee", "zzz", "town"])


def test_other_files_are_refused(tmp_path: Path) -> None:
    """An unknown extension, a file that is not what it says, and one that is not there."""
    with pytest.raises(Refused, match=r"\.parquet, \.csv or \.npz"):
        read_columns(tmp_path / "r.xlsx", ["a"])
    for name in ("bad.parquet", "bad.npz"):
        (tmp_path / name).write_bytes(b"nonsense")
        with pytest.raises(Refused, match="cannot be read"):
            read_columns(tmp_path / name, ["a"])
    with pytest.raises(Refused, match="cannot be read"):
        read_columns(tmp_path / "absent.csv", ["a"])


def test_columns_that_are_not_plain_are_refused(tmp_path: Path) -> None:
    """Lists, times, pickled objects and matrices."""
    path = tmp_path / "r.parquet"
    table = pa.table({"l": [[1], [2]], "t": pa.array([0, 1], pa.timestamp("s"))})
    pa.parquet.write_table(table, path)
    for name in ("l", "t"):
        with pytest.raises(Refused, match=f"'{name}'"):
            read_columns(path, [name])
    npz = tmp_path / "r.npz"
    np.savez(npz, m=np.zeros((2, 2)), o=np.array([{}], dtype=object), short=np.zeros(1))
    with pytest.raises(Refused, match="'m'"):
        read_columns(npz, ["m"])
    with pytest.raises(Refused, match="cannot be read"):
        read_columns(npz, ["o"])


def test_dictionaries_nulls_and_decimals_are_plain(tmp_path: Path) -> None:
    """What other tools write for texts and numbers is understood."""
    path = tmp_path / "r.parquet"
    table = pa.table(
        {
            "d": pa.array(["x", "y"]).dictionary_encode(),
            "n": pa.nulls(2),
            "m": pa.array([1, 2]).cast(pa.decimal128(20, 1)),
        }
    )
    pa.parquet.write_table(table, path)
    columns = read_columns(path, ["d", "n", "m"])
    assert columns["d"].tolist() == ["x", "y"]
    assert np.isnan(columns["n"]).all()
    assert columns["m"].tolist() == [1.0, 2.0]


def test_a_large_file_gives_a_uniform_sample(tmp_path: Path) -> None:
    """A tenth of the rows, spread over the whole file, in order, the same every time."""
    path = tmp_path / "r.parquet"
    pa.parquet.write_table(pa.table({"n": np.arange(300_000)}), path)
    sample = read_columns(path, ["n"], rows_max=30_000)["n"]
    assert len(np.unique(sample)) == 30_000
    assert (np.diff(sample) > 0).all()
    assert sample.mean() == pytest.approx(150_000, rel=0.02)
    np.testing.assert_array_equal(sample, read_columns(path, ["n"], rows_max=30_000)["n"])
