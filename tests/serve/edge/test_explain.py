"""Explanations over real HTTP, beside a model that goes on answering."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from jsonschema import Draft202012Validator

from configs.settings import Limits, Settings
from monitors.telemetry import names
from serve.protocol.openapi import document
from serve.protocol.paths import Ask
from tests.serve.explained import FEATURES, MEANS, routed, stored
from tests.serve.stage import Stage, stage
from tests.serve.versions import MODEL

EXPLAIN = f"/v2/models/{MODEL}/explain"
INFER = f"/v2/models/{MODEL}/infer"


@pytest.fixture(scope="module", name="served")
def served_regressor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One version, with a reference."""
    data = tmp_path_factory.mktemp("data")
    settings = Settings(data=data, limits=Limits(drain_s=1.0))
    with stage(tmp_path_factory.mktemp("run"), settings=settings) as opened:
        opened.start_host(1)
        opened.apply(routed(stored(data / "artifacts")))
        yield opened


@pytest.fixture
def http(served: Stage) -> Iterator[httpx.Client]:
    """A client."""
    with httpx.Client(base_url=served.url, trust_env=False, timeout=30) as client:
        yield client


def body(*rows: tuple[float, float, float], **more: Any) -> dict[str, Any]:
    """A request about rows."""
    data = [value for row in rows for value in row]
    tensor = {"name": "x", "datatype": "FP32", "shape": [len(rows), 3], "data": data}
    return {"inputs": [tensor], **more}


def answer(reply: httpx.Response) -> dict[str, Any]:
    """A good answer, which is as the document says."""
    assert reply.status_code == 200, reply.text
    schema = document()["paths"][Ask.EXPLAIN.value]["post"]["responses"]["200"]
    told = schema["content"]["application/json"]["schema"]
    Draft202012Validator({**told, "components": document()["components"]}).validate(reply.json())
    found: dict[str, Any] = reply.json()
    return found


def test_a_row_is_explained(http: httpx.Client) -> None:
    """Its parts add up to what the model answers, and are those of a sum."""
    asked = body((1, 2, 3), id="mine", parameters={"samples": 512, "budget_ms": 5000})
    reply = http.post(EXPLAIN, json=asked)
    found = answer(reply)
    assert (found["model_name"], found["model_version"], found["id"]) == (MODEL, "1", "mine")
    assert reply.headers["weir-version"] == "1"
    (row,) = found["explanations"]
    predicted = http.post(INFER, json=body((1, 2, 3))).json()["outputs"][0]["data"][0]
    assert row["prediction"] == pytest.approx(predicted)
    values = {each["feature"]: each["value"] for each in row["contributions"]}
    assert row["base_value"] + sum(values.values()) == pytest.approx(predicted, abs=1e-6)
    wanted = dict(zip(FEATURES, np.array([1, 2, 3]) - np.array(MEANS), strict=True))
    assert values == pytest.approx(wanted, abs=0.25)
    for each in row["contributions"]:
        assert each["standard_error"] == pytest.approx(1 / np.sqrt(512), rel=0.2)
    assert row["model_runs"] == 512 * 5 + 1


@pytest.mark.parametrize("version", ["1", "stable"])
def test_a_version_can_be_named(http: httpx.Client, version: str) -> None:
    """By its number or by its role."""
    path = f"/v2/models/{MODEL}/versions/{version}/explain"
    assert answer(http.post(path, json=body((1, 2, 3))))["model_version"] == "1"


def test_several_rows_are_explained_in_their_order(http: httpx.Client) -> None:
    """Each by itself, against the same background."""
    found = answer(http.post(EXPLAIN, json=body((1, 2, 3), (4, 5, 6))))["explanations"]
    assert [row["prediction"] for row in found] == pytest.approx([7.0, 16.0])
    assert found[0]["base_value"] == found[1]["base_value"]


def test_packed_rows_are_explained_too(http: httpx.Client) -> None:
    """Behind JSON, or as nothing but the one input."""
    packed = np.array([[1, 2, 3]], np.float32).tobytes()
    tensor = {
        "name": "x",
        "datatype": "FP32",
        "shape": [1, 3],
        "parameters": {"binary_data_size": 12},
    }
    head = orjson.dumps({"inputs": [tensor], "parameters": {"seed": 9}})
    length = {"Inference-Header-Content-Length": str(len(head))}
    found = answer(http.post(EXPLAIN, content=head + packed, headers=length))
    assert (found["seed"], found["explanations"][0]["prediction"]) == (9, pytest.approx(7.0))
    raw = {"Inference-Header-Content-Length": "0"}
    found = answer(http.post(EXPLAIN, content=packed, headers=raw))
    assert (found["seed"], found["explanations"][0]["prediction"]) == (0, pytest.approx(7.0))


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"samples": 1}, "'samples' must be a whole number from 2 to 1024"),
        ({"samples": 1025}, "'samples'"),
        ({"samples": True}, "'samples'"),
        ({"samples": 2.5}, "'samples'"),
        ({"seed": -1}, "'seed'"),
        ({"seed": "x"}, "'seed'"),
        ({"column": -1}, "'column'"),
        ({"column": 0}, "several columns"),
        ({"budget_ms": "x"}, "'budget_ms' must be a number of milliseconds from 0 to 5000"),
        ({"budget_ms": 5001}, "'budget_ms'"),
        ({"samples": [2]}, "'parameters' of the request"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(
    http: httpx.Client, parameters: dict[str, Any], said: str
) -> None:
    """By their names."""
    reply = http.post(EXPLAIN, json=body((1, 2, 3), parameters=parameters))
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_input")
    assert said in reply.json()["error"]


def test_a_budget_of_nothing_leaves_the_first_walks(http: httpx.Client) -> None:
    """And says how many there were."""
    asked = body((1, 2, 3), parameters={"samples": 1024, "budget_ms": 0})
    (row,) = answer(http.post(EXPLAIN, json=asked))["explanations"]
    assert 2 <= row["samples"] < 1024


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v2/models/nobody/explain", 404, "model_not_found"),
        (f"/v2/models/{MODEL}/versions/9/explain", 404, "version_not_found"),
    ],
)
def test_what_is_not_there_is_not_found(
    http: httpx.Client, path: str, status: int, code: str
) -> None:
    """As for inference."""
    reply = http.post(path, json=body((1, 2, 3)))
    assert (reply.status_code, reply.json()["code"]) == (status, code)


def test_rows_that_do_not_fit_are_refused_and_are_no_matter_of_the_monitors(
    served: Stage, http: httpx.Client
) -> None:
    """In the sentence that inference has; the count of refused requests is that of inference."""

    def refused() -> float:
        series = served.counts().counters
        return sum(
            value for (name, _), value in series.items() if name == names.REQUESTS_REFUSED.name
        )

    before = refused()
    wrong = body((1, 2, 3))
    wrong["inputs"][0]["shape"] = [1, 4]
    told = [http.post(path, json=wrong).json() for path in (INFER, EXPLAIN)]
    assert told[0]["error"] == told[1]["error"]
    assert refused() == before + 1
    assert http.get(EXPLAIN).status_code == 405
    many = http.post(EXPLAIN, json=body(*[(1, 2, 3)] * 17))
    assert (many.status_code, many.json()["code"]) == (400, "bad_input")


def test_too_many_at_once_are_refused_and_the_model_goes_on(
    http: httpx.Client, served: Stage
) -> None:
    """With 503 and when to come back."""
    asked = body((1, 2, 3), parameters={"samples": 1024, "budget_ms": 300})
    asked["inputs"][0]["shape"] = [16, 3]
    asked["inputs"][0]["data"] = [1.0] * 48
    replies: list[httpx.Response] = []

    def ask() -> None:
        replies.append(httpx.post(served.url + EXPLAIN, json=asked, timeout=60, trust_env=False))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        reply = http.post(INFER, json=body((1, 2, 3)))
        assert reply.json()["outputs"][0]["data"] == [7.0]
    for thread in threads:
        thread.join()
    statuses = sorted(reply.status_code for reply in replies)
    assert set(statuses) == {200, 503}
    for reply in replies:
        if reply.status_code == 503:
            assert reply.json()["code"] == "overloaded"
            assert int(reply.headers["retry-after"]) >= 1


def test_a_client_that_will_not_wait(http: httpx.Client) -> None:
    """Its own deadline counts."""
    asked = body(*[(1, 2, 3)] * 16, parameters={"samples": 1024, "budget_ms": 5000})
    reply = http.post(EXPLAIN, json=asked, headers={"Weir-Timeout-Ms": "5"})
    assert (reply.status_code, reply.json()["code"]) == (504, "deadline_exceeded")


def test_requests_are_counted_by_their_route(served: Stage, http: httpx.Client) -> None:
    """Beside those of inference, not among them."""
    http.post(EXPLAIN, json=body((1, 2, 3)))
    routes = {
        attributes[1]
        for (name, attributes) in served.counts().histograms
        if name == names.REQUEST_DURATION.name
    }
    assert Ask.EXPLAIN.value in routes
