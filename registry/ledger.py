"""What everything in the registry rests on: one store, one change at a time, each in the log."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from datetime import datetime
from threading import RLock

from configs.errors import ModelNotFound, VersionNotFound
from configs.explain import did_you_mean
from registry.audit import next_entry, verify_chain
from registry.moments import utc_text
from registry.records import AuditEntry, Version
from registry.routing import Change
from registry.store import Store

Clock = Callable[[], datetime]
Entropy = Callable[[int], bytes]

_PAGE = 1000


class Ledger:
    """The versions and the audit log of a store; those who derive from it change other records.

    Threads may share it: whoever holds `_lock` is alone.
    """

    def __init__(self, store: Store, clock: Clock, entropy: Entropy) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._lock = RLock()

    def close(self) -> None:
        """Give the store back."""
        with self._lock:
            self._store.close()

    def models(self) -> tuple[str, ...]:
        """The names of all models, in alphabetical order."""
        with self._lock:
            return self._store.models()

    def versions(self, model: str) -> tuple[Version, ...]:
        """All versions of a model, oldest first; `ModelNotFound` suggests a near name."""
        with self._lock:
            versions = self._store.versions(model)
            if not versions:
                near = did_you_mean(model, self._store.models())
                raise ModelNotFound(f"no model {model[:80]!r} is registered.{near}")
            return versions

    def version(self, model: str, number: int) -> Version:
        """One version; `ModelNotFound` or `VersionNotFound` with what there is."""
        versions = self.versions(model)
        for version in versions:
            if version.number == number:
                return version
        known = ", ".join(str(version.number) for version in versions)
        raise VersionNotFound(f"{model!r} has no version {number}; there is {known}")

    def audit(self, after: int = 0, limit: int = 100) -> tuple[AuditEntry, ...]:
        """At most `limit` entries of the audit log with a sequence above `after`."""
        with self._lock:
            return self._store.audit(after, max(0, limit))

    def audit_between(
        self, since: datetime, until: datetime, limit: int = 1000
    ) -> tuple[AuditEntry, ...]:
        """Audit entries made in a time, its ends included; at most so many, the latest ones."""
        first, last = utc_text(since), utc_text(until)
        with self._lock:
            end = self._store.last_entry()
            sequences = range(end.sequence if end else 0)
            begin = bisect_left(sequences, first, key=self._made_at)
            stop = bisect_right(sequences, last, key=self._made_at)
            begin = max(begin, stop - limit)
            return self._store.audit(begin, max(0, stop - begin))

    def verify_audit(self) -> int | None:
        """The sequence at which the audit log is wrong first, or None if it is whole."""
        return verify_chain(self._all_entries())

    def _made_at(self, after: int) -> str:
        """When the entry after a sequence was made."""
        (entry,) = self._store.audit(after, 1)
        return entry.at

    def _change(self, actor: str, reason: str) -> Change:
        return Change(actor=actor, at=utc_text(self._clock()), reason=reason)

    def _entry(
        self, action: str, resource: str, states: tuple[object, object], why: Change
    ) -> AuditEntry:
        """The entry that a change is kept with; see `audit.next_entry`."""
        return next_entry(self._store.last_entry(), action, resource, states, why)

    def _all_entries(self) -> Iterator[AuditEntry]:
        after = 0
        while page := self.audit(after, _PAGE):
            yield from page
            after = page[-1].sequence
