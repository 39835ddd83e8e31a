"""A control plane over a real registry, with hosts and gateway replicas in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from configs.errors import NotFound, Refused
from configs.settings import Hosts, Settings
from monitors.alarm import Standing
from monitors.labels.assigned import LabelledUnits
from monitors.labels.told import LabelsTold
from monitors.why.answer import Why
from registry.alarms import AlarmKey
from registry.records import RouteTable, Version
from registry.registry import Registry
from serve.access.door import Door
from serve.control.placement import Place
from serve.control.plane import ControlPlane
from serve.control.replicas import Replicas, VersionKey
from serve.control.service import ArmBins, ArmSignals, Process, VersionStatus
from serve.reached import Baseline, Reached
from tests.serve.versions import MODEL


class MemoryFleet:
    """Hosts that are names in a set; `log` tells the order of what was asked."""

    def __init__(self) -> None:
        self.own: set[VersionKey] = set()
        self.shared: set[VersionKey] = set()
        self.baselines: set[VersionKey] = set()
        self.log: list[str] = []
        self.refuses: set[int] = set()
        self.refuses_to_share: set[int] = set()
        self.refuses_as_baseline: set[int] = set()
        self.crashing: set[VersionKey] = set()
        self.starting = 0
        self.most_starting = 0

    async def start_gateway(self) -> None:
        """Note it."""
        self.log.append("start gateway")

    @property
    def hosted(self) -> set[VersionKey]:
        """All that are in a place where everybody finds them."""
        return self.own | self.shared

    async def start(self, version: Version, place: Place) -> None:
        """Have a version in a place, unless a test has it refuse."""
        self.starting += 1
        self.most_starting = max(self.starting, self.most_starting)
        await asyncio.sleep(0.001)
        self.starting -= 1
        refuses = {Place.SHARED: self.refuses_to_share, Place.BASELINE: self.refuses_as_baseline}
        if version.number in self.refuses | refuses.get(place, set()):
            raise Refused(f"the host of {version.number} did not start")
        self._set(place).add((version.model, version.number))
        self.log.append(f"start {_said(version.number, place)}")

    async def share(self, versions: Sequence[Version]) -> None:
        """Have many in shared hosts."""
        self.shared |= {(version.model, version.number) for version in versions}
        self.log.append(f"share {len(versions)}")

    async def stop(self, version: VersionKey, place: Place) -> None:
        """Take one out of a place."""
        self._set(place).discard(version)
        self.log.append(f"stop {_said(version[1], place)}")

    async def places(self) -> Mapping[VersionKey, frozenset[Place]]:
        """Where each is."""
        return {
            key: frozenset(place for place in Place if key in self._set(place))
            for key in self.hosted | self.baselines
        }

    def _set(self, place: Place) -> set[VersionKey]:
        return {
            Place.OWN: self.own,
            Place.SHARED: self.shared,
            Place.BASELINE: self.baselines,
        }[place]

    async def refused(self) -> Mapping[VersionKey, str]:
        """Those that a test has found to crash."""
        return dict.fromkeys(self.crashing & self.shared, "it crashed")

    async def status(self) -> Mapping[VersionKey, VersionStatus]:
        """All that are hosted are ready."""
        return {key: VersionStatus(key[1], "ready") for key in self.hosted}

    async def replace_gateway(self) -> None:
        """Note it."""
        self.log.append("replace gateway")

    async def replace_version(self, version: Version) -> None:
        """Note it."""
        self.log.append(f"replace {version.number}")

    async def processes(self) -> tuple[Process, ...]:
        """Nobody."""
        return ()


def _said(number: int, place: Place) -> str:
    return f"baseline of {number}" if place is Place.BASELINE else f"{number}"


class NoWatchers:
    """Watchers that have nothing to say."""

    async def signals(self, model: str) -> tuple[ArmSignals, ...]:
        """Nothing, of any model."""
        del model
        return ()

    async def labelled_units(self, model: str) -> tuple[LabelledUnits, ...]:
        """None."""
        del model
        return ()

    async def bins(self, model: str, subject: str, minutes: int | None) -> tuple[ArmBins, ...]:
        """None."""
        del model, subject, minutes
        return ()

    async def labels(self, model: str) -> LabelsTold:
        """None are awaited."""
        raise NotFound(f"no labels are kept of {model!r}")

    async def alarms(self) -> tuple[Standing, ...]:
        """None stands."""
        return ()

    async def why(self, key: AlarmKey) -> Why:
        """Nobody knows."""
        raise NotFound(f"{key.text()} is not watched")

    async def rearm(self, key: AlarmKey, adopt: bool) -> None:
        """Nothing is there to be re-armed."""
        del key, adopt

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """Nothing."""
        return b"", accept


class Replica:
    """A gateway replica that follows the tables and reaches the hosts that there are."""

    def __init__(self, name: str, replicas: Replicas, fleet: MemoryFleet) -> None:
        self.name = name
        self._replicas = replicas
        self._fleet = fleet
        self.unreachable: set[int] = set()
        self.unreachable_baselines: set[int] = set()
        self.table = RouteTable(0)
        self.task = asyncio.ensure_future(self._follow())

    def connected(self) -> frozenset[Reached]:
        """The versions and baselines of the table that it reaches."""
        versions = {
            (model, number)
            for model, routed in self.table.models.items()
            for number in routed.versions
            if (model, number) in self._fleet.hosted and number not in self.unreachable
        }
        baselines = {
            Baseline(model, routed.baseline)
            for model, routed in self.table.models.items()
            if routed.baseline is not None
            and (model, routed.baseline) in self._fleet.baselines
            and routed.baseline not in self.unreachable_baselines
        }
        return frozenset(versions | baselines)

    def key_names(self) -> set[str]:
        """The keys of the table."""
        return {key.name for key in self.table.keys}

    def versions(self) -> set[int]:
        """The versions of the table."""
        return {n for routed in self.table.models.values() for n in routed.versions}

    async def _follow(self) -> None:
        while True:
            generation = self.table.generation
            news = await self._replicas.ask(self.name, generation, self.connected(), 0.01)
            if news is not None:
                self.table = news


class Plane:
    """A control plane over a real registry, with two replicas that follow it."""

    def __init__(self, registry: Registry, hosts: Hosts | None = None) -> None:
        self.registry = registry
        self.fleet = MemoryFleet()
        self.replicas = Replicas(time.monotonic)
        self.door = Door(required=True)
        settings = Settings(hosts=hosts or Hosts())
        self.control = ControlPlane(
            registry, self.fleet, NoWatchers(), self.replicas, self.door, settings
        )
        self.gateways = [Replica(name, self.replicas, self.fleet) for name in ("a", "b")]

    def weights(self) -> dict[int, int]:
        """How the registry splits the traffic."""
        route = self.registry.route(MODEL)
        return {arm.version: arm.weight_bp for arm in route.arms} if route else {}

    async def set(self, **weights: float) -> None:
        """Set weights, given as v1=50."""
        await self.control.set_route(
            MODEL, {int(name[1:]): weight for name, weight in weights.items()}, None, "ada", "why"
        )
