"""Truth comes in over the inference port and meets its prediction, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml

from registry.card import Card
from serve.control.client import ControlClient
from tests.gateway.asking import infer_path, tensor, wait_for
from tests.gateway.running import Running, running_gateway, weir
from tests.gateway.watching import CARD, files_in, register, rows, wait_for_signals
from tests.registry.models import scorer

pytestmark = pytest.mark.gateway
MODEL = "credit"
ROUGH = "rough"
SETTINGS = {
    "monitors": {"signals_s": 0.2, "fold_share": 1.0},
    "recorder": {"flush_s": 0.1, "blocks_in_flight": 64, "sample_rows_per_s": 1e6},
}
PRICES = Card.model_validate(
    {
        "task": "regression",
        "score": {"output": "y", "column": 1, "quantile": 0.2},
        "interval": {
            "lower": {"output": "y", "column": 0},
            "upper": {"output": "y", "column": 2},
            "coverage": 0.9,
        },
        "label": {"type": "number"},
        "performance": {"tolerance": {"interval_coverage": 0.4}},
    }
)
LABELLED = {
    **CARD,
    "label": {"type": "boolean"},
    "groups": [{"name": "age", "source": "label"}, {"name": "sex", "source": "audit"}],
}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway with two classifiers that await labels, the second for the rough test."""
    folder = tmp_path_factory.mktemp("labels")
    files = files_in(folder)
    files.card.write_text(yaml.safe_dump(LABELLED))
    with running_gateway(folder, SETTINGS) as running:
        with ControlClient(running.control, "ada") as control:
            for model in (MODEL, ROUGH):
                register(running, model, files)
                control.set_route(model, {1: 100})
        yield running


@pytest.fixture
def http(labelled: Running) -> Iterator[httpx.Client]:
    """A client of its inference port."""
    with httpx.Client(base_url=labelled.http, trust_env=False, timeout=40) as client:
        yield client


def predict(http: httpx.Client, count: int, model: str = MODEL, **more: str) -> str:
    """Ask for so many rows at once; gives the prediction's id."""
    asked = rows(np.random.default_rng(count), count).tolist()
    answer = http.post(infer_path(model), json={"inputs": [tensor(asked)], **more})
    assert answer.status_code == 200, answer.text
    return str(answer.headers["weir-prediction-id"])


def tell(
    http: httpx.Client,
    *labels: Mapping[str, object],
    what: str = "feedback",
    model: str = MODEL,
) -> Any:
    """Send labels; gives what became of them."""
    key = "labels" if what == "feedback" else what
    answer = http.post(f"/v1/models/{model}/{what}", json={key: labels})
    assert answer.status_code == 200, answer.text
    return answer.json()


def counts(receipt: Mapping[str, Any]) -> dict[str, int]:
    """The counts of a receipt that are not zero."""
    return {name: n for name, n in receipt.items() if isinstance(n, int) and n}


def labels_of(gateway: Running) -> dict[str, Any]:
    """What the command says of the model's labels."""
    done = weir("labels", MODEL, "--json", "--url", gateway.control)
    if "no labels are kept" in done.stderr:  # Nothing has come yet.
        return {}
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def known(gateway: Running) -> Counter[str]:
    """How many predictions were taken in, and how many have a label."""
    told = labels_of(gateway) or {"arms": ()}
    return Counter(
        predictions=sum(arm["predictions"] for arm in told["arms"]),
        labelled=sum(arm["labelled"] for arm in told["arms"]),
    )


def wait_for_labels(gateway: Running, before: Counter[str], **more: int) -> None:
    """Wait until there is so much more of everything."""
    wanted = Counter(before)
    wanted.update(more)

    def there() -> bool:
        return known(gateway) == wanted

    wait_for(there, f"{dict(wanted)}", 90.0)


def test_labels_meet_their_predictions(labelled: Running, http: httpx.Client) -> None:
    """By the prediction's id and row, and by the caller's own key; once, again and corrected."""
    before = known(labelled)
    prediction = predict(http, 3, id="mine")
    wait_for_labels(labelled, before, predictions=3)
    first = {"prediction_id": prediction, "label": True, "groups": {"age": "old"}}
    second = {"key": "mine", "row": 1, "label": False, "values": {"profit": -3.5}}

    assert counts(tell(http, first, second)) == {"accepted": 2, "joined": 2}
    assert counts(tell(http, first, second)) == {"accepted": 2, "repeated": 2}
    corrected = {"key": "mine", "row": 0, "label": False, "groups": {"age": "old"}}
    assert counts(tell(http, corrected)) == {"accepted": 1, "corrected": 1}
    assert known(labelled) == before + Counter(predictions=3, labelled=2)


def test_labels_may_come_first(labelled: Running, http: httpx.Client) -> None:
    """One that is waiting is joined when its prediction has come."""
    before = known(labelled)
    early = {"key": "to come", "label": 1}

    assert counts(tell(http, early)) == {"accepted": 1, "waiting": 1}
    assert counts(tell(http, early)) == {"accepted": 1, "repeated": 1}
    predict(http, 1, id="to come")
    wait_for_labels(labelled, before, predictions=1, labelled=1)
    assert counts(tell(http, early)) == {"accepted": 1, "repeated": 1}


def test_group_attributes_for_audits(labelled: Running, http: httpx.Client) -> None:
    """They come on their own channel, and on no other."""
    before = known(labelled)
    prediction = predict(http, 1)
    wait_for_labels(labelled, before, predictions=1)
    audited = {"prediction_id": prediction, "groups": {"sex": "F"}}

    assert tell(http, audited, what="groups")["accepted"] == 1
    for path, key, message in (
        ("feedback", "labels", audited),
        ("feedback", "labels", {**audited, "label": True}),
        ("groups", "groups", {**audited, "label": True}),
        ("groups", "groups", {"prediction_id": prediction, "groups": {"age": "old"}}),
    ):
        refused = http.post(f"/v1/models/{MODEL}/{path}", json={key: [message]})
        assert (refused.status_code, refused.json()["code"]) == (422, "refused"), message


@pytest.mark.parametrize(
    "bad",
    [
        {"label": True},
        {"prediction_id": "0" * 31, "label": True},
        {"key": "a", "label": "maybe"},
        {"key": "a", "label": True, "row": -1},
        {"key": "a", "label": True, "at": "2126-01-01T00:00:00Z"},
        {"key": "a", "label": True, "groups": {"region": "north"}},
        {"key": "a", "label": True, "values": {"profit": "much"}},
        {"key": "a", "label": True, "more": 1},
    ],
)
def test_what_cannot_be_right_is_refused(http: httpx.Client, bad: Mapping[str, object]) -> None:
    """Alone it is an error with its reason; among others it has its place, and they come in."""
    alone = http.post(f"/v1/models/{MODEL}/feedback", json={"labels": [bad]})
    good = {"key": "good among bad", "label": True}
    among = tell(http, good, bad)

    assert alone.status_code == 422, alone.text
    assert among["refused"] == [{"index": 1, "reason": alone.json()["error"]}]
    assert among["accepted"] == among["refused_count"] == 1


def test_a_file_of_labels(labelled: Running, http: httpx.Client, tmp_path: Path) -> None:
    """The command sends it, says what became of it, and what was refused by its reason."""
    before = known(labelled)
    ids = [predict(http, 2) for _ in range(20)]
    wait_for_labels(labelled, before, predictions=40)
    made = tmp_path / "labels.parquet"
    table = {
        "prediction_id": [each for each in ids for _ in range(2)],
        "row": [0, 1] * 20,
        "label": [True, False] * 20,
        "group_age": ["old", "young"] * 20,
        "value_profit": np.arange(40.0),
    }
    pyarrow.parquet.write_table(pa.table(table), made)
    command = ("feedback", MODEL, str(made), "--url", labelled.http)

    done, again = weir(*command), weir(*command)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("40 of 40 accepted: 40 joined")
    assert "40 known already" in again.stdout
    assert known(labelled) == before + Counter(predictions=40, labelled=40)
    wrong = tmp_path / "labels.csv"
    wrong.write_text(f"prediction_id,label\n{ids[0]},perhaps\n")
    refused = weir("feedback", MODEL, str(wrong), "--url", labelled.http)
    assert refused.returncode == 1
    assert "true or false" in refused.stdout


def test_what_the_command_says(labelled: Running, http: httpx.Client) -> None:
    """A table a version for people."""
    before = known(labelled)
    predict(http, 1)
    wait_for_labels(labelled, before, predictions=1)

    done = weir("labels", MODEL, "--url", labelled.control)

    assert done.returncode == 0, done.stderr
    assert "version 1, stable" in done.stdout


def test_the_interval_of_a_regression_is_judged_by_its_labels(
    labelled: Running, http: httpx.Client
) -> None:
    """The ends that were answered are kept until the truth comes: nine of ten lie between them."""
    with ControlClient(labelled.control, "ada") as control:
        made = control.upload(scorer(3).SerializeToString())
        control.register("price", made, PRICES)
        control.set_route("price", {1: 100})
    asked = rows(np.random.default_rng(3), 400).tolist()
    answer = http.post(infer_path("price"), json={"inputs": [tensor(asked)]})
    assert answer.status_code == 200, answer.text
    ends = np.array(answer.json()["outputs"][0]["data"], np.float32).reshape(-1, 3).astype(float)
    in_order = np.flatnonzero(ends[:, 0] < ends[:, 2])[:100]
    between, above = ends[:, [0, 2]].mean(axis=1), ends[:, 2] + 1
    truth = np.where(np.arange(100) < 90, between[in_order], above[in_order])
    prediction = answer.headers["weir-prediction-id"]
    labels = [
        {"prediction_id": prediction, "row": row, "label": label}
        for row, label in zip(in_order.tolist(), truth.tolist(), strict=True)
    ]
    assert tell(http, *labels, model="price")["accepted"] == 100

    coverage = ("realised", "interval_coverage")
    found = wait_for_signals(
        labelled, "price", lambda told: coverage in told and told[coverage]["rows"] == 100
    )

    assert (found[coverage]["value"], found[coverage]["verdict"]) == (0.9, "ok")
    assert "allowed from 0.5 to 1.3 (promised 0.9, tolerance 0.4)" in found[coverage]["message"]
    above_score = truth - ends[in_order, 1]
    lost = np.maximum(0.2 * above_score, -0.8 * above_score).mean()
    assert found["realised", "pinball"]["value"] == pytest.approx(lost)


@pytest.mark.slow
def test_no_acknowledged_label_is_lost(labelled: Running, http: httpx.Client) -> None:
    """The observer is killed while labels come in: whatever was acknowledged is known afterwards.

    Meanwhile senders hear that it is not there, and inference is answered.
    """
    sent = [{"key": f"killed {place}", "label": place % 2 == 0} for place in range(600)]
    acknowledged: list[dict[str, object]] = []
    statuses = Counter[int]()

    def send(label: dict[str, object]) -> None:
        answer = http.post(f"/v1/models/{ROUGH}/feedback", json={"labels": [label]})
        statuses[answer.status_code] += 1
        if answer.status_code == 200:
            acknowledged.append(label)

    (observer,) = labelled.pids("observer")
    with ThreadPoolExecutor(4) as senders:
        sending = [senders.submit(send, label) for label in sent]
        wait_for(lambda: len(acknowledged) >= 50, "labels come in", 90.0)
        os.kill(observer, signal.SIGKILL)
        predict(http, 1, model=ROUGH)
        for each in sending:
            each.result()

    assert set(statuses) <= {200, 503}
    wait_for(lambda: _takes(http), "the observer is back", 90.0)
    again = Counter[str]()
    for start in range(0, len(acknowledged), 100):
        again.update(counts(tell(http, *acknowledged[start : start + 100], model=ROUGH)))
    assert again == {"accepted": len(acknowledged), "repeated": len(acknowledged)}
    assert labelled.pids("observer") != {observer}


def _takes(http: httpx.Client) -> bool:
    label = {"key": "killed 0", "label": True}
    answer = http.post(f"/v1/models/{ROUGH}/feedback", json={"labels": [label]})
    return answer.status_code == 200
