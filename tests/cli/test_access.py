"""The command line shows a key, and says what to do when it needs another one."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from registry.keys import AccessRole, Token
from serve.cli.main import main
from tests.control.serving import Api, Stage
from tests.security.callers import REVOKED, ROLES, shut_door


@pytest.fixture
def shut(stage: Stage) -> Api:
    """A control API that asks for keys."""
    return stage.new_api(shut_door())


def run(api: Api, *args: str, key: Token | None) -> Result:
    """Run a command with the address and the key in the environment."""
    environment = {"WEIR_URL": api.url, "WEIR_KEY": key.text() if key else None}
    return CliRunner().invoke(main, args, env=environment)


def test_address_and_key_come_from_the_environment_or_from_options(shut: Api) -> None:
    """Either way the command is answered; an option goes before a variable."""
    viewer = ROLES[AccessRole.VIEWER]

    from_environment = run(shut, "models", key=viewer)
    from_option = run(shut, "models", "--key", viewer.text(), key=REVOKED)

    assert from_environment.exit_code == from_option.exit_code == 0


@pytest.mark.parametrize("key", [None, REVOKED])
def test_without_a_valid_key_one_line_says_how_to_give_one(shut: Api, key: Token | None) -> None:
    """Missing or no longer valid: the remedy is the same."""
    result = run(shut, "models", key=key)

    assert result.exit_code == 1
    assert result.stderr == (
        "weir: this needs a valid API key, sent as `Authorization: Bearer weir_...`: "
        "give one in WEIR_KEY, or with --key\n"
    )


def test_a_key_that_may_not_do_this_is_told_which_may(shut: Api) -> None:
    """The line names the permission and the roles that have it."""
    viewer = ROLES[AccessRole.VIEWER]

    result = run(shut, "rollback", "credit", key=viewer)

    assert result.exit_code == 1
    assert result.stderr == (
        "weir: this needs the permission 'deploy': use a key of the role deployer or admin\n"
    )


def test_a_key_with_a_line_break_is_said_to_be_none(shut: Api) -> None:
    """A key that was copied badly is one line, not a crash."""
    result = run(shut, "models", "--key", "weir_\nx", key=None)

    assert result.exit_code == 1
    assert "copy it once more" in result.stderr
    assert result.stderr.count("\n") == 1
