"""An alarm that stands: what was raised, when, and on which evidence."""

from __future__ import annotations

from dataclasses import dataclass

from registry.alarms import AlarmKey


@dataclass(frozen=True, slots=True)
class Standing:
    """An alarm of one signal that stands until it is armed anew.

    `raised_at` is in seconds since 1970. `arming` counts from 1: how many times this subject has
    been armed. The numbers and the message are those of the signal as it is now.
    """

    model: str
    version: int
    role: str
    family: str
    name: str
    subject: str
    raised_at: float
    arming: int
    log10_evidence: float
    value: float | None
    lower: float | None
    upper: float | None
    message: str

    @property
    def key(self) -> AlarmKey:
        """What tells this alarm from all others."""
        place = (self.model, self.version, self.role)
        return AlarmKey(*place, self.family, self.name, self.subject, self.arming)
