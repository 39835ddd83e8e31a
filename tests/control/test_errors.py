"""Every error of the control API has one shape."""

from __future__ import annotations

import httpx
import pytest

from configs.errors import (
    BadInput,
    Conflict,
    DeadlineExceeded,
    ModelNotFound,
    Refused,
    Unavailable,
    WeirError,
)
from tests.control.serving import Api
from tests.control.test_api import error_of

ARTIFACT = "sha256:" + "0" * 64
VERSIONS = "/v1/models/credit/versions"
ROUTE = "/v1/models/credit/route"


@pytest.mark.parametrize(
    "kind", [BadInput, ModelNotFound, Conflict, Refused, Unavailable, DeadlineExceeded]
)
def test_an_error_keeps_its_sentence_status_and_code(
    http: httpx.Client, api: Api, kind: type[WeirError]
) -> None:
    """What the control plane raises is what the caller reads; only what may pass says retry."""
    api.control.fails = kind("the sentence")

    response = http.post(VERSIONS, json={"artifact": ARTIFACT})

    assert error_of(response, kind.status, kind.code) == "the sentence"
    assert response.headers.get("Retry-After") == ("1" if kind.retryable else None)


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        pytest.param("POST", VERSIONS, {}, "artifact is missing", id="missing"),
        pytest.param("POST", VERSIONS, {"artifact": "md5:1"}, "artifact:", id="digest"),
        pytest.param("PUT", ROUTE, {"weight": {}}, "weight does not exist", id="unknown key"),
        pytest.param("PUT", ROUTE, {"weights": {"one": 100}}, "weights.one:", id="version"),
        pytest.param("PUT", ROUTE, {"weights": {"1": "all"}}, "weights.1:", id="percentage"),
        pytest.param("PUT", ROUTE, {"weights": {"1": 101}}, "weights.1:", id="above 100"),
        pytest.param("PUT", ROUTE, {"weights": {}}, "weights:", id="no weights"),
        pytest.param(
            "PUT", ROUTE, {"weights": {"1": 100}, "reason": "a\x1b[2J"}, "reason:", id="control"
        ),
        pytest.param("PUT", ROUTE, [], "JSON object", id="no object"),
        pytest.param("GET", "/v1/audit?limit=0", None, "limit:", id="limit"),
        pytest.param("GET", "/v1/audit?after=-1", None, "after:", id="after"),
    ],
)
def test_a_wrong_field_is_named(
    http: httpx.Client, method: str, path: str, body: object, words: str
) -> None:
    """A wrong request is a 400 with one sentence that begins with the field."""
    response = http.request(method, path, json=body)

    assert words in error_of(response, 400, "bad_input")


def test_a_card_is_checked_key_by_key(http: httpx.Client) -> None:
    """A card that says something unknown is refused by the name of the key."""
    card = {"task": "binary", "scores": {}}

    response = http.post(VERSIONS, json={"artifact": ARTIFACT, "card": card})

    assert "card.scores does not exist" in error_of(response, 400, "bad_input")


@pytest.mark.parametrize("content", [b"{", b"\xff", b"NaN"])
def test_a_body_that_is_no_json_is_refused(http: httpx.Client, content: bytes) -> None:
    """Bytes that are no JSON object are a 400, not a failure."""
    headers = {"Content-Type": "application/json"}

    error_of(http.put(ROUTE, content=content, headers=headers), 400, "bad_input")


def test_a_body_of_another_type_is_refused(http: httpx.Client) -> None:
    """A form, which any page can send without asking, is never taken for JSON."""
    for headers in ({"Content-Type": "text/plain"}, {}):
        response = http.put(ROUTE, content=b'{"weights": {"1": 100}}', headers=headers)

        assert "application/json" in error_of(response, 400, "bad_input")


def test_a_large_json_body_is_refused(http: httpx.Client) -> None:
    """Nobody can fill the memory with a change."""
    body = {"weights": {"1": 100}, "reason": "x" * 2**20}

    error_of(http.put(ROUTE, json=body), 413, "too_large")


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/models", "/v1/models/a/b", "/v1/models/"])
def test_an_unknown_path_is_a_404_of_the_same_shape(http: httpx.Client, path: str) -> None:
    """A path that does not exist is answered like everything else."""
    response = http.get(path, follow_redirects=True)

    assert error_of(response, 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", ROUTE, "GET, PUT"),
        ("POST", ROUTE, "GET, PUT"),
        ("PUT", VERSIONS, "GET, POST"),
        ("GET", "/v1/models/credit:promote", "POST"),
        ("OPTIONS", "/v1/models/credit", "GET"),
        ("POST", "/docs", "GET, HEAD"),
    ],
)
def test_a_wrong_method_names_the_right_ones(
    http: httpx.Client, method: str, path: str, allowed: str
) -> None:
    """405 says all that is allowed, whatever else is wrong with the request."""
    response = http.request(method, path, headers={"Idempotency-Key": ""}, content=b"{")

    error_of(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == allowed


def test_a_surprise_tells_nothing_about_the_inside_and_is_counted(
    http: httpx.Client, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected exception is a 500 without names on a connection that lives on, and logged."""
    api.control.fails = KeyError("/secret/path")

    response = http.post(VERSIONS, json={"artifact": ARTIFACT})

    sentence = error_of(response, 500, "internal")
    assert "secret" not in sentence
    assert "KeyError" not in sentence
    assert api.app.state.unexpected_errors == 1
    assert "/secret/path" in caplog.text
    assert response.json()["request_id"] in caplog.text
    assert http.get("/health/live").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[::1", ""])
def test_a_request_for_another_host_is_refused(http: httpx.Client, host: str) -> None:
    """A name that was made to point at this machine opens nothing."""
    error_of(http.get("/v1/models", headers={"Host": host}), 400, "bad_input")


def test_a_page_of_another_site_is_refused(http: httpx.Client, api: Api) -> None:
    """A browser that another site steers cannot change or read anything; our own pages can."""
    foreign = http.get("/v1/models", headers={"Origin": "https://evil.example"})
    own = http.get("/v1/models", headers={"Origin": api.url})

    error_of(foreign, 400, "bad_input")
    assert own.status_code == 200


def test_scrapers_may_use_any_name(http: httpx.Client) -> None:
    """Metrics and health answer under whatever name a scraper knows this machine by."""
    for path in ("/metrics", "/health/live", "/health/ready"):
        assert http.get(path, headers={"Host": "gateway:8002"}).status_code == 200
