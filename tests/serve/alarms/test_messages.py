"""What is sent is what was promised, and nothing that is private."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft4Validator, FormatChecker

from configs.errors import ConfigError
from registry.alarms import Alarm, acknowledged, closed, silenced
from serve.alarms.messages import alerts, event
from serve.webhook.message import Message
from serve.webhook.signature import read_secret, signed
from tests.registry.alarms import KEY, alarm, minute, why
from tests.serve.alarms.documented import is_from_weir

LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
MOMENT = {"type": "string", "format": "date-time"}
POSTABLE_ALERTS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "labels": LABELS,
            "annotations": LABELS,
            "startsAt": MOMENT,
            "endsAt": MOMENT,
            "generatorURL": {"type": "string", "format": "uri"},
        },
        "required": ["labels"],
        "additionalProperties": False,
    },
}
"""`postableAlerts` of Alertmanager's OpenAPI document, which forbids no other keys; we do."""

QUIET = silenced(alarm(), minute(30), why(4, "ada", "a secret reason"))
TAKEN = acknowledged(alarm(), why(5))
OVER = closed(alarm(), True, why(6))


def content(message: Message) -> Any:
    """What the body says."""
    return orjson.loads(message.body)


def test_an_event_says_what_happened_to_which_alarm() -> None:
    """Type, time and data, as Standard Webhooks have them."""
    assert content(event(QUIET)) == {
        "type": "alarm.silenced",
        "timestamp": minute(4),
        "data": {
            "id": "a1",
            "model": "credit",
            "version": 2,
            "role": "stable",
            "family": "drift",
            "name": "input_drift",
            "subject": "income",
            "arming": 1,
            "state": "silenced",
            "raised_at": minute(0),
            "by": "ada",
            "silenced_until": minute(30),
            "adopted": False,
            "log10_evidence": 8.25,
            "value": 0.42,
            "lower": 0.31,
            "upper": None,
            "summary": "input_drift of income (credit, version 2, stable)",
        },
    }


def test_each_change_has_an_id_of_its_own() -> None:
    """It is the same for the same change, without the dot that separates signed parts."""
    ids = [event(each).id for each in (alarm(), QUIET, alarm("a2"))]

    assert ids == ["alarm_a1_1", "alarm_a1_2", "alarm_a2_1"]
    assert event(alarm()) == event(alarm())


@pytest.mark.parametrize("form", [event, lambda each: alerts((each,))])
def test_neither_reasons_nor_the_sentences_of_monitors_leave(form: Any) -> None:
    """They may speak of people and of values."""
    body = form(QUIET).body
    assert b"secret reason" not in body
    assert b"has moved up" not in body


@pytest.mark.parametrize("state", [alarm(), QUIET, TAKEN, OVER])
def test_alerts_are_what_alertmanager_takes(state: Alarm) -> None:
    """By the fields of its own document."""
    Draft4Validator(POSTABLE_ALERTS, format_checker=FormatChecker()).validate(
        content(alerts((state, alarm("a2"))))
    )


def test_an_alert_has_an_end_when_it_is_silenced_or_closed() -> None:
    """Until then it stands, also while somebody works on it."""
    ends = [content(alerts((each,)))[0].get("endsAt") for each in (alarm(), TAKEN, QUIET, OVER)]

    assert ends == [None, None, minute(4), minute(6)]


def test_an_alert_never_ends_before_it_began() -> None:
    """Two clocks must not make of it what Alertmanager refuses."""
    early = closed(alarm(at=9), False, why(3))

    (alert,) = content(alerts((early,)))

    assert (alert["startsAt"], alert["endsAt"]) == (minute(9), minute(9))


def test_the_labels_of_an_alert_stay_while_it_lives() -> None:
    """Alertmanager tells alerts apart by them. A shadow's is for the day, not for the night."""
    (now,), (later,) = content(alerts((alarm(),))), content(alerts((OVER,)))

    assert now["labels"] == later["labels"]
    assert now["labels"] == {
        "alertname": "WeirAlarm",
        "model": "credit",
        "version": "2",
        "role": "stable",
        "family": "drift",
        "signal": "input_drift",
        "subject": "income",
        "severity": "page",
    }
    (shadow,) = content(alerts((alarm(key=KEY._replace(role="shadow")),)))
    assert shadow["labels"]["severity"] == "ticket"
    assert "weir alarms credit" in now["annotations"]["runbook"]


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The specification's own example comes out as it says."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    message = Message("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}')

    assert signed(message, secret, 1614265330) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_page_verifies_a_signature_as_we_make_it() -> None:
    """The lines in the documentation say yes to what was sent, and no to anything else."""
    is_ours = is_from_weir()
    message = event(QUIET)
    headers = signed(message, b"s" * 32, 1_700_000_000)
    text = "whsec_" + base64.b64encode(b"s" * 32).decode()

    assert is_ours(headers, message.body, text, now=1_700_000_000)
    assert not is_ours(headers, message.body + b" ", text, now=1_700_000_000)
    assert not is_ours({**headers, "webhook-id": "x"}, message.body, text, now=1_700_000_000)
    assert not is_ours(headers, message.body, text, now=1_700_000_000 + 301)


@pytest.mark.parametrize("prefix", ["whsec_", ""])
def test_a_secret_is_read_with_its_prefix_or_without(tmp_path: Path, prefix: str) -> None:
    """And with the end of the line that editors put there."""
    file = tmp_path / "secret"
    file.write_text(prefix + base64.b64encode(b"s" * 24).decode() + "\n")

    assert read_secret(file) == b"s" * 24


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("whsec_" + base64.b64encode(b"s" * 23).decode(), id="short"),
        pytest.param("whsec_" + base64.b64encode(b"s" * 65).decode(), id="long"),
        pytest.param("whsec_correct horse battery staple correct", id="no-base64"),
        pytest.param("whsec_ürgend", id="no-ascii"),
    ],
)
def test_a_file_without_a_secret_is_named_but_not_its_content(tmp_path: Path, text: str) -> None:
    """What stands there may be a secret all the same."""
    file = tmp_path / "secret"
    file.write_text(text)

    with pytest.raises(ConfigError, match="holds no secret") as caught:
        read_secret(file)
    assert not text or text not in caught.value.message
    with pytest.raises(ConfigError, match="cannot be read"):
        read_secret(tmp_path / "nothing")
