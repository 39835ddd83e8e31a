"""Ray shell: the control plane's way to ask the actors that watch."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from configs.errors import DeadlineExceeded, Unavailable, WeirError
from monitors.alarm import Standing
from monitors.labels.assigned import LabelledUnits
from monitors.labels.told import LabelsTold
from monitors.why.answer import Why
from registry.alarms import AlarmKey
from serve.control.service import ArmBins, ArmSignals
from serve.node.names import EXPORTER, NAMESPACE, OBSERVER

_WHY_MAX_S = 90.0
_WHY_AGAIN_S = 0.1


class RayWatchers:
    """Asks the actors, for the control plane."""

    async def signals(self, model: str) -> tuple[ArmSignals, ...]:
        """Give what the monitors say of a model's versions."""
        signals: tuple[ArmSignals, ...] = await _ask(OBSERVER, "signals", model)
        return signals

    async def bins(self, model: str, subject: str, minutes: int | None) -> tuple[ArmBins, ...]:
        """Give the bins of a feature, a score or the decision."""
        bins: tuple[ArmBins, ...] = await _ask(OBSERVER, "bins", model, subject, minutes)
        return bins

    async def labels(self, model: str) -> LabelsTold:
        """Give what is known of a model's labels."""
        told: LabelsTold = await _ask(OBSERVER, "labels", model)
        return told

    async def labelled_units(self, model: str) -> tuple[LabelledUnits, ...]:
        """Give which units of a model's rollouts have their label, and were answered wrongly."""
        units: tuple[LabelledUnits, ...] = await _ask(OBSERVER, "labelled_units", model)
        return units

    async def alarms(self) -> tuple[Standing, ...]:
        """Give the alarms that stand."""
        standing: tuple[Standing, ...] = await _ask(OBSERVER, "alarms")
        return standing

    async def why(self, key: AlarmKey) -> Why:
        """Give why an alarm was raised; asks until it is known."""
        until = time.monotonic() + _WHY_MAX_S
        found: Why | None = None
        while found is None:
            if time.monotonic() > until:
                raise DeadlineExceeded(f"no answer within {_WHY_MAX_S:g} s: ask again")
            found = await _ask(OBSERVER, "why", key[:3], key[3:6])
            if found is None:
                await asyncio.sleep(_WHY_AGAIN_S)
        return found

    async def rearm(self, key: AlarmKey, adopt: bool) -> None:
        """Have the monitors begin anew with what raised an alarm; errors are theirs."""
        await _ask(OBSERVER, "rearm", key[:3], key[3:6], adopt)

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """Give the Prometheus page and its content type."""
        page: tuple[bytes, str] = await _ask(EXPORTER, "page", accept)
        return page


async def _ask(actor: str, method: str, *arguments: object) -> Any:
    try:
        handle: Any = ray.get_actor(actor, namespace=NAMESPACE)
        return await getattr(handle, method).remote(*arguments)
    except RayTaskError as error:
        if isinstance(error.cause, WeirError):
            raise error.cause from None
        raise Unavailable(f"{actor} failed: see its log; try again") from error
    except (RayError, ValueError) as error:
        raise Unavailable(f"{actor} is not there at the moment; try again") from error
