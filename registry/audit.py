"""The chain of hashes that shows when an entry of the audit log was edited, removed or moved.

Each entry's hash is SHA-256 over the entry as canonical JSON (sorted keys, no spaces, ASCII), and
the entry holds the hash before it. A chain cannot show that its last entries were cut off, or that
all of it was written anew: for that its head must be kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, replace

from registry.alarms import Alarm
from registry.keys import ApiKey
from registry.records import AuditEntry, Route, Version
from registry.rollouts import Rollout
from registry.routing import Change

GENESIS = "0" * 64
"""What the first entry has in place of the hash before it."""


def canonical(value: object) -> str:
    """Plain values as the one JSON text that they have."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def next_entry(
    last: AuditEntry | None, action: str, resource: str, states: tuple[object, object], why: Change
) -> AuditEntry:
    """The entry that follows `last`; `states` are the resource before and after, as plain values.

    A state of None stands for a resource that did not exist.
    """
    before, after = ("" if state is None else canonical(state) for state in states)
    entry = AuditEntry(
        sequence=last.sequence + 1 if last else 1,
        at=why.at,
        actor=why.actor,
        action=action,
        resource=resource,
        before=before,
        after=after,
        reason=why.reason,
        previous_hash=last.hash if last else GENESIS,
        hash="",
    )
    return replace(entry, hash=hash_of(entry))


def hash_of(entry: AuditEntry) -> str:
    """SHA-256, in hexadecimal, over all of an entry but its own hash."""
    content = asdict(entry)
    del content["hash"]
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def verify_chain(entries: Iterable[AuditEntry]) -> int | None:
    """The sequence at which a log that starts at entry 1 is wrong first, or None if it is whole."""
    expected, before = 1, GENESIS
    for entry in entries:
        if (
            entry.sequence != expected
            or entry.previous_hash != before
            or entry.hash != hash_of(entry)
        ):
            return expected
        expected, before = expected + 1, entry.hash
    return None


def version_state(version: Version) -> dict[str, object]:
    """What the audit log says about a version."""
    return {
        "digest": version.digest,
        "profile": version.profile,
        "card": version.card.model_dump(mode="json"),
    }


def route_state(route: Route) -> dict[str, object]:
    """What the audit log says about a route; the salt stays out, since it could be gamed."""
    return {
        "generation": route.generation,
        "stable": route.stable,
        "arms": {str(arm.version): arm.weight_bp for arm in route.arms},
        "shadow": {str(route.shadow.version): route.shadow.share_bp} if route.shadow else None,
        "previous": route.previous,
        "served": route.served,
        "judged": asdict(route.judged) if route.judged else None,
    }


def key_state(key: ApiKey) -> dict[str, object]:
    """What the audit log says about an API key; its digest stays out, as nobody's business."""
    return {
        "name": key.name,
        "role": key.role.value,
        "rate_per_s": key.rate_per_s,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


def alarm_state(alarm: Alarm) -> dict[str, object]:
    """What the audit log says about an alarm; what the monitor said stays with the alarm."""
    return {
        **alarm.key._asdict(),
        "state": alarm.state.value,
        "until": alarm.until,
        "adopted": alarm.adopted,
    }


def rollout_state(rollout: Rollout) -> dict[str, object]:
    """What the audit log says about a rollout; its policy by digest."""
    return {
        "model": rollout.model,
        "stable": rollout.stable,
        "candidate": rollout.candidate,
        "policy": rollout.policy_digest,
        "number": rollout.number,
        "state": rollout.state.value,
        "step": rollout.step,
        "hold": rollout.hold,
        "held_from": rollout.held_from,
        "promoted_by": rollout.promoted_by,
        "approved": list(rollout.approved),
        "objective_s": rollout.objective_s,
    }
