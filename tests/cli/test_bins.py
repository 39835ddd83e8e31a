"""`weir bins`."""

import json

import pytest

from monitors.explain import BinShare
from serve.control.service import ArmBins
from tests.cli.conftest import Weir
from tests.control.serving import Api

BINS = ArmBins(
    2,
    "stable",
    1200,
    (BinShare("below 3", 0.5, 0.25, 0.1733, 0.125), BinShare("3", 0.5, 0.75, 0.1014, 0.125)),
)


def test_each_bin_says_what_it_adds(weir: Weir, two_versions: Api) -> None:
    """Shares, parts of the distances, their sums, and a bar to either side."""
    two_versions.control.arm_bins = {"income": (BINS,)}
    head, _, first, second, together = weir("bins", "credit", "income").stdout.strip().splitlines()
    assert head == "version 2, stable: income, 1,200 live rows"
    assert first.split() == ["below", "3", "50.0%", "25.0%", "0.1733", "0.1250", "-" * 12]
    assert second.split() == ["3", "50.0%", "75.0%", "0.1014", "0.1250", "+" * 12]
    assert together.split() == ["all", "0.2747", "0.2500"]


@pytest.mark.parametrize(("last", "minutes"), [("30m", 30), ("6h", 360), ("30d", 43_200)])
def test_a_time_can_be_asked_for(weir: Weir, two_versions: Api, last: str, minutes: int) -> None:
    """It is sent in minutes."""
    two_versions.control.arm_bins = {"income": (BINS,)}
    shown = json.loads(weir("bins", "credit", "income", "--last", last, "--json").stdout)
    assert shown["minutes"] == two_versions.control.asked_minutes == minutes


@pytest.mark.parametrize("last", ["6", "0h", "31d", "h", "-1m", "1.5h"])
def test_what_is_no_time_is_refused(weir: Weir, last: str) -> None:
    """With an example of one."""
    done = weir("bins", "credit", "income", "--last", last)
    assert done.exit_code == 2
    assert "such as 30m, 6h or 7d" in done.stderr


@pytest.mark.usefixtures("two_versions")
def test_an_unknown_subject_is_not_found(weir: Weir) -> None:
    """The sentence says what it takes."""
    done = weir("bins", "credit", "incone")
    assert done.exit_code != 0
    assert "nothing is known of the bins of 'incone'" in done.stderr
