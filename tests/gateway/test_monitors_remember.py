"""What monitors have learnt outlives them, and what they lost is counted to the row."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serve.control.client import ControlClient
from tests.gateway.asking import wait_for
from tests.gateway.running import Running, running_gateway
from tests.gateway.watching import (
    FEATURES,
    REGIONS,
    files_in,
    register,
    rows,
    seen,
    send,
    signals,
    wait_for_signals,
)

pytestmark = [pytest.mark.gateway, pytest.mark.slow]
SETTINGS = {
    "monitors": {"signals_s": 0.2, "fold_share": 1.0, "keep_s": 2.0},
    "recorder": {"flush_s": 0.1, "blocks_in_flight": 64, "sample_rows_per_s": 1e6},
}
MODEL = "credit"


def drifted(gateway: Running, count: int, seed: int) -> None:
    """Send rows of which one feature has moved."""
    rng = np.random.default_rng(seed)
    asked = rows(rng, count)
    asked[:, FEATURES.index("debt")] += 2.0
    send(gateway, MODEL, asked, rng.choice(REGIONS, count).tolist())


def dropped(gateway: Running) -> float:
    """Rows that are counted as lost, whatever the reason."""
    page = httpx.get(f"{gateway.control}/metrics", trust_env=False, timeout=30.0).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "weir_recorder_samples_dropped_total"
    )


def verdict(gateway: Running) -> str:
    """The verdict on the feature that has moved."""
    return str(signals(gateway, MODEL)["input_drift", "debt"]["verdict"])


def test_monitors_that_die_go_on_from_what_they_kept(tmp_path: Path) -> None:
    """Killed in the middle: every request is answered, the alarm stands, each row is accounted for.

    A gateway that is stopped and started again on the same data knows all of it too.
    """
    data = tmp_path
    files = files_in(tmp_path)
    with running_gateway(data, SETTINGS) as gateway:
        register(gateway, MODEL, files)
        with ControlClient(gateway.control, "ada") as control:
            control.set_route(MODEL, {1: 100})
        drifted(gateway, 400, 1)
        wait_for_signals(gateway, MODEL, lambda found: seen(found) == 400)
        assert verdict(gateway) == "alarm"
        kept = gateway.launched.data / "monitors"
        # A file may have been written on the way to those 400; one row more has it written again.
        moment = time.time()
        drifted(gateway, 1, 4)
        wait_for(lambda: _written_after(kept, moment), "what is kept", 60.0)

        (observer,) = gateway.pids("observer")
        drifted(gateway, 50, 2)
        os.kill(observer, signal.SIGKILL)
        drifted(gateway, 150, 3)
        sent = 601

        def accounted_for() -> bool:
            # The monitors tell of what they have lost when they are sent something.
            nonlocal sent
            drifted(gateway, 1, sent)
            sent += 1
            return _held(gateway) + dropped(gateway) == sent

        wait_for(accounted_for, "every row held or counted as lost", 60.0)
        assert seen(signals(gateway, MODEL)) >= 400
        assert verdict(gateway) == "alarm"
        held = seen(signals(gateway, MODEL))

    with running_gateway(data, SETTINGS) as gateway:
        wait_for_signals(gateway, MODEL, lambda found: seen(found) == held)
        assert verdict(gateway) == "alarm"


def _written_after(folder: Path, moment: float) -> bool:
    return any(path.stat().st_mtime > moment for path in folder.glob("*.npz"))


def _held(gateway: Running) -> float:
    """The rows that the monitors hold, none while they are away."""
    try:
        return seen(signals(gateway, MODEL))
    except AssertionError:
        return float("nan")
