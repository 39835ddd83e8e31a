"""Files of labels become the messages that the gateway takes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from configs.errors import BadInput
from serve.cli.label_files import messages, rows_of

ID = "0" * 31 + "7"


def parquet(folder: Path, columns: Mapping[str, Any]) -> Path:
    """A Parquet file of these columns."""
    made = folder / "labels.parquet"
    pyarrow.parquet.write_table(pa.table(dict(columns)), made)
    return made


def text(folder: Path, name: str, content: str) -> Path:
    """A file of text."""
    made = folder / name
    made.write_text(content, encoding="utf-8")
    return made


def test_parquet(tmp_path: Path) -> None:
    """Columns keep their types; what is empty is left out, a whole number with gaps is one."""
    made = parquet(
        tmp_path,
        {
            "prediction_id": [ID, ID],
            "row": pa.array([1.0, None]),
            "label": [True, False],
            "at": [datetime(2026, 11, 28, 14, tzinfo=UTC), None],
            "group_sex": ["F", None],
            "group_age": pa.array([30, 40]),
            "value_profit": [12.5, float("nan")],
        },
    )

    assert list(messages(made)) == [
        {
            "prediction_id": ID,
            "row": 1,
            "label": True,
            "at": "2026-11-28T14:00:00+00:00",
            "groups": {"sex": "F", "age": "30"},
            "values": {"profit": 12.5},
        },
        {"prediction_id": ID, "label": False, "groups": {"age": "40"}},
    ]
    assert rows_of(made) == 2


@pytest.mark.parametrize(
    ("column", "at"),
    [
        (pa.array([datetime(2026, 11, 28, 14)], pa.timestamp("ns")), "2026-11-28T14:00:00+00:00"),
        (
            pa.array([1795874400123456789], pa.timestamp("ns", "Europe/Paris")),
            "2026-11-28T15:00:00.123456+01:00",
        ),
        (pa.array([date(2026, 11, 28)]), "2026-11-28T00:00:00+00:00"),
        (pa.array([1795874400]), 1795874400),
        (pa.array(["2026-11-28"]), "2026-11-28"),
    ],
)
def test_moments_in_parquet(tmp_path: Path, column: Any, at: object) -> None:
    """A moment without a time zone is in UTC, wherever the file is sent from."""
    made = parquet(tmp_path, {"key": ["a"], "label": [1], "at": column})

    assert list(messages(made)) == [{"key": "a", "label": 1, "at": at}]


def test_labels_of_other_types_in_parquet(tmp_path: Path) -> None:
    """Decimal numbers are numbers, bytes are texts."""
    made = parquet(tmp_path, {"key": [b"a"], "label": [Decimal("1.5")]})

    assert list(messages(made)) == [{"key": "a", "label": 1.5}]


def test_csv(tmp_path: Path) -> None:
    """Texts are what they look like, but an id stays one, however many digits it has."""
    made = text(
        tmp_path,
        "labels.csv",
        "\ufeffkey,row,label,at,value_profit,group_sex\r\n"
        '0012,1,true,2026-11-28T14:00:00Z,-3,"F, or so"\r\n'
        "0013,,0,1795874400,,\r\n"
        "0014,,0.5,20261128,,\r\n"
        "0015,x,granted,,much,\r\n",
    )

    assert list(messages(made)) == [
        {
            "key": "0012",
            "row": 1,
            "label": True,
            "at": "2026-11-28T14:00:00Z",
            "values": {"profit": -3.0},
            "groups": {"sex": "F, or so"},
        },
        {"key": "0013", "label": 0, "at": 1795874400.0},
        {"key": "0014", "label": 0.5, "at": "20261128"},
        # No number where one should be: sent as it is, and refused by the gateway.
        {"key": "0015", "row": "x", "label": "granted", "values": {"profit": "much"}},
    ]
    assert type(list(messages(made))[1]["label"]) is int


@pytest.mark.parametrize(
    ("label_type", "labels"),
    [
        ("boolean", [True, False, "2"]),
        ("integer", [1, 0, 2]),
        ("number", [1.0, 0.0, 2.0]),
        ("string", ["1", "0", "2"]),
    ],
)
def test_labels_can_be_told_their_type(
    tmp_path: Path, label_type: str, labels: list[object]
) -> None:
    """A class that is called 1 is no number."""
    made = text(tmp_path, "labels.CSV", "key,label\na,1\nb,0\nc,2\n")

    found = [message["label"] for message in messages(made, label_type)]

    assert found == labels
    assert list(map(type, found)) == list(map(type, labels))


def test_json_lines(tmp_path: Path) -> None:
    """A line is a message as it is; empty lines are none."""
    made = text(tmp_path, "labels.jsonl", '{"key": "a", "label": 1}\n\n{"key": "b", "x": [1]}')

    assert list(messages(made)) == [{"key": "a", "label": 1}, {"key": "b", "x": [1]}]
    assert rows_of(made) == 2


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("labels.txt", "", "ends in .csv, .jsonl, .ndjson, .parquet"),
        ("labels.csv", "key,label,group\n", "column 'group' means nothing"),
        ("labels.csv", "label\n1\n", "neither a column 'prediction_id' nor"),
        ("labels.csv", "key,label\na,1,2\n", "line 2: more cells"),
        ("labels.csv", "", "neither a column"),
        ("labels.jsonl", '{"key": "a"}\n{', "line 2 is not JSON"),
        ("labels.jsonl", "[]", "line 1 is not an object"),
        ("labels.parquet", "key", "cannot be read as Parquet"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: str, says: str) -> None:
    """The sentence names the file and the place."""
    made = text(tmp_path, name, content)

    with pytest.raises(BadInput, match=says) as refused:
        list(messages(made))
    assert str(made) in refused.value.message


def test_csv_that_is_no_utf8(tmp_path: Path) -> None:
    """It is said rather than guessed at."""
    made = tmp_path / "labels.csv"
    made.write_bytes(b"key,label\n\xff,1\n")

    with pytest.raises(BadInput, match="UTF-8"):
        list(messages(made))


def test_json_knows_its_types(tmp_path: Path) -> None:
    """A type is for tables only."""
    made = text(tmp_path, "labels.jsonl", "{}")

    with pytest.raises(BadInput, match="--label-type"):
        list(messages(made, "string"))
