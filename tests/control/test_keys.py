"""API keys, and loading and unloading models, over real HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from configs.errors import BadInput, Conflict, NotFound
from registry.keys import AccessRole, read_token
from serve.control.client import ControlClient
from tests.control.serving import Api
from tests.control.test_api import error_of


def test_a_key_is_shown_once(http: httpx.Client, api: Api) -> None:
    """The token is in the first answer, which nobody may store, and in no other."""
    body = {"name": "ci", "role": "deployer", "rate_per_s": 5, "expires_at": "2999-01-01T00:00:00Z"}

    made = http.post("/v1/keys", json=body, headers={"Weir-Actor": "ada"})

    assert made.status_code == 201, made.text
    assert made.headers["Cache-Control"] == "no-store"
    token = read_token(made.json()["token"])
    assert token is not None
    key = made.json()["key"]
    assert (key["id"], key["name"], key["role"]) == (token.id, "ci", "deployer")
    assert (key["rate_per_s"], key["created_by"], key["revoked_at"]) == (5.0, "ada", None)
    assert key["expires_at"] == "2999-01-01T00:00:00.000000+00:00"
    listed = http.get("/v1/keys")
    assert listed.json() == {"keys": [key]}
    for text in (listed.text, http.get("/v1/audit").text):
        assert token.secret not in text
        assert token.digest not in text


def test_the_same_key_again_is_not_another_key(http: httpx.Client, api: Api) -> None:
    """A keyed request that is sent again makes no second key, and is not told the token again."""
    body = {"name": "ci", "role": "client"}

    first, second = (
        http.post("/v1/keys", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)
    )

    assert first.headers["Cache-Control"] == "no-store"
    assert (first.status_code, second.status_code) == (201, 409)
    assert len(api.control.api_keys) == 1


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param({"role": "king"}, "role", id="role"),
        pytest.param({"name": "a b"}, "name", id="name"),
        pytest.param({"rate_per_s": 0}, "rate_per_s", id="rate"),
        pytest.param({"expires_at": "2999-01-01T00:00:00"}, "expires_at", id="no-zone"),
        pytest.param({"expires_at": "2001-01-01T00:00:00Z"}, "never be valid", id="past"),
        pytest.param({"expires_at": "9999-12-31T23:59:59-01:00"}, "beyond", id="no-date"),
        pytest.param({"secret": "mine"}, "secret", id="unknown"),
    ],
)
def test_a_key_that_cannot_be_is_refused(
    http: httpx.Client, api: Api, change: dict[str, object], word: str
) -> None:
    """The sentence names the field, and nothing is made."""
    body = {"name": "ci", "role": "client", **change}

    assert word in error_of(http.post("/v1/keys", json=body), 400, "bad_input")
    assert api.control.api_keys == {}


def test_a_key_is_revoked(client: ControlClient, api: Api) -> None:
    """It stays in the list with its end; a key that is unknown or gone cannot be revoked."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    made = client.create_key("ci", AccessRole.CLIENT, 2.5, tomorrow)
    assert made.token not in repr(made)

    gone = client.revoke_key(made.key.id, "lost")

    assert gone == made.key.model_copy(update={"revoked_at": gone.revoked_at})
    assert gone.revoked_at is not None
    assert client.keys() == (gone,)
    assert (api.control.log[-1].actor, api.control.log[-1].reason) == ("ada", "lost")
    with pytest.raises(Conflict, match="was revoked"):
        client.revoke_key(made.key.id)
    with pytest.raises(NotFound, match="no key 'ffff'"):
        client.revoke_key("ffff")
    with pytest.raises(BadInput, match="rate_per_s"):
        client.create_key("ci", AccessRole.CLIENT, -1.0)


def test_the_only_admin_key_stays(client: ControlClient) -> None:
    """The error says what to do first."""
    only = client.create_key("root", AccessRole.ADMIN)

    with pytest.raises(Conflict, match="make another admin key first"):
        client.revoke_key(only.key.id)


def test_unload_and_load(two_versions: ControlClient, http: httpx.Client, api: Api) -> None:
    """The route says whether it is served, and who changed that."""
    away = two_versions.unload("credit", "not needed")
    assert (away.served, away.reason, away.created_by) == (False, "not needed", "ada")
    assert two_versions.route("credit") == away
    assert two_versions.served_at("credit", datetime.now(UTC)) == away
    with pytest.raises(Conflict, match="unloaded already"):
        two_versions.unload("credit")

    back = http.post("/v1/models/credit:load", json={"reason": "needed"})

    assert (back.json()["served"], back.headers["ETag"]) == (True, '"3"')
    assert two_versions.load("credit").generation == 3
    assert [entry.action for entry in api.control.log[-2:]] == ["unload", "load"]
