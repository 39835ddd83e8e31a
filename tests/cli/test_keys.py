"""`weir keys`, over the API and on the folder of a gateway that is not running."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from configs.settings import Verify
from registry.keys import AccessRole, read_token
from registry.registry import Registry
from serve.cli.main import main
from serve.cli.options import user_name
from serve.node.owned import owned
from tests.cli.conftest import Weir
from tests.control.serving import Api

ONCE = "it will not be shown again"


def offline(data: Path, *args: str) -> Result:
    """Run `weir keys` on a folder."""
    return CliRunner().invoke(main, ["keys", *args, "--data", str(data)])


def test_a_key_is_made_and_its_token_printed_once(weir: Weir, api: Api) -> None:
    """The token is all of standard output; who reads along is told to keep it."""
    done = weir("keys", "create", "ci", "--role", "deployer", "--rate", "2.5")

    assert done.exit_code == 0, done.stderr
    token = read_token(done.stdout.strip())
    assert token is not None
    assert ONCE in done.stderr
    key = api.control.api_keys[token.id]
    assert (key.name, key.role, key.rate_per_s) == ("ci", AccessRole.DEPLOYER, 2.5)
    assert (key.digest, key.expires_at, key.created_by) == (token.digest, None, user_name())
    assert token.secret not in weir("keys", "list").stdout


def test_a_key_as_json(weir: Weir, api: Api) -> None:
    """The token is a field, and it is said that it comes once."""
    done = weir("keys", "create", "ci", "--role", "client", "--expires-days", "30", "--json")

    made = json.loads(done.stdout)
    assert read_token(made["token"]) is not None
    assert made["key"]["expires_at"] > made["key"]["created_at"]
    assert ONCE in done.stderr


def test_keys_are_listed_and_revoked(weir: Weir, api: Api) -> None:
    """The list tells which are valid; a revoked one stays in it."""
    assert "no key yet" in weir("keys", "list").stdout
    weir("keys", "create", "ci", "--role", "client", "--rate", "10")
    weir("keys", "create", "ops", "--role", "viewer")
    (first, _) = api.control.api_keys

    done = weir("keys", "revoke", first, "--reason", "lost")

    assert done.stdout == f"Key {first} (ci) is revoked.\n"
    lines = weir("keys", "list").stdout.splitlines()
    assert lines[1].split()[:5] == [first, "ci", "client", "10/s", "revoked"]
    assert lines[2].split()[1:5] == ["ops", "viewer", "any", "valid"]
    assert [key["name"] for key in json.loads(weir("keys", "list", "--json").stdout)] == [
        "ci",
        "ops",
    ]
    assert api.control.log[-1].reason == "lost"


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["create", "ci"], id="no-role"),
        pytest.param(["create", "ci", "--role", "king"], id="role"),
        pytest.param(["create", "ci", "--role", "client", "--rate", "0"], id="rate"),
        pytest.param(["create", "ci", "--role", "client", "--expires-days", "0"], id="days"),
        pytest.param(["revoke", "abc"], id="no-reason"),
    ],
)
def test_wrong_usage_makes_no_key(weir: Weir, api: Api, args: list[str]) -> None:
    """What was typed wrong is usage, and nothing happens."""
    done = weir("keys", *args)

    assert done.exit_code == 2, done.stdout
    assert api.control.api_keys == {}


def test_keys_are_in_one_place(weir: Weir, tmp_path: Path) -> None:
    """A folder and an address at once is usage, and the folder stays as it is."""
    done = weir("keys", "list", "--data", str(tmp_path))

    assert done.exit_code == 2
    assert "--data goes without --url" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_first_key_is_made_without_a_gateway(tmp_path: Path) -> None:
    """In a folder that is not there yet; the registry has the key and who made it."""
    data = tmp_path / "data"

    done = offline(data, "create", "root", "--role", "admin")

    assert done.exit_code == 0, done.stderr
    token = read_token(done.stdout.strip())
    assert token is not None
    with closing(Registry.open(data, Verify())) as registry:
        (key,) = registry.keys()
        (entry,) = registry.audit()
    assert (key.id, key.digest, key.role) == (token.id, token.digest, AccessRole.ADMIN)
    assert (entry.action, entry.actor) == ("create-key", user_name())


def test_the_user_of_the_image_is_not_taken_for_weir_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is called `weir` as well."""
    monkeypatch.setattr("serve.cli.keys.user_name", lambda: "weir")
    offline(tmp_path, "create", "root", "--role", "admin")

    with closing(Registry.open(tmp_path, Verify())) as registry:
        assert [entry.actor for entry in registry.audit()] == ["weir (a person)"]


def test_keys_are_listed_and_revoked_without_a_gateway(tmp_path: Path) -> None:
    """The same commands, with the same rules."""
    offline(tmp_path, "create", "root", "--role", "admin")
    key_id = offline(tmp_path, "list", "--json")
    (listed,) = json.loads(key_id.stdout)

    refused = offline(tmp_path, "revoke", listed["id"], "--reason", "lost")
    offline(tmp_path, "create", "root-2", "--role", "admin")
    done = offline(tmp_path, "revoke", listed["id"], "--reason", "lost")

    assert (refused.exit_code, done.exit_code) == (1, 0)
    assert "only valid admin key" in refused.stderr
    assert "revoked" in offline(tmp_path, "list").stdout


def test_a_running_gateway_is_not_gone_round(tmp_path: Path) -> None:
    """Whoever owns the folder is named by what they are, also while they still start."""
    with owned(tmp_path):
        supervised = offline(tmp_path, "create", "root", "--role", "admin")
    with closing(Registry.open(tmp_path, Verify())) as registry:
        opened = offline(tmp_path, "create", "root", "--role", "admin")
        assert registry.keys() == ()

    for done in (supervised, opened):
        assert (done.exit_code, done.stdout) == (1, "")
        assert "gateway" in done.stderr
        assert str(tmp_path) in done.stderr


def test_a_folder_that_is_not_there_has_no_keys(tmp_path: Path) -> None:
    """A mistyped folder is said to be one, and is not made."""
    done = offline(tmp_path / "typo", "list")

    assert done.exit_code == 2
    assert "does not exist" in done.stderr
    assert not (tmp_path / "typo").exists()
