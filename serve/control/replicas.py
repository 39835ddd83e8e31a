"""What the gateway replicas have said: which table they route by, which versions they reach."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from registry.records import RouteTable
from serve.reached import Reached

VersionKey = tuple[str, int]

SILENT_S = 6.0
"""A replica that has not asked for so long is taken to have gone."""


@dataclass(frozen=True, slots=True)
class Report:
    """One replica's last word."""

    generation: int
    connected: frozenset[Reached]
    at: float


class Replicas:
    """Publishes tables to the gateway replicas and knows how far they have come.

    Each replica keeps one question open: "is there anything newer than what I have?". Its
    question is at the same time its report. A control plane that was started anew has heard of none
    yet: until it has heard of `expected`, or long enough, there may be others.
    """

    def __init__(self, clock: Callable[[], float], expected: int = 1) -> None:
        self._clock = clock
        self._expected = expected
        self._began = clock()
        self._table = RouteTable(generation=0)
        self._reports: dict[str, Report] = {}
        self._news = asyncio.Condition()

    @property
    def table(self) -> RouteTable:
        """The table that replicas should route by."""
        return self._table

    async def publish(self, table: RouteTable) -> None:
        """Make a table the one to route by."""
        async with self._news:
            self._table = table
            self._news.notify_all()

    async def ask(
        self, replica: str, generation: int, connected: frozenset[Reached], patience_s: float
    ) -> RouteTable | None:
        """Take a replica's report; give a newer table as soon as there is one, or None."""
        async with self._news:
            self._reports[replica] = Report(generation, connected, self._clock())
            self._news.notify_all()
            try:
                async with asyncio.timeout(patience_s):
                    # Generation 0 is no table: a control plane that begins anew takes nothing away.
                    await self._news.wait_for(lambda: self._table.generation not in (0, generation))
            except TimeoutError:
                return None
            return self._table

    async def gone(self, replica: str) -> None:
        """Forget a replica that has said goodbye."""
        async with self._news:
            self._reports.pop(replica, None)
            self._news.notify_all()

    def names(self) -> tuple[str, ...]:
        """Give the replicas that are alive, in order."""
        return tuple(sorted(self._alive()))

    async def settled(self, versions: frozenset[Reached], timeout_s: float) -> bool:
        """Wait until every replica routes by the present table and reaches these versions."""
        try:
            async with asyncio.timeout(timeout_s), self._news:
                while not self.are_settled(versions):
                    # A replica that died sends no report, hence a look at the clock now and then.
                    try:
                        async with asyncio.timeout(SILENT_S / 4):
                            await self._news.wait()
                    except TimeoutError:
                        continue
        except TimeoutError:
            return False
        return True

    def are_settled(self, versions: frozenset[Reached]) -> bool:
        """Whether there are replicas, and all of them are as far as the present table."""
        alive = self._alive()
        if len(alive) < self._expected and self._clock() - self._began < SILENT_S:
            return False
        return bool(alive) and all(
            report.generation == self._table.generation and versions <= report.connected
            for report in alive.values()
        )

    def reach(self, versions: frozenset[Reached]) -> bool:
        """Whether there are replicas, and all of them reach these versions, by whichever table."""
        alive = self._alive()
        return bool(alive) and all(versions <= report.connected for report in alive.values())

    def reaching(self, versions: frozenset[Reached]) -> tuple[int, int]:
        """Give how many replicas reach all of these versions, and how many replicas there are."""
        alive = self._alive().values()
        return sum(versions <= report.connected for report in alive), len(alive)

    def _alive(self) -> dict[str, Report]:
        earliest = self._clock() - SILENT_S
        return {name: report for name, report in self._reports.items() if report.at >= earliest}
