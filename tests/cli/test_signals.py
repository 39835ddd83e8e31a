"""`weir signals`."""

from __future__ import annotations

import json
import signal as signals_of_unix
import subprocess
import sys
from dataclasses import replace

from monitors.signal import Verdict
from monitors.stats.familiar import Distance
from serve.control.service import ArmSignals
from tests.cli.conftest import Weir
from tests.cli.test_main import ROOT
from tests.control.memory import signal
from tests.control.serving import Api

ALARM = signal(
    "weir.drift",
    Verdict.ALARM,
    value=0.42,
    lower=0.31,
    log10_evidence=8.25,
    message="income has moved up",
)
WAITING = signal(
    "weir.quality", Verdict.INSUFFICIENT_DATA, rows=12, rows_needed=1038, message="too early"
)
FINE = signal("weir.fairness", Verdict.OK, value=0.01, lower=-0.02, upper=0.04, log10_evidence=-0.3)
BROKEN = signal("weir.score", Verdict.ERROR, message="the column is missing")


def test_alarms_come_first_with_their_evidence(weir: Weir, two_versions: Api) -> None:
    """The order is alarm, error, insufficient data, ok; figures stand beside the sentence."""
    arms = (ArmSignals(2, "canary", 1200, (FINE, WAITING, BROKEN, ALARM)),)
    two_versions.control.arms = arms

    head, _, *rows = weir("signals", "credit").stdout.strip().splitlines()

    assert head == (
        "version 2, canary: 1 alarm, 1 error, 1 insufficient data, 1 ok, after 1,200 sampled rows"
    )
    assert [row.split()[0] for row in rows] == ["alarm", "error", "insufficient", "ok"]
    for words in ("0.42 (at least 0.31)", "10^8.2", "income has moved up"):
        assert words in rows[0]
    assert "0.01 (-0.02 to 0.04)" in rows[3]
    assert "0.501" in rows[3]


def test_many_that_call_nobody_share_a_line(weir: Weir, two_versions: Api) -> None:
    """Six subjects that are ok are one line with the strongest evidence; six alarms are six."""
    fine = [replace(FINE, subject=f"f{n}", log10_evidence=0.1 * n) for n in range(6)]
    bad = [replace(ALARM, subject=f"a{n}") for n in range(6)]
    two_versions.control.arms = (ArmSignals(2, "stable", 1200, (*fine, *bad)),)

    *_, shared = rows = weir("signals", "credit").stdout.strip().splitlines()[2:]

    assert len(rows) == 7
    assert shared.split()[:4] == ["ok", "weir.fairness", "6", "subjects"]
    assert "such as f5" in shared
    assert len(weir("signals", "credit", "--all").stdout.strip().splitlines()[2:]) == 12


def test_insufficient_data_says_how_much_more(weir: Weir, two_versions: Api) -> None:
    """Too little data is said plainly, with the number of rows that would be enough."""
    two_versions.control.arms = (ArmSignals(1, "stable", 12, (WAITING,)),)

    assert "too early; needs about 1,038 more rows" in weir("signals", "credit").stdout


def test_what_rows_would_not_help_is_told_apart(weir: Weir, two_versions: Api) -> None:
    """The sentence says what would; how many rows are lacking is not asked."""
    needs = "no reference: register the version with --reference FILE"
    silent = replace(WAITING, rows_needed=None, message=needs)
    two_versions.control.arms = (ArmSignals(1, "stable", 12, (silent, WAITING)),)

    shown = weir("signals", "credit").stdout

    assert f"{needs}; more rows alone will not change that" in shown
    assert shown.count("more rows alone") == shown.count("needs about") == 1


def test_no_traffic_is_no_good_news(weir: Weir, two_versions: Api) -> None:
    """Silence is never taken for ok."""
    shown = weir("signals", "credit").stdout

    assert "no traffic" in shown
    assert "ok" not in shown


def test_follow_prints_changes_until_ctrl_c(two_versions: Api) -> None:
    """A new verdict appears by itself, and Ctrl-C is a good end."""
    two_versions.control.arms = (ArmSignals(1, "stable", 12, (WAITING,)),)
    command = [sys.executable, "-m", "serve.cli.main", "signals", "credit", "--follow"]
    with subprocess.Popen(
        [*command, "--url", two_versions.url], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert "1 insufficient data" in child.stdout.readline()
        two_versions.control.arms = (ArmSignals(1, "stable", 900, (ALARM,)),)
        for line in child.stdout:
            if "1 alarm, after 900" in line:
                break
        child.send_signal(signals_of_unix.SIGINT)

        assert child.wait(60) == 0


DISTANT = signal(
    "weir.drift",
    Verdict.OK,
    value=0.01,
    distances=(
        Distance("psi", 0.0972, 0.0, 0.0614),
        Distance("chi_square", 21.4, 0.0, 30.0, 0.3145),
    ),
)


def test_distances_are_told_when_asked_for(weir: Weir, two_versions: Api) -> None:
    """A second table, one distance a row with its interval, and a p-value where there is one."""
    two_versions.control.arms = (ArmSignals(1, "stable", 200, (DISTANT, BROKEN)),)

    plain, told = (weir("signals", "credit", *more).stdout for more in ((), ("--distances",)))

    assert "psi" not in plain
    assert told.startswith(plain)
    head, _, *rows = told.removeprefix(plain).strip().splitlines()
    assert head == "version 1, stable: familiar distances, for show"
    assert [row.split() for row in rows] == [
        ["weir.drift", "income", "psi", "0.0972", "0", "to", "0.0614", "-"],
        ["weir.drift", "income", "chi_square", "21.4", "0", "to", "30", "0.31"],
    ]


def test_without_distances_that_is_said(weir: Weir, two_versions: Api) -> None:
    """Nothing is left for the reader to guess."""
    two_versions.control.arms = (ArmSignals(1, "stable", 200, (BROKEN,)),)
    assert "None: no signal has" in weir("signals", "credit", "--distances").stdout


def test_json_always_has_the_distances(weir: Weir, two_versions: Api) -> None:
    """As the API gives them, whether they were asked for or not."""
    two_versions.control.arms = (ArmSignals(1, "stable", 200, (DISTANT,)),)
    (arm,) = json.loads(weir("signals", "credit", "--json").stdout)["arms"]
    (shown,) = arm["signals"]
    assert shown["distances"] == [
        {"name": "psi", "value": 0.0972, "lower": 0.0, "upper": 0.0614, "p_value": None},
        {"name": "chi_square", "value": 21.4, "lower": 0.0, "upper": 30.0, "p_value": 0.3145},
    ]
