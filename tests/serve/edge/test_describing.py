"""What the inference port over HTTP says of itself and its models, and that it says so itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from configs.settings import Limits, Repository, Settings
from registry.card import Group, Label
from registry.records import FULL, RouteTable
from serve.protocol.openapi import document
from serve.protocol.paths import POSTED, Ask, endpoint
from tests.serve.edge.test_bodies import GOOD
from tests.serve.edge.test_grpc import Asked
from tests.serve.edge.test_http import INFER
from tests.serve.observing import Observing
from tests.serve.stage import Stage, stage
from tests.serve.versions import GROUPED, MODEL, table
from tests.serve.waiting import wait_until

LOAD = f"/v2/repository/models/{MODEL}/load"
UNLOAD = f"/v2/repository/models/{MODEL}/unload"
BODIES = {
    "infer": GOOD,
    "explain": GOOD,
    "feedback": b'{"labels": [{"prediction_id": "0", "label": 1}]}',
    "groups": b'{"groups": [{"key": "mine", "groups": {"age": "old"}}]}',
}
CARD = GROUPED.model_copy(
    update={
        "label": Label(type="number"),
        "groups": (*GROUPED.groups, Group(name="age", source="audit")),
    }
)
"""Extra inputs, labels and group attributes for audits."""


@pytest.fixture(scope="module")
def repository() -> Asked:
    """A control plane that remembers what it was asked."""
    return Asked()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, repository: Asked) -> Iterator[Stage]:
    """Version 1 serves, version 2 can be pinned, version 3 is only registered."""
    settings = Settings(limits=Limits(drain_s=1.0), repository=Repository(control=True))
    folder = tmp_path_factory.mktemp("r")
    with stage(folder, settings=settings, repository=repository, observer=Observing()) as opened:
        opened.start_host(1)
        opened.start_host(2)
        opened.apply(table(1, {2: FULL}))
        routed = table(2, {1: FULL}, previous=2, card=CARD).models
        opened.apply(RouteTable(2, routed, {MODEL: (1, 2, 3), "other": (1,)}))
        yield opened


@pytest.fixture
def http(served: Stage) -> Iterator[httpx.Client]:
    """A client."""
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        yield client


def references(node: object) -> Iterator[str]:
    """Every `$ref` in a document."""
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for inner in node.values():
            yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def found(reference: str) -> object:
    """What a reference points at."""
    node: Any = document()
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def test_every_reference_of_the_openapi_document_resolves(http: httpx.Client) -> None:
    """The document is what is served, and points at nothing that is not in it."""
    assert http.get("/openapi.json").json() == document()
    assert all(found(reference) for reference in set(references(document())))


def test_the_openapi_document_has_every_path() -> None:
    """Every path is in it under its method, and every path in it leads where it says."""
    paths = document()["paths"]

    for ask in Ask:
        assert set(paths[ask.value]) == {"post" if ask in POSTED else "get"}
    identities = set()
    for path, methods in paths.items():
        ((method, operation),) = methods.items()
        leads = endpoint(path.replace("{model}", "m").replace("{version}", "1"))
        assert leads.method == method.upper()
        assert (leads.model, leads.version) == (
            "m" if "{model}" in path else "",
            1 if "{version}" in path else None,
        )
        wanted = [part for part in ("model", "version") if f"{{{part}}}" in path]
        named = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
        assert named == wanted
        identities.add(operation["operationId"])
    assert len(identities) == len(paths)


def test_every_schema_of_the_openapi_document_is_one() -> None:
    """The schemas follow JSON Schema's own rules."""
    for schema in document()["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def fits(path: str, reply: httpx.Response) -> None:
    """Check an answer against the schema that the document has for its path and status."""
    ((_, operation),) = document()["paths"][path].items()
    responses = operation["responses"]
    told = responses.get(str(reply.status_code), responses["default"])
    schema = told["content"]["application/json"]["schema"]
    whole = {**schema, "components": document()["components"]}
    Draft202012Validator(whole).validate(reply.json())


def test_real_answers_fit_their_schemas(http: httpx.Client) -> None:
    """Every path answers as the document says, good and bad."""
    for path, methods in document()["paths"].items():
        if "/repository/models/" in path:
            continue
        for model, number in ((MODEL, "1"), ("nobody", "1"), (MODEL, "9")):
            real = path.replace("{model}", model).replace("{version}", number)
            content = BODIES.get(path.rpartition("/")[2], b"")
            reply = http.request("POST" if "post" in methods else "GET", real, content=content)
            fits(path, reply)
            if path.endswith("/explain"):  # These versions have no reference.
                assert reply.status_code in (404, 422)
                continue
            known = "{model}" not in path or (model == MODEL and number == "1")
            assert (reply.status_code == 200) == (
                known or (model == MODEL and real.count("/9") == 0)
            )


def test_real_requests_fit_their_schema() -> None:
    """What the tests send is what the document asks for."""
    body = document()["paths"][Ask.INFER.value]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    whole = Draft202012Validator({**schema, "components": document()["components"]})

    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [[1, 2, 3]]}
    whole.validate({"inputs": [tensor], "outputs": [], "parameters": {"timeout": 5, "a": "b"}})
    assert not whole.is_valid({"inputs": []})
    assert not whole.is_valid({"inputs": [{**tensor, "shape": [-1]}]})


def test_a_configuration(http: httpx.Client) -> None:
    """In Triton's terms the rows are not one of the sizes, and extra inputs may be left out."""
    wanted = {
        "name": MODEL,
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "max_batch_size": 256,
        "input": [
            {"name": "x", "data_type": "TYPE_FP32", "dims": [3], "optional": False},
            {"name": "sex", "data_type": "TYPE_STRING", "dims": [1], "optional": True},
        ],
        "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [1]}],
        "dynamic_batching": {"max_queue_delay_microseconds": 0},
    }

    assert http.get(f"/v2/models/{MODEL}/config").json() == wanted
    assert http.get(f"/v2/models/{MODEL}/versions/1/config").json() == wanted


def test_statistics(http: httpx.Client) -> None:
    """Answers and errors are counted where they were given; versions that idle are told too."""

    def told(path: str) -> list[dict[str, Any]]:
        stats: list[dict[str, Any]] = http.get(path).json()["model_stats"]
        return stats

    of_one = f"/v2/models/{MODEL}/versions/1/stats"
    before = told(of_one)[0]
    for _ in range(3):
        http.post(INFER, content=GOOD)
    http.post(INFER, json={"inputs": [{"name": "x", "shape": [], "data": []}]})

    def more(name: str, count: int) -> bool:
        stats = told(of_one)[0]["inference_stats"][name]
        return bool(stats["count"] == before["inference_stats"][name]["count"] + count)

    wait_until(lambda: more("success", 3) and more("fail", 1), "three answers and an error")
    (after,) = told(of_one)
    assert (after["name"], after["version"]) == (MODEL, "1")
    assert after["inference_count"] == before["inference_count"] + 3
    assert after["execution_count"] > before["execution_count"]
    assert abs(after["last_inference"] / 1000 - time.time()) < 60
    for path in (f"/v2/models/{MODEL}/stats", "/v2/models/stats"):
        assert [each["version"] for each in told(path)] == ["1", "2"]
    assert told(f"/v2/models/{MODEL}/versions/2/stats")[0]["last_inference"] == 0


def test_the_index(http: httpx.Client) -> None:
    """All registered versions are listed with their state, or only those that answer."""
    index = http.post("/v2/repository/index").json()
    ready = http.post("/v2/repository/index", json={"ready": True}).json()

    assert [(each["name"], each["version"], each["state"]) for each in index] == [
        (MODEL, "1", "READY"),
        (MODEL, "2", "READY"),
        (MODEL, "3", "UNAVAILABLE"),
        ("other", "1", "UNAVAILABLE"),
    ]
    assert all(each["reason"] for each in index[2:])
    assert ready == index[:2]
    assert http.get("/v2/models").json() == {"models": [MODEL]}


def test_loading_and_unloading(http: httpx.Client, repository: Asked) -> None:
    """Where clients may, the control plane is asked once for each; nothing can be sent along."""
    repository.asked.clear()

    loaded = http.post(LOAD)
    unloaded = http.post(UNLOAD, json={"parameters": {"unload_dependents": True}})
    refused = http.post(LOAD, json={"parameters": {"config": "{}"}})
    fits(Ask.LOAD.value, loaded)
    fits(Ask.UNLOAD.value, unloaded)
    fits(Ask.LOAD.value, refused)

    assert loaded.json() == {"model_name": MODEL, "isLoaded": True}
    assert unloaded.json() == {"model_name": MODEL, "isUnloaded": True}
    assert (refused.status_code, refused.json()["code"]) == (501, "not_supported")
    assert repository.asked == [("load", MODEL, "anonymous"), ("unload", MODEL, "anonymous")]


@pytest.mark.parametrize("path", [LOAD, UNLOAD])
def test_clients_load_nothing_by_default(
    tmp_path_factory: pytest.TempPathFactory, path: str
) -> None:
    """The refusal names the setting, and nobody is asked."""
    repository = Asked()
    with stage(tmp_path_factory.mktemp("r"), repository=repository) as opened:
        opened.apply(RouteTable(1))
        reply = httpx.post(opened.url + path, trust_env=False)

    assert (reply.status_code, reply.json()["code"]) == (403, "forbidden")
    assert "repository.control" in reply.json()["error"]
    assert repository.asked == []


@pytest.mark.parametrize("sent", [b"{", b"[]", b"1", b"\xff"])
@pytest.mark.parametrize("path", ["/v2/repository/index", LOAD])
def test_bodies_about_models_are_objects(http: httpx.Client, path: str, sent: bytes) -> None:
    """Anything else is refused with the reason."""
    reply = http.post(path, content=sent)

    assert (reply.status_code, reply.json()["code"]) == (400, "bad_input")


def test_a_path_without_an_end(http: httpx.Client) -> None:
    """What is too long to name anything is not found, and not remembered."""
    for count in (500, 2000):
        reply = http.get(f"/v2/models/{'m' * count}/ready")
        assert reply.status_code == 404


def test_real_labels_fit_their_schema() -> None:
    """What the gateway takes is what the document asks for, on either channel."""
    whole = document()
    for ask, key in ((Ask.FEEDBACK, "labels"), (Ask.GROUPS, "groups")):
        content = whole["paths"][ask.value]["post"]["requestBody"]["content"]
        assert set(content) == {"application/json", "application/x-ndjson"}
        schema = {**content["application/json"]["schema"], "components": whole["components"]}
        validator = Draft202012Validator(schema)
        one = {
            "prediction_id": "0" * 32,
            "row": 3,
            "label": "granted",
            "at": "2026-11-28T14:00:00Z",
            "groups": {"sex": "F"},
            "values": {"profit": 12.5},
        }
        validator.validate({key: [one, {"key": "mine", "label": True}]})
        assert not validator.is_valid({key: []})
        assert not validator.is_valid({key: [{**one, "row": -1}]})
        assert not validator.is_valid({key: [one], "more": 1})
