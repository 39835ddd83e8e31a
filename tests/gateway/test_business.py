"""What predictions are worth is told of live traffic, and features wait for labels on disk."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import pyarrow.parquet
import pytest
import yaml

from serve.control.client import ControlClient
from tests.gateway.asking import wait_for
from tests.gateway.running import running_gateway, weir
from tests.gateway.watching import (
    CARD,
    REGIONS,
    Signals,
    files_in,
    register,
    rows,
    send,
    wait_for_signals,
)

pytestmark = [pytest.mark.gateway, pytest.mark.slow]
MODEL = "credit"
SETTINGS = {
    "monitors": {
        "signals_s": 0.2,
        "fold_share": 1.0,
        "keep_s": 0.5,
        "kpis": {
            MODEL: {
                "approved": {"expression": "decision == 1", "minimum": 0.9},
                "earned": {"expression": "where(label == 1, values.earned, 0)", "unit": "EUR"},
            }
        },
    },
    "recorder": {"flush_s": 0.1, "blocks_in_flight": 64, "sample_rows_per_s": 1e6},
    "training_log": {"models": [MODEL], "write_s": 1.0},
}


def test_a_kpi_alarms_and_features_are_kept_with_their_labels(tmp_path: Path) -> None:
    """Half are approved where nine of ten should be; 200 of 300 get a label, one is taken out."""
    files = files_in(tmp_path)
    files.card.write_text(yaml.safe_dump({**CARD, "label": {}}))
    rng = np.random.default_rng(1)
    with running_gateway(tmp_path, SETTINGS) as gateway:
        register(gateway, MODEL, files)
        with ControlClient(gateway.control, "ada") as control:
            control.set_route(MODEL, {1: 100})
        scores = send(gateway, MODEL, rows(rng, 300), rng.choice(REGIONS, 300).tolist())
        found = wait_for_signals(
            gateway, MODEL, lambda signals: _rows_of(signals, "approved") == 300
        )
        kpi = found["kpi", "approved"]
        assert kpi["verdict"] == "alarm"
        assert kpi["value"] == pytest.approx((scores >= 0.5).mean())
        spool = gateway.launched.data / "training" / "spool.sqlite"
        wait_for(lambda: len(_ids(spool)) == 300, "rows on disk", 60.0)
        ids = _ids(spool)
        labels = [
            {"prediction_id": each, "label": place % 2 == 0, "values": {"earned": 10.0 + place}}
            for place, each in enumerate(ids[:200])
        ]
        answer = httpx.post(
            f"{gateway.http}/v1/models/{MODEL}/feedback", json={"labels": labels}, trust_env=False
        )
        assert answer.json()["accepted"] == 200, answer.text
        found = wait_for_signals(gateway, MODEL, lambda signals: _rows_of(signals, "earned") == 200)
        earned = sum(10.0 + place for place in range(0, 200, 2)) / 200
        assert found["kpi", "earned"]["value"] == pytest.approx(earned)
        training = gateway.launched.data / "training"
        wait_for(lambda: len(_labels(training)) == 200, "labelled rows in files", 60.0)
        assert _labels(training) == {
            each: float(place % 2 == 0) for place, each in enumerate(ids[:200])
        }

    for place, left in ((0, 199), (250, 199)):
        done = weir(
            *("training", "delete", MODEL, "--id", ids[place]),
            *("--data", str(gateway.launched.data)),
        )
        assert (done.returncode, done.stdout) == (0, "1 row is gone from the log of credit.\n")
        assert len(_labels(training)) == left
    assert set(_ids(spool)) == set(ids[200:]) - {ids[250]}


def _rows_of(signals: Signals, kpi: str) -> int:
    """How many rows it is taken over; none as long as nothing is told of it."""
    return int(signals.get(("kpi", kpi), {}).get("rows", 0))


def _ids(spool: Path) -> list[str]:
    with closing(sqlite3.connect(spool)) as db:
        return [each for (each,) in db.execute("SELECT prediction_id FROM rows ORDER BY n")]


def _labels(training: Path) -> dict[str, float]:
    labels: dict[str, float] = {}
    for path in training.rglob("*.parquet"):
        table = pyarrow.parquet.ParquetFile(path).read()
        ids = table["weir_prediction_id"].to_pylist()
        labels |= zip(ids, table["weir_label"].to_pylist(), strict=True)
    return labels
