"""What was taken out of the training log at somebody's request, in the audit log."""

from __future__ import annotations

from registry.ledger import Ledger
from registry.records import AuditEntry


class Deletions(Ledger):
    """Deletions of rows that were kept for training."""

    def note_deletion(self, model: str, rows: int, actor: str, reason: str) -> AuditEntry:
        """Keep how many rows were deleted, and why; not whose, since that is what was deleted."""
        with self._lock:
            states = ({"rows": rows}, {"rows": 0})
            why = self._change(actor, reason)
            entry = self._entry("delete", f"models/{model}/training", states, why)
            self._store.add_entry(entry)
            return entry
