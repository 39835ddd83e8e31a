"""`weir route`, `promote`, `rollback`, `models` and `versions`."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from registry.records import Judged
from serve.cli.options import user_name
from tests.cli.conftest import Weir
from tests.control.serving import Api


def arms(api: Api) -> dict[int, int]:
    """The split in force, in basis points."""
    return {arm.version: arm.weight_bp for arm in api.control.routes["credit"][-1].arms}


def test_a_route_is_shown(weir: Weir, two_versions: Api) -> None:
    """Versions, roles and shares, and who made it so."""
    weir("route", "credit", "--set", "1=95,2=5", "--reason", "canary")

    shown = weir("route", "credit").stdout

    assert "credit, generation 2" in shown
    assert f"by {user_name()}: canary" in shown
    assert "1        stable  95 %" in shown
    assert "2        canary  5 %" in shown


@pytest.mark.parametrize(
    ("baseline_bp", "line"),
    [
        (525, "judged: version 2, by rollout r1, against a baseline of 5.25 %\n"),
        (0, "judged: version 2, by rollout r1\n"),
    ],
)
def test_a_judged_route_says_by_what(
    weir: Weir, two_versions: Api, baseline_bp: int, line: str
) -> None:
    """Whoever looks at a split learns that a rollout makes it, and where to look further."""
    routes = two_versions.control.routes["credit"]
    assert "judged" not in weir("route", "credit").stdout
    routes.append(replace(routes[-1], judged=Judged("r1", 2, baseline_bp)))

    assert line in weir("route", "credit").stdout


def test_a_route_is_changed(weir: Weir, two_versions: Api) -> None:
    """Weights, shadow and reason arrive, and the new state is shown."""
    result = weir("route", "credit", "--set", "1=100", "--shadow", "2=3.5", "--reason", "look")

    assert result.exit_code == 0, result.stderr
    assert "shadow  sees 3.5 %" in result.stdout
    route = two_versions.control.routes["credit"][-1]
    assert route.shadow is not None
    assert (route.shadow.version, route.shadow.share_bp) == (2, 350)
    assert (route.reason, route.created_by) == ("look", user_name())


def test_what_is_not_given_stays(weir: Weir, two_versions: Api) -> None:
    """A new shadow keeps the weights, new weights keep the shadow, and `none` ends it."""
    weir("route", "credit", "--shadow", "2=10")
    assert arms(two_versions) == {1: 10_000}

    weir("route", "credit", "--set", "1=100")
    assert two_versions.control.routes["credit"][-1].shadow is not None

    weir("route", "credit", "--shadow", "none")
    assert two_versions.control.routes["credit"][-1].shadow is None


def test_a_shadow_that_gets_weight_is_no_shadow_any_more(weir: Weir, two_versions: Api) -> None:
    """From shadow to canary is one command."""
    weir("route", "credit", "--shadow", "2=10")

    result = weir("route", "credit", "--set", "1=95, 2=5")

    assert result.exit_code == 0, result.stderr
    assert arms(two_versions) == {1: 9500, 2: 500}
    assert two_versions.control.routes["credit"][-1].shadow is None


def test_a_first_route_can_be_set(weir: Weir, two_versions: Api) -> None:
    """A model without a route gets one; only a shadow alone makes no sense yet."""
    two_versions.control.routes.clear()

    alone = weir("route", "credit", "--shadow", "2=10")
    first = weir("route", "credit", "--set", "2=100")

    assert (alone.exit_code, first.exit_code) == (2, 0)
    assert "--set" in alone.stderr
    assert arms(two_versions) == {2: 10_000}


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["--set", "1:95"], id="colon"),
        pytest.param(["--set", "1=95,,2=5"], id="empty part"),
        pytest.param(["--set", "one=100"], id="word"),
        pytest.param(["--set", "1=-5"], id="negative"),
        pytest.param(["--set", "1=50,1=50"], id="twice"),
        pytest.param(["--set", "1=nan"], id="nan"),
        pytest.param(["--shadow", "2"], id="no share"),
        pytest.param(["--shadow", "off"], id="another word"),
        pytest.param(["--reason", "because"], id="only a reason"),
    ],
)
def test_a_wrong_form_is_refused(weir: Weir, two_versions: Api, args: list[str]) -> None:
    """What cannot be read changes nothing, and is usage."""
    result = weir("route", "credit", *args)

    assert result.exit_code == 2, result.stdout
    assert args[0] in result.stderr
    assert len(two_versions.control.routes["credit"]) == 1


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--set", "1=95"], "95 %"),
        (["--set", "1=95,9=5"], "no version 9"),
        (["--set", "0=100"], "weights"),
    ],
)
def test_the_gateway_says_what_does_not_add_up(
    weir: Weir, two_versions: Api, args: list[str], words: str
) -> None:
    """Rules live in one place: the command only passes them on."""
    result = weir("route", "credit", *args)

    assert result.exit_code == 1
    assert words in result.stderr


def test_promote_and_rollback(weir: Weir, two_versions: Api) -> None:
    """There and back, with what stays warm shown."""
    there = weir("promote", "credit", "2", "--reason", "better")
    back = weir("rollback", "credit", "--reason", "worse")

    assert "2        stable    100 %" in there.stdout
    assert "1        previous  kept warm" in there.stdout
    assert back.exit_code == 0, back.stderr
    assert arms(two_versions) == {1: 10_000}
    assert two_versions.control.log[-1].reason == "worse"


def test_json_can_be_read_by_programs(weir: Weir, two_versions: Api) -> None:
    """Every reading command speaks JSON."""
    assert json.loads(weir("route", "credit", "--json").stdout)["generation"] == 1
    assert json.loads(weir("models", "--json").stdout)[0]["model"] == "credit"
    assert [v["version"] for v in json.loads(weir("versions", "credit", "--json").stdout)] == [1, 2]
    assert json.loads(weir("signals", "credit", "--json").stdout)["arms"] == []
    assert len(json.loads(weir("audit", "list", "--json").stdout)) == 3
    assert json.loads(weir("audit", "verify", "--json").stdout)["intact"] is True


def test_models_and_versions_are_listed(weir: Weir, two_versions: Api) -> None:
    """One line each, whole, however long, when nobody looks at a terminal."""
    weir("route", "credit", "--set", "1=95,2=5")

    models = weir("models").stdout.splitlines()
    versions = weir("versions", "credit").stdout.splitlines()

    assert models[1].split(maxsplit=2) == ["credit", "2", "1: 95 % stable, 2: 5 % canary"]
    assert len(versions) == 3
    assert versions[2].rstrip().endswith(two_versions.control.registered["credit"][1].digest)
    assert "5 % canary" in versions[2]


def test_no_model_says_what_to_do(weir: Weir) -> None:
    """An empty gateway is not an empty answer."""
    assert "weir register" in weir("models").stdout


def test_what_others_wrote_cannot_steer_a_terminal(weir: Weir, two_versions: Api) -> None:
    """Names and reasons are shown as text: no escapes, no markup."""
    control = two_versions.control
    control._write("[red]eve\x1b[2J", "set-route", "models/credit/route", "")

    shown = weir("audit", "list").stdout

    assert "[red]eve [2J" in shown
    assert "\x1b" not in shown
