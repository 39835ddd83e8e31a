"""Labels that come over the feedback route meet the features that wait for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from configs.settings import Labels, Monitors, Training
from monitors.labels.book import LabelBook
from monitors.observer import Observer
from monitors.training.log import TrainingLog
from registry.card import Label
from registry.records import Version
from tests.monitors.samples import CARD, SIGNATURE, block, columns

NOW = 20_000 * 86_400.0
VERSION = Version(
    "m", 1, "", SIGNATURE, CARD.model_copy(update={"label": Label()}), None, 1, "ada", ""
)
SETTINGS = Monitors.model_validate(
    {"kpis": {"m": {"earned": {"expression": "where(label == 1, values.earned, 0)"}}}}
)


def test_labels_meet_features_and_kpis_once_also_when_they_are_told_again(tmp_path: Path) -> None:
    """A KPI has its mean, and each labelled row is in a file once, with a correction."""
    book = LabelBook(tmp_path / "labels", Labels())
    training = TrainingLog(tmp_path / "training", Training(models=("m",), write_s=1.0))
    observer = Observer(
        SETTINGS,
        lambda _model, _version: (VERSION, None),
        "o",
        clock=lambda: NOW,
        processor_time=lambda: 0.0,
        book=book,
        training=training,
    )
    live = block(columns(np.random.default_rng(1), 100))
    observer.fold(replace(live, made_at=NOW))
    ids = [f"{number:032x}" for number in range(100)]

    def hear(places: range, label: bool) -> None:
        messages = [
            {"prediction_id": ids[place], "label": label, "values": {"earned": 10.0 + place}}
            for place in places
        ]
        assert observer.feedback("m", messages).accepted == len(messages)
        observer.states()
        training.write(training.gathered(), NOW)

    hear(range(60), label=True)
    training.write(training.gathered(), NOW + 2)
    hear(range(10), label=False)
    hear(range(60, 70), label=False)
    training.write(training.gathered(), NOW + 4)

    (kpi,) = (each for each in observer.signals("m")[0].signals if each.family == "business")
    assert kpi.rows == 70
    assert kpi.value == pytest.approx(sum(10.0 + place for place in range(10, 60)) / 70)
    labels: list[tuple[str, float]] = []
    for path in (tmp_path / "training").rglob("*.parquet"):
        table = pq.ParquetFile(path).read(["weir_prediction_id", "weir_label"])
        labels += [tuple(each.values()) for each in table.to_pylist()]
    assert sorted(labels) == [(ids[place], float(10 <= place < 60)) for place in range(70)]
    training.close()
    book.close()
