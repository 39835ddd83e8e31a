"""`weir rollout`."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from configs.policy import Metric
from registry.rollouts import RolloutState
from serve.cli import rollout as module
from serve.cli.options import user_name
from serve.cli.rollout_view import Follower, show_account
from serve.control.rollout_schemas import AccountView
from serve.rollout.account import Rates, account
from serve.rollout.finding import Finding
from serve.rollout.moves import Seen
from serve.rollout.shown import NOTHING
from serve.rollout.tallies import JudgedArm
from tests.cli.conftest import Weir
from tests.control.memory_rollouts import SEEN
from tests.control.serving import Api
from tests.serve.waiting import until


@pytest.fixture(name="canary")
def canary_rollout(two_versions: Api, weir: Weir) -> Api:
    """A rollout of version 2 at its first step."""
    started = weir("rollout", "start", "credit", "2", "--reason", "retrained")
    assert started.exit_code == 0, started.stderr
    two_versions.control.rollouts.move("r1", state=RolloutState.CANARY)
    return two_versions


def test_one_command_starts_it(weir: Weir, two_versions: Api) -> None:
    """The rollout belongs to the person at the terminal."""
    done = weir("rollout", "start", "credit", "2", "--reason", "retrained")

    assert done.stdout == ("rollout r1 of credit: start: starting; version 2 gets 0 %; retrained\n")
    (change,) = two_versions.control.rollouts.kept["r1"]
    assert change.rollout.started_by == user_name()


def test_a_policy_comes_from_a_file(weir: Weir, two_versions: Api, tmp_path: Path) -> None:
    """In YAML; what is wrong with it is said by name."""
    file = tmp_path / "policy.yaml"
    file.write_text("steps: [10, 20]\n# a comment\ndwell_s: 60\n")
    assert weir("rollout", "start", "credit", "2", "--policy", str(file)).exit_code == 0
    policy = json.loads(two_versions.control.rollouts.kept["r1"][0].rollout.policy)
    assert (policy["steps"], policy["dwell_s"]) == ([10, 20], 60)

    file.write_text("dwel_s: 60")
    wrong = weir("rollout", "start", "credit", "2", "--policy", str(file))
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    file.write_text("[")
    wrong = weir("rollout", "start", "credit", "2", "--policy", str(file))
    assert "is not YAML" in wrong.stderr


def test_a_dry_run_says_what_would_happen(weir: Weir, two_versions: Api) -> None:
    """And nothing does."""
    done = weir("rollout", "start", "credit", "2", "--dry-run")

    assert done.stdout.endswith(": start: starting; version 2 gets 0 %\n")
    assert done.stdout.startswith("Would: ")
    assert weir("rollout", "status", "--all").stdout == "There has been no rollout yet.\n"
    assert two_versions.control.rollouts.kept == {}
    both = weir("rollout", "start", "credit", "2", "--dry-run", "--follow")
    assert both.exit_code == 2


def test_all_that_are_under_way_are_listed(weir: Weir, canary: Api) -> None:
    """Those that are over only when they are asked for."""
    (headers, row) = weir("rollout", "status").stdout.strip().splitlines()
    assert headers.split()[:3] == ["STATE", "ID", "MODEL"]
    for words in ("canary", "r1", "credit", "1 -> 2", "1 %"):
        assert words in row
    canary.control.rollouts.move("r1", state=RolloutState.COMPLETED)
    assert weir("rollout", "status").stdout == "No rollout is under way.\n"
    assert "completed" in weir("rollout", "status", "--all").stdout
    assert json.loads(weir("rollout", "status", "--all", "--json").stdout)[0]["id"] == "r1"


@pytest.mark.parametrize("which", ["credit", "r1"])
def test_how_one_stands_is_shown(weir: Weir, canary: Api, which: str) -> None:
    """By the name of its model or by its id: traffic, guardrails, and what it waits for."""
    shown = weir("rollout", "status", which).stdout

    for words in (
        "credit 2 is a canary, step 1 of 4: retrained",
        "candidate 1 %, baseline 1 %, stable 98 %, 2 units/s meet the candidate",
        "error_ratio  cannot tell yet  3 of 1,200  baseline 2 of 1,190  3.16 of 631",
        "0.001 (-0.01 to 0.012)  about 25 min",
        "Waits for:\n  it stays here for 5 minutes more at least",
    ):
        assert words in shown, shown
    assert json.loads(weir("rollout", "status", which, "--json").stdout)["rollout"]["id"] == "r1"


def test_what_decides_nothing_is_shown_apart(weir: Weir, canary: Api) -> None:
    """How long answers took and how scores changed; nothing of it while nothing is known."""
    shown = weir("rollout", "status", "credit").stdout

    for words in (
        "For show, nothing is decided by it; what is in brackets holds at every look (95 %):",
        "ANSWERS OF  NUMBER  50 % WITHIN ",
        "candidate   1,000   8.7 ms (6.9 ms to 8.7 ms)  8.7 ms (6.9 ms to 8.7 ms)",
        "with the candidate scores changed by +0.01 on average over 2,000 compared answers (",
    ):
        assert words in shown, shown
    assert shown.index("error_ratio") < shown.index("For show") < shown.index("Waits for:")

    canary.control.rollouts.beside = NOTHING
    assert "For show" not in weir("rollout", "status", "credit").stdout


def test_whom_the_figures_leave_out_is_shown(weir: Weir, canary: Api) -> None:
    """Below all that they say."""
    assert "Note:" not in weir("rollout", "status", "credit").stdout
    canary.control.rollouts.seen = replace(SEEN, leaves_out=True)

    assert "Note:\n  some users with a Weir-Key" in weir("rollout", "status", "credit").stdout


def test_explain_has_sentences_and_every_change(weir: Weir, canary: Api) -> None:
    """For whoever asks a year later, too."""
    weir("rollout", "pause", "credit", "--reason", "lunch")

    shown = weir("rollout", "explain", "credit").stdout

    assert "error_ratio: cannot tell yet; candidate 3 of 1,200" in shown
    assert "somebody has paused it: `weir rollout resume`" in shown
    assert "lunch" in shown.splitlines()[-1]
    assert json.loads(weir("rollout", "explain", "credit", "--json").stdout)["waits_for"]


@pytest.mark.parametrize(
    ("args", "state"),
    [
        (("pause",), "held"),
        (("freeze", "--reason", "the night"), "held"),
        (("advance", "--reason", "it is time"), "canary"),
        (("promote", "--reason", "enough"), "promoting"),
        (("abort",), "rolling back"),
    ],
)
def test_people_steer(weir: Weir, canary: Api, args: tuple[str, ...], state: str) -> None:
    """By the name of the model."""
    done = weir("rollout", args[0], "credit", *args[1:])

    assert done.exit_code == 0, done.stderr
    assert f"rollout r1 of credit: {args[0]}: {state}" in done.stdout
    assert canary.control.rollouts.kept["r1"][-1].rollout.state.value == state


def test_somebody_approves(weir: Weir, two_versions: Api, tmp_path: Path) -> None:
    """At a gate that the policy names."""
    file = tmp_path / "policy.yaml"
    file.write_text("approvals: {before: [promotion], by_another: false}")
    weir("rollout", "start", "credit", "2", "--policy", str(file))

    done = weir("rollout", "approve", "credit", "--gate", "promotion", "--reason", "seen")

    assert done.exit_code == 0, done.stderr
    assert two_versions.control.rollouts.kept["r1"][-1].rollout.approved == ("promotion",)


@pytest.mark.parametrize("verb", ["advance", "promote", "freeze", "rollback"])
def test_some_commands_take_a_reason(weir: Weir, canary: Api, verb: str) -> None:
    """Without one it is wrong usage, and nothing is done."""
    before = len(canary.control.rollouts.kept["r1"])

    assert weir("rollout", verb, "credit").exit_code == 2
    assert len(canary.control.rollouts.kept["r1"]) == before


def test_what_there_is_not_is_said(weir: Weir, two_versions: Api) -> None:
    """A model without a rollout, and a name that is neither."""
    assert "'credit' has had no rollout yet" in weir("rollout", "status", "credit").stderr
    assert "neither a model nor a rollout" in weir("rollout", "abort", "fraud").stderr
    assert "name one to follow" in weir("rollout", "status", "--follow").stderr


def test_who_stops_following_is_not_told_that_it_went_well(
    weir: Weir, canary: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C has the exit code that it has everywhere, and the rollout goes on."""

    def pressed(seconds: float) -> None:
        del seconds
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=pressed))
    stopped = weir("rollout", "status", "credit", "--follow")

    told, last = filter(None, stopped.stderr.splitlines())
    assert (stopped.exit_code, last) == (130, "weir: stopped")
    assert told == "The rollout goes on: weir rollout status r1"
    assert "canary" in stopped.stdout
    assert canary.control.rollouts.kept["r1"][-1].rollout.state is RolloutState.CANARY


@pytest.mark.parametrize(("state", "code"), [("completed", 0), ("rolled back", 1)])
async def test_it_is_followed_to_its_end(
    weir: Weir, canary: Api, monkeypatch: pytest.MonkeyPatch, state: str, code: int
) -> None:
    """Each change is a line in a pipe; the exit code says whether it was completed."""
    monkeypatch.setattr(module, "_AGAIN_S", 0.01)
    done: list[object] = []
    thread = threading.Thread(
        target=lambda: done.append(weir("rollout", "status", "credit", "--follow"))
    )
    thread.start()
    await until(lambda: canary.control.rollouts.explained > 1, "two looks")
    canary.control.rollouts.move("r1", state=RolloutState(state))
    await until(lambda: bool(done), "the end")
    thread.join()

    (result,) = done
    assert getattr(result, "exit_code", None) == code
    lines = getattr(result, "stdout", "").strip().splitlines()
    assert len(lines) == 2
    assert "credit 2 is a canary" in lines[0]
    assert f"credit 2 is {state}" in lines[1]


def test_on_a_terminal_it_is_shown_in_place(
    canary: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same table again and again, not line after line."""
    monkeypatch.setattr("serve.cli.rollout_view._in_place", lambda as_json: not as_json)
    monkeypatch.setenv("FORCE_COLOR", "1")
    now = canary.control.rollouts.kept["r1"][-1].rollout
    view = AccountView.of(account(now, SEEN, Rates(), datetime.now(UTC)))

    with Follower(as_json=False) as shown:
        shown.show(view)
        shown.show(view)

    assert "error_ratio" in capsys.readouterr().out


def test_labelled_units_are_called_so(canary: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """They are fewer than the units of the other guardrails."""
    now = canary.control.rollouts.kept["r1"][-1].rollout
    units = {JudgedArm.CANDIDATE: 200, JudgedArm.STABLE: 3800}
    found = Finding(Metric.QUALITY_LOSS, compared_with=JudgedArm.STABLE, units=units)
    rates = Rates(labelled_per_s=2.0, labelled_pairs_per_s=3.0)

    show_account(AccountView.of(account(now, Seen((found,)), rates, datetime.now(UTC))))

    shown = capsys.readouterr().out
    assert "0 of 200 labelled" in shown
    assert "stable 0 of 3,800 labelled" in shown
    assert "2 labels/s of its units, 3 labels/s of compared answers" in " ".join(shown.split())
