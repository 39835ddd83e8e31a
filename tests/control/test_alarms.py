"""Alarms over real HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from configs.errors import BadInput, Conflict, NotFound, Unavailable
from registry.alarms import AlarmState, acknowledged
from serve.control.client import ControlClient
from tests.control.serving import Api
from tests.control.test_api import error_of
from tests.registry.alarms import KEY, alarm, why

SOON = datetime.now(UTC) + timedelta(hours=8)


@pytest.fixture(name="three")
def three_alarms(two_versions: ControlClient, api: Api) -> Api:
    """Two alarms that are raised, and one that is acknowledged."""
    for number, subject in enumerate(("income", "age", "debt")):
        made = alarm(f"a{number}", KEY._replace(subject=subject), at=number)
        api.control.known_alarms[made.id] = made
    api.control.known_alarms["a2"] = acknowledged(alarm("a2"), why(9))
    return api


def test_an_alarm_is_shown_with_what_was_found(three: Api, http: httpx.Client) -> None:
    """What it is about, the figures, and who changed it last; no more than that."""
    shown = http.get("/v1/alarms/a0").json()

    assert shown == {
        "id": "a0",
        "model": "credit",
        "version": 2,
        "role": "stable",
        "family": "drift",
        "name": "input_drift",
        "subject": "income",
        "arming": 1,
        "raised_at": "2026-01-01T00:00:00.000000+00:00",
        "log10_evidence": 8.25,
        "value": 0.42,
        "lower": 0.31,
        "upper": None,
        "message": "income has moved up",
        "state": "raised",
        "by": "weir",
        "at": "2026-01-01T00:01:00.000000+00:00",
        "reason": "because",
        "silenced_until": None,
        "adopted": False,
    }


def test_what_is_raised_is_listed_first(three: Api, client: ControlClient) -> None:
    """The latest before the others; by model and state there are fewer."""
    assert [each.id for each in client.alarms()] == ["a1", "a0", "a2"]
    assert [each.id for each in client.alarms("credit", AlarmState.ACKNOWLEDGED)] == ["a2"]
    assert [each.id for each in client.alarms(limit=1)] == ["a1"]
    with pytest.raises(NotFound, match="no model 'fraud'"):
        client.alarms("fraud")


@pytest.mark.parametrize("query", ["state=open", "limit=0", "limit=1001", "limit=x"])
def test_a_filter_that_does_not_exist_is_refused(http: httpx.Client, query: str) -> None:
    """The sentence names it."""
    assert query.partition("=")[0] in error_of(http.get(f"/v1/alarms?{query}"), 400, "bad_input")


def test_somebody_takes_an_alarm_on(three: Api, client: ControlClient) -> None:
    """The log says who; a second time is a conflict."""
    taken = client.acknowledge_alarm("a0", "looking")

    assert (taken.state, taken.by, taken.reason) == (AlarmState.ACKNOWLEDGED, "ada", "looking")
    assert client.alarm("a0") == taken
    assert (three.control.log[-1].action, three.control.log[-1].actor) == (
        "acknowledge-alarm",
        "ada",
    )
    with pytest.raises(Conflict, match="acknowledged by ada"):
        client.acknowledge_alarm("a0")


def test_an_alarm_is_silenced_until_a_moment_or_for_a_time(
    three: Api, client: ControlClient
) -> None:
    """Either way it is a moment that is kept."""
    assert client.silence_alarm("a0", SOON, "campaign").silenced_until == SOON.isoformat()

    before = datetime.now(UTC)
    quiet = client.silence_alarm("a1", 3600.0, "campaign")

    assert quiet.silenced_until is not None
    passed = datetime.fromisoformat(quiet.silenced_until) - before
    assert timedelta(hours=1) <= passed < timedelta(hours=1, minutes=1)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param({"reason": "x"}, "give until or for_s", id="no-end"),
        pytest.param(
            {"reason": "x", "for_s": 1, "until": "2999-01-01T00:00:00Z"},
            "give until or for_s",
            id="two-ends",
        ),
        pytest.param({"for_s": 60}, "reason is missing", id="no-reason"),
        pytest.param({"for_s": 60, "reason": ""}, "reason", id="empty-reason"),
        pytest.param({"for_s": 0, "reason": "x"}, "for_s", id="no-time"),
        pytest.param({"for_s": 1e9, "reason": "x"}, "for_s", id="for-ever"),
        pytest.param({"until": "2999-01-01T00:00:00", "reason": "x"}, "until", id="no-zone"),
        pytest.param({"until": "2001-01-01T00:00:00Z", "reason": "x"}, "over already", id="past"),
        pytest.param({"for": 60, "reason": "x"}, "for does not exist", id="unknown"),
    ],
)
def test_a_silence_that_cannot_be_is_refused(
    three: Api, http: httpx.Client, body: dict[str, object], words: str
) -> None:
    """The sentence says what is wrong, and the alarm stays raised."""
    assert words in error_of(http.post("/v1/alarms/a0:silence", json=body), 400, "bad_input")
    assert three.control.known_alarms["a0"].state is AlarmState.RAISED


def test_an_alarm_is_closed_by_re_arming_or_by_adopting(three: Api, client: ControlClient) -> None:
    """It says how; nothing happens to it after."""
    rearmed, adopted = client.rearm_alarm("a0", "repaired"), client.adopt_reference("a1", "new")

    assert (rearmed.state, rearmed.adopted) == (AlarmState.CLOSED, False)
    assert (adopted.state, adopted.adopted) == (AlarmState.CLOSED, True)
    assert [entry.action for entry in three.control.log[-2:]] == ["rearm-alarm", "adopt-reference"]
    with pytest.raises(Conflict, match="closed by re-arming, by ada"):
        client.silence_alarm("a0", 60.0, "x")
    for close in (client.rearm_alarm, client.adopt_reference):
        with pytest.raises(BadInput, match="reason"):
            close("a2", "")


def test_monitors_that_are_away_close_nothing(three: Api, client: ControlClient) -> None:
    """The caller is told to try again."""
    three.control.fails = Unavailable("the observer is not there")

    with pytest.raises(Unavailable):
        client.rearm_alarm("a0", "repaired")

    assert client.alarm("a0").state is AlarmState.RAISED


def test_a_change_that_is_sent_again_is_made_once(three: Api, http: httpx.Client) -> None:
    """Under the same key the second answer is the first one."""
    answers = [
        http.post("/v1/alarms/a0:acknowledge", json={}, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert http.post("/v1/alarms/a0:acknowledge", json={}).status_code == 409


def test_an_unknown_alarm_is_not_found(http: httpx.Client) -> None:
    """Whatever is asked of it."""
    error_of(http.get("/v1/alarms/nothing"), 404, "not_found")
    for verb in ("acknowledge", "silence", "rearm", "adopt"):
        body = {"reason": "x", "for_s": 60} if verb == "silence" else {"reason": "x"}
        answer = http.post(f"/v1/alarms/nothing:{verb}", json=body)
        assert "no alarm 'nothing'" in error_of(answer, 404, "not_found")
    error_of(http.post("/v1/alarms/nothing:wake", json={}), 405, "method_not_allowed")
