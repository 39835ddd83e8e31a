"""What a receiver is told of an alarm: pure functions from alarms to the bodies of requests.

Bodies name models, signals and subjects, and who made a change. They hold no data, and neither the
monitor's sentence nor the reason that a person gave.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from registry.alarms import Alarm, AlarmState
from registry.records import Role
from serve.webhook.message import Message

_STANDING = (AlarmState.RAISED, AlarmState.ACKNOWLEDGED)


def event(alarm: Alarm) -> Message:
    """The latest change of an alarm as Standard Webhooks have it: type, timestamp and data."""
    found = alarm.finding
    data = {
        "id": alarm.id,
        **alarm.key._asdict(),
        "state": alarm.state.value,
        "raised_at": alarm.raised_at,
        "by": alarm.by,
        "silenced_until": alarm.until,
        "adopted": alarm.adopted,
        "log10_evidence": found.log10_evidence,
        "value": found.value,
        "lower": found.lower,
        "upper": found.upper,
        "summary": alarm.key.text(),
    }
    content = {"type": f"alarm.{alarm.state.value}", "timestamp": alarm.at, "data": data}
    return Message(_id(alarm), orjson.dumps(content))


def alerts(alarms: Iterable[Alarm]) -> Message:
    """Alarms as Alertmanager's `POST /api/v2/alerts` takes them, under the id of the last one."""
    told = list(alarms)
    return Message(_id(told[-1]), orjson.dumps([_alert(alarm) for alarm in told]))


def _alert(alarm: Alarm) -> dict[str, object]:
    """One alert; without an end it stands, until Alertmanager has not heard of it for a while.

    Source: Alertmanager's OpenAPI document, `postableAlert`.
    """
    key = alarm.key
    labels = {
        "alertname": "WeirAlarm",
        "model": key.model,
        "version": str(key.version),
        "role": key.role,
        "family": key.family,
        "signal": key.name,
        "subject": key.subject,
        # A shadow answers nobody, so nobody need get up for it.
        "severity": "ticket" if key.role == Role.SHADOW else "page",
    }
    annotations = {
        "summary": f"Alarm: {key.text()}.",
        "runbook": (
            f"See `weir signals {key.model}` and `weir alarms {key.model}`; then acknowledge, "
            f"silence, re-arm or adopt alarm {alarm.id}."
        ),
        "alarm": alarm.id,
        "state": f"{alarm.state.value} by {alarm.by} at {alarm.at}",
    }
    # Alertmanager refuses an end before the start, which two clocks could make of them.
    ends = {} if alarm.state in _STANDING else {"endsAt": max(alarm.at, alarm.raised_at)}
    return {"labels": labels, "annotations": annotations, "startsAt": alarm.raised_at, **ends}


def _id(alarm: Alarm) -> str:
    return f"alarm_{alarm.id}_{alarm.number}"
