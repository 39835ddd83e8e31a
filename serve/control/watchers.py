"""What the control plane asks of the processes that watch."""

from __future__ import annotations

from typing import Protocol

from monitors.alarm import Standing
from monitors.labels.assigned import LabelledUnits
from monitors.labels.told import LabelsTold
from monitors.why.answer import Why
from registry.alarms import AlarmKey
from serve.control.service import ArmBins, ArmSignals


class Watchers(Protocol):
    """**Protocol:** the processes that watch: statistics and telemetry.

    Everything raises `Unavailable` when the process that is asked is not there.
    """

    async def signals(self, model: str) -> tuple[ArmSignals, ...]:
        """What the monitors say of a model's versions."""

    async def bins(self, model: str, subject: str, minutes: int | None) -> tuple[ArmBins, ...]:
        """The bins of a feature, a score or the decision; of the last minutes, or of all rows."""

    async def labels(self, model: str) -> LabelsTold:
        """What is known of a model's labels; `NotFound` where none are awaited."""

    async def labelled_units(self, model: str) -> tuple[LabelledUnits, ...]:
        """Which units of a model's latest rollouts have their label, and were answered wrongly."""

    async def alarms(self) -> tuple[Standing, ...]:
        """The alarms that stand, of all models."""

    async def why(self, key: AlarmKey) -> Why:
        """Why an alarm was raised, worked out beside all else; may take half a minute."""

    async def rearm(self, key: AlarmKey, adopt: bool) -> None:
        """Begin anew with what raised an alarm, against a new reference if one is adopted."""

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """The Prometheus page and its content type."""
