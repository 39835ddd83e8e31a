"""`weir load` and `weir unload`."""

from __future__ import annotations

import json

from tests.cli.conftest import Weir
from tests.control.serving import Api


def test_unload_and_load(weir: Weir, two_versions: Api) -> None:
    """A model that is unloaded is shown as such everywhere, and comes back as it was."""
    away = weir("unload", "credit", "--reason", "not needed")

    assert away.exit_code == 0, away.stderr
    assert "unloaded; to serve it as below: weir load credit" in away.stdout
    assert not two_versions.control.routes["credit"][-1].served
    assert weir("models").stdout.splitlines()[1].split() == ["credit", "2", "unloaded"]
    assert "100 %" not in weir("versions", "credit").stdout

    back = weir("load", "credit", "--json")

    assert json.loads(back.stdout)["served"]
    assert "unloaded" not in weir("route", "credit").stdout


def test_unloading_needs_a_reason(weir: Weir, two_versions: Api) -> None:
    """Nobody's traffic ends without a word."""
    assert weir("unload", "credit").exit_code == 2
    assert two_versions.control.routes["credit"][-1].served


def test_a_model_that_was_never_served(weir: Weir, two_versions: Api) -> None:
    """Its latest version takes all."""
    two_versions.control.routes.clear()

    done = weir("load", "credit", "--reason", "go")

    assert "2        stable  100 %" in done.stdout
    assert two_versions.control.log[-1].reason == "go"
