"""A batch that is out counts as lost when its replica says nothing, or when time runs out."""

from __future__ import annotations

import pytest

from serve.models.hang import Out, Verdict, judge
from serve.models.pace import Usual

USUAL = Usual(median_s=0.02, longest_s=0.05, rows=10)


@pytest.mark.parametrize(
    ("out", "verdict"),
    [
        (Out(0.99, 1, 20.0, None), Verdict.WAIT),
        (Out(1.01, 1, 20.0, None), Verdict.PING),
        (Out(1.9, 1, 20.0, 0.9), Verdict.WAIT),
        (Out(2.1, 1, 20.0, 1.1), Verdict.HUNG),
        (Out(9.9, 1, 20.0, None), Verdict.PING),
        (Out(10.1, 1, 20.0, None), Verdict.HUNG),
        (Out(0.51, 1, 0.1, None), Verdict.LATE),
        (Out(0.49, 1, 0.1, None), Verdict.WAIT),
        (Out(1.5, 40, 0.1, None), Verdict.WAIT),
        (Out(2.1, 40, 0.1, None), Verdict.LATE),
    ],
)
def test_patience_is_measured_in_usual_runs(out: Out, verdict: Verdict) -> None:
    """Ten of the longest of late and a second: a ping; a hundred: lost; more rows, more time."""
    assert judge(out, USUAL) is verdict


@pytest.mark.parametrize(
    ("out", "verdict"),
    [
        (Out(0.9, 1, 20.0, None), Verdict.WAIT),
        (Out(1.1, 1, 20.0, None), Verdict.PING),
        (Out(9.0, 1, 20.0, 8.0), Verdict.WAIT),
        (Out(11.5, 1, 20.0, 10.5), Verdict.HUNG),
        (Out(25.0, 1, 0.1, None), Verdict.PING),
    ],
)
def test_the_first_run_may_be_long(out: Out, verdict: Verdict) -> None:
    """While nothing is known of a version, only silence for ten seconds is a hang."""
    assert judge(out, None) is verdict


def test_a_short_deadline_alone_breaks_no_link() -> None:
    """Deadlines are the clients' to choose: a run of a tenth of a second is never late."""
    fast = Usual(median_s=0.000_1, longest_s=0.000_3, rows=1)

    assert judge(Out(0.09, 1, 0.01, None), fast) is Verdict.WAIT
