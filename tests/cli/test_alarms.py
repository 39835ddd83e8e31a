"""`weir alarms`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from registry.alarms import AlarmState, closed
from serve.cli.main import main
from serve.cli.options import user_name
from tests.cli.conftest import Weir
from tests.control.serving import Api
from tests.registry.alarms import KEY, alarm, why


@pytest.fixture(name="alarmed")
def two_alarms(two_versions: Api) -> Api:
    """An alarm that is raised, and one that was closed by adopting."""
    over = closed(alarm("a2", KEY._replace(subject="age"), at=3), True, why(5))
    two_versions.control.known_alarms = {"a2": over, "a1": alarm("a1")}
    return two_versions


@pytest.mark.parametrize("args", [(), ("credit",), ("list",), ("list", "credit")])
def test_alarms_are_listed_unless_told_otherwise(
    weir: Weir, alarmed: Api, args: tuple[str, ...]
) -> None:
    """What is raised comes first, with figures, and with who changed it last."""
    done = weir("alarms", *args)

    assert done.exit_code == 0, done.stderr
    _, first, second = done.stdout.strip().splitlines()
    assert first.split()[:3] == ["raised", "a1", "credit"]
    for words in ("income", "0.42 (at least 0.31)", "10^8.2", "2026-01-01 00:00Z", "weir"):
        assert words in first
    assert second.startswith("closed, adopted")
    assert "ada: because" in second


def test_alarms_are_listed_by_state_and_as_json(weir: Weir, alarmed: Api) -> None:
    """A filter and a form for programs; of nothing it is said that there is nothing."""
    found = json.loads(weir("alarms", "--state", "closed", "--json").stdout)

    assert [each["id"] for each in found] == ["a2"]
    assert weir("alarms", "--state", "silenced").stdout == "There is no such alarm.\n"
    assert "no model 'fraud'" in weir("alarms", "fraud").stderr


def test_somebody_takes_an_alarm_on(weir: Weir, alarmed: Api) -> None:
    """The log knows the person at the terminal."""
    done = weir("alarms", "acknowledge", "a1", "--reason", "looking")

    assert done.stdout == (
        "Alarm a1 is acknowledged: input_drift of income, credit version 2 (stable).\n"
    )
    assert (alarmed.control.log[-1].actor, alarmed.control.log[-1].reason) == (
        user_name(),
        "looking",
    )
    again = weir("alarms", "acknowledge", "a1")
    assert (again.exit_code, again.stdout) == (1, "")
    assert "acknowledged by" in again.stderr


@pytest.mark.parametrize("end", [("--for", "8h"), ("--until", "2999-01-01T00:00")])
def test_an_alarm_is_silenced(weir: Weir, alarmed: Api, end: tuple[str, str]) -> None:
    """For a time or until a moment."""
    done = weir("alarms", "silence", "a1", *end, "--reason", "campaign")

    assert done.exit_code == 0, done.stderr
    assert "Alarm a1 is silenced until " in done.stdout
    assert alarmed.control.known_alarms["a1"].state is AlarmState.SILENCED


@pytest.mark.parametrize(
    ("verb", "how"), [("rearm", "closed, re-armed"), ("adopt", "closed, adopted")]
)
def test_an_alarm_is_closed(weir: Weir, alarmed: Api, verb: str, how: str) -> None:
    """By re-arming or by adopting, on a reason."""
    done = weir("alarms", verb, "a1", "--reason", "repaired")

    assert done.stdout.startswith(f"Alarm a1 is {how}: ")
    assert alarmed.control.known_alarms["a1"].closed


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["silence", "a1", "--reason", "x"], id="no-end"),
        pytest.param(
            ["silence", "a1", "--for", "1h", "--until", "2999-01-01", "--reason", "x"], id="two"
        ),
        pytest.param(["silence", "a1", "--for", "long", "--reason", "x"], id="time"),
        pytest.param(["silence", "a1", "--until", "soon", "--reason", "x"], id="moment"),
        pytest.param(["silence", "a1", "--for", "1h"], id="silence-why"),
        pytest.param(["rearm", "a1"], id="rearm-why"),
        pytest.param(["adopt", "a1"], id="adopt-why"),
        pytest.param(["acknowledge"], id="which"),
        pytest.param(["--state", "open"], id="state"),
    ],
)
def test_wrong_usage_changes_nothing(weir: Weir, alarmed: Api, args: list[str]) -> None:
    """What was typed wrong is usage."""
    before = dict(alarmed.control.known_alarms)

    assert weir("alarms", *args).exit_code == 2
    assert alarmed.control.known_alarms == before


def test_help_is_that_of_the_group() -> None:
    """Whoever asks for help sees every command."""
    shown = CliRunner().invoke(main, ["alarms", "--help"]).stdout
    assert all(verb in shown for verb in ("acknowledge", "silence", "rearm", "adopt", "list"))
