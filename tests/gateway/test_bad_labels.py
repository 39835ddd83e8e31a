"""Labels and figures of business value that make no sense: counted or refused, and bounded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from serve.control.client import ControlClient
from tests.gateway.asking import infer_path, tensor, wait_for
from tests.gateway.running import Running, running_gateway, weir
from tests.gateway.watching import CARD, Signals, files_in, register, rows, wait_for_signals

pytestmark = pytest.mark.gateway
MODEL = "credit"
TOWNS = 10_000
BATCH = 500
MEMORY_MIB = 48
"""What 5,000 more towns may add; it is some 5 MiB, and Python gives nothing back."""

SETTINGS = {
    "monitors": {
        "signals_s": 0.2,
        "fold_share": 1.0,
        "kpis": {
            MODEL: {
                "ratio": {"expression": "1 / values.amount"},
                "misspelt": {"expression": "values.amuont * decision"},
                "colour": {"expression": "where(groups.colour == 'red', 1, 0)"},
            }
        },
    },
    "recorder": {"flush_s": 0.1, "blocks_in_flight": 64, "sample_rows_per_s": 1e6},
}
LABELLED = {
    **CARD,
    "label": {"type": "boolean"},
    "groups": [{"name": "town", "source": "label"}],
    "fairness": {"equal_opportunity": {"max_gap": 0.1}},
    "performance": {"minimum": {"accuracy": 0.1}, "segments": ["town"]},
}


@pytest.fixture(scope="module")
def gateway_of_towns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway with a classifier whose labels come with a town."""
    folder = tmp_path_factory.mktemp("towns")
    files = files_in(folder)
    files.card.write_text(yaml.safe_dump(LABELLED))
    with running_gateway(folder, SETTINGS) as running:
        register(running, MODEL, files)
        with ControlClient(running.control, "ada") as control:
            control.set_route(MODEL, {1: 100})
        yield running


def judge(gateway: Running, first: int, towns: int) -> dict[str, int]:
    """Predict so many rows, and say what was true of each, each in a town of its own.

    The amount of every other row is nothing. Gives what the labels became.
    """
    became = dict.fromkeys(("accepted", "refused_count"), 0)
    with httpx.Client(base_url=gateway.http, trust_env=False, timeout=40) as client:
        for start in range(first, first + towns, BATCH):
            asked = rows(np.random.default_rng(start), BATCH).tolist()
            answer = client.post(infer_path(MODEL), json={"inputs": [tensor(asked)]})
            assert answer.status_code == 200, answer.text
            labels: list[dict[str, Any]] = [
                {
                    "prediction_id": answer.headers["weir-prediction-id"],
                    "row": row,
                    "label": row % 3 == 0,
                    "groups": {"town": f"town {start + row}"},
                    "values": {"amount": float(row % 2)},
                }
                for row in range(BATCH)
            ]
            told = client.post(f"/v1/models/{MODEL}/feedback", json={"labels": labels})
            assert told.status_code == 200, told.text
            became = {name: count + told.json()[name] for name, count in became.items()}
            # More at once than the monitors keep up with would not be sampled on a busy machine.
            judged(gateway, start + BATCH)
    return became


def judged(gateway: Running, count: int) -> Signals:
    """The signals once so many rows count."""
    return wait_for_signals(
        gateway,
        MODEL,
        lambda found: all(
            found.get(each, {"rows": 0})["rows"] == expected
            for each, expected in (
                (("realised", "accuracy"), count),
                (("kpi", "ratio"), count // 2),
            )
        ),
    )


def series(gateway: Running) -> int:
    """How many series there are about the model."""
    told = httpx.get(f"{gateway.control}/metrics", trust_env=False)
    return sum(f'"{MODEL}"' in line for line in told.text.splitlines())


def memory_mib(gateway: Running) -> float:
    """What the observer has in memory."""
    (observer,) = gateway.pids("observer")
    status = Path(f"/proc/{observer}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def test_a_group_of_ten_thousand_values_is_bounded_and_what_was_left_out_is_told(
    gateway_of_towns: Running,
) -> None:
    """5,000 towns, and 5,000 others: neither series nor memory grow, and `other` has the rest."""
    gateway = gateway_of_towns
    assert judge(gateway, 0, TOWNS // 2) == {"accepted": TOWNS // 2, "refused_count": 0}
    before, held = series(gateway), memory_mib(gateway)

    assert judge(gateway, TOWNS // 2, TOWNS // 2)["accepted"] == TOWNS // 2
    found = judged(gateway, TOWNS)

    assert series(gateway) == before
    assert memory_mib(gateway) < held + MEMORY_MIB
    of_towns = {subject for _, subject in found if subject.startswith("town")}
    assert {"town=other", "town=(rare)", "town=other accuracy"} <= of_towns
    assert len(of_towns) < 40, of_towns
    assert found["realised", "town=other accuracy"]["rows"] > TOWNS * 0.99

    assert found["equal_opportunity", "town=other"]["verdict"] == "insufficient data"

    left_out = f"{TOWNS // 2:,} with division by zero"
    assert found["kpi", "ratio"]["message"].endswith(f"left out: {left_out}")
    misspelt, colour = found["kpi", "misspelt"], found["kpi", "colour"]
    assert misspelt["verdict"] == colour["verdict"] == "insufficient data"
    assert misspelt["message"].endswith(f"left out: {TOWNS:,} with no values.amuont")
    assert "no group attribute 'colour'" in colour["message"]


def test_labels_of_predictions_that_nobody_made_wait_and_count_for_nothing(
    gateway_of_towns: Running,
) -> None:
    """They are acknowledged, since their prediction may be on its way, and are in no figure."""
    gateway = gateway_of_towns
    strangers = [{"prediction_id": f"{place:032x}", "label": True} for place in range(100)]
    for became in ("waiting", "repeated"):
        told = httpx.post(
            f"{gateway.http}/v1/models/{MODEL}/feedback",
            json={"labels": strangers},
            trust_env=False,
        )
        assert told.json()["accepted"] == told.json()[became] == 100, told.text
    wait_for(lambda: _waiting(gateway) == 100, "labels that wait are told", 20.0)
    done = weir("labels", MODEL, "--json", "--url", gateway.control)
    assert sum(arm["labelled"] for arm in json.loads(done.stdout)["arms"]) % TOWNS == 0


def _waiting(gateway: Running) -> int:
    """How many labels have no prediction; none while nothing is kept."""
    done = weir("labels", MODEL, "--json", "--url", gateway.control)
    return int(json.loads(done.stdout)["waiting"]) if done.returncode == 0 else 0
