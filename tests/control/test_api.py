"""The control API over real HTTP."""

from __future__ import annotations

import re
from dataclasses import replace

import httpx
import pytest

from registry.records import Judged
from tests.control.memory import ARTIFACT_MAX_BYTES, SALT
from tests.control.serving import Api

pytestmark = pytest.mark.usefixtures("two_versions")


def error_of(response: httpx.Response, status: int, code: str) -> str:
    """The sentence of an error, after its status, code and shape were checked."""
    assert response.status_code == status, response.text
    content = response.json()
    assert content.keys() == {"error", "code", "request_id"}
    assert re.fullmatch("[0-9a-f]{32}", content["request_id"])
    assert content["code"] == code
    return str(content["error"])


def test_a_file_is_named_by_its_content(http: httpx.Client) -> None:
    """The digest is that of the bytes, and sending them twice gives the same one."""
    digests = {http.post("/v1/artifacts", content=b"one").json()["digest"] for _ in range(2)}

    assert digests == {"sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"}


def test_a_large_file_is_streamed(http: httpx.Client, api: Api) -> None:
    """A file above the cap of JSON bodies arrives whole."""
    content = bytes(3 * 2**20)

    digest = http.post("/v1/artifacts", content=content).json()["digest"]

    assert api.control.files[digest] == content


def test_a_file_above_the_cap_is_refused(http: httpx.Client) -> None:
    """The store's own cap is answered as 413."""
    response = http.post("/v1/artifacts", content=bytes(ARTIFACT_MAX_BYTES + 1))

    assert "cap" in error_of(response, 413, "too_large")


def test_an_empty_file_is_refused(http: httpx.Client) -> None:
    """A forgotten body does not become an artifact."""
    assert "empty" in error_of(http.post("/v1/artifacts"), 400, "bad_input")


def test_a_compressed_file_is_refused(http: httpx.Client) -> None:
    """A digest of compressed bytes would name another file."""
    response = http.post("/v1/artifacts", content=b"x", headers={"Content-Encoding": "gzip"})

    assert "Content-Encoding" in error_of(response, 415, "unsupported_encoding")


def test_registering_says_what_was_inferred(http: httpx.Client) -> None:
    """The answer holds the version and the sentences."""
    digest = http.post("/v1/artifacts", content=b"three").json()["digest"]

    response = http.post("/v1/models/credit/versions", json={"artifact": digest})

    assert response.status_code == 201
    made = response.json()
    assert made["version"]["version"] == 3
    assert made["version"]["digest"] == digest
    assert made["version"]["state"] == "not hosted"
    assert made["inferred"] == ["task: regression, from the output 'y'"]


def test_models_and_versions_are_listed(http: httpx.Client) -> None:
    """Lists hold what was registered, with the state of each version."""
    models = http.get("/v1/models").json()["models"]
    versions = http.get("/v1/models/credit/versions").json()["versions"]
    model = http.get("/v1/models/credit").json()

    assert [(m["model"], m["versions"], m["route"]["stable"]) for m in models] == [("credit", 2, 1)]
    assert [(v["version"], v["state"]) for v in versions] == [(1, "ready"), (2, "not hosted")]
    assert model["versions"] == versions


def test_a_route_is_shown_in_percent_with_roles_and_without_its_salt(
    http: httpx.Client, api: Api
) -> None:
    """Shares read as percentages; the key that decides who meets which arm stays inside."""
    body = {"weights": {"1": 94.75, "2": 5.25}, "reason": "canary"}

    response = http.put("/v1/models/credit/route", json=body)

    assert response.status_code == 200
    assert response.json()["arms"] == [
        {"version": 1, "role": "stable", "weight": 94.75},
        {"version": 2, "role": "canary", "weight": 5.25},
    ]
    assert api.control.routes["credit"][-1].salt == SALT
    assert "salt" not in response.text


def test_a_judged_route_names_its_rollout(http: httpx.Client, api: Api) -> None:
    """Who is compared with whom is shown in percent, now and of the past; else nothing."""
    assert http.get("/v1/models/credit/route").json()["judged"] is None
    routes = api.control.routes["credit"]
    routes.append(replace(routes[-1], judged=Judged("r1", 2, 525, 0.25)))
    judged = {"rollout": "r1", "candidate": 2, "baseline": 5.25, "objective_s": 0.25}

    shown = http.get("/v1/models/credit/route").json()
    then = http.get("/v1/models/credit/served-at", params={"t": "2100-01-01T00:00:00Z"}).json()

    assert shown["judged"] == then["judged"] == judged


def test_a_change_for_another_generation_is_refused(http: httpx.Client) -> None:
    """If-Match takes the ETag, and a stale one changes nothing."""
    tag = http.get("/v1/models/credit/route").headers["ETag"]
    body = {"weights": {"1": 90, "2": 10}}
    first = http.put("/v1/models/credit/route", json=body, headers={"If-Match": tag})

    second = http.put("/v1/models/credit/route", json=body, headers={"If-Match": tag})

    assert tag == '"1"'
    assert first.headers["ETag"] == '"2"'
    error_of(second, 412, "precondition_failed")
    assert http.get("/v1/models/credit/route").json()["generation"] == 2


@pytest.mark.parametrize("tag", ["1", "*", 'W/"1"', '"x"', '"1", "2"'])
def test_an_if_match_that_is_no_etag_of_ours_is_refused(http: httpx.Client, tag: str) -> None:
    """A condition that is not understood never counts as fulfilled."""
    body = {"weights": {"1": 100}}

    response = http.put("/v1/models/credit/route", json=body, headers={"If-Match": tag})

    assert "If-Match" in error_of(response, 400, "bad_input")


def test_shadow_promote_and_rollback(http: httpx.Client) -> None:
    """The verbs do what they say, and each answer carries the new ETag."""
    shadow = {"version": 2, "share": 3}
    body = {"weights": {"1": 100}, "shadow": shadow}
    shadowed = http.put("/v1/models/credit/route", json=body)
    promoted = http.post("/v1/models/credit:promote", json={"version": 2, "reason": "better"})
    returned = http.post("/v1/models/credit:rollback", json={"reason": "worse"})

    assert shadowed.json()["shadow"] == shadow
    assert (promoted.json()["stable"], promoted.json()["previous"]) == (2, 1)
    assert returned.json()["stable"] == 1
    assert [r.headers["ETag"] for r in (shadowed, promoted, returned)] == ['"2"', '"3"', '"4"']


def test_a_promotion_needs_a_reason(http: httpx.Client) -> None:
    """Nobody gets all of the traffic on nobody's word."""
    response = http.post("/v1/models/credit:promote", json={"version": 2, "reason": ""})

    assert "reason" in error_of(response, 400, "bad_input")


def test_a_model_without_a_route_says_so(http: httpx.Client) -> None:
    """Before the first split there is a clear 404, not an empty answer."""
    digest = http.post("/v1/artifacts", content=b"x").json()["digest"]
    http.post("/v1/models/new/versions", json={"artifact": digest})

    assert "no route" in error_of(http.get("/v1/models/new/route"), 404, "not_found")
    assert http.get("/v1/models/new").json()["route"] is None


def test_what_served_at_a_moment(http: httpx.Client) -> None:
    """History answers with the route of that time, and with 404 before there was one."""
    made = http.get("/v1/models/credit/route").json()["created_at"]
    http.put("/v1/models/credit/route", json={"weights": {"2": 100}})

    then = http.get("/v1/models/credit/served-at", params={"t": made})
    before = http.get("/v1/models/credit/served-at", params={"t": "2001-01-01T00:00:00Z"})

    assert then.json()["generation"] == 1
    error_of(before, 404, "not_found")


@pytest.mark.parametrize("moment", ["yesterday", "2026-11-23T09:00:00", "", "1700000000"])
def test_a_moment_without_an_offset_is_refused(http: httpx.Client, moment: str) -> None:
    """A time that could mean several moments is not guessed at."""
    response = http.get("/v1/models/credit/served-at", params={"t": moment})

    assert "offset" in error_of(response, 400, "bad_input")


def test_the_audit_log_is_paged_and_verified(http: httpx.Client, api: Api) -> None:
    """Entries come in order, and a changed one is found."""
    page = http.get("/v1/audit", params={"after": 1, "limit": 1}).json()["entries"]
    whole = http.get("/v1/audit:verify").json()
    api.control.tamper(1)

    assert [entry["sequence"] for entry in page] == [2]
    assert whole == {"intact": True, "first_broken": None}
    assert http.get("/v1/audit:verify").json() == {"intact": False, "first_broken": 2}


@pytest.mark.parametrize("given", [None, "ada", "Ada Lovelace <ada@example.org>"])
def test_the_actor_is_written_into_the_log(http: httpx.Client, api: Api, given: str | None) -> None:
    """Weir-Actor is kept as given; without it the address stands for an unknown caller."""
    headers = {} if given is None else {"Weir-Actor": given}

    http.put("/v1/models/credit/route", json={"weights": {"2": 100}}, headers=headers)

    assert api.control.log[-1].actor == (given or "anonymous@127.0.0.1")


@pytest.mark.parametrize("given", ["weir", "Weir"])
def test_nobody_is_taken_for_weir_itself(http: httpx.Client, api: Api, given: str) -> None:
    """Who is called so may do what others may, under a name that is not the machine's."""
    http.put("/v1/models/credit/route", json={"weights": {"2": 100}}, headers={"Weir-Actor": given})

    assert api.control.log[-1].actor == f"{given} (a person)"


@pytest.mark.parametrize("given", ["", "x" * 65, "tab\there", b"\xe9"])
def test_an_actor_that_cannot_be_logged_is_refused(http: httpx.Client, given: str | bytes) -> None:
    """What goes into the log is short and printable."""
    response = http.put(
        "/v1/models/credit/route",
        json={"weights": {"2": 100}},
        headers=[(b"Weir-Actor", given.encode() if isinstance(given, str) else given)],
    )

    assert "Weir-Actor" in error_of(response, 400, "bad_input")


def test_metrics_are_passed_through(http: httpx.Client) -> None:
    """The scraper's Accept decides the format."""
    plain = http.get("/metrics")
    open_metrics = http.get("/metrics", headers={"Accept": "application/openmetrics-text"})

    assert plain.text == "weir_up 1\n"
    assert plain.headers["Content-Type"].startswith("text/plain; version=")
    assert open_metrics.headers["Content-Type"].startswith("application/openmetrics-text; version")


def test_health(http: httpx.Client, api: Api) -> None:
    """Live says that the API runs, ready that the gateway serves; not ready says try again."""
    assert http.get("/health/live").json() == {"status": "live"}
    assert http.get("/health/ready").json() == {"status": "ready"}
    api.control.is_ready = False

    response = http.get("/health/ready")

    error_of(response, 503, "not_ready")
    assert response.headers["Retry-After"] == "1"
    assert http.get("/health/live").status_code == 200


def test_processes_are_listed(http: httpx.Client) -> None:
    """Each process has its role and id."""
    listed = http.get("/v1/system/processes").json()

    assert listed == {"processes": [{"role": "control", "pid": 1, "model": "", "version": 0}]}


def test_a_version_is_replaced_by_its_name(http: httpx.Client, api: Api) -> None:
    """What was asked for reaches the control plane."""
    body = {"what": "version", "model": "credit", "version": 2}

    assert http.post("/v1/system:replace", json=body).status_code == 200
    assert api.control.replaced == [("version", "credit", 2)]


def test_replacing_a_version_needs_its_name(http: httpx.Client) -> None:
    """A version that is not named is asked for."""
    response = http.post("/v1/system:replace", json={"what": "version"})

    assert "model and version" in error_of(response, 400, "bad_input")
