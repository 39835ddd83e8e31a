"""Ray shells: the actors that watch, and the control plane's way to ask them."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

import ray
from ray.exceptions import RayError

from configs.errors import Unavailable
from configs.settings import Settings
from monitors.blocks import SampleBlock, Snapshot
from monitors.exporter import Exporter
from monitors.observer import Observer, Watched
from registry.records import Version
from serve.control.service import ArmSignals
from serve.node.names import CONTROL, EXPORTER, NAMESPACE, OBSERVER

_log = logging.getLogger("weir.watchers")


class ExporterActor:
    """Folds counts and exports them."""

    def __init__(self, settings: Settings) -> None:
        self._exporter = Exporter(settings.telemetry, f"exporter-{os.getpid()}")

    def fold(self, snapshot: Snapshot) -> None:
        """Take in the counts of one source."""
        self._exporter.fold(snapshot)

    def page(self, accept: str) -> tuple[bytes, str]:
        """Give the Prometheus page and its content type."""
        return self._exporter.page(accept)

    def close(self) -> None:
        """Export what has not been exported."""
        self._exporter.close()

    def pid(self) -> int:
        """Give the process id."""
        return os.getpid()


class ObserverActor:
    """Folds blocks into signals and tells the exporter of them now and then."""

    def __init__(self, settings: Settings) -> None:
        self._lock = threading.Lock()
        self._observer = Observer(settings.monitors, _describe, f"observer-{os.getpid()}")
        self._every_s = settings.monitors.signals_s
        threading.Thread(target=self._tell, name="weir-signals", daemon=True).start()

    def fold(self, block: SampleBlock) -> None:
        """Take in a block."""
        with self._lock:
            self._observer.fold(block)

    def signals(self, model: str) -> tuple[ArmSignals, ...]:
        """Give what there is to say of a model's versions."""
        with self._lock:
            return tuple(map(_view, self._observer.signals(model)))

    def pid(self) -> int:
        """Give the process id."""
        return os.getpid()

    def _tell(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._every_s):
            with self._lock:
                snapshot = self._observer.snapshot()
            try:
                exporter: Any = ray.get_actor(EXPORTER, namespace=NAMESPACE)
                exporter.fold.remote(snapshot)
            except (RayError, ValueError):  # ValueError: no actor of that name lives.
                _log.warning("the exporter cannot be reached; its next start will get all signals")


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


def _describe(model: str, version: int) -> tuple[Version, bytes | None]:
    control: Any = ray.get_actor(CONTROL, namespace=NAMESPACE)
    described: tuple[Version, bytes | None] = ray.get(control.describe.remote(model, version))
    return described


def _view(watched: Watched) -> ArmSignals:
    return ArmSignals(watched.version, watched.role, watched.rows, watched.signals)
