"""From a reference through real traffic to `weir signals`: quiet when nothing has changed."""

from __future__ import annotations

import httpx
import numpy as np
import pytest

from serve.control.client import ControlClient
from tests.gateway.asking import infer_path, tensor, wait_for
from tests.gateway.running import Running, weir
from tests.gateway.watching import (
    FEATURES,
    REGIONS,
    Files,
    files_in,
    register,
    rows,
    seen,
    send,
    wait_for_signals,
)

pytestmark = pytest.mark.gateway
ROWS = 400


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """What the owner of a model brings."""
    return files_in(tmp_path_factory.mktemp("files"))


@pytest.fixture
def served(
    request: pytest.FixtureRequest, gateway: Running, control: ControlClient, files: Files
) -> str:
    """A model of the test's own, registered by the command, with all of the traffic."""
    name: str = request.node.name.replace("test_", "")
    register(gateway, name, files)
    control.set_route(name, {1: 100})
    return name


def test_unchanged_traffic_raises_no_alarm(gateway: Running, served: str) -> None:
    """Rows like those of the reference: every row is seen, and nothing is in alarm.

    The difference of each group's selection rate is that of the answers its clients got, with
    bounds around it.
    """
    rng = np.random.default_rng(2)
    regions = rng.choice(REGIONS, ROWS)
    selected = send(gateway, served, rows(rng, ROWS), regions.tolist()) >= 0.5
    signals = wait_for_signals(gateway, served, lambda found: seen(found) == ROWS)
    assert {signal["verdict"] for signal in signals.values()} <= {"ok", "insufficient data"}
    assert {subject for name, subject in signals if name == "input_drift"} == set(FEATURES)
    assert any(name == "prediction_drift" for name, _ in signals)

    north = signals["selection_rate", "region=north"]
    rates = [selected[regions == name].mean() for name in REGIONS]
    assert north["rows"] == (regions == "north").sum()
    assert north["value"] == pytest.approx(rates[0] - rates[1])
    assert north["lower"] < north["value"] < north["upper"]
    assert signals["selection_rate", "region=south"]["value"] == pytest.approx(-north["value"])


def test_a_shifted_feature_is_named(gateway: Running, served: str) -> None:
    """A feature that moves by two standard deviations is in alarm, and no other feature is."""
    rng = np.random.default_rng(3)
    asked = rows(rng, ROWS)
    asked[:, FEATURES.index("debt")] += 2.0
    send(gateway, served, asked, rng.choice(REGIONS, ROWS).tolist())
    signals = wait_for_signals(gateway, served, lambda found: seen(found) == ROWS)
    moved = {
        subject
        for (name, subject), signal in signals.items()
        if name == "input_drift" and signal["verdict"] == "alarm"
    }
    assert moved == {"debt"}
    assert signals["input_drift", "debt"]["value"] == pytest.approx(2.0, abs=0.4)
    assert signals["input_drift", "debt"]["log10_evidence"] > 2

    table = weir("signals", served, "--url", gateway.control)
    assert table.returncode == 0
    alarms = [line for line in table.stdout.splitlines() if line.startswith("alarm")]
    assert [line for line in alarms if "input_drift" in line and "debt" in line]


def test_missing_values_are_counted(gateway: Running, served: str) -> None:
    """A nullable feature that goes missing is in alarm, by the share that is missing."""
    rng = np.random.default_rng(4)
    asked = rows(rng, ROWS)
    age = FEATURES.index("age")
    asked[: ROWS // 4, age] = np.nan
    rng.shuffle(asked)
    send(gateway, served, asked, rng.choice(REGIONS, ROWS).tolist())
    signals = wait_for_signals(gateway, served, lambda found: seen(found) == ROWS)
    missing = signals["missing_values", "age"]
    assert missing["verdict"] == "alarm"
    assert missing["value"] == pytest.approx(0.25, abs=0.05)
    assert signals["missing_values", "income"]["verdict"] == "ok"


def test_requests_that_break_the_contract_are_in_alarm(gateway: Running, served: str) -> None:
    """A client that renamed an input is refused, counted by the reason, and told of."""
    rng = np.random.default_rng(5)
    send(gateway, served, rows(rng, 60), rng.choice(REGIONS, 60).tolist())
    renamed = {**tensor([[0.1, 0.2, 0.3]]), "name": "features"}
    with httpx.Client(base_url=gateway.http, trust_env=False) as client:
        for _ in range(120):
            assert client.post(infer_path(served), json={"inputs": [renamed]}).status_code == 400
    key = ("refused_requests", "requests")
    signals = wait_for_signals(
        gateway, served, lambda found: bool(found) and found[key]["rows"] == 180
    )
    assert signals[key]["verdict"] == "alarm"
    assert signals["missing_values", "income"]["rows"] == 60

    # Signals and counts come by different ways: the page may be behind for a moment.
    wait_for(lambda: sum(_refused(gateway, served).values()) >= 120, "all on the page", 60.0)
    ((line, count),) = _refused(gateway, served).items()
    assert 'weir_reason="renamed input"' in line
    assert count == 120


def _refused(gateway: Running, model: str) -> dict[str, float]:
    """What the page of metrics says of a model's refused requests, by series; no noughts."""
    page = httpx.get(f"{gateway.control}/metrics", timeout=30, trust_env=False).text
    series = (line.rsplit(maxsplit=1) for line in page.splitlines() if f'"{model}"' in line)
    return {
        name: float(count)
        for name, count in series
        if name.startswith("weir_requests_refused_total{") and float(count)
    }
