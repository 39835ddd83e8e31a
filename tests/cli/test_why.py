"""`weir alarms why`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from monitors.explain import BinShare
from monitors.signal import Signal, Verdict
from monitors.why.answer import (
    Attribution,
    Moved,
    Outcome,
    Part,
    Slice,
    Slices,
    Why,
)
from tests.cli.conftest import Weir
from tests.control.serving import Api
from tests.registry.alarms import alarm

SIGNAL = Signal(
    "drift", "input_drift", "income", Verdict.ALARM, 900, 0.42, 0.31, None, log10_evidence=8.25
)
WHY = Why(
    changed_at=datetime(2025, 12, 31, 23, 55, tzinfo=UTC).timestamp(),
    estimated=True,
    moved=(Moved(SIGNAL, (BinShare("above 9", 0.05, 0.4, 0.1, 0.2),)),),
    attribution=Attribution(
        500,
        4,
        1.0,
        (
            Outcome(
                "score", 0.6, 0.4, (Part("age", -0.1, -0.2, 0.0), Part("income", 0.3, 0.2, 0.4))
            ),
            Outcome("selected", 0.5, 0.5, ()),
        ),
    ),
    slices=Slices(
        1234, (Slice((("income", "above 9"), ("town", "a")), None, 0.3, None, 0.7, 1e-9),)
    ),
    notes=("this is half known",),
)


@pytest.fixture(name="explained")
def explained_alarm(two_versions: Api) -> Api:
    """An alarm of which something is known."""
    two_versions.control.known_alarms = {"a1": alarm("a1")}
    two_versions.control.known_why = WHY
    return two_versions


def test_a_person_reads_what_it_comes_from(weir: Weir, explained: Api) -> None:
    """What moved, what that did, where, and what else was changed."""
    done = weir("alarms", "why", "a1")

    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "input_drift of income, credit version 2 (stable)"
    assert lines[1] == "raised 2026-01-01 00:00Z; changed about 2025-12-31 23:55Z"
    rows = [line.split() for line in lines]
    moved = ["input_drift", "income", "0.42", "(at", "least", "0.31)", "10^8.2"]
    assert moved in [row[:7] for row in rows]
    assert "above 9: 5.0% to 40.0%" in done.stdout
    title = "What it did to the mean score: 0.6000 now, 0.4000 without the drift (500 rows, 4 runs)"
    assert title in lines
    places = [row[0] for row in rows if row and row[0] in ("income", "age", "all")]
    assert places[:3] == ["income", "age", "all"]
    assert ["income", "+0.3000", "+0.2000", "to", "+0.4000", "+" * 20] in rows
    assert ["age", "-0.1000", "-0.2000", "to", "+0.0000", "-" * 7] in rows
    assert ["all", "+0.2000"] in rows
    assert "the share that is selected" in done.stdout
    assert "Slices that changed (1,234 looked at)" in lines
    (slice_,) = [line for line in lines if line.startswith("income above 9 and town a")]
    assert slice_.split()[-7:] == ["few", "rows", "30.0%", "few", "rows", "0.7000", "1.0e-09"]
    assert [line for line in lines if "register" in line and "models/credit/versions/1" in line]
    assert lines[-1] == "Note: this is half known."


def test_the_sentence_of_the_alarm_is_there(weir: Weir, explained: Api) -> None:
    """As its monitor says it now, and those of its family beside it; else as it was raised."""
    own = replace(SIGNAL, message="it is worse")
    loss = replace(own, name="loss", message="inputs moved")
    explained.control.known_why = replace(WHY, moved=(Moved(own, ()), Moved(loss, ())))
    said = weir("alarms", "why", "a1").stdout
    assert "What it says (now alarm, 900 rows)\nit is worse.\nloss of income: inputs moved." in said

    explained.control.known_why = replace(WHY, moved=())
    said = weir("alarms", "why", "a1").stdout
    assert "What it says (when it was raised)\nincome has moved up." in said


def test_a_program_reads_the_same(weir: Weir, explained: Api) -> None:
    """As JSON."""
    shown = json.loads(weir("alarms", "why", "a1", "--json").stdout)
    assert shown["alarm"]["id"] == "a1"
    assert shown["changed_at"] == "2025-12-31T23:55:00+00:00"
    assert shown["attribution"]["outcomes"][0]["parts"][1]["feature"] == "income"
    assert shown["slices"]["found"][0]["where"][1] == {"feature": "town", "bin": "a"}
    assert shown["nearby"][0]["action"] == "register"


def test_where_little_is_known_that_is_said(weir: Weir, explained: Api) -> None:
    """No estimate, no parts, no slices, no changes."""
    explained.control.known_why = replace(
        WHY, estimated=False, attribution=None, slices=Slices(10, ())
    )
    explained.control.log.clear()
    done = weir("alarms", "why", "a1").stdout
    assert "no estimate of when it changed" in done
    assert "What it did" not in done
    assert "None for sure." in done
    assert "Nothing that the audit log knows of." in done


def test_an_alarm_that_is_none_is_not_explained(weir: Weir, explained: Api) -> None:
    """The sentence is that of the gateway."""
    done = weir("alarms", "why", "nothing")
    assert done.exit_code != 0
    assert "there is no alarm 'nothing'" in done.stderr
