"""Explanations of predictions: a few models are kept ready for them beside those who serve.

Each has a process of its own with a low priority, and is asked one question after the other, in a
thread that waits for it. What is too much is refused at once, so that callers of the models
themselves feel none of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from configs.errors import DeadlineExceeded, Forbidden, Overloaded
from configs.settings import Explanations as Bounds
from configs.settings import Verify
from monitors.contributions.explained import refuse_unexplainable
from monitors.contributions.wish import Wish
from registry.records import Version
from serve.models.explaining import Explained
from serve.models.frames import Tensors

WAITING_MAX = 4
"""So many questions about one version may be worked on or wait, in one gateway process."""


class Explanations:
    """Explains rows of any version; lives on the loop that serves, and never keeps it waiting."""

    def __init__(self, artifacts: Path, limits: Verify, bounds: Bounds) -> None:
        self._artifacts = artifacts
        self._limits = limits
        self._bounds = bounds
        self._ready: dict[tuple[str, int], _Ready] = {}
        """The one that was asked last is the last."""

    async def explain(
        self, version: Version, inputs: Tensors, wish: Wish, deadline: float
    ) -> bytes:
        """Explain rows; gives a JSON object. `deadline` is a reading of the loop's clock.

        `Overloaded` where too much is asked; other errors as `refuse_unexplainable` and `Explainer`
        have them.
        """
        if not self._bounds.processes:
            raise Forbidden("nothing is explained here: see the setting explanations.processes")
        rows = len(inputs[0]) if version.signature.batched else 1
        refuse_unexplainable(version, rows)
        loop = asyncio.get_running_loop()
        ready = self._of(version)
        turn, answer = ready.ask(inputs, wish, time.monotonic() + deadline - loop.time())
        try:
            async with asyncio.timeout_at(deadline):
                # What has begun is not broken off: the next question may have the same model.
                return await asyncio.shield(answer)
        except TimeoutError:
            raise DeadlineExceeded("no answer within the deadline") from None
        finally:
            turn.cancel()  # Of no effect on what has begun; what waits never begins.
            ready.leaves_at(loop, self._bounds.keep_s, lambda: self._forget(version))

    async def close(self) -> None:
        """End all processes."""
        ended = [ready.end() for ready in self._ready.values()]
        self._ready.clear()
        await asyncio.gather(*map(asyncio.wrap_future, ended))

    def _of(self, version: Version) -> _Ready:
        """What explains a version; another one that nobody asks may leave for it."""
        key = (version.model, version.number)
        ready = self._ready.pop(key, None)
        if ready is None:
            self._make_room()
            ready = _Ready(Explained(self._artifacts, version, self._limits), version)
        self._ready[key] = ready
        if ready.waiting >= WAITING_MAX:
            raise Overloaded(
                f"{WAITING_MAX} questions about {version.model} are being worked on; try again"
            )
        return ready

    def _make_room(self) -> None:
        if len(self._ready) < self._bounds.processes:
            return
        for key, ready in self._ready.items():
            if not ready.waiting:
                del self._ready[key]
                ready.end()
                return
        raise Overloaded(f"{len(self._ready)} other models are being explained; try again")

    def _forget(self, version: Version) -> None:
        key = (version.model, version.number)
        ready = self._ready.get(key)
        if ready is not None and not ready.waiting:
            del self._ready[key]
            ready.end()


class _Ready:
    """One version, and the thread that asks its process; `waiting` counts its questions."""

    def __init__(self, explained: Explained, version: Version) -> None:
        self._explained = explained
        self._worker = ThreadPoolExecutor(1, f"weir-explain-{version.model[:32]}")
        self._leaves: asyncio.TimerHandle | None = None
        self.waiting = 0

    def ask(
        self, inputs: Tensors, wish: Wish, expires: float
    ) -> tuple[Future[bytes], asyncio.Future[bytes]]:
        """Ask when it is this one's turn: the turn, and its answer.

        `expires` is a reading of the monotonic clock.
        """
        self.waiting += 1
        turn = self._worker.submit(self._answer, inputs, wish, expires)
        answer = asyncio.wrap_future(turn)
        answer.add_done_callback(self._answered)
        return turn, answer

    def leaves_at(
        self, loop: asyncio.AbstractEventLoop, after_s: float, leave: Callable[[], None]
    ) -> None:
        """Have it leave once it was not asked for so long."""
        if self._leaves is not None:
            self._leaves.cancel()
        self._leaves = loop.call_later(after_s, leave)

    def end(self) -> Future[None]:
        """End the process, in the thread; nothing may be asked any more."""
        if self._leaves is not None:
            self._leaves.cancel()
        self._explained.kill()
        ended = self._worker.submit(self._explained.end)
        self._worker.shutdown(wait=False)
        return ended

    def _answer(self, inputs: Tensors, wish: Wish, expires: float) -> bytes:
        left_s = expires - time.monotonic()
        if left_s <= 0:
            raise DeadlineExceeded("no answer within the deadline")
        return self._explained.ask(inputs, wish, left_s)

    def _answered(self, answer: asyncio.Future[bytes]) -> None:
        self.waiting -= 1
        if not answer.cancelled():
            answer.exception()  # Whoever asked may have gone: then nobody else looks at it.
