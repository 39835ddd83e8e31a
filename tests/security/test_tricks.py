"""No way of writing a path or a header gets past what the plain path says."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from registry.keys import AccessRole
from tests.control.serving import Api
from tests.security.callers import ROLES
from tests.serve.access.keys import bearer

TARGETS = [
    "/v1/models",
    "//v1/models",
    "/v1//models",
    "/v1/models/",
    "/v1/models;x",
    "/v1;x/models",
    "/v1/models?x",
    "/v1/models%3f",
    "/v1/%6dodels",
    "/%2e%2e/v1/models",
    "/health/live/../../v1/models",
    "/health/live/%2e%2e/%2e%2e/v1/models",
    "/health/live;/v1/models",
    "/health/live/",
    "//health/live",
    "/docs/../v1/models",
    "/openapi.json/v1/models",
    "/v1/models\\..\\health",
    "/v1/audit%00",
    "@/v1/models",
    "http://127.0.0.1/v1/models",
    "http://health/live@127.0.0.1/v1/models",
    "/v1/audit:verify",
    "/V1/MODELS",
    "/metrics",
    "/metrics/",
]
HOSTS = ["127.0.0.1", "a/?x=", "a@b", "weir.example/health/live?", "/health/live", "[::1", ""]


def status(api: Api, method: str, target: str, *lines: str) -> int:
    """The status of one request, written byte by byte; a connection that ends at once is a 400."""
    place = urlsplit(api.url)
    assert place.hostname
    assert place.port
    head = "\r\n".join([f"{method} {target} HTTP/1.1", "Connection: close", *lines, "", ""])
    with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
        connection.sendall(head.encode("latin-1"))
        answer = connection.makefile("rb").readline()
    return int(answer.split()[1]) if answer else 400


@pytest.mark.parametrize("target", TARGETS)
def test_nobody_gets_in_by_the_way_a_path_is_written(api: Api, target: str) -> None:
    """Without a key, no spelling of a path and no host lead to anything but a refusal."""
    for host in HOSTS:
        assert status(api, "GET", target, f"Host: {host}") in (400, 401), host


@pytest.mark.parametrize("target", TARGETS)
def test_a_viewer_changes_nothing_by_the_way_a_path_is_written(api: Api, target: str) -> None:
    """With a key that may only read, no spelling leads to a change."""
    shown = f"Authorization: {bearer(ROLES[AccessRole.VIEWER]).decode()}"
    change = target.replace("models", "artifacts").replace("audit:verify", "system:replace")

    got = status(api, "POST", change, "Host: 127.0.0.1", shown, "Content-Length: 0")

    assert got in (400, 403, 404, 405)
    assert api.control.files == {}


def test_an_encoded_slash_is_judged_as_the_route_that_it_leads_to(api: Api) -> None:
    """A name that hides a longer path needs what that path needs."""
    shown = f"Authorization: {bearer(ROLES[AccessRole.VIEWER]).decode()}"

    for target in ("/v1/models/credit%2Froute", "/v1/models/credit%2froute"):
        assert status(api, "PUT", target, "Host: a", shown, "Content-Length: 0") == 403
        assert status(api, "PUT", target, "Host: a", "Content-Length: 0") == 401


def test_a_caller_is_judged_before_its_body_is_read(api: Api) -> None:
    """A body that never comes does not keep a refusal from leaving."""
    lines = ("Host: 127.0.0.1", "Content-Length: 100000")

    assert status(api, "POST", "/v1/artifacts", *lines) == 401
    assert status(api, "PUT", "/v1/models/credit/route", *lines) == 401


@pytest.mark.parametrize(
    "name", ["X-Forwarded-For: 127.0.0.1", "X-Original-URL: /health/live", "Weir-Actor: admin"]
)
def test_no_other_header_opens_the_door(api: Api, name: str) -> None:
    """What proxies and frameworks elsewhere believe, nobody here believes."""
    assert status(api, "GET", "/v1/models", "Host: 127.0.0.1", name) == 401
