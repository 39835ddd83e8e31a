"""What is shown of a configuration is all of it but its secrets."""

from __future__ import annotations

import json

from configs.settings import Settings
from configs.shown import differences, shown


def test_every_setting_is_shown_by_its_dotted_name() -> None:
    """As plain values, with those of the defaults."""
    values = shown(Settings())
    assert values["monitors.alarm_budget"] == 0.01
    assert values["listen.http_port"] == 8000
    assert values["alarms.webhook"] is None
    assert json.loads(json.dumps(values)) == values
    assert not [value for value in values.values() if isinstance(value, dict)]


def test_addresses_are_shown_without_what_may_be_secret() -> None:
    """Neither user nor password, path nor query."""
    secret = "hunter2"  # noqa: S105 - a canary
    settings = Settings.model_validate(
        {
            "alarms": {
                "webhook": f"https://example.org:8443/{secret}?key={secret}",
                "format": "alertmanager",
            },
            "telemetry": {"otlp_endpoint": f"http://ada:{secret}@collector:4317"},
        }
    )
    values = shown(settings)
    assert values["alarms.webhook"] == "https://example.org:8443"
    assert values["telemetry.otlp_endpoint"] == "http://collector:4317"
    assert secret not in json.dumps(values)


def test_paths_are_told_apart_and_not_shown() -> None:
    """Where a key lies is nobody's business; that it lies elsewhere now is."""
    one, same, other = (
        shown(
            Settings.model_validate({"data": "/srv/weir", "alarms": {"webhook_secret_file": path}})
        )
        for path in ("/etc/hunter2", "/etc/hunter2", "/etc/hunter3")
    )
    assert one == same
    assert [each.partition(":")[0] for each in differences(one, other)] == [
        "alarms.webhook_secret_file"
    ]
    assert "hunter" not in json.dumps(one)
    assert "/srv" not in json.dumps(one)


def test_differences_are_told_by_name() -> None:
    """In the order of the names, whichever side lacks one."""
    assert [*differences({"b": 1, "a": 1}, {"a": 2, "c": 3})] == [
        "a: 1 -> 2",
        "b: 1 -> None",
        "c: None -> 3",
    ]
