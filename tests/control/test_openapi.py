"""The API documents itself."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from serve.access.door import Door
from serve.control.api import create_app
from tests.control.memory import MemoryControl
from tests.control.serving import Api
from tests.registry.alarms import alarm

METHODS = ("get", "put", "post", "delete", "patch")


@pytest.fixture(name="document")
def openapi_document() -> dict[str, Any]:
    """The OpenAPI document of the API."""
    return create_app(MemoryControl(), Door(required=False)).openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every operation with its name."""
    return [
        (f"{method.upper()} {path}", item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


def references(value: object) -> set[str]:
    """Every reference inside a document."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    if isinstance(value, list):
        return set().union(*map(references, value))
    return set()


def test_every_route_is_there(document: dict[str, Any]) -> None:
    """The surface is exactly this; a change here is a change for users."""
    assert sorted(name for name, _ in operations(document)) == [
        "GET /health/live",
        "GET /health/ready",
        "GET /metrics",
        "GET /v1/alarms",
        "GET /v1/alarms/{alarm_id}",
        "GET /v1/alarms/{alarm_id}/why",
        "GET /v1/audit",
        "GET /v1/audit:verify",
        "GET /v1/keys",
        "GET /v1/models",
        "GET /v1/models/{model}",
        "GET /v1/models/{model}/bins",
        "GET /v1/models/{model}/labels",
        "GET /v1/models/{model}/rollouts",
        "GET /v1/models/{model}/route",
        "GET /v1/models/{model}/served-at",
        "GET /v1/models/{model}/signals",
        "GET /v1/models/{model}/versions",
        "GET /v1/rollouts",
        "GET /v1/rollouts/{rollout_id}",
        "GET /v1/rollouts/{rollout_id}/changes",
        "GET /v1/rollouts/{rollout_id}/explain",
        "GET /v1/system/processes",
        "POST /v1/alarms/{alarm_id}:acknowledge",
        "POST /v1/alarms/{alarm_id}:adopt",
        "POST /v1/alarms/{alarm_id}:rearm",
        "POST /v1/alarms/{alarm_id}:silence",
        "POST /v1/artifacts",
        "POST /v1/keys",
        "POST /v1/keys/{key_id}:revoke",
        "POST /v1/models/{model}/rollouts",
        "POST /v1/models/{model}/versions",
        "POST /v1/models/{model}:load",
        "POST /v1/models/{model}:promote",
        "POST /v1/models/{model}:rollback",
        "POST /v1/models/{model}:unload",
        "POST /v1/rollouts/{rollout_id}:abort",
        "POST /v1/rollouts/{rollout_id}:advance",
        "POST /v1/rollouts/{rollout_id}:approve",
        "POST /v1/rollouts/{rollout_id}:freeze",
        "POST /v1/rollouts/{rollout_id}:pause",
        "POST /v1/rollouts/{rollout_id}:promote",
        "POST /v1/rollouts/{rollout_id}:resume",
        "POST /v1/rollouts/{rollout_id}:retry",
        "POST /v1/rollouts/{rollout_id}:rollback",
        "POST /v1/system:replace",
        "PUT /v1/models/{model}/route",
    ]


def test_every_route_documents_its_errors_in_one_shape(document: dict[str, Any]) -> None:
    """Each operation has a summary, a sentence, a tag, and the one shape for all errors."""
    shape = {"$ref": "#/components/schemas/ErrorView"}
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"].endswith("."), name
        assert len(operation["tags"]) == 1, name
        errors = {s: r for s, r in operation["responses"].items() if not s.startswith("2")}
        assert {"400", "default"} <= errors.keys(), name
        for status, response in errors.items():
            assert response["content"]["application/json"]["schema"] == shape, (name, status)


def test_changes_document_their_headers(document: dict[str, Any]) -> None:
    """Who acts, under which key and condition can be read from the document."""
    for name, operation in operations(document):
        headers = {p["name"] for p in operation.get("parameters", []) if p["in"] == "header"}
        conditional = (":promote", ":rollback", "{rollout_id}:")
        if ("route" in name and "PUT" in name) or any(each in name for each in conditional):
            assert headers == {"Weir-Actor", "If-Match", "Idempotency-Key"}, name


def test_the_document_is_sound(document: dict[str, Any]) -> None:
    """Version 3.1, unique operation ids, references that lead somewhere, schemas that are valid."""
    ids = [operation["operationId"] for _, operation in operations(document)]
    schemas = document["components"]["schemas"]

    assert document["openapi"].startswith("3.1")
    assert len(ids) == len(set(ids))
    assert {ref.rpartition("/")[2] for ref in references(document)} == set(schemas)
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    for path, item in document["paths"].items():
        named = set(re.findall(r"{(\w+)}", path))
        for operation in item.values():
            in_path = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert in_path == named


@pytest.mark.usefixtures("two_versions")
def test_answers_match_the_document(http: httpx.Client, api: Api, document: dict[str, Any]) -> None:
    """What is sent is what is promised."""
    api.control.known_alarms["a1"] = alarm()
    http.post("/v1/models/credit/rollouts", json={"version": 2})
    for path in (
        "/v1/models",
        "/v1/models/{model}",
        "/v1/models/{model}/versions",
        "/v1/models/{model}/route",
        "/v1/models/{model}/signals",
        "/v1/alarms",
        "/v1/alarms/a1/why",
        "/v1/models/{model}/rollouts",
        "/v1/rollouts",
        "/v1/rollouts/r1",
        "/v1/rollouts/r1/explain",
        "/v1/rollouts/r1/changes",
        "/v1/keys",
        "/v1/audit",
        "/v1/audit:verify",
        "/health/live",
    ):
        answers = document["paths"][path.replace("a1", "{alarm_id}").replace("r1", "{rollout_id}")][
            "get"
        ]["responses"]
        promised = answers["200"]["content"]
        schema = {**promised["application/json"]["schema"], "components": document["components"]}

        Draft202012Validator(schema).validate(http.get(path.format(model="credit")).json())


def test_docs_can_be_read(http: httpx.Client) -> None:
    """People find the pages where they look for them."""
    assert http.get("/docs").status_code == 200
    assert http.get("/openapi.json").json()["info"]["title"] == "Weir control API"
