"""The models of a shared host: in memory while they are used, loaded again when they are missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import perf_counter
from typing import Protocol

from configs.errors import NotReady, Unavailable, WeirError
from registry.inference import RunOptions
from serve.models.frames import Tensors
from serve.models.in_hand import InHand
from serve.models.memory import give_back, heap_bytes
from serve.models.shelf import Shelf

VersionKey = tuple[str, int]
_log = logging.getLogger("weir.host")


class Runnable(Protocol):
    """**Protocol:** a model in memory."""

    def run(self, tensors: Tensors, options: RunOptions | None = None) -> Tensors:
        """Run one batch."""


class Tally(Protocol):
    """**Protocol:** who counts what a keeper does."""

    def loaded(self, seconds: float, error: str) -> None:
        """Count a load by how long it took; `error` is its code, empty if it went well."""

    def unloaded(self) -> None:
        """Count a model that had to leave memory."""


Load = Callable[[], tuple[Runnable, int]]
"""Loads a model in a thread; gives it with the size of its file, the least that it can need."""


class Keeper:
    """Keeps the models of one process inside a memory budget; everything but loads on its loop.

    Loads take turns in one thread: the interpreter is held for a part of each, and only then can
    what each needs be told from the growth of the heap. Whoever misses the same model waits for
    the same load, for `wait_s` seconds at most.
    """

    def __init__(self, budget_bytes: int, wait_s: float, tally: Tally, in_hand: InHand) -> None:
        self._shelf: Shelf[VersionKey] = Shelf(budget_bytes)
        self._wait_s = wait_s
        self._tally = tally
        self._in_hand = in_hand
        self._models: dict[VersionKey, Runnable] = {}
        self._loads: dict[VersionKey, Load] = {}
        self._loading: dict[VersionKey, asyncio.Task[None]] = {}
        self._first_bytes: dict[VersionKey, int] = {}
        self._thread = ThreadPoolExecutor(1, "weir-load")

    @property
    def resident(self) -> int:
        """How many models are in memory."""
        return len(self._shelf)

    @property
    def used_bytes(self) -> int:
        """How much memory they take."""
        return self._shelf.used_bytes

    def know(self, key: VersionKey, load: Load) -> Kept:
        """Take a model in without loading it."""
        self._loads[key] = load
        return Kept(self, key)

    def forget(self, key: VersionKey) -> None:
        """Let go of a model for good."""
        self._loads.pop(key, None)
        self._first_bytes.pop(key, None)
        self._drop(key)

    def close(self) -> None:
        """Load nothing any more."""
        self._loads.clear()
        self._thread.shutdown(wait=False)

    def has(self, key: VersionKey) -> bool:
        """Whether a model is in memory."""
        return key in self._models

    @asynccontextmanager
    async def use(self, key: VersionKey) -> AsyncIterator[None]:
        """Have a model in memory while the block runs; `Unavailable` if that takes too long."""
        self._shelf.take(key)
        try:
            if key not in self._models:
                await self._wait(key)
            yield
        finally:
            self._shelf.give_back(key)

    def run(self, key: VersionKey, tensors: Tensors, options: RunOptions | None) -> Tensors:
        """Run a batch of a model in memory; from the loop, or from a thread inside `use`."""
        model = self._models.get(key)
        if model is None:  # It was let go of while this batch was on its way to a thread.
            raise NotReady(f"version {key[1]} of {key[0]} does not live here any more")
        if options is None:
            self._shelf.touch(key)
        self._in_hand.take_up(key)
        try:
            return model.run(tensors, options)
        finally:
            self._in_hand.put_down(key)

    async def load(self, key: VersionKey) -> None:
        """Have a model in memory; raises what keeps it from being loaded."""
        task = self._loading.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._load(key))
            self._loading[key] = task
            task.add_done_callback(lambda done: self._has_loaded(key, done))
        await asyncio.shield(task)

    async def _wait(self, key: VersionKey) -> None:
        model, number = key
        try:
            async with asyncio.timeout(self._wait_s):
                await self.load(key)
        except TimeoutError:
            message = f"version {number} of {model} is still being loaded; try again"
            raise Unavailable(message) from None
        except WeirError as error:
            raise NotReady(f"version {number} of {model} cannot be loaded now") from error

    async def _load(self, key: VersionKey) -> None:
        started = perf_counter()
        load = self._loads.get(key)
        if load is None:
            raise NotReady(f"version {key[1]} of {key[0]} does not live here any more")
        loop = asyncio.get_running_loop()
        try:
            model, size = await loop.run_in_executor(self._thread, self._measured, key, load)
        except WeirError as error:
            self._tally.loaded(perf_counter() - started, error.code)
            _log.error("version %d of %s does not load: %s", key[1], key[0], error.message)
            raise
        if self._loads.get(key) is not load:
            raise NotReady(f"version {key[1]} of {key[0]} does not live here any more")
        self._models[key] = model
        # Only the first load runs large batches; what they need, later loads do not show.
        self._shelf.put(key, max(size, self._first_bytes.setdefault(key, size)))
        self._tally.loaded(perf_counter() - started, "")
        self._make_room()

    def _measured(self, key: VersionKey, load: Load) -> tuple[Runnable, int]:
        """Load a model, and tell how many bytes it takes: by how much the heap has grown.

        What runs meanwhile is counted too; where the heap cannot be read, the file counts twice.
        """
        before = heap_bytes()
        self._in_hand.take_up(key)
        try:
            model, file_bytes = load()
        finally:
            self._in_hand.put_down(key)
        return model, max(heap_bytes() - before, file_bytes if before else 2 * file_bytes)

    def _has_loaded(self, key: VersionKey, task: asyncio.Task[None]) -> None:
        self._loading.pop(key, None)
        if not task.cancelled():
            task.exception()  # Everybody who waited for it may have gone.

    def _make_room(self) -> None:
        leaving = self._shelf.surplus()
        for key in leaving:
            self._drop(key)
            self._tally.unloaded()
        if leaving:
            self._thread.submit(give_back)

    def _drop(self, key: VersionKey) -> None:
        self._models.pop(key, None)
        self._shelf.remove(key)


class Kept:
    """One model of a keeper, as its host sees it."""

    def __init__(self, keeper: Keeper, key: VersionKey) -> None:
        self._keeper = keeper
        self._key = key

    @property
    def present(self) -> bool:
        """Whether it is in memory now."""
        return self._keeper.has(self._key)

    def use(self) -> AbstractAsyncContextManager[None]:
        """Have it in memory while the block runs; `Unavailable` if that takes too long."""
        return self._keeper.use(self._key)

    def run(self, tensors: Tensors, options: RunOptions | None = None) -> Tensors:
        """Run a batch, while it is in memory."""
        return self._keeper.run(self._key, tensors, options)
