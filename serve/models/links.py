"""The links between a gateway replica and all replicas of one version."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from configs.errors import DeadlineExceeded, NotReady, Unavailable, WeirError
from serve.models.addresses import Address, addresses, forget, silent_s
from serve.models.batch import Batch
from serve.models.batcher import Batcher
from serve.models.dial import dial
from serve.models.frames import MAX_FRAME
from serve.models.hang import Verdict, judge
from serve.models.health import Health, Reason, Standing, Ward
from serve.models.link import Link
from serve.models.pace import Usual, usual
from serve.models.retries import RetryBudget

_LOOK_AGAIN_S = 0.5
_WATCH_S = 0.1
_LOOK_SOON_S = 0.01
_WORTH_A_LOOK_S = 0.05
_HELLO_S = 1.0
_FORGOTTEN_S = 15.0
"""A replica on another node says every few seconds that it lives."""


def no_tls() -> ssl.SSLContext | None:
    """Have no certificate to show on other nodes."""
    return None


class Replica:
    """One address: the link to it while there is one, and how it stands."""

    def __init__(self, address: Address, links: Links) -> None:
        self.address = address
        self.health = Health()
        self.link: Link | None = None
        self.connecting: asyncio.Task[None] | None = None
        self._links = links

    def link_lost(self, batch: Batch | None, reason: Reason | None) -> None:
        """Take back a batch whose link is lost, to be sent once more if that may help."""
        known, self.link = self.link is not None, None
        self.health.linked = False
        self._links.replica_lost(self, reason if known or reason is Reason.RUBBISH else None, batch)

    def batch_refused(self, batch: Batch, error: WeirError) -> None:
        """Take back a batch that the replica could not run: another one may."""
        self._links.retry_refused(batch, error)

    def run_failed(self) -> None:
        """Look at once whether this is a replica that fails what others do not."""
        if self.health.pace.failing:
            self._links.judge()


class Links:
    """Keeps a link to every replica of one version: looks for new ones, notices lost ones.

    `on_ejected` is told why a replica is made to rest; `tls` gives what to call other nodes with.
    """

    def __init__(
        self,
        version: int,
        versions: Path,
        batcher: Batcher,
        longest: int = MAX_FRAME,
        tls: Callable[[], ssl.SSLContext | None] = no_tls,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._version = version
        self._folder = versions
        self._batcher = batcher
        self._longest = longest
        self._tls = tls
        self._replicas: dict[Address, Replica] = {}
        self._ward = Ward(self._tell)
        self._budget = RetryBudget()
        self._changed = asyncio.Event()
        self._look_soon = asyncio.Event()
        self._judge_at = 0.0
        self.on_ejected: Callable[[Reason], None] = _ignore
        self.was_connected = False
        self._task = self._loop.create_task(self._keep())

    @property
    def connected(self) -> bool:
        """Whether at least one replica can be reached."""
        return any(replica.link for replica in self._replicas.values())

    async def wait_connected(self) -> None:
        """Return as soon as a replica can be reached."""
        while not self.connected:
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        """Drop all links; requests that wait are told that the version has gone."""
        replicas = [*self._replicas.values()]
        tasks = [self._task, *(made.connecting for made in replicas if made.connecting)]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._batcher.close(NotReady(f"version {self._version} is no longer served"))
        for replica in replicas:
            if replica.link is not None:
                replica.link.abort()

    def replica_lost(self, replica: Replica, reason: Reason | None, batch: Batch | None) -> None:
        """Take in that a link is gone; have its batch sent again, and look for the replica."""
        now = self._loop.time()
        if reason is Reason.LOST:
            if batch is not None and replica.health.lost():
                self._ward.broken(replica.health, reason, now)
        elif reason is not None:
            self._ward.broken(replica.health, reason, now)
        self._look_soon.set()
        if batch is not None:
            self._batcher.lost(batch, self._why_not_again(batch))

    def retry_refused(self, batch: Batch, error: WeirError) -> None:
        """Have a batch sent again that a replica could not run; once."""
        again = batch.tries == 1 and self._why_not_again(batch) is None
        self._batcher.lost(batch, None if again else error)

    def judge(self) -> None:
        """Have those rest that fail or are slow beside the others."""
        ejected = self._ward.judge(self._loop.time())
        for replica in self._replicas.values():
            if replica.health in ejected and replica.link is not None:
                replica.link.withhold()

    def _why_not_again(self, batch: Batch) -> WeirError | None:
        """Say why a batch may not be sent once more, if it may not."""
        if batch.tries > 1 or batch.forsaken:
            return None  # The batcher has its own word for these.
        left_s = max(job.deadline for job in batch.jobs) - self._loop.time()
        known = self._usual()
        if known is not None and left_s < known.median_s:
            return DeadlineExceeded("the version's replica was lost, too late to ask another")
        if not self._budget.take(self._batcher.batches_ran):
            return Unavailable("the version's replicas are lost too often; try again")
        return None

    async def _keep(self) -> None:
        while True:
            self._look()
            self._watch()
            self._look_soon.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s()):
                    await self._look_soon.wait()

    def _pause_s(self) -> float:
        if not self.connected:
            return _LOOK_SOON_S
        return _LOOK_AGAIN_S if self._batcher.idle else _WATCH_S

    def _look(self) -> None:
        """Connect to those that are there, and forget those that are not."""
        now = self._loop.time()
        there = addresses(self._folder)
        for address in there:
            replica = self._replicas.get(address)
            if replica is None:
                replica = self._replicas[address] = Replica(address, self)
                self._ward.healths.append(replica.health)
            if (
                replica.link is None
                and replica.connecting is None
                and now >= replica.health.not_before
            ):
                replica.connecting = self._loop.create_task(self._connect(replica))
        for replica in [*self._replicas.values()]:
            if replica.address not in there and not (replica.link or replica.connecting):
                self._forget(replica)
        if not self._replicas:  # A link alone is made anew at once.
            self._batcher.stranded()

    def _forget(self, replica: Replica) -> None:
        del self._replicas[replica.address]
        self._ward.healths.remove(replica.health)

    async def _connect(self, replica: Replica) -> None:
        link = Link(self._version, self._batcher, replica.health.pace, replica, self._longest)
        try:
            await dial(lambda: link, replica.address, self._tls)
            if await link.greeted(_HELLO_S):
                self._linked(replica, link)
        except ConnectionRefusedError:
            with contextlib.suppress(OSError):
                forget(replica.address)  # Its replica died without a goodbye.
        except OSError:  # It has gone, or cannot be reached now: a later look may find it.
            if silent_s(replica.address, time.time()) > _FORGOTTEN_S:
                forget(replica.address)
        finally:
            replica.connecting = None
            if replica.link is None:
                replica.health.unreachable(self._loop.time())

    def _linked(self, replica: Replica, link: Link) -> None:
        replica.link = link
        replica.health.linked = True
        self.was_connected = True
        self._changed.set()
        if replica.health.standing is Standing.SERVING:
            link.offer()
        else:
            self._try_again(replica, link)

    def _try_again(self, replica: Replica, link: Link) -> None:
        replica.health.try_again()
        link.withhold()
        link.offer_once()

    def _watch(self) -> None:
        """Look after batches that are out for long, and after those that rest."""
        now = self._loop.time()
        known: Usual | None = None
        for replica in [*self._replicas.values()]:
            link = replica.link
            if link is None:
                continue
            self._watch_rest(replica, link, now)
            out = link.out(now)
            if out is not None and out.seconds > _WORTH_A_LOOK_S:
                known = known or self._usual()
                _act(link, judge(out, known))
        if now >= self._judge_at and len(self._replicas) > 1:
            self._judge_at = now + _LOOK_AGAIN_S
            self.judge()

    def _watch_rest(self, replica: Replica, link: Link, now: float) -> None:
        health = replica.health
        if health.standing is Standing.RESTING and now >= health.not_before:
            if link.out(now) is None:
                self._try_again(replica, link)
        elif health.standing is Standing.TRIED and self._ward.tried(health, now):
            link.offer()

    def _usual(self) -> Usual | None:
        return usual(health.pace for health in self._ward.healths)

    def _tell(self, reason: Reason) -> None:
        self.on_ejected(reason)


def _act(link: Link, verdict: Verdict) -> None:
    if verdict is Verdict.PING:
        link.ping()
    elif verdict is Verdict.LATE:
        link.abort()
    elif verdict is Verdict.HUNG:
        link.abort(Reason.HUNG)


def _ignore(reason: Reason) -> None:
    """Do nothing about a replica that is made to rest."""
