"""Ray shell: the control plane's way to ask the actors that watch."""

from __future__ import annotations

from typing import Any

import ray
from ray.exceptions import RayError

from configs.errors import Unavailable
from serve.control.service import ArmSignals
from serve.node.names import EXPORTER, NAMESPACE, OBSERVER


class RayWatchers:
    """Asks the actors, for the control plane."""

    async def signals(self, model: str) -> tuple[ArmSignals, ...]:
        """Give what the monitors say of a model's versions."""
        signals: tuple[ArmSignals, ...] = await _ask(OBSERVER, "signals", model)
        return signals

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """Give the Prometheus page and its content type."""
        page: tuple[bytes, str] = await _ask(EXPORTER, "page", accept)
        return page


async def _ask(actor: str, method: str, argument: str) -> Any:
    try:
        handle: Any = ray.get_actor(actor, namespace=NAMESPACE)
        return await getattr(handle, method).remote(argument)
    except (RayError, ValueError) as error:
        raise Unavailable(f"{actor} is not there at the moment; try again") from error
