"""What else was changed around the time at which an alarm's subject changed; a pure function."""

from __future__ import annotations

import json
from collections.abc import Iterable

from registry.alarms import Alarm
from registry.configurations import CONFIGURATION
from registry.records import AuditEntry


def changes_nearby(entries: Iterable[AuditEntry], alarm: Alarm) -> tuple[AuditEntry, ...]:
    """Of some audit entries those that may have to do with an alarm, in their order.

    Versions, routes and rollouts of its model, other alarms of its model, and what is of all
    models: the gateway's configuration, and API keys, since who may ask decides what is asked.
    """
    return tuple(each for each in entries if _concerns(each, alarm))


def _concerns(entry: AuditEntry, alarm: Alarm) -> bool:
    kind, _, rest = entry.resource.partition("/")
    match kind:
        case "models":
            return rest == alarm.key.model or rest.startswith(f"{alarm.key.model}/")
        case "alarms":
            return rest != alarm.id and json.loads(entry.after)["model"] == alarm.key.model
        case "rollouts":
            return bool(json.loads(entry.after)["model"] == alarm.key.model)
        case _:
            return kind in (CONFIGURATION, "keys")
