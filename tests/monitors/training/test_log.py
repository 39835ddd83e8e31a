"""Rows are kept with their labels by version and day, and nothing that must not be kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from configs.settings import Monitors, Training
from monitors.blocks import SampleBlock
from monitors.labels.judged import JudgedBlock
from monitors.observer import Observer
from monitors.training import log as module
from monitors.training.log import TrainingLog, delete
from monitors.training.spool import Spool
from monitors.watched import Watched
from registry.card import Label, Policy
from registry.records import Version
from tests.monitors.samples import CARD, SIGNATURE, block, columns, part

LABELLED = CARD.model_copy(update={"label": Label()})
DAY = 86_400.0
NOON = 20_000 * DAY + DAY / 2  # 2024-10-04
SETTINGS = Training(models=("m",), write_s=60.0, wait_days=10.0, retention_days=30.0)
FOLDER = Path("m", "version=1", "day=2024-10-04")


@pytest.fixture
def training(tmp_path: Path) -> Iterator[TrainingLog]:
    """A log of the model m."""
    opened = TrainingLog(tmp_path, SETTINGS)
    yield opened
    opened.close()


def rows(count: int, first: int = 0, at: float = NOON) -> SampleBlock:
    """Live rows, each a request of its own, called r0, r1 and so on."""
    made = block(columns(np.random.default_rng(first), count), first=first)
    names = np.array([f"r{number}" for number in range(first, first + count)], dtype=np.object_)
    return replace(made, made_at=at, request_ids=names)


def judged(live: SampleBlock, label: float = 1.0, corrected: bool = False) -> JudgedBlock:
    """The truth of live rows, a day later."""
    return JudgedBlock(
        model=live.model,
        version=live.version,
        role=live.role,
        keys=live.keys(),
        scores=live.outputs["p"][:, 1].astype(np.float64),
        decisions=np.ones(live.rows),
        labels=np.full(live.rows, label),
        predicted_at=np.full(live.rows, live.made_at),
        labelled_at=np.full(live.rows, live.made_at + DAY),
        signs=np.ones(live.rows, dtype=np.int8),
        corrected=np.full(live.rows, corrected),
    )


def write(training: TrainingLog, now: float) -> None:
    """Write what was gathered."""
    training.write(training.gathered(), now)


def written(folder: Path) -> pa.Table:
    """All rows of all files, as those who train read them."""
    return pyarrow.dataset.dataset(
        [str(path) for path in sorted(folder.rglob("*.parquet"))]
    ).to_table()


def counted(training: TrainingLog) -> dict[str, int]:
    """What the log counts that is not nothing, by its last name or by its reason."""
    return {
        (reason[0] if reason else name.rpartition(".")[2]): count
        for (name, reason), count in training.counters().items()
        if count
    }


def test_labelled_rows_become_a_file_of_their_version_and_day(
    training: TrainingLog, tmp_path: Path
) -> None:
    """With features, score, decision, label and times; rows without a label go on waiting."""
    live = rows(40)
    training.take(LABELLED, live)
    training.judge(judged(part_of(live, 0, 30)))
    write(training, NOON + DAY)
    assert not list(tmp_path.rglob("*.parquet"))  # Thirty rows wait a minute for more.
    write(training, NOON + DAY + 61)

    (path,) = tmp_path.rglob("*.parquet")
    assert path.parent == tmp_path / FOLDER
    assert counted(training) == {"rows": 30, "written": path.stat().st_size}
    table = pq.ParquetFile(path).read()
    assert table.column_names[-3:] == ["age", "debt", "town"]
    assert table["weir_prediction_id"].to_pylist() == [f"{n:032x}" for n in range(30)]
    assert table["weir_request_id"].to_pylist() == [f"r{n}" for n in range(30)]
    assert table["weir_label"].to_pylist() == [1.0] * 30
    assert table["weir_score"].to_numpy() == pytest.approx(live.outputs["p"][:30, 1])
    assert table["age"].to_numpy() == pytest.approx(live.inputs["x"][:30, 0])
    assert table["town"].to_pylist() == live.inputs["town"][:30, 0].tolist()
    moments = [
        table[name][0].as_py().timestamp() for name in ("weir_predicted_at", "weir_labelled_at")
    ]
    assert moments == [NOON, NOON + DAY]

    training.judge(judged(part_of(live, 30, 40)))
    write(training, NOON + DAY + 70)
    write(training, NOON + DAY + 131)
    assert written(tmp_path).num_rows == 40


def test_enough_rows_are_a_file_at_once_and_days_and_versions_lie_apart(tmp_path: Path) -> None:
    """Of the settings' size; the rest waits."""
    training = TrainingLog(tmp_path, SETTINGS.model_copy(update={"rows_per_file": 20}))
    first, second = rows(50), rows(20, first=50, at=NOON + DAY)
    for live in (first, second, replace(rows(20, first=70), version=2)):
        training.take(LABELLED, live)
        training.judge(judged(live))
    write(training, NOON + DAY)
    training.close()
    found = {
        str(path.parent.relative_to(tmp_path)): pq.ParquetFile(path).metadata.num_rows
        for path in tmp_path.rglob("*.parquet")
    }
    assert found == {
        str(FOLDER): 20,
        "m/version=1/day=2024-10-05": 20,
        "m/version=2/day=2024-10-04": 20,
    }
    assert len(list(tmp_path.rglob("*.parquet"))) == 4


@pytest.mark.parametrize("policy", [Policy.DROP, Policy.HASH, Policy.BUCKET])
def test_only_features_whose_policy_is_keep_are_kept(
    training: TrainingLog, tmp_path: Path, policy: Policy
) -> None:
    """Neither in a file nor while they wait; nor is any group attribute."""
    features = tuple(
        each.model_copy(update={"policy": policy}) if each.name == "town" else each
        for each in LABELLED.features
    )
    card = LABELLED.model_copy(update={"features": features})
    live = rows(20)
    live.inputs["town"][:] = "canary-town"
    training.take(card, live)
    write(training, NOON)
    assert b"r19" in everything(tmp_path)
    assert b"canary-town" not in everything(tmp_path)
    training.judge(judged(live))
    write(training, NOON)
    write(training, NOON + 61)
    table = written(tmp_path)
    assert table.num_rows == 20
    assert not {"town", "sex"} & set(table.column_names)
    assert b"canary-town" not in everything(tmp_path)


def test_who_is_not_asked_for_is_not_kept(training: TrainingLog) -> None:
    """Other models, shadows, cards without a label, and cards that keep no feature."""
    none = LABELLED.model_copy(
        update={
            "features": tuple(
                each.model_copy(update={"policy": Policy.DROP}) for each in LABELLED.features
            )
        }
    )
    training.take(LABELLED, replace(rows(5), model="other"))
    training.take(LABELLED, replace(rows(5), role="shadow"))
    training.take(CARD, rows(5))
    training.take(none, rows(5))
    training.judge(judged(replace(rows(5), model="other")))
    gathered = training.gathered()
    assert (gathered.kept, gathered.judged, gathered.rows) == ([], [], 0)


def test_rows_wait_for_their_label_over_a_restart(tmp_path: Path) -> None:
    """What was written is there, and told once, however often it comes."""
    first = TrainingLog(tmp_path, SETTINGS)
    live = rows(10)
    first.take(LABELLED, live)
    write(first, NOON)
    first.close()
    second = TrainingLog(tmp_path, SETTINGS)
    second.take(LABELLED, live)
    second.judge(judged(live))
    write(second, NOON)
    write(second, NOON + 61)
    second.close()
    assert written(tmp_path).num_rows == 10


def test_a_file_that_was_cut_short_is_written_once_more(
    training: TrainingLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before or after the file was whole: each row is in the files once."""
    live = rows(30)
    training.take(LABELLED, live)
    training.judge(judged(part_of(live, 10, 30)))
    write(training, NOON)

    def full(*_: object) -> None:
        message = "no space left"
        raise OSError(message)

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_part", full)
        with pytest.raises(OSError, match="no space"):
            write(training, NOON + 61)
    with monkeypatch.context() as patched:
        patched.setattr(training._spool, "drop_part", full)
        with pytest.raises(OSError, match="no space"):
            write(training, NOON + 62)
    training.judge(judged(part_of(live, 0, 10)))
    write(training, NOON + 63)
    write(training, NOON + 124)
    assert sorted(written(tmp_path)["weir_request_id"].to_pylist()) == sorted(
        f"r{n}" for n in range(30)
    )
    assert not list(tmp_path.rglob("*.new"))


def test_whatever_cannot_be_written_is_an_error_of_the_disk(training: TrainingLog) -> None:
    """The thread that tells of signals survives it, and the rows are kept for the next time."""
    live = rows(5)
    training.take(LABELLED, live)
    training.judge(replace(judged(live), labelled_at=np.full(5, 1e300)))
    write(training, NOON)
    with pytest.raises(OSError, match="cannot be written"):
        write(training, NOON + 61)
    training.judge(judged(live, corrected=True))
    write(training, NOON + 62)


@pytest.mark.parametrize("in_file", [False, True])
def test_a_corrected_label_replaces_the_one_before(
    training: TrainingLog, tmp_path: Path, in_file: bool
) -> None:
    """Whether its row waits or is in a file; the others keep theirs."""
    live = rows(20)
    training.take(LABELLED, live)
    training.judge(judged(live, 0.0))
    write(training, NOON)
    if in_file:
        write(training, NOON + 61)
    some = judged(part_of(live, 5, 8), 1.0, corrected=True)
    back = replace(judged(part_of(live, 5, 8), 0.0), signs=np.full(3, -1, dtype=np.int8))
    training.judge(back)
    training.judge(replace(some, labelled_at=some.labelled_at + DAY))
    write(training, NOON + 62)
    table = written(tmp_path)
    assert table["weir_label"].to_pylist() == [0.0] * 5 + [1.0] * 3 + [0.0] * 12
    assert table["weir_labelled_at"][5].as_py().timestamp() == NOON + 2 * DAY
    assert table["weir_labelled_at"][4].as_py().timestamp() == NOON + DAY


def test_labels_that_say_nothing_or_belong_to_nobody_change_nothing(
    training: TrainingLog, tmp_path: Path
) -> None:
    """A label that is not known, and a row that was not sampled."""
    live = rows(5)
    training.take(LABELLED, live)
    training.judge(judged(live, float("nan")))
    training.judge(judged(rows(5, first=100)))
    training.judge(judged(rows(5, first=200), corrected=True))
    write(training, NOON)
    write(training, NOON + 61)
    assert not list(tmp_path.rglob("*.parquet"))


def test_rows_wait_no_longer_and_no_more_than_they_may(tmp_path: Path) -> None:
    """The oldest go first; a label that comes later finds nothing."""
    training = TrainingLog(tmp_path, SETTINGS.model_copy(update={"wait_max_rows": 30}))
    early, late = rows(20), rows(20, first=20, at=NOON + DAY)
    training.take(LABELLED, early)
    training.take(LABELLED, late)
    write(training, NOON + DAY)
    training.judge(judged(early))
    write(training, NOON + 10.6 * DAY)
    write(training, NOON + 11.1 * DAY)
    training.judge(judged(late))
    write(training, NOON + 11.2 * DAY)
    write(training, NOON + 11.2 * DAY + 61)
    found = counted(training)
    assert (found["surplus"], found["expired"], found["rows"]) == (10, 20, 10)
    training.close()
    assert sorted(written(tmp_path)["weir_request_id"].to_pylist()) == sorted(
        f"r{n}" for n in range(10, 20)
    )


def test_files_go_when_they_are_old(training: TrainingLog, tmp_path: Path) -> None:
    """So many days after the day of their predictions, and files of others stay."""
    live = rows(20)
    training.take(LABELLED, live)
    training.judge(judged(live))
    write(training, NOON)
    write(training, NOON + 61)
    kept = tmp_path / FOLDER / "notes.txt"
    kept.write_text("mine")
    write(training, NOON + 30 * DAY)
    assert written(tmp_path).num_rows == 20
    write(training, NOON + 31 * DAY)
    assert not list(tmp_path.rglob("*.parquet"))
    assert kept.exists()


@pytest.mark.parametrize("wanted", ["r7", f"{7:032x}"])
def test_rows_of_a_request_are_deleted_wherever_they_are(tmp_path: Path, wanted: str) -> None:
    """In files and while they wait; nothing is left of them on the disk."""
    training = TrainingLog(tmp_path, SETTINGS)
    live, again = rows(20), replace(rows(20), version=2)
    training.take(LABELLED, live)
    training.take(LABELLED, again)
    training.judge(judged(live))
    write(training, NOON)
    write(training, NOON + 61)
    training.close()
    assert delete(tmp_path, "other", wanted) == 0
    assert delete(tmp_path, "m", wanted) == 2
    assert delete(tmp_path, "m", wanted) == 0
    assert written(tmp_path)["weir_request_id"].to_pylist() == [
        f"r{n}" for n in range(20) if n != 7
    ]
    assert f"{7:032x}".encode() not in everything(tmp_path)
    assert f"{8:032x}".encode() in everything(tmp_path)


def test_a_file_of_one_request_goes_whole(tmp_path: Path) -> None:
    """And where there is no log there is nothing to delete."""
    training = TrainingLog(tmp_path, SETTINGS)
    live = rows(1)
    training.take(LABELLED, live)
    training.judge(judged(live))
    write(training, NOON)
    write(training, NOON + 61)
    training.close()
    assert delete(tmp_path, "m", "r0") == 1
    assert not list(tmp_path.rglob("*.parquet"))
    assert delete(tmp_path / "nowhere", "m", "r0") == 0
    assert not (tmp_path / "nowhere").exists()


def test_what_comes_too_fast_is_left_out(
    training: TrainingLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded between two writes."""
    monkeypatch.setattr(module, "GATHERED_ROWS_MAX", 25)
    training.take(LABELLED, rows(20))
    training.take(LABELLED, rows(20, first=20))
    gathered = training.gathered()
    assert (gathered.rows, gathered.left_out, len(gathered.kept)) == (20, 20, 1)
    training.write(gathered, NOON)
    assert counted(training) == {"too_fast": 20}


def test_rows_that_do_not_fit_the_card_harm_nobody(training: TrainingLog, tmp_path: Path) -> None:
    """They are left out, and the others are kept."""
    odd, live = rows(5), rows(5, first=5)
    training.take(LABELLED, replace(odd, inputs={"x": odd.inputs["x"]}))
    training.take(LABELLED, live)
    training.judge(judged(live))
    write(training, NOON)
    write(training, NOON + 61)
    assert written(tmp_path).num_rows == 5
    assert counted(training)["unfit"] == 5


def test_rows_that_the_disk_does_not_take_are_counted(
    training: TrainingLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are on disk already are not."""

    def full(*_: object) -> None:
        message = "database or disk is full"
        raise sqlite3.OperationalError(message)

    training.take(LABELLED, rows(5))
    write(training, NOON)
    training.take(LABELLED, rows(7, first=5))
    monkeypatch.setattr(Spool, "add", full)
    with pytest.raises(OSError, match="disk is full"):
        write(training, NOON)
    assert counted(training) == {"unwritten": 7}


def test_numbers_that_are_none_and_missing_texts_are_missing(
    training: TrainingLog, tmp_path: Path
) -> None:
    """NaN, infinities, empty texts."""
    live = rows(3)
    live.inputs["x"][:, 0] = [np.nan, np.inf, 1.0]
    live.inputs["town"][:, 0] = [None, "", "a"]
    training.take(LABELLED, live)
    training.judge(judged(live))
    write(training, NOON)
    write(training, NOON + 61)
    table = written(tmp_path)
    assert table["age"].to_pylist() == [None, None, 1.0]
    assert table["town"].to_pylist() == [None, None, "a"]


def test_damaged_files_are_told_as_what_they_are(tmp_path: Path) -> None:
    """An error of the disk, which the process that watches survives."""
    (tmp_path / "spool.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(OSError, match="cannot be opened as a training log"):
        TrainingLog(tmp_path, SETTINGS)
    (tmp_path / "spool.sqlite").unlink()
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "part-000000000001.parquet").write_bytes(b"nonsense")
    with pytest.raises(OSError, match="cannot be read"):
        delete(tmp_path, "m", "r1")


def test_a_version_that_is_watched_gives_its_rows_to_the_log(training: TrainingLog) -> None:
    """Rows that are folded, and rows that are judged."""
    version = Version("m", 1, "sha256:0", SIGNATURE, LABELLED, None, 1, "ada", "")
    observer = Observer(
        Monitors(),
        lambda _model, _version: (version, None),
        "o",
        clock=lambda: NOON,
        processor_time=lambda: 0.0,
        training=training,
    )
    observer.fold(rows(300))
    observer.fold(replace(rows(300, first=300), role="pinned"))
    assert training.gathered().rows == 300
    own, *_ = observer.snapshots()
    assert own.counters.items() >= training.counters().items()

    watched = Watched(("m", 1, "stable"), version, None, Monitors(), NOON, training)
    watched.judge(judged(rows(20)))
    assert len(training.gathered().judged) == 1


def part_of(live: SampleBlock, start: int, stop: int) -> SampleBlock:
    """Some of the rows, with their time."""
    return replace(part(live, start, stop), made_at=live.made_at)


def everything(folder: Path) -> bytes:
    """All bytes of all files; those of Parquet unpacked."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    tables = [pq.ParquetFile(path).read() for path in files if path.suffix == ".parquet"]
    plain = b"".join(path.read_bytes() for path in files if path.suffix != ".parquet")
    return plain + repr([table.to_pylist() for table in tables]).encode()
