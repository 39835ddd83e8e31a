"""A shared host without Ray: many versions in one process, each on a socket of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from configs.errors import WeirError
from serve.models.addresses import folder, inside_path, socket_path
from serve.models.curve import Curve
from serve.models.host import Host, Traced
from serve.models.keeper import Keeper, Runnable
from serve.models.shelf_files import (
    Entry,
    Refusal,
    Report,
    VersionKey,
    count_crashes,
    read_wanted,
    remove_report,
    shelf_folder,
    wanted_mark,
    write_report,
)
from serve.upkeep import keep_up

_LOOK_S = 0.05
_CRASHES_MAX = 2
_DRAIN_S = 30.0
"""How long a version that leaves may take to answer what it has in hand."""

Loader = Callable[[Entry], tuple[Runnable, Curve | None]]
"""Loads a version in a thread, and gives how long its runs take, if that has been measured.

It raises the `WeirError` that says why the version cannot be loaded.
"""
TracedOf = Callable[[VersionKey], Traced]
"""Gives who is told of the runs of a version that are traced."""


class ShelfHost:
    """Holds the versions that it is told to hold, and says which gateway replicas can find.

    What it must hold when it starts it offers at once and loads when somebody asks, so that 200
    models do not keep a gateway from starting. What is added later is loaded first. What was in
    hand at two crashes of its shared host is refused, so that it costs nobody else a third one.
    `inside` says that this process is a gateway replica, which needs no socket.
    """

    def __init__(
        self,
        run_dir: Path,
        number: int,
        keeper: Keeper,
        loader: Loader,
        traced_of: TracedOf,
        failed: Callable[[], None],
        *,
        inside: bool = False,
    ) -> None:
        self._run_dir = run_dir
        self._shelf = shelf_folder(run_dir, number)
        self._keeper = keeper
        self._loader = loader
        self._traced_of = traced_of
        self._failed = failed
        self._path = inside_path if inside else socket_path
        self._hosts: dict[VersionKey, Host] = {}
        self._refused: dict[VersionKey, str] = {}
        self._crashes: dict[VersionKey, int] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._mark: tuple[int, int] | None = None
        self._following: asyncio.Task[None] | None = None

    @property
    def following(self) -> bool:
        """Whether it still does what it is told."""
        return self._following is not None and not self._following.done()

    async def open(self) -> None:
        """Hold what is wanted now, and follow what is wanted from now on."""
        self._crashes = count_crashes(self._shelf)
        await self._look(first=True)
        follow = keep_up("what a shared host is told", self._look, _LOOK_S, self._failed)
        self._following = asyncio.get_running_loop().create_task(follow)

    async def drain(self, timeout_s: float) -> None:
        """Leave politely: every version says goodbye and answers what is in."""
        if self._following is not None:
            self._following.cancel()
        await asyncio.gather(*(host.drain(timeout_s) for host in self._hosts.values()))
        for task in self._leaving:
            task.cancel()
        self._keeper.close()
        remove_report(self._shelf, os.getpid())

    async def _look(self, *, first: bool = False) -> None:
        """Hold what is wanted, if that has changed; what went wrong is tried at the next look."""
        mark = wanted_mark(self._shelf)
        if mark == self._mark and not first:
            return
        wanted = {entry.key: entry for entry in read_wanted(self._shelf).entries}
        self._refused = {key: why for key, why in self._refused.items() if key in wanted}
        for key in self._hosts.keys() - wanted.keys():
            self._leave(key)
        known = self._hosts.keys() | self._refused.keys()
        new = [entry for key, entry in wanted.items() if key not in known]
        holds = (self._hold(entry, ahead=entry.ahead and not first) for entry in new)
        outcomes = await asyncio.gather(*holds, return_exceptions=True)
        self._report()
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        self._mark = mark

    async def _hold(self, entry: Entry, *, ahead: bool) -> None:
        """Offer a version to gateway replicas."""
        key = entry.key
        crashes = self._crashes.get(key, 0)
        if crashes >= _CRASHES_MAX:
            self._refused[key] = f"it was at work at {crashes} crashes of its shared host"
            return

        def load() -> tuple[Runnable, int]:
            model, curve = self._loader(entry)
            if curve is not None and host.curve is None:
                host.learn(curve)
            return model, entry.size_bytes

        kept = self._keeper.know(key, load)
        path = self._path(folder(self._run_dir, *key), os.getpid())
        host = Host(entry.number, kept.run, path, self._traced_of(key), memory=kept)
        self._hosts[key] = host
        with ExitStack() as undo:
            undo.callback(self._keeper.forget, key)
            undo.callback(self._hosts.pop, key)
            try:
                if ahead:
                    await self._keeper.load(key)
            except WeirError as error:
                self._refused[key] = error.message
                return
            await host.open()
            undo.pop_all()

    def _leave(self, key: VersionKey) -> None:
        """Withdraw a version; what it has in hand is answered."""
        host = self._hosts.pop(key)

        async def left() -> None:
            await host.drain(_DRAIN_S)
            if key not in self._hosts:
                self._keeper.forget(key)

        task = asyncio.get_running_loop().create_task(left())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _report(self) -> None:
        refused = (Refusal(model=m, number=n, why=why) for (m, n), why in self._refused.items())
        report = Report(held=tuple(self._hosts), refused=tuple(refused))
        write_report(self._shelf, os.getpid(), report)
