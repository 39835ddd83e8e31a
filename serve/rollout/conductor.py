"""Looks at every active rollout once a second, and does what is due; without Ray.

Counts come from the gateway processes, the evidence and the decision from pure functions, and every
change is committed with the route that belongs to it. More traffic waits for hosts, in a task of
its own; a way back waits for nobody.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from configs.errors import PreconditionFailed, Refused, WeirError
from configs.policy import Metric, Policy
from monitors.signal import Verdict
from registry.naming import OURSELVES
from registry.records import FULL, Judged, Route, ShadowArm
from registry.rollout_book import RolloutBook
from registry.rollouts import NOTHING, Rollout, RolloutState, Shares
from serve.control.reports import Reports
from serve.control.service import ArmSignals
from serve.rollout.counts import RolloutCounts
from serve.rollout.course import Course, grounds
from serve.rollout.decide import decide
from serve.rollout.division import division
from serve.rollout.guardrails import SignalsSeen, judge, split_is_suspect
from serve.rollout.labelled import labels_report
from serve.rollout.moves import Move, Seen
from serve.rollout.objective import objective_s
from serve.rollout.pace import Pace
from serve.rollout.stage import SignalSource, Stage

FRESH_S = 10.0
"""How old the last counts of a gateway process may be for a decision to rest on them."""
MISSED_S = 60.0
"""How long a gateway process that fell silent without a goodbye is missed."""
ATTENTIVE_S = 20.0
"""How long ago a rollout may have been judged for gateway processes to hear that it is."""
_SIGNALS_S = 5.0
_SIGNALS_MAX_S = 5.0
_AGAIN_S = 5.0
"""How long it rests after hosts could not be reached."""
_FOLLOWED_S = 10.0
"""How long somebody who wants a change waits for gateway processes to follow."""

_log = logging.getLogger("weir.rollout")


@dataclass(frozen=True, slots=True)
class _Divided:
    """How a rollout divides the traffic: what the control plane and the registry are told."""

    weights: Mapping[int, int]
    shadow: ShadowArm | None
    judged: Judged | None
    shares: Shares

    @classmethod
    def by(cls, rollout: Rollout, policy: Policy) -> _Divided:
        """What a rollout asks of the route of its model."""
        split = division(rollout, policy)
        shares = Shares(split.candidate_bp, split.baseline_bp, split.shadow_bp)
        weights = {rollout.stable: FULL - split.candidate_bp, rollout.candidate: split.candidate_bp}
        if rollout.state.over or shares == NOTHING:
            return cls(weights, None, None, shares)
        shadow = ShadowArm(rollout.candidate, shares.shadow_bp) if shares.shadow_bp else None
        judged = Judged(rollout.id, rollout.candidate, shares.baseline_bp, rollout.objective_s)
        return cls(weights, shadow, judged, shares)

    def same_route_as(self, before: _Divided) -> bool:
        """Whether the route stays as it is."""
        now, then = self, before
        return (now.weights, now.shadow, now.judged) == (then.weights, then.shadow, then.judged)

    def gives_more_than(self, before: _Divided) -> bool:
        """Whether the candidate gets or sees more, so that hosts may have to be waited for."""
        now, then = self.shares, before.shares
        return now.candidate_bp > then.candidate_bp or now.shadow_bp > then.shadow_bp


@dataclass
class _Watched:
    """A rollout that is being conducted.

    `turn` is held while a decision is made, never while hosts are waited for. `step` is the change
    that waits for hosts, and `aim` where it leads. `failed` says why hosts did not start,
    `hindered` why the last change could not be made, which is tried again.
    `found_at` is when this process first looked at it, and `judged_at` when it put the candidate
    into the route, if it did: gateway processes cannot have reported before. `judged_since` is when
    all of them had, for the first time.
    """

    course: Course
    same_behaviour: bool
    found_at: float
    judged_since: datetime | None = None
    judged_at: float = float("-inf")
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    step: asyncio.Task[None] | None = None
    aim: tuple[RolloutState, int] | None = None
    rests_until: float = float("-inf")
    failed: str | None = None
    hindered: str | None = None
    unkept: bool = False
    signals: SignalsSeen = field(default_factory=lambda: SignalsSeen(known=False))
    asked_at: float = float("-inf")
    asking: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class _Making:
    """A change that is being made: when it is committed, and when gateway processes follow it."""

    committed: asyncio.Future[Rollout]
    task: asyncio.Task[None]
    leads_on: bool


class Conductor:
    """Brings rollouts forward and back, by what their evidence says.

    A look at one that goes wrong in a way that nobody expected is counted, and never stops those
    at the others.
    """

    def __init__(
        self,
        book: RolloutBook,
        stage: Stage,
        reports: Reports,
        signals: SignalSource,
        counts: RolloutCounts,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._book = book
        self._stage = stage
        self._reports = reports
        self._signals = signals
        self._counts = counts
        self._clock = clock
        self._monotonic = monotonic
        self._looked_at = float("-inf")
        self._judged: dict[str, float] = {}
        self._watched: dict[str, _Watched] = {}
        self._routes: dict[tuple[str, int], Route] = {}
        self.under_way: set[asyncio.Task[None]] = set()
        self.standing: dict[str, tuple[Rollout, Seen]] = {}

    def judges(self, rollouts: Iterable[str]) -> bool:
        """Whether each that is active was judged not long ago: no canary is without a judge.

        As long as it is not known which are active, none is judged.
        """
        earliest = self._monotonic() - ATTENTIVE_S
        return self._looked_at > earliest and all(
            self._judged.get(rollout, self._looked_at) > earliest for rollout in rollouts
        )

    async def look(self) -> None:
        """Look at every active rollout once; `standing` has them as they were then."""
        active = await asyncio.to_thread(self._book.rollouts, None, True)
        there = {rollout.id for rollout in active}
        for gone in self._watched.keys() - there:
            del self._watched[gone]
            self.standing.pop(gone, None)
        self._reports.keep_only(there)
        self._judged = {each: self._judged.get(each, float("-inf")) for each in there}
        await asyncio.gather(*map(self._look_or_count, there))
        self._looked_at = self._monotonic()

    async def close(self) -> None:
        """Let go of what is under way; the registry knows how far everything has come."""
        asking = [each.asking for each in self._watched.values() if each.asking is not None]
        tasks: list[asyncio.Task[Any]] = [*self.under_way, *asking]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def see(self, rollout: Rollout) -> tuple[Course, Seen]:
        """What is known of a rollout now, also of one that is over, in words that can be shown."""
        watched = await self._watch(rollout)
        return watched.course, await self._see(watched, rollout, shown=True)

    async def act(
        self, rollout_id: str, decided: Callable[[Rollout, Seen], Move]
    ) -> tuple[Rollout, str]:
        """Make a change that somebody wants; gives the rollout after it, and what was done.

        Returns when gateway processes follow, or a while after it was committed. Raises what keeps
        it from being made, and what `decided` raises.
        """
        rollout = await asyncio.to_thread(self._book.rollout, rollout_id)
        watched = await self._watch(rollout)
        async with watched.turn:
            rollout = await asyncio.to_thread(self._book.rollout, rollout_id)
            seen = await self._see(watched, rollout, shown=True)
            move = self._with_objective(watched, decided(rollout, seen))
            making = self._make(watched, rollout, move, seen)
        after = await making.committed
        await asyncio.wait({making.task}, timeout=_FOLLOWED_S)
        return after, move.action

    async def _look_or_count(self, rollout_id: str) -> None:
        try:
            if await self._look_at(rollout_id):
                self._judged[rollout_id] = self._monotonic()
        except Exception:  # noqa: BLE001 - the boundary between rollouts; counted
            _log.exception("looking at rollout %s failed; it is tried again", rollout_id)
            self._counts.failed()

    async def _look_at(self, rollout_id: str) -> bool:
        """Judge one rollout; gives whether what is due at once is done."""
        watched = await self._watch(await asyncio.to_thread(self._book.rollout, rollout_id))
        async with watched.turn:
            rollout = await asyncio.to_thread(self._book.rollout, rollout_id)
            self._ask_monitors(watched, rollout)
            await self._take(watched, rollout)
            seen = await self._see(watched, rollout, shown=False)
            self.standing[rollout.id] = rollout, seen
            move = self._decided(watched, rollout, seen)
            if move is None or self._waits(watched, rollout, move):
                return True
            # Once more with what people are told, which takes longer to work out.
            seen = await self._see(watched, rollout, shown=True)
            move = self._decided(watched, rollout, seen)
            if move is None:
                return True
            making = self._make(watched, rollout, self._with_objective(watched, move), seen)
            if making.leads_on:
                return True
            await asyncio.wait({making.committed})
            return making.committed.exception() is None

    def _decided(self, watched: _Watched, rollout: Rollout, seen: Seen) -> Move | None:
        move = decide(rollout, watched.course.policy, seen, self._clock())
        return move if move is not None else self._objective(watched, rollout)

    def _waits(self, watched: _Watched, rollout: Rollout, move: Move) -> bool:
        """Whether a change is under way already, or rests because hosts could not be reached."""
        under_way = watched.step is not None and not watched.step.done()
        if under_way and watched.aim == _aim(move.rollout):
            return True
        if self._monotonic() >= watched.rests_until:
            return False
        policy = watched.course.policy
        then, now = _Divided.by(rollout, policy), _Divided.by(move.rollout, policy)
        return now.gives_more_than(then)

    async def _watch(self, rollout: Rollout) -> _Watched:
        """What is remembered of a rollout; read from the registry where nothing is."""
        watched = self._watched.get(rollout.id)
        if watched is not None:
            return watched
        kept = await asyncio.to_thread(self._book.evidence, rollout.id)
        card = (await asyncio.to_thread(self._book.version, rollout.model, rollout.candidate)).card
        same = card.change == "same-behaviour"
        made = _Watched(Course(rollout, kept), same, self._monotonic())
        # Another may have been as far meanwhile: there must be one only.
        return self._watched.setdefault(rollout.id, made) if not rollout.state.over else made

    async def _take(self, watched: _Watched, rollout: Rollout) -> None:
        """Fold what the gateway processes have counted, and keep it before anything rests on it."""
        course, last = watched.course, self._reports.of(rollout.id)
        increment = course.due(last)
        if increment is not None:
            routed = {
                generation: await self._generation(rollout.model, generation)
                for generation in increment.stretches
            }
            course.fold(last, increment, routed, self._clock())
            watched.unkept = True
        course.note_pace(self._monotonic())
        if watched.unkept:
            state = course.snapshot()
            await asyncio.to_thread(self._book.keep_evidence, rollout.id, rollout.number, state)
            watched.unkept = False

    async def _generation(self, model: str, number: int) -> Route | None:
        """A generation of a route, which never changes."""
        known = self._routes.get((model, number))
        if known is None:
            known = await asyncio.to_thread(self._book.generation, model, number)
            if known is not None:
                self._routes[model, number] = known
        return known

    async def _see(self, watched: _Watched, rollout: Rollout, shown: bool) -> Seen:
        course = watched.course
        findings = judge(
            course.evidence, course.policy, watched.same_behaviour, watched.signals, shown
        )
        if rollout.state.over:
            route = await asyncio.to_thread(self._book.route, rollout.model)
            previous = route.previous if route is not None else None
            return Seen(findings, previous=previous, leaves_out=course.leaves_out)
        if rollout.state is RolloutState.ROLLING_BACK:
            settled = await self._stage.routes_back(rollout.model)
            return Seen(findings, settled=settled, leaves_out=course.leaves_out)
        as_wanted = await self._stage.routes_as_wanted(rollout.model)
        fresh = self._fresh(watched, rollout)
        if fresh and watched.judged_since is None:
            watched.judged_since = self._clock()
        # Before the candidate is in the route, its hosts are waited for by whoever puts it there.
        return Seen(
            findings=findings,
            split_suspect=split_is_suspect(course.evidence, course.policy),
            candidate_ready=_begins(rollout) or as_wanted,
            fresh=fresh,
            awaited=not fresh and self._monotonic() - watched.found_at < FRESH_S,
            judged_since=watched.judged_since,
            failed=watched.failed or course.broken,
            settled=as_wanted,
            reaching=await self._stage.reaching(rollout.model),
            leaves_out=course.leaves_out,
            hindered=watched.hindered,
        )

    def _fresh(self, watched: _Watched, rollout: Rollout) -> bool:
        """Whether every gateway process has reported not long ago, or could not have yet."""
        if _begins(rollout) or self._monotonic() - watched.judged_at < FRESH_S:
            return True
        heard = self._reports.heard(rollout.id, FRESH_S)
        # One that hangs asks for no table either, and may still answer by the last one it had.
        expected = self._reports.heard(rollout.id, MISSED_S)
        return heard >= max(self._stage.gateways(), expected, 1)

    def _ask_monitors(self, watched: _Watched, rollout: Rollout) -> None:
        """Ask what the monitors say, without waiting for it."""
        policy = watched.course.policy
        asks = policy.guardrail(Metric.SIGNALS) is not None or policy.by_labels
        asking = watched.asking is not None and not watched.asking.done()
        if asks and not asking and self._monotonic() - watched.asked_at >= _SIGNALS_S:
            watched.asked_at = self._monotonic()
            watched.asking = asyncio.ensure_future(self._hear(watched, rollout))

    async def _hear(self, watched: _Watched, rollout: Rollout) -> None:
        policy = watched.course.policy
        if policy.guardrail(Metric.SIGNALS) is not None:
            await self._hear_signals(watched, rollout)
        if policy.by_labels:
            await self._hear_labels(rollout)

    async def _hear_labels(self, rollout: Rollout) -> None:
        """Ask what labels say so far; where nobody answers, the next answer has it all."""
        try:
            async with asyncio.timeout(_SIGNALS_MAX_S):
                units = await self._signals.labelled_units(rollout.model)
        except (WeirError, TimeoutError):
            return
        report = labels_report(units, rollout.id)
        if report is not None:
            self._reports.take_labels(report)

    async def _hear_signals(self, watched: _Watched, rollout: Rollout) -> None:
        try:
            async with asyncio.timeout(_SIGNALS_MAX_S):
                arms = await self._signals.signals(rollout.model)
        except (WeirError, TimeoutError):
            watched.signals = SignalsSeen(known=False)
        else:
            watched.signals = SignalsSeen(alarms_on(arms, rollout))

    def _objective(self, watched: _Watched, rollout: Rollout) -> Move | None:
        """Fix when an answer is late, for a canary that began before enough was known for that."""
        if rollout.state is not RolloutState.CANARY:
            return None
        after = replace(rollout, number=rollout.number + 1, by=OURSELVES)
        with_one = self._with_objective(watched, Move(after, "set objective", "")).rollout
        if with_one.objective_s is None or rollout.objective_s is not None:
            return None
        reason = f"an answer is late after {with_one.objective_s:.3g} s"
        return Move(replace(with_one, reason=reason), "set objective", reason)

    def _with_objective(self, watched: _Watched, move: Move) -> Move:
        """The same change, by which a canary begins with what a late answer is."""
        after = move.rollout
        if after.objective_s is not None or after.state is not RolloutState.CANARY:
            return move
        objective = objective_s(watched.course.policy, watched.course.latency)
        return replace(move, rollout=replace(after, objective_s=objective))

    def _make(self, watched: _Watched, before: Rollout, move: Move, seen: Seen) -> _Making:
        """Begin to make a change; nothing of it has happened yet if it fails."""
        policy, after = watched.course.policy, move.rollout
        ground = grounds(seen.findings, watched.course)
        then, now = _Divided.by(before, policy), _Divided.by(after, policy)
        loop = asyncio.get_running_loop()
        committed: asyncio.Future[Rollout] = loop.create_future()

        def note(made: Rollout) -> None:
            if now.judged is not None and then.judged is None:
                watched.judged_at = self._monotonic()
            if not now.same_route_as(then):
                watched.course.pace = Pace()  # Another share of the traffic, another rate.
            self._counts.changed(made.model, move.action)
            if not committed.done():
                committed.set_result(made)

        def commit() -> Rollout:
            made = self._book.change_rollout(
                before, after, move.action, ground, after.by, now.shares
            )
            loop.call_soon_threadsafe(note, made)
            return made

        if now.same_route_as(then):
            work: Coroutine[Any, Any, Rollout] = asyncio.to_thread(commit)
        else:
            work = self._stage.step_rollout(
                before.model, now.weights, now.shadow, now.judged, commit
            )
        task = asyncio.ensure_future(self._see_through(watched, work, committed))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        leads_on = now.gives_more_than(then)
        if leads_on:
            watched.step, watched.aim = task, _aim(after)
        return _Making(committed, task, leads_on)

    async def _see_through(
        self,
        watched: _Watched,
        work: Coroutine[Any, Any, Rollout],
        committed: asyncio.Future[Rollout],
    ) -> None:
        """Wait for a change and what comes after it; what kept it from being made is noted."""
        try:
            await work
            watched.hindered = None
        except PreconditionFailed as error:
            # Somebody else was first: the next look sees what is so now.
            _log.info("a change of a rollout was overtaken: %s", error.message)
            _fail(committed, error)
        except Refused as error:
            watched.failed = error.message
            _fail(committed, error)
        except WeirError as error:
            _log.warning("a change of a rollout waits: %s", error.message)
            watched.hindered = error.message
            watched.rests_until = self._monotonic() + _AGAIN_S
            _fail(committed, error)
        except Exception as error:  # noqa: BLE001 - the top of a task; counted
            _log.exception("a change of a rollout failed; it is tried again")
            self._counts.failed()
            watched.rests_until = self._monotonic() + _AGAIN_S
            _fail(committed, error)


def alarms_on(arms: Iterable[ArmSignals], rollout: Rollout) -> tuple[str, ...]:
    """The alarms on the candidate, in any role, that the stable version does not have."""
    found: dict[int, set[str]] = {rollout.stable: set(), rollout.candidate: set()}
    for arm in arms:
        if arm.version in found:
            found[arm.version] |= {
                f"{signal.name} of {signal.subject}" if signal.subject else signal.name
                for signal in arm.signals
                if signal.verdict is Verdict.ALARM
            }
    return tuple(sorted(found[rollout.candidate] - found[rollout.stable]))


def _begins(rollout: Rollout) -> bool:
    """Whether the candidate is not in the route yet, so that nobody counts for it."""
    return RolloutState.STARTING in (rollout.state, rollout.held_from)


def _aim(rollout: Rollout) -> tuple[RolloutState, int]:
    return rollout.state, rollout.step


def _fail(committed: asyncio.Future[Rollout], error: Exception) -> None:
    if not committed.done():
        committed.set_exception(error)
        committed.exception()  # Seen: it may be that nobody waits for it.
