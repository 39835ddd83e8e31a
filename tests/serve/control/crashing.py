"""Controllers that conduct rollouts, one after the other, each killed at some point of its code.

`python -m tests.serve.control.crashing FOLDER KILLS`: the folder has a registry in `data`. Each
controller is a process of its own, forked before there are threads. What is left of the world while
there is none, gateway processes and a receiver of webhooks, is in files beside the registry.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import random
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from configs.errors import Unavailable, WeirError
from configs.policy import EVENTS, Metric
from configs.settings import Rollouts, Verify
from monitors.telemetry import names
from registry.records import FULL, Route, RouteTable
from registry.registry import Registry
from registry.rollouts import Rollout, RolloutState
from serve.control.reports import Reports
from serve.rollout.account import policy_of
from serve.rollout.commands import Command
from serve.rollout.conductor import Conductor
from serve.rollout.course import Course
from serve.rollout.desk import RolloutDesk
from serve.rollout.division import division
from serve.rollout.messages import event
from serve.rollout.outbox import RolloutOutbox
from serve.rollout.service import Order, Start
from serve.rollout.tallies import JudgedArm, Pairs, Report, Tally, Times
from serve.webhook.deliveries import Deliveries
from serve.webhook.message import Message
from serve.webhook.receiver import Outcome
from tests.serve.control.planes import NoWatchers, Plane
from tests.serve.versions import MODEL

POLICY: Mapping[str, Any] = {
    "steps": [5, 50],
    "dwell_s": 10,
    "min_units": 100,
    "bake_s": 20,
    "shadow": {"min_pairs": 100},
    "guardrails": [{"metric": "error_ratio", "margin_abs": 0.02}],
}
LATER_S = 11.0
UNITS = 4000
"""What each gateway process answers between two looks."""
KINDS = ("good", "bad", "steered", "aborted", "taken back")
NAMED = (
    "transaction",
    "Conductor._take",
    "Conductor._make",
    "ControlPlane._change",
    "ControlPlane._go_back",
    "Publisher._publish",
    "Replicas.publish",
    "Housing.prepare",
    "Housing.settle",
    "Deliveries._send",
    "RolloutBook.told_rollout_change",
    "RolloutBook.keep_evidence",
)
"""Where half of the controllers are killed: before, within and after what others can see."""
_OURS = tuple(f"{Path(__file__).parents[3] / part}{os.sep}" for part in ("registry", "serve"))


@dataclass
class World:
    """What goes on without a controller: the time, and what gateway processes have counted.

    `tables` says what tables had that gateway processes were given, by their numbers.
    """

    now: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(hours=1))
    counted: dict[str, Report] = field(default_factory=dict)
    tables: dict[int, str] = field(default_factory=dict)
    ends: bool = False

    @classmethod
    def load(cls, folder: Path) -> World:
        """The world as it is in a folder."""
        kept: World = pickle.loads((folder / "world").read_bytes())  # noqa: S301 - our own
        return kept

    def keep(self, folder: Path) -> None:
        """Let it outlive this process, all of it or nothing."""
        (folder / "next").write_bytes(pickle.dumps(self))
        (folder / "next").replace(folder / "world")

    def serve(self, name: str, route: Route, rollout: Rollout, bad: float) -> Report | None:
        """Have a gateway process answer by a route, and say what it has counted so far."""
        if route.judged is None or route.judged.rollout != rollout.id:
            return None
        source = f"{name}-1"
        before = self.counted.get(source)
        if before is None or before.rollout != rollout.id:
            before = Report(source, rollout.id, latency={JudgedArm.STABLE: Times()})
        weights = {arm.version: arm.weight_bp for arm in route.arms}
        shares = {
            JudgedArm.CANDIDATE: weights.get(rollout.candidate, 0),
            JudgedArm.BASELINE: route.judged.baseline_bp,
        }
        shares[JudgedArm.STABLE] = FULL - sum(shares.values())
        arms = dict(before.stretches.get(route.generation, {}))
        for arm, share in shares.items():
            units = UNITS * share // FULL
            failed = round(units * bad) if arm is JudgedArm.CANDIDATE else 0
            counts = {**dict.fromkeys(EVENTS, 0), Metric.ERROR_RATIO: failed}
            arms[arm] = arms.get(arm, Tally()) + Tally(units, counts, counts)
        report = replace(
            before,
            stretches={**before.stretches, route.generation: arms},
            pairs=Pairs(before.pairs.rows + (UNITS if route.shadow is not None else 0)),
        )
        self.counted[source] = report
        return report


class Ears:
    """A receiver that writes down the ids that it hears, and now and then says that it failed."""

    def __init__(self, folder: Path, luck: random.Random) -> None:
        self._file = folder / "heard"
        self._luck = luck

    async def send(self, message: Message) -> Outcome:
        """Hear it."""
        await asyncio.sleep(0)
        if self._luck.random() < 0.1:
            return Outcome.FAILED
        with self._file.open("a") as file:
            file.write(message.id + "\n")
        return Outcome.DELIVERED

    async def close(self) -> None:
        """Nothing is to be let go of."""


class Controller:
    """One life of a controller."""

    def __init__(self, folder: Path, luck: random.Random) -> None:
        self.folder = folder
        self.luck = luck
        self.world = World.load(folder)
        self.began = self.world.now
        self.registry = Registry.open(folder / "data", Verify(), self.clock)
        self.plane = Plane(self.registry)
        self._publish = self.plane.replicas.publish
        self.plane.replicas.publish = self._noted  # type: ignore[method-assign]
        self.control = control = self.plane.control
        control.reports = Reports(self.seconds)
        control.conductor = Conductor(
            self.registry,
            control,
            control.reports,
            NoWatchers(),
            control.rollout_counts,
            self.clock,
            self.seconds,
        )
        self.desk = RolloutDesk(
            self.registry, control.conductor, Rollouts(), control.rollout_counts, self.clock
        )
        self.deliveries = Deliveries(
            RolloutOutbox(self.registry),
            Ears(folder, luck),
            control.rollout_counts.tried,
            self.seconds,
            lambda: 0.0,
        )

    def clock(self) -> datetime:
        """The time in the world."""
        return self.world.now

    def seconds(self) -> float:
        """Seconds since this controller began."""
        return (self.world.now - self.began).total_seconds()

    async def live(self, looks: int) -> None:
        """Conduct for some looks; one that may end the story does so when all is told."""
        await self.control.open()
        for _ in range(looks):
            await self._turn()
            if self.world.ends and not self.active and not RolloutOutbox(self.registry).untold():
                return
        assert not self.world.ends, (self.active, self.registry.rollouts(MODEL)[-1])

    @property
    def active(self) -> tuple[Rollout, ...]:
        """The rollout that is under way, if there is one."""
        return self.registry.rollouts(MODEL, active_only=True)

    async def _turn(self) -> None:
        """Let time pass, have the gateway processes serve and report, look, and tell."""
        self.world.now += timedelta(seconds=LATER_S)
        self.world.keep(self.folder)
        self._serve()
        await self._somebody_wants_something()
        await self.control.conductor.look()
        await asyncio.gather(*self.control.conductor.under_way)
        self._nothing_is_lost_or_counted_twice()
        await self.deliveries.deliver()
        self._nothing_went_wrong()

    async def _noted(self, table: RouteTable) -> None:
        """Publish a table, whose number has never stood for another, whoever gave that."""
        routed = table.models[MODEL]
        told = f"{routed.route} {sorted(routed.versions)} {routed.baseline}"
        assert self.world.tables.setdefault(table.generation, told) == told
        self.world.keep(self.folder)
        await self._publish(table)

    def _serve(self) -> None:
        (rollout,) = self.active or (None,)
        if rollout is None:
            return
        bad = 0.3 if self._kind() == "bad" else 0.0
        reports = [
            self.world.serve(str(number), gateway.table.models[MODEL].route, rollout, bad)
            for number, gateway in enumerate(self.plane.gateways)
            if gateway.table.generation
        ]
        self.world.keep(self.folder)
        for report in filter(None, reports):
            with suppress(Unavailable):  # Nobody has looked yet.
                self.control.take_counts([report])

    def _kind(self) -> str:
        return KINDS[(len(self.registry.rollouts(MODEL)) - 1) % len(KINDS)]

    async def _somebody_wants_something(self) -> None:
        """Start the next rollout, or steer this one; what is acknowledged is written down."""
        if not self.active:
            if self._kind_of_last() == "taken back" and self._completed():
                await self._order(Command.ROLLBACK)
            elif not self.world.ends:
                stable = self.registry.route(MODEL)
                assert stable is not None
                start = Start(MODEL, 3 - stable.stable, "ada", "", POLICY)
                self._acknowledge((await self.desk.start(start)).rollout)
            return
        (rollout,) = self.active
        kind = self._kind()
        if kind == "aborted" and rollout.state is RolloutState.CANARY and rollout.step:
            await self._order(Command.ABORT)
        elif kind == "steered" and rollout.state is RolloutState.CANARY:
            await self._order(self.luck.choice((Command.PAUSE, Command.ADVANCE, Command.FREEZE)))
        elif rollout.state is RolloutState.HELD:
            await self._order(Command.RESUME)

    def _kind_of_last(self) -> str | None:
        return self._kind() if self.registry.rollouts(MODEL) else None

    def _completed(self) -> bool:
        return self.registry.rollouts(MODEL)[-1].state is RolloutState.COMPLETED

    async def _order(self, command: Command) -> None:
        rollout = self.registry.rollouts(MODEL)[-1]
        with suppress(WeirError):  # It is not possible where the rollout is now.
            done = await self.desk.command(rollout.id, Order(command, "ada", "because"))
            self._acknowledge(done.rollout)

    def _acknowledge(self, rollout: Rollout) -> None:
        with (self.folder / "acknowledged").open("a") as file:
            file.write(f"{rollout.id} {rollout.number}\n")

    def _nothing_is_lost_or_counted_twice(self) -> None:
        """Whoever had reported before this look, in whichever life, is counted once."""
        for rollout in self.active:
            units, _ = units_found(self.registry, rollout)
            told = [each for each in self.world.counted.values() if each.rollout == rollout.id]
            expected = sum(_of_candidate(report) for report in told)
            assert units == expected, (rollout, units, expected)

    def _nothing_went_wrong(self) -> None:
        counters = self.control.rollout_counts.snapshot("", ()).counters
        for task in (names.TASK_ROLLOUTS, names.TASK_TELL):
            assert counters[names.TASK_FAILURES.name, (task,)] == 0


def _of_candidate(report: Report) -> int:
    return sum(arms[JudgedArm.CANDIDATE].units for arms in report.stretches.values())


def units_found(registry: Registry, rollout: Rollout) -> tuple[int, int]:
    """How many units of the candidate the kept evidence holds, and the reports kept with it."""
    course = Course(rollout, registry.evidence(rollout.id))
    assert course.broken is None
    seen = course.evidence.seen.values()
    found = sum(arms.get(JudgedArm.CANDIDATE, Tally()).units for arms in seen)
    return found, sum(map(_of_candidate, course._folded.values()))


def check(registry: Registry, folder: Path) -> None:
    """What a controller finds when it begins: all that was accepted, once, and a whole route."""
    route, rollouts = registry.route(MODEL), registry.rollouts(MODEL)
    assert route is not None
    assert sum(arm.weight_bp for arm in route.arms) == FULL
    assert all(rollout.state.over for rollout in rollouts[:-1]), "one is active at most"
    for rollout in rollouts:
        found, folded = units_found(registry, rollout)
        assert found == folded
    for rollout in rollouts[-1:]:
        split = division(rollout, policy_of(rollout))
        weights = {arm.version: arm.weight_bp for arm in route.arms}
        assert weights.get(rollout.candidate, 0) == split.candidate_bp
        assert (route.shadow.share_bp if route.shadow else 0) == split.shadow_bp
        judged = not rollout.state.over and (split.candidate_bp or split.shadow_bp)
        assert (route.judged.rollout if route.judged else None) == (rollout.id if judged else None)
        assert (route.judged.baseline_bp if route.judged else 0) == split.baseline_bp
    entries = registry.audit(limit=10**6)
    about = Counter(entry.resource for entry in entries)
    for rollout in rollouts:
        numbers = [change.rollout.number for change in registry.rollout_changes(rollout.id)]
        assert numbers == list(range(1, rollout.number + 1))
        assert about[f"rollouts/{rollout.id}"] == rollout.number
    assert about[f"models/{MODEL}/route"] == route.generation
    assert len(entries) == 2 + route.generation + sum(each.number for each in rollouts)
    assert registry.verify_audit() is None
    for line in _lines(folder / "acknowledged"):
        rollout_id, number = line.split()
        assert registry.rollout(rollout_id).number >= int(number)


def check_told(registry: Registry, folder: Path, kills: int) -> None:
    """Every change that is to be told was heard, in its turn; twice at most once for each kill."""
    heard = _lines(folder / "heard")
    first = list(dict.fromkeys(heard))
    told = []
    for rollout in registry.rollouts(MODEL):
        messages = map(event, registry.rollout_changes(rollout.id))
        told += [message.id for message in messages if message is not None]
    assert sorted(first) == sorted(told)
    for rollout in registry.rollouts(MODEL):
        of = [each for each in told if each.startswith(f"rollout_{rollout.id}_")]
        assert [each for each in first if each in of] == of
    assert len(heard) - len(first) <= kills


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


class Killer:
    """Kills this process at the n-th time that a function of ours begins or ends, or SQLite does.

    By `named`, only the functions of that name count.
    """

    def __init__(self, left: int, named: str | None, told: int) -> None:
        self._left = left
        self._named = named
        self._told = told
        self._counts: dict[CodeType, bool] = {}

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        """Count what happens in a thread."""
        del arg
        code = frame.f_code
        counts = self._counts.get(code)
        if counts is None:
            ours = code.co_filename.startswith(_OURS)
            counts = ours and self._named in (None, code.co_qualname)
            self._counts[code] = counts
        if not counts:
            return
        self._left -= 1
        if self._left == 0:
            os.write(self._told, f"{event} {code.co_qualname}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def lurk(self) -> None:
        """Begin to count, in every thread that begins from now on too."""
        threading.setprofile(self)
        sys.setprofile(self)


async def _live(folder: Path, luck: random.Random, looks: int) -> None:
    controller = Controller(folder, luck)
    await controller.live(looks)


def _child(folder: Path, luck: random.Random, looks: int, killer: Killer | None) -> None:
    try:
        with closing(Registry.open(folder / "data", Verify())) as registry:
            check(registry, folder)
        if killer is not None:
            killer.lurk()
        asyncio.run(_live(folder, luck, looks))
    except BaseException:  # noqa: BLE001 - the top of a process, whose parent is told
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _forked(folder: Path, luck: random.Random, looks: int, killer: Killer | None) -> int:
    """What became of a controller, as `os.waitstatus_to_exitcode` says it."""
    child = os.fork()
    if child == 0:
        _child(folder, luck, looks, killer)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder: Path, kills: int) -> None:
    """Kill so many controllers, let the last one come to the end, and say where each was killed."""
    World().keep(folder)
    luck = random.Random(20261129)  # noqa: S311 - what is drawn must be the same each time
    killed = 0
    while killed < kills:
        named = luck.choice(NAMED) if luck.random() < 0.5 else None
        left = luck.randrange(1, 8 if named else 12_000)
        own = random.Random(luck.random())  # noqa: S311 - as above
        status = _forked(folder, own, 5, Killer(left, named, sys.stdout.fileno()))
        assert status in (0, -signal.SIGKILL), status
        killed += status == -signal.SIGKILL
    World.keep(replace(World.load(folder), ends=True), folder)
    assert _forked(folder, luck, 60, None) == 0
    registry = Registry.open(folder / "data", Verify())
    check(registry, folder)
    check_told(registry, folder, kills)
    states = Counter(rollout.state.value for rollout in registry.rollouts(MODEL))
    print(",".join(f"{state}={count}" for state, count in sorted(states.items())))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
