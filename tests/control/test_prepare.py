"""Preparing a version where its files are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from configs.errors import Refused
from configs.settings import Verify
from serve.control.prepare import Files, column_names, prepare
from tests.registry import models

ROWS = 3000


def write_reference(path: Path) -> Path:
    """Three columns of random numbers, in the format that the name asks for."""
    random = np.random.default_rng(0)
    columns = {name: random.normal(size=ROWS) for name in ("b", "a", "c")}
    if path.suffix == ".parquet":
        pa.parquet.write_table(pa.table(columns), path)
    elif path.suffix == ".csv":
        pa.csv.write_csv(pa.table(columns), path)
    else:
        np.savez(path, **columns)  # type: ignore[arg-type]
    return path


def write_model(folder: Path) -> Path:
    """A regression over three features."""
    path = folder / "model.onnx"
    path.write_bytes(models.regressor().SerializeToString())
    return path


@pytest.mark.parametrize("kind", [".parquet", ".csv", ".npz"])
def test_columns_are_named_in_the_order_of_the_file(tmp_path: Path, kind: str) -> None:
    """The order matters: it says which column of the model's matrix is which."""
    assert column_names(write_reference(tmp_path / f"reference{kind}")) == ("b", "a", "c")


@pytest.mark.parametrize("name", ["rows.txt", "rows.parquet", "rows.npz", "rows.csv"])
def test_a_file_that_is_no_table_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    """A wrong extension, or bytes that are not what the extension says."""
    path = tmp_path / name
    path.write_bytes(b"" if name.endswith(".csv") else b"\x00not a table")

    with pytest.raises(Refused, match=name):
        column_names(path)


def test_a_version_is_checked_completed_and_profiled(tmp_path: Path) -> None:
    """Everything that can be inferred is, and said; the profile holds features and score."""
    card = tmp_path / "card.yaml"
    card.write_text("task: regression\n", encoding="utf-8")
    reference = write_reference(tmp_path / "reference.parquet")
    seen: list[tuple[str, float | None]] = []

    prepared = prepare(
        Files(write_model(tmp_path), reference, card),
        Verify(),
        lambda doing, share: seen.append((doing, share)),
    )

    assert [feature.name for feature in prepared.card.features] == ["b", "a", "c"]
    assert len(prepared.inferred) == 2
    assert prepared.profile is not None
    assert (prepared.profile.rows, set(prepared.profile.features)) == (ROWS, {"a", "b", "c"})
    assert prepared.profile.score is not None
    # The model adds the three and one: an independent look at the score's mean.
    columns = pa.parquet.read_table(reference).to_pydict()
    mean = 1 + sum(np.mean(column) for column in columns.values())
    assert prepared.profile.score.mean == pytest.approx(mean, abs=1e-5)
    shares = [share for doing, share in seen if doing == "scoring the reference"]
    assert shares == sorted(share for share in shares if share is not None)
    assert seen[0][0].startswith("checking the model")


def test_without_a_reference_there_is_no_profile(tmp_path: Path) -> None:
    """A version may be registered without rows to compare with."""
    card = tmp_path / "card.yaml"
    card.write_text("task: regression\n", encoding="utf-8")

    prepared = prepare(Files(write_model(tmp_path), card=card), Verify(), lambda _, __: None)

    assert prepared.profile is None
    assert prepared.card.features == ()


def test_a_model_that_cannot_be_served_is_refused(tmp_path: Path) -> None:
    """The reason comes from the child process that looked at the file."""
    path = tmp_path / "model.onnx"
    path.write_bytes(models.custom_operator().SerializeToString())

    with pytest.raises(Refused, match=r"com\.example"):
        prepare(Files(path), Verify(), lambda _, __: None)
