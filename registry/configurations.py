"""How the gateway was configured when it started, in the audit log whenever that changed."""

from __future__ import annotations

import json
from collections.abc import Mapping

from configs.shown import differences
from registry.ledger import Ledger
from registry.naming import OURSELVES
from registry.records import AuditEntry

CONFIGURATION = "configuration"
"""The resource that such an entry is about."""

_FIRST = "the first start with this data"


class Configurations(Ledger):
    """The configurations that a registry was run with."""

    def note_configuration(self, values: Mapping[str, object]) -> AuditEntry | None:
        """Keep plain values by name if they are others than at the last start; gives the entry."""
        with self._lock:
            last = self._store.last_entry(CONFIGURATION)
            before = None if last is None else json.loads(last.after)
            if before == values:
                return None
            reason = _FIRST if before is None else "; ".join(differences(before, values))
            why = self._change(OURSELVES, reason)
            entry = self._entry("configure", CONFIGURATION, (before, values), why)
            self._store.add_entry(entry)
            return entry
