"""The models that one process shares, put together: what loads, keeps, offers and counts them."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from configs.settings import Settings
from serve.models.curve import Curve
from serve.models.host import Traced
from serve.models.in_hand import InHand
from serve.models.keeper import Keeper
from serve.models.loading import Loader
from serve.models.session import Session
from serve.models.shelf_files import Entry, VersionKey, hand, shelf_folder
from serve.models.shelf_host import ShelfHost
from serve.models.shelf_tally import ShelfTally, Transport
from serve.traces import RunTracer

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


class SharedModels:
    """Holds many small versions inside a memory budget, on the loop on which it is opened.

    `inside` says that this process is a gateway replica, which is the only one to ask for them.
    """

    def __init__(
        self,
        settings: Settings,
        run_dir: Path,
        number: int,
        transport: Transport,
        provider: TracerProvider | None,
        *,
        inside: bool = False,
    ) -> None:
        hosts = settings.hosts
        self._loader = Loader(settings.data, hosts)
        self._provider = provider
        self._flush_s = settings.recorder.flush_s
        self._tally = ShelfTally(shelf_name(number), transport)
        in_hand = InHand(hand(shelf_folder(run_dir, number), os.getpid()))
        self._keeper = Keeper(hosts.memory_max_bytes, hosts.load_wait_s, self._tally, in_hand)
        self._host = ShelfHost(
            run_dir,
            number,
            self._keeper,
            self._load,
            self._traced_of,
            self._tally.failed,
            inside=inside,
        )

    @property
    def following(self) -> bool:
        """Whether it still does what the control plane tells it."""
        return self._host.following

    async def open(self) -> None:
        """Hold what is wanted now and from now on, and say what that takes."""
        await self._host.open()
        tell = self._tally.tell(self._keeper, self._flush_s)
        self._telling = asyncio.get_running_loop().create_task(tell)

    async def close(self, drain_s: float) -> None:
        """Answer what is in hand, and leave."""
        self._telling.cancel()
        await self._host.drain(drain_s)

    def _load(self, entry: Entry) -> tuple[Session, Curve]:
        """Load a version, without a line in the log for each time that it comes back."""
        name = f"{entry.model} {entry.number}"
        loaded = self._loader.load(entry.digest, entry.signature, name, logging.DEBUG)
        return loaded.session, loaded.curve

    def _traced_of(self, key: VersionKey) -> Traced:
        return RunTracer(self._provider, *key).ran


def shelf_name(number: int) -> str:
    """Give the name of this process as a shared host, in what it counts and traces."""
    return f"shelf-{number}-{os.getpid()}"
