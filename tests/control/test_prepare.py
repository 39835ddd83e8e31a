"""Preparing a version where its files are."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from configs.errors import Refused
from configs.settings import Verify
from monitors.profile import tables
from monitors.profile.reference import ReferenceProfile
from serve.control import prepare as module
from serve.control.prepare import Files, Prepared, prepare
from tests.registry import models

ROWS = 3000
_FEATURES = "".join(
    ("features:\n", *(f"  - {{name: {n}, input: x, column: {at}}}\n" for at, n in enumerate("bac")))
)


def write_reference(path: Path) -> Path:
    """Three columns of random numbers."""
    random = np.random.default_rng(0)
    columns = {name: random.normal(size=ROWS) for name in ("b", "a", "c")}
    pa.parquet.write_table(pa.table(columns), path)
    return path


def write_card(folder: Path, features: str = "") -> Path:
    """A card of a regression."""
    path = folder / "card.yaml"
    path.write_text(f"task: regression\n{features}", encoding="utf-8")
    return path


def prepared(folder: Path, reference: Path, features: str = "") -> Prepared:
    """The regression over three features, with a reference."""
    files = Files(write_model(folder), reference, write_card(folder, features))
    return prepare(files, Verify(), lambda _, __: None)


def write_model(folder: Path) -> Path:
    """A regression over three features."""
    path = folder / "model.onnx"
    path.write_bytes(models.regressor().SerializeToString())
    return path


def test_a_version_is_checked_completed_and_profiled(tmp_path: Path) -> None:
    """Everything that can be inferred is, and said; the profile holds features and score."""
    card = write_card(tmp_path)
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
    assert ("reading the reference", 1.0) in seen
    assert prepared.rows_read == ROWS
    assert seen[0][0].startswith("checking the model")


def test_without_a_reference_there_is_no_profile(tmp_path: Path) -> None:
    """A version may be registered without rows to compare with."""
    card = write_card(tmp_path)

    prepared = prepare(Files(write_model(tmp_path), card=card), Verify(), lambda _, __: None)

    assert prepared.profile is None
    assert prepared.card.features == ()


def test_a_model_that_cannot_be_served_is_refused(tmp_path: Path) -> None:
    """The reason comes from the child process that looked at the file."""
    path = tmp_path / "model.onnx"
    path.write_bytes(models.custom_operator().SerializeToString())

    with pytest.raises(Refused, match=r"com\.example"):
        prepare(Files(path), Verify(), lambda _, __: None)


def test_a_matrix_without_names_takes_them_from_a_card_in_the_models_order(tmp_path: Path) -> None:
    """Columns 0, 1, 2 of the model's input are those of the matrix; any other order is a guess."""
    reference = tmp_path / "rows.npy"
    np.save(reference, np.arange(60, dtype=np.float32).reshape(20, 3))
    names = ["b", "a", "c"]
    lines = [f"  - {{name: {name}, input: x, column: {at}}}" for at, name in enumerate(names)]

    made = prepared(tmp_path, reference, "features:\n" + "\n".join(lines))

    assert made.profile is not None
    means = [made.profile.features[name].model_dump()["mean"] for name in names]
    assert means == [28.5, 29.5, 30.5]
    with pytest.raises(Refused, match="it would be a guess which is which"):
        prepared(tmp_path, reference, "features:\n" + "\n".join(lines[::-1]))
    with pytest.raises(Refused, match="the card names no features"):
        prepared(tmp_path, reference)


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(["7.0"] * 30, id="constant"),
        pytest.param([""] * 30, id="all missing"),
        pytest.param(["inf"] * 30, id="all infinite"),
        pytest.param(["1.5"], id="one row"),
        pytest.param(["true", "false"] * 15, id="booleans"),
    ],
)
def test_a_dull_column_is_described_all_the_same(tmp_path: Path, column: list[str]) -> None:
    """It is no reason to refuse the version: its monitors will say what they lack."""
    reference = tmp_path / "rows.csv"
    reference.write_text("\n".join(["a,b,c", *(f"{cell},0.5,1" for cell in column)]) + "\n")

    made = prepared(tmp_path, reference)

    assert made.profile is not None
    assert made.profile.rows == len(column)
    assert ReferenceProfile.from_json(made.profile.to_json()) == made.profile


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        pytest.param(
            ["1", "2", "x"], "'a'.* 1 of 3 rows hold texts that are not numbers", id="mixed"
        ),
        pytest.param(["2026-01-01"], "'a'.* 1 of 1 rows hold texts", id="dates"),
        pytest.param(['"[1, 2]"'], "'a'.* 1 of 1 rows hold texts", id="lists"),
    ],
)
def test_a_column_of_texts_does_not_become_missing_numbers(
    tmp_path: Path, cells: list[str], reason: str
) -> None:
    """What the model could not be given is said, and not passed over."""
    reference = tmp_path / "rows.csv"
    reference.write_text("\n".join(["a,b,c", *(f"{cell},0.5,1" for cell in cells)]) + "\n")

    with pytest.raises(Refused, match=reason):
        prepared(tmp_path, reference)


def test_what_a_request_brings_as_text_is_text_in_the_reference(tmp_path: Path) -> None:
    """Groups that look like numbers or booleans have the names that live rows give them."""
    reference = tmp_path / "rows.csv"
    rows = [f"1,2,3,{('True', '007')[at % 2]}" for at in range(40)]
    reference.write_text("\n".join(["a,b,c,region", *rows]) + "\n")

    made = prepared(tmp_path, reference, "groups: [{name: region}]\n")

    assert made.profile is not None
    assert {share.name for share in made.profile.groups["region"]} == {"True", "007"}


def test_a_reference_says_when_its_rows_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column beside the features, in files that name their columns."""
    # What features matter is left out of a profile where the model is slow.
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 0.0))
    strata = "strata: {hour_of_week: true, hours: 24, time: at}\n"
    columns = {name: np.arange(700.0) % (3 + n) for n, name in enumerate("bac")}
    columns["at"] = np.arange(700) * 86_400.0
    path = tmp_path / "timed.parquet"
    pa.parquet.write_table(pa.table(columns), path)
    found = prepared(tmp_path, path, strata)
    assert [feature.name for feature in found.card.features] == ["b", "a", "c"]
    assert found.profile is not None
    assert found.profile.strata is not None
    assert min(np.sum(found.profile.strata.features["a"], axis=1)) > 20

    for kind in (pa.timestamp("ns", "Europe/Lisbon"), pa.timestamp("s")):
        seconds = pa.array(columns["at"].astype(np.int64), pa.timestamp("s"))
        moments = pa.table(columns | {"at": seconds.cast(kind)})
        pa.parquet.write_table(moments, tmp_path / "moments.parquet")
        assert prepared(tmp_path, tmp_path / "moments.parquet", strata).profile == found.profile

    np.save(tmp_path / "matrix.npy", np.zeros((700, 4)))
    features = "features: [{name: a, input: x, column: 0}]\n"
    with pytest.raises(Refused, match="a time beside them"):
        prepared(tmp_path, tmp_path / "matrix.npy", strata + features)
    with pytest.raises(Refused, match="'at'"):
        prepared(tmp_path, write_reference(tmp_path / "untimed.parquet"), strata)


def test_the_truth_of_the_rows_goes_to_no_model(tmp_path: Path) -> None:
    """It is no feature; of a matrix without names nothing is guessed, nor where it is missing."""
    label = "label: {type: number, column: y}\n"
    columns = {name: np.arange(700.0) % (3 + n) for n, name in enumerate("bac")}
    # The model adds the three and one, and so is one too low.
    columns["y"] = columns["b"] + columns["a"] + columns["c"] + 2
    path = tmp_path / "judged.parquet"
    pa.parquet.write_table(pa.table(columns), path)
    found = prepared(tmp_path, path, label)
    assert [feature.name for feature in found.card.features] == ["b", "a", "c"]
    assert found.profile is not None
    assert found.profile.truth is not None
    assert found.profile.truth.rows == 700
    assert found.profile.truth.losses["absolute"].mean == pytest.approx(1)

    np.save(tmp_path / "matrix.npy", np.zeros((700, 4)))
    features = "features: [{name: a, input: x, column: 0}]\n"
    with pytest.raises(Refused, match="a label or a time beside them"):
        prepared(tmp_path, tmp_path / "matrix.npy", label + features)
    with pytest.raises(Refused, match="'y'"):
        prepared(tmp_path, write_reference(tmp_path / "unjudged.parquet"), label)
    with pytest.raises(Refused, match=r"label\.column: 'a' goes to the model"):
        prepared(tmp_path, path, "label: {type: number, column: a}\n" + _FEATURES)


def test_names_of_classes_in_a_csv_file_stay_texts(tmp_path: Path) -> None:
    """`007` is a class, and not the number 7."""
    model, card = tmp_path / "model.onnx", tmp_path / "card.yaml"
    model.write_bytes(models.scorer(3).SerializeToString())
    card.write_text(
        "task: multiclass\ndecision: {argmax: true}\n"
        "label: {type: string, classes: ['007', '8', '9'], column: y}\n",
        encoding="utf-8",
    )
    rows = [f"{n},{n % 5},{n % 3},{('007', '8', '')[n % 3]}" for n in range(60)]
    reference = tmp_path / "rows.csv"
    reference.write_text("\n".join(["b,a,c,y", *rows]) + "\n", encoding="utf-8")
    found = prepare(Files(model, reference, card), Verify(), lambda _, __: None)
    assert found.profile is not None
    assert found.profile.truth is not None
    assert found.profile.truth.rows == 40
    hits = [sum(each.hits) + sum(each.counted_hits) for each in found.profile.truth.calibrators]
    assert hits == [20, 20, 0]


def test_of_a_wide_score_fewer_rows_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the model says of the rows is held beside them, and is bounded as they are."""
    monkeypatch.setattr(tables, "_CELLS_MAX", 4000)
    model, card = tmp_path / "model.onnx", tmp_path / "card.yaml"
    model.write_bytes(models.scorer(10).SerializeToString())
    card.write_text("task: multiclass\ndecision: {argmax: true}\n", encoding="utf-8")
    reference = write_reference(tmp_path / "reference.parquet")

    made = prepare(Files(model, reference, card), Verify(), lambda _, __: None)

    assert made.rows_read == ROWS
    assert made.profile is not None
    assert made.profile.rows == 400
    assert made.profile.score_vector is not None
    assert made.profile.score_vector.width == 10
    assert made.profile.decision is not None


def test_a_profile_says_which_features_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a sum of three standard normal columns: each as much, about 0.8."""
    # A machine that stands still for a quarter of a second is no model that is too slow.
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 0.0))
    reference = write_reference(tmp_path / "reference.parquet")
    found = prepared(tmp_path, reference).profile
    assert found is not None
    assert found.importance is not None
    assert set(found.importance) == {"a", "b", "c"}
    for each in found.importance.values():
        assert each.value == pytest.approx(np.sqrt(2 / np.pi), abs=5 * each.error)
        assert 0.05 < each.error < 0.2
