"""Every route of the control API answers those that may call it, and nobody else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from registry.keys import AccessRole
from serve.access.door import Door
from serve.access.permissions import ROLES as ALLOWED
from serve.access.permissions import Permission
from serve.control import api as api_module
from serve.control.api import ROUTERS, create_app
from tests.control.memory import MemoryControl
from tests.control.serving import Api, Stage
from tests.security.callers import NOBODIES, ROLES, headers
from tests.serve.access.keys import bearer, key_of

OPEN = None
NEEDS: dict[str, Permission | None] = {
    "GET /docs": OPEN,
    "GET /health/live": OPEN,
    "GET /health/ready": OPEN,
    "GET /metrics": Permission.READ,
    "GET /openapi.json": OPEN,
    "GET /v1/alarms": Permission.READ,
    "GET /v1/alarms/{alarm_id}": Permission.READ,
    "GET /v1/alarms/{alarm_id}/why": Permission.READ,
    "GET /v1/audit": Permission.READ,
    "GET /v1/audit:verify": Permission.READ,
    "GET /v1/keys": Permission.ADMINISTER,
    "GET /v1/models": Permission.READ,
    "GET /v1/models/{model}": Permission.READ,
    "GET /v1/models/{model}/bins": Permission.READ,
    "GET /v1/models/{model}/labels": Permission.READ,
    "GET /v1/models/{model}/rollouts": Permission.READ,
    "GET /v1/models/{model}/route": Permission.READ,
    "GET /v1/models/{model}/served-at": Permission.READ,
    "GET /v1/models/{model}/signals": Permission.READ,
    "GET /v1/models/{model}/versions": Permission.READ,
    "GET /v1/rollouts": Permission.READ,
    "GET /v1/rollouts/{rollout_id}": Permission.READ,
    "GET /v1/rollouts/{rollout_id}/changes": Permission.READ,
    "GET /v1/rollouts/{rollout_id}/explain": Permission.READ,
    "GET /v1/system/processes": Permission.READ,
    "POST /v1/alarms/{alarm_id}:acknowledge": Permission.DEPLOY,
    "POST /v1/alarms/{alarm_id}:adopt": Permission.DEPLOY,
    "POST /v1/alarms/{alarm_id}:rearm": Permission.DEPLOY,
    "POST /v1/alarms/{alarm_id}:silence": Permission.DEPLOY,
    "POST /v1/artifacts": Permission.DEPLOY,
    "POST /v1/keys": Permission.ADMINISTER,
    "POST /v1/keys/{key_id}:revoke": Permission.ADMINISTER,
    "POST /v1/models/{model}/rollouts": Permission.DEPLOY,
    "POST /v1/models/{model}/versions": Permission.DEPLOY,
    "POST /v1/models/{model}:load": Permission.DEPLOY,
    "POST /v1/models/{model}:promote": Permission.DEPLOY,
    "POST /v1/models/{model}:rollback": Permission.DEPLOY,
    "POST /v1/models/{model}:unload": Permission.DEPLOY,
    "POST /v1/rollouts/{rollout_id}:abort": Permission.DEPLOY,
    "POST /v1/rollouts/{rollout_id}:advance": Permission.DEPLOY,
    "POST /v1/rollouts/{rollout_id}:approve": Permission.APPROVE,
    "POST /v1/rollouts/{rollout_id}:freeze": Permission.DEPLOY,
    "POST /v1/rollouts/{rollout_id}:pause": Permission.DEPLOY,
    "POST /v1/rollouts/{rollout_id}:promote": Permission.DEPLOY,
    "POST /v1/rollouts/{rollout_id}:resume": Permission.DEPLOY,
    "POST /v1/rollouts/{rollout_id}:retry": Permission.DEPLOY,
    "POST /v1/rollouts/{rollout_id}:rollback": Permission.DEPLOY,
    "POST /v1/system:replace": Permission.DEPLOY,
    "PUT /v1/models/{model}/route": Permission.DEPLOY,
}
"""What each route needs. A new route needs a row here: think about who may call it."""

GUARDED = sorted(name for name, need in NEEDS.items() if need is not OPEN)


def new_app() -> FastAPI:
    """An application that asks for keys."""
    return create_app(MemoryControl(), Door(required=True))


class Asking:
    """Calls routes by their names."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def __call__(self, name: str, authorization: bytes | None) -> httpx.Response:
        """Call a route as somebody."""
        method, _, path = name.partition(" ")
        shown = headers(authorization)
        return self._http.request(method, re.sub("{.*?}", "credit", path), headers=shown)


@pytest.fixture(name="http")
def http_client(api: Api) -> Iterator[httpx.Client]:
    """A plain HTTP client of the API."""
    with httpx.Client(base_url=api.url, trust_env=False) as http:
        yield http


@pytest.fixture(name="ask")
def asking(http: httpx.Client) -> Asking:
    """Calls routes of the API."""
    return Asking(http)


def test_every_route_has_a_row() -> None:
    """The table above names all routes of the application, and none that is not there."""
    app = new_app()
    own = [route for route in app.routes if hasattr(route, "path")]
    ours = [route for router in ROUTERS for route in router.routes]
    there = {
        f"{method} {route.path}"  # type: ignore[attr-defined]
        for route in [*own, *ours]
        for method in route.methods  # type: ignore[attr-defined]
        if method != "HEAD"
    }

    assert there == NEEDS.keys()


def test_the_document_says_what_each_route_needs() -> None:
    """Whoever reads the OpenAPI document knows which permission to ask for."""
    document: dict[str, Any] = new_app().openapi()
    said = {
        f"{method.upper()} {path}": operation.get("security")
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    documented = NEEDS.keys() - {"GET /docs", "GET /openapi.json"}

    assert said == {
        name: [{"API key": [need.value]}] if (need := NEEDS[name]) is not OPEN else None
        for name in documented
    }
    scheme = document["components"]["securitySchemes"]["API key"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


@pytest.mark.parametrize("nobody", NOBODIES)
def test_nobody_unknown_is_answered(ask: Asking, nobody: str) -> None:
    """Without a valid key, a guarded route says 401, how to show a key, and nothing else."""
    for name in GUARDED:
        response = ask(name, NOBODIES[nobody])

        assert (name, response.status_code) == (name, 401)
        assert response.json()["code"] == "unauthenticated"
        assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("role", AccessRole)
def test_a_role_gets_what_it_may_have(ask: Asking, role: AccessRole) -> None:
    """A known caller is answered if its role has the permission, else told which one it lacks."""
    for name in GUARDED:
        need = NEEDS[name]
        assert need is not None

        response = ask(name, bearer(ROLES[role]))

        if need in ALLOWED[role]:
            assert response.status_code not in (401, 403), name
        else:
            assert (name, response.status_code) == (name, 403)
            assert response.json()["code"] == "forbidden"
            assert repr(need.value) in response.json()["error"]


def test_open_routes_ask_for_nothing(ask: Asking) -> None:
    """Probes and readers of the documentation need no key, and a bad one does not hurt."""
    for name in NEEDS.keys() - set(GUARDED):
        for authorization in (None, NOBODIES["revoked"]):
            assert (name, ask(name, authorization).status_code) == (name, 200)


def test_what_does_not_exist_is_told_to_known_callers_only(ask: Asking) -> None:
    """An unknown path or method is 401 without a key, and 404 or 405 with any."""
    viewer = bearer(ROLES[AccessRole.VIEWER])

    for name, status in (("GET /v1/nothing", 404), ("DELETE /v1/models", 405), ("GET /", 404)):
        assert ask(name, None).status_code == 401
        assert ask(name, viewer).status_code == status


def test_two_keys_are_none(http: httpx.Client) -> None:
    """A request with two Authorization headers is refused, whichever comes first."""
    good, bad = bearer(ROLES[AccessRole.ADMIN]).decode(), "Bearer nonsense"

    for shown in ((good, bad), (bad, good), (good, good)):
        pairs = [("Authorization", each) for each in shown]
        assert http.get("/v1/models", headers=pairs).status_code == 401


def test_a_key_above_its_rate_is_told_when_to_come_back(stage: Stage) -> None:
    """The rate of a key counts on the control API too."""
    door = Door(required=True)
    shown = ROLES[AccessRole.VIEWER]
    door.keys([key_of(shown, AccessRole.VIEWER, rate_per_s=0.001)])
    api = stage.new_api(door)
    with httpx.Client(base_url=api.url, headers=headers(bearer(shown)), trust_env=False) as http:
        assert http.get("/v1/models").status_code == 200
        refused = http.get("/v1/models")

    assert (refused.status_code, refused.json()["code"]) == (429, "over_quota")
    assert 900 <= int(refused.headers["Retry-After"]) <= 1000


def test_the_log_names_the_key_that_was_shown(http: httpx.Client, api: Api) -> None:
    """With a key, nobody can act under another name."""
    shown = {
        **headers(bearer(ROLES[AccessRole.DEPLOYER])),
        "Weir-Actor": "somebody-else",
    }
    http.headers.update(shown)
    digest = http.post("/v1/artifacts", content=b"one").json()["digest"]
    http.post("/v1/models/credit/versions", json={"artifact": digest}).raise_for_status()

    assert [entry.actor for entry in api.control.log] == ["a-deployer"]


def test_a_key_of_weirs_own_name_is_not_taken_for_weir(stage: Stage) -> None:
    """It may do what others may, under a name that no other key can have."""
    door = Door(required=True)
    shown = ROLES[AccessRole.DEPLOYER]
    door.keys([replace(key_of(shown, AccessRole.DEPLOYER), name="weir")])
    api = stage.new_api(door)
    with httpx.Client(base_url=api.url, headers=headers(bearer(shown)), trust_env=False) as http:
        digest = http.post("/v1/artifacts", content=b"one").json()["digest"]
        http.post("/v1/models/credit/versions", json={"artifact": digest}).raise_for_status()

    assert [entry.actor for entry in api.control.log] == ["weir (a person)"]


def test_with_keys_the_api_answers_under_any_name(http: httpx.Client) -> None:
    """What keeps web pages away from an API without keys does not stand in the way of callers."""
    shown = {**headers(bearer(ROLES[AccessRole.VIEWER])), "Host": "weir.example"}

    assert http.get("/v1/models", headers=shown).status_code == 200


def test_a_route_without_a_declared_permission_stops_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A forgotten declaration is found before anybody can call the route."""
    forgotten = APIRouter()
    forgotten.add_api_route("/v1/secrets", lambda: "all of them")
    monkeypatch.setattr(api_module, "ROUTERS", (*ROUTERS, forgotten))

    with pytest.raises(ValueError, match="declares no permission"):
        new_app()


def test_every_route_of_ours_is_one_that_can_declare() -> None:
    """No mounted application or web socket escapes the table."""
    assert all(isinstance(route, APIRoute) for router in ROUTERS for route in router.routes)
