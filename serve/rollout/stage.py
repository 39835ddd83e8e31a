"""What conducting rollouts asks of the control plane, and of those who watch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from monitors.labels.assigned import LabelledUnits
from registry.records import Judged, ShadowArm
from serve.control.service import ArmSignals

Kept = TypeVar("Kept")


class Stage(Protocol):
    """**Protocol:** whoever divides the traffic."""

    async def step_rollout(
        self,
        model: str,
        weights: Mapping[int, int],
        shadow: ShadowArm | None,
        judged: Judged | None,
        commit: Callable[[], Kept],
    ) -> Kept:
        """Divide a model's traffic, in basis points by version; `commit` keeps it for good.

        Hosts come first, and nothing is committed if one cannot be reached (`Unavailable`) or does
        not start (`Refused`). A way back waits for nobody.
        """

    async def routes_as_wanted(self, model: str) -> bool:
        """Whether every gateway process serves a model by its present route, all of it reached.

        All are arms, the shadow and the baseline; not a version that only stays warm.
        """

    async def reaching(self, model: str) -> tuple[int, int]:
        """How many gateway processes reach all of a model's route, and how many there are."""

    async def routes_back(self, model: str) -> bool:
        """Whether every gateway process serves a model by its present route, reached or not."""

    def gateways(self) -> int:
        """How many gateway processes there are now."""


class SignalSource(Protocol):
    """**Protocol:** whoever knows what the monitors say; `Unavailable` while nobody does."""

    async def signals(self, model: str) -> tuple[ArmSignals, ...]:
        """What the monitors say of every version of a model."""

    async def labelled_units(self, model: str) -> tuple[LabelledUnits, ...]:
        """Which units of a model's latest rollouts have their label, and were answered wrongly."""
