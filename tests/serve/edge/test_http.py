"""The inference port over real HTTP, with a real model behind it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from configs.errors import Breach
from monitors.telemetry import names
from registry.card import Card, Feature, Score, Task
from registry.records import FULL, Arm, Role, Route, ShadowArm
from serve.router import Router
from tests.serve.stage import Stage, stage
from tests.serve.versions import GROUPED, MODEL, SALT, table
from tests.serve.waiting import wait_until

INFER = f"/v2/models/{MODEL}/infer"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway with hosts of versions 1 and 2."""
    with stage(tmp_path_factory.mktemp("run")) as opened:
        opened.start_host(1)
        opened.start_host(2)
        yield opened


@pytest.fixture
def http(served: Stage) -> Iterator[httpx.Client]:
    """A client of a gateway whose version 1 serves alone."""
    served.apply(table(served.next_generation(), {1: FULL}))
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        yield client


def row(*values: float, **more: object) -> dict[str, object]:
    """A request of one row."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": values}
    return {"inputs": [tensor], **more}


def answered(served: Stage, version: int, arm: str, error: str = "") -> int:
    """How many requests a version has answered in a role."""
    series = (names.INFERENCE_DURATION.name, (MODEL, str(version), arm, error))
    found = served.counts().histograms.get(series)
    return sum(found.buckets) if found else 0


def shadowed(served: Stage, outcome: str, version: int = 2) -> int:
    """How many copies for a version came to this end."""
    series = (names.SHADOW_REQUESTS.name, (MODEL, str(version), outcome))
    return served.counts().counters.get(series, 0)


def test_an_answer(http: httpx.Client) -> None:
    """The sum of the row plus the version's number, in the protocol's JSON, with our headers."""
    reply = http.post(INFER, json=row(1, 2, 3, id="mine"))

    assert reply.status_code == 200
    assert reply.json() == {
        "model_name": MODEL,
        "model_version": "1",
        "id": "mine",
        "parameters": {
            "weir_prediction_id": reply.headers["weir-prediction-id"],
            "weir_arm": "stable",
        },
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [7.0]}],
    }
    assert reply.headers["content-type"] == "application/json"
    assert (reply.headers["weir-version"], reply.headers["weir-arm"]) == ("1", "stable")
    assert len(bytes.fromhex(reply.headers["weir-prediction-id"])) == 16
    assert "connection" not in reply.headers


def test_prediction_ids_differ(http: httpx.Client) -> None:
    """Each answer has an id of its own."""
    ids = {http.post(INFER, json=row(1, 2, 3)).headers["weir-prediction-id"] for _ in range(50)}

    assert len(ids) == 50


def refused(served: Stage, model: str = MODEL) -> dict[str, int]:
    """How many requests broke the contract, by what of it."""
    counters = served.counts().counters
    return {
        labels[1]: count
        for (name, labels), count in counters.items()
        if name == names.REQUESTS_REFUSED.name and labels[0] == model
    }


def test_requests_that_break_the_contract_are_counted(http: httpx.Client, served: Stage) -> None:
    """By what of it they break; good ones are not, nor those of models that are not there."""
    before = refused(served)
    renamed = {"inputs": [{**row(1, 2, 3)["inputs"][0], "name": "z"}]}  # type: ignore[index]
    unshaped = {"inputs": [{**row(1, 2, 3)["inputs"][0], "shape": "wide"}]}  # type: ignore[index]

    assert http.post(INFER, json=row(1, 2, 3)).status_code == 200
    for sent, times in ((renamed, 3), (unshaped, 2)):
        for _ in range(times):
            assert http.post(INFER, json=sent).status_code == 400
    assert http.post("/v2/models/nobody/infer", json=unshaped).status_code == 400
    assert http.post(INFER, content=b"{").status_code == 400

    now = refused(served)
    assert {key: now[key] - before.get(key, 0) for key in now if now[key] != before.get(key)} == {
        Breach.RENAMED_INPUT: 3,
        Breach.SHAPE: 2,
    }
    assert refused(served, "nobody") == {}


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        pytest.param("/v2/health/live", {"live": True}, id="live"),
        pytest.param("/v2/health/ready", {"ready": True, "live": True}, id="ready"),
        pytest.param(f"/v2/models/{MODEL}/ready", {"name": MODEL, "ready": True}, id="model"),
        pytest.param(
            f"/v2/models/{MODEL}/versions/1/ready", {"name": MODEL, "ready": True}, id="version"
        ),
    ],
)
def test_health(http: httpx.Client, path: str, wanted: dict[str, object]) -> None:
    """Server, model and version say that they are there."""
    reply = http.get(path)

    assert (reply.status_code, reply.json()) == (200, wanted)


def test_metadata(http: httpx.Client, served: Stage) -> None:
    """The server names itself; a model names its versions, its tensors and its extra inputs."""
    grouped = table(served.next_generation(), {1: FULL}, previous=2, card=GROUPED)
    served.apply(table(served.next_generation(), {2: FULL}))
    served.apply(grouped)

    assert http.get("/v2").json()["name"] == "weir"
    model = http.get(f"/v2/models/{MODEL}").json()
    assert (model["name"], model["versions"]) == (MODEL, ["1", "2"])
    assert model["inputs"][0] == {"name": "x", "datatype": "FP32", "shape": [-1, 3]}
    assert model["inputs"][1:] == [{"name": "sex", "datatype": "BYTES", "shape": [-1]}]
    assert model["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}]
    assert http.get(f"/v2/models/{MODEL}/versions/1").json() == model


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("POST", f"/v2/models/{MODEL}/versions/x/infer", 404, id="no-version"),
        pytest.param("GET", "/v2/models/other", 404, id="unknown-metadata"),
        pytest.param("GET", "/v2/models/other/ready", 404, id="unknown-readiness"),
        pytest.param("GET", "/nothing", 404, id="unknown-path"),
        pytest.param("GET", INFER, 405, id="get-inference"),
        pytest.param("POST", "/v2/health/live", 405, id="post-health"),
        pytest.param("DELETE", f"/v2/models/{MODEL}", 405, id="delete-model"),
    ],
)
def test_what_is_not_there(http: httpx.Client, method: str, path: str, status: int) -> None:
    """Unknown names and methods get their status and a sentence."""
    reply = http.request(method, path)

    assert reply.status_code == status
    assert list(reply.json()) == ["error", "code", "request_id"]
    assert reply.json()["error"]
    assert len(bytes.fromhex(reply.json()["request_id"])) == 16
    assert ("allow" in reply.headers) == (status == 405)


@pytest.mark.parametrize(
    ("sent", "headers", "status", "says"),
    [
        pytest.param(b"{", {}, 400, "not JSON", id="malformed"),
        pytest.param(b"", {}, 400, "not JSON", id="empty"),
        pytest.param(b"[" * 9999, {}, 400, "not JSON", id="deep"),
        pytest.param(
            b'{"inputs":[{"name":"z","shape":[],"data":[]}]}', {}, 400, "no input 'z'", id="name"
        ),
        pytest.param(b"{}", {"content-encoding": "br"}, 415, "gzip or deflate", id="brotli"),
        pytest.param(b"{}", {"content-encoding": "gzip"}, 400, "Content-Encoding", id="no-gzip"),
        pytest.param(
            b"{}", {"inference-header-content-length": "-2"}, 400, "number of bytes", id="negative"
        ),
        pytest.param(
            b"{}", {"inference-header-content-length": "3"}, 400, "fewer than", id="too-far"
        ),
    ],
)
def test_bad_bodies(
    http: httpx.Client, sent: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    """Bodies that cannot be understood are refused with the reason, on a connection that lives."""
    reply = http.post(INFER, content=sent, headers=headers)

    assert reply.status_code == status
    assert says in reply.json()["error"]
    assert http.post(INFER, json=row(1, 2, 3)).status_code == 200


@pytest.mark.parametrize("path", ["/v2/models/other/infer", f"/v2/models/{MODEL}/versions/9/infer"])
def test_who_is_not_there(http: httpx.Client, path: str) -> None:
    """A good request to a model or version that is not served is not found."""
    reply = http.post(path, json=row(1, 2, 3))

    assert reply.status_code == 404
    assert reply.json()["code"] in ("model_not_found", "version_not_found")


def test_identity_is_no_encoding(http: httpx.Client) -> None:
    """`Content-Encoding: identity` changes nothing."""
    reply = http.post(INFER, json=row(1, 2, 3), headers={"content-encoding": "identity"})

    assert reply.status_code == 200


def test_errors_and_answers_are_counted_exactly(http: httpx.Client, served: Stage) -> None:
    """Every request is in exactly one series of its version, by the code of its error."""
    good, bad = answered(served, 1, "stable"), answered(served, 1, "stable", "bad_tensor")

    for _ in range(7):
        http.post(INFER, json=row(1, 2, 3))
    for _ in range(5):
        http.post(INFER, json=row(1, 2))

    wait_until(lambda: answered(served, 1, "stable") == good + 7, "seven answers")
    wait_until(lambda: answered(served, 1, "stable", "bad_tensor") == bad + 5, "five errors")


def test_requests_are_counted_by_route_and_status(http: httpx.Client, served: Stage) -> None:
    """HTTP durations are kept by template, never by what a client made up."""
    http.get("/nothing/at/all")
    http.request("BREW", INFER)
    http.get("/v2/health/live")

    def series() -> set[tuple[str, ...]]:
        histograms = served.counts().histograms
        return {
            attributes for name, attributes in histograms if name == "http.server.request.duration"
        }

    wanted = {("_OTHER", "unknown", "404", "not_found"), ("GET", "/v2/health/live", "200", "")}
    wait_until(lambda: wanted <= series(), "both routes")
    assert all("nothing" not in part for attributes in series() for part in attributes)
    assert all(attributes[0] != "BREW" for attributes in series())


def test_a_unit_always_meets_the_same_arm(http: httpx.Client, served: Stage) -> None:
    """`Weir-Key` decides between the arms, as the router alone would."""
    served.apply(table(served.next_generation(), {1: 5000, 2: 5000}))
    router = Router(Route(MODEL, 1, 1, (Arm(1, 5000), Arm(2, 5000)), SALT))

    for unit in range(20):
        key = f"user-{unit}"
        replies = [http.post(INFER, json=row(1, 2, 3), headers={"Weir-Key": key}) for _ in range(3)]
        choice = router.choose(key.encode(), 0)
        assert {reply.headers["weir-version"] for reply in replies} == {str(choice.version)}
        assert {reply.headers["weir-arm"] for reply in replies} == {choice.role.value}
        assert {reply.json()["outputs"][0]["data"][0] for reply in replies} == {
            6.0 + choice.version
        }


def test_a_pin_decides_the_version(http: httpx.Client, served: Stage) -> None:
    """A version in the path answers as `pinned`, though it has no traffic of its own."""
    served.apply(table(served.next_generation(), {1: FULL}, previous=2))

    reply = http.post(f"/v2/models/{MODEL}/versions/2/infer", json=row(1, 2, 3))

    assert reply.json()["outputs"][0]["data"] == [8.0]
    assert (reply.headers["weir-version"], reply.headers["weir-arm"]) == ("2", "pinned")


def test_a_shadow_sees_the_same_request(http: httpx.Client, served: Stage) -> None:
    """With a full shadow every answer has a copy of the same id, input and groups."""
    first = Feature(name="first", input="x", column=0)
    card = Card(task=Task.REGRESSION, score=Score(output="y"), features=(first,))
    for number in (7, 8):  # A version that was served before would keep the card it had.
        served.start_host(number)
    routes = table(served.next_generation(), {7: FULL}, shadow=ShadowArm(8, FULL), card=card)
    served.apply(routes)
    served.gateway.recorder.take()
    sent = shadowed(served, "sent", 8)

    replies = [http.post(INFER, json=row(n, 0, 0)) for n in range(10)]
    wait_until(lambda: shadowed(served, "sent", 8) == sent + 10, "ten copies")

    assert {reply.headers["weir-version"] for reply in replies} == {"7"}
    samples, _ = served.gateway.recorder.take()
    roles: dict[Role, dict[str, Any]] = {Role.STABLE: {}, Role.SHADOW: {}}
    for sample in samples:
        roles[sample.origin.role][sample.prediction_id] = sample
    assert roles[Role.STABLE].keys() == roles[Role.SHADOW].keys()
    for name, sample in roles[Role.STABLE].items():
        shadow = roles[Role.SHADOW][name]
        assert shadow.inputs[0].tolist() == sample.inputs[0].tolist()
        assert shadow.outputs[0].item() == sample.outputs[0].item() + 1


def test_versions_that_nobody_can_reach(http: httpx.Client, served: Stage) -> None:
    """A version without a host is `503` with the advice to try again, and the gateway not ready."""
    served.apply(table(served.next_generation(), {3: FULL}), connect_s=0.05)

    inference = http.post(INFER, json=row(1, 2, 3))
    assert inference.status_code == 503
    assert inference.headers["retry-after"] == "1"
    assert "version 3 of credit is not ready" in inference.json()["error"]
    assert http.get("/v2/health/ready").status_code == 503
    assert http.get(f"/v2/models/{MODEL}/ready").status_code == 503
    assert http.get("/v2/health/live").status_code == 200


def test_draining_answers_ask_to_reconnect(http: httpx.Client, served: Stage) -> None:
    """While it drains every answer, good or bad, closes its connection; readiness is gone."""
    served.reception.draining = True
    try:
        replies = [http.post(INFER, json=row(1, 2, 3)), http.get("/nothing")]
        assert http.get("/v2/health/ready").status_code == 503
    finally:
        served.reception.draining = False

    assert [reply.headers["connection"] for reply in replies] == ["close", "close"]


def test_no_sentence_tells_of_our_insides(http: httpx.Client, served: Stage) -> None:
    """A fault of ours is `internal error` to the client, and counted as such."""
    contract = served.gateway.model_version(MODEL, 1).contract
    whole, contract._all = contract._all, {}
    try:
        reply = http.post(INFER, json=row(1, 2, 3))
    finally:
        contract._all = whole

    assert (reply.status_code, reply.json()["error"]) == (500, "internal error")
    wait_until(lambda: answered(served, 1, "stable", "internal") > 0, "the error is counted")


def test_a_head_without_a_body_leaves_before_the_next_answer(served: Stage) -> None:
    """Who asks with HEAD is answered at once, and not behind the inference that comes next."""
    served.apply(table(served.next_generation(), {1: FULL}))
    body = orjson.dumps(row(1, 2, 3))
    with socket.create_connection(("127.0.0.1", served.port), timeout=5) as connection:
        connection.sendall(b"HEAD /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 405")
        connection.sendall(
            f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
