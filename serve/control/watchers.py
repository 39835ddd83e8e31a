"""What the control plane asks of the processes that watch."""

from __future__ import annotations

from typing import Protocol

from serve.control.service import ArmSignals


class Watchers(Protocol):
    """**Protocol:** the processes that watch: statistics and telemetry."""

    async def signals(self, model: str) -> tuple[ArmSignals, ...]:
        """What the monitors say of a model's versions."""

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """The Prometheus page and its content type."""
