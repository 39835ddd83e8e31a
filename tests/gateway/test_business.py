"""What predictions are worth is told of live traffic, and features wait for labels on disk."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import yaml

from serve.control.client import ControlClient
from tests.gateway.asking import wait_for
from tests.gateway.running import running_gateway, weir
from tests.gateway.watching import (
    CARD,
    REGIONS,
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
        "kpis": {MODEL: {"approved": {"expression": "decision == 1", "minimum": 0.9}}},
    },
    "recorder": {"flush_s": 0.1, "blocks_in_flight": 64, "sample_rows_per_s": 1e6},
    "training_log": {"models": [MODEL]},
}


def test_a_kpi_alarms_and_features_are_kept_until_they_are_deleted(tmp_path: Path) -> None:
    """Half are approved where nine of ten should be; the rows wait, and one is taken out."""
    files = files_in(tmp_path)
    files.card.write_text(yaml.safe_dump({**CARD, "label": {}}))
    rng = np.random.default_rng(1)
    with running_gateway(tmp_path, SETTINGS) as gateway:
        register(gateway, MODEL, files)
        with ControlClient(gateway.control, "ada") as control:
            control.set_route(MODEL, {1: 100})
        scores = send(gateway, MODEL, rows(rng, 300), rng.choice(REGIONS, 300).tolist())
        found = wait_for_signals(
            gateway, MODEL, lambda signals: signals["kpi", "approved"]["rows"] == 300
        )
        kpi = found["kpi", "approved"]
        assert kpi["verdict"] == "alarm"
        assert kpi["value"] == pytest.approx((scores >= 0.5).mean())
        spool = gateway.launched.data / "training" / "spool.sqlite"
        wait_for(lambda: _ids(spool) == 300, "rows on disk", 20.0)

    data = gateway.launched.data
    with closing(sqlite3.connect(spool)) as db:
        ((wanted,),) = db.execute("SELECT prediction_id FROM rows LIMIT 1").fetchall()
    done = weir("training", "delete", MODEL, "--id", wanted, "--data", str(data))
    assert (done.returncode, done.stdout) == (0, "1 row is gone from the log of credit.\n")
    assert _ids(spool) == 299


def _ids(spool: Path) -> int:
    with closing(sqlite3.connect(spool)) as db:
        ((count,),) = db.execute("SELECT COUNT(*) FROM rows").fetchall()
    return int(count)
