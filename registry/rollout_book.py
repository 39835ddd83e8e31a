"""Rollouts of the registry: each change with the route that belongs to it, both or neither."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from configs.errors import Conflict, PreconditionFailed
from registry import rollouts as life
from registry import routing
from registry.audit import next_entry, rollout_state, route_state
from registry.moments import utc_text
from registry.naming import check_name
from registry.proven import proven
from registry.records import FULL, Arm, Route, ShadowArm
from registry.rollout_route import rollout_route
from registry.rollouts import Rollout, RolloutChange, RolloutState, Shares
from registry.routes import SALT_BYTES, Routes
from registry.routing import Change

ID_BYTES = 8
_TOLD_FOR = timedelta(days=1)
"""How long a change is worth telling, once it is not the last word about an active rollout."""

_BY_HAND = "{}"
"""What a change rests on that somebody made without looking at the evidence."""

_ROUTE_ACTIONS = {RolloutState.COMPLETED: "promote", RolloutState.ROLLING_BACK: "rollback"}
"""What the log calls the change of the route that comes with a state; else `set-route`."""


class RolloutBook(Routes):
    """The rollouts, one active for each model at most, and which changes of them were delivered."""

    def rollouts(self, model: str | None = None, active_only: bool = False) -> tuple[Rollout, ...]:
        """Rollouts as they are now, oldest first; `ModelNotFound` for a model that is none."""
        if model is not None:
            self.versions(model)
        with self._lock:
            return self._store.rollouts(model, active_only)

    def rollout(self, rollout_id: str) -> Rollout:
        """One rollout as it is now; `NotFound` if there is none."""
        with self._lock:
            return life.find_rollout(rollout_id, self._store.rollout(rollout_id))

    def rollout_changes(self, rollout_id: str) -> tuple[RolloutChange, ...]:
        """All changes of a rollout, oldest first; `NotFound` if there is none."""
        with self._lock:
            self.rollout(rollout_id)
            return self._store.rollout_changes(rollout_id)

    def start_rollout(
        self,
        model: str,
        candidate: int,
        policy: str,
        actor: str,
        reason: str,
        rollout_id: str | None = None,
    ) -> Rollout:
        """Begin to bring a version in, by a policy in JSON; the route stays as it is at first.

        `Conflict` unless the model is served by one other version alone, which takes the same
        inputs, and has no active rollout; `BadInput` for a policy that is none.
        """
        with self._lock:
            if rollout_id is None:
                rollout_id = self._entropy(ID_BYTES).hex()
            check_name(rollout_id, "a rollout")
            why = self._change(actor, reason)
            rollout = self._begun(rollout_id, model, candidate, policy, why)
            change = RolloutChange(rollout, "start", _BY_HAND)
            states = (None, _state(change))
            entry = self._entry("start", f"rollouts/{rollout_id}", states, why)
            self._store.add_rollout(change, entry)
            return rollout

    def planned_rollout(
        self, model: str, candidate: int, policy: str, actor: str, reason: str
    ) -> Rollout:
        """What `start_rollout` would begin, under no id; raises what that would."""
        with self._lock:
            return self._begun("", model, candidate, policy, self._change(actor, reason))

    def change_rollout(
        self,
        before: Rollout,
        after: Rollout,
        action: str,
        evidence: str,
        actor: str,
        shares: Shares,
    ) -> Rollout:
        """Make the change from `before` to `after`, and the route what `shares` says with it.

        Both reach the disk, or neither. The rollout that is given back says when it was changed,
        and by whom. `PreconditionFailed` if the rollout is not at the change `before` any more;
        `Conflict` and `BadInput` for what is no next change of it, see `following` and
        `rollout_route`.
        """
        with self._lock:
            now = self.rollout(before.id)
            if now.number != before.number:
                raise PreconditionFailed(
                    f"rollout {now.id} is at change {now.number} ({now.state.value}), not "
                    f"{before.number}: look at it again"
                )
            why = self._after(now, actor, after.reason)
            change = RolloutChange(life.following(now, after, why), action, evidence)
            route = self._route_of(now)
            salt = self._entropy(SALT_BYTES)
            following = rollout_route(route, change.rollout, shares, why, salt)
            if now.state is RolloutState.COMPLETED and following is route:
                raise Conflict(
                    f"how {now.model!r} is served has changed since rollout {now.id} was "
                    "completed, so it cannot be taken back: set the route instead"
                )
            self._keep_both(now, change, route, following, why)
            return change.rollout

    def rollback(
        self, model: str, actor: str, reason: str, if_generation: int | None = None
    ) -> Route:
        """One step back, as `routing.rollback`; an active rollout ends with it."""
        with self._lock:
            active = self._store.rollouts(model, active_only=True)
            ending = [each for each in active if each.state is not RolloutState.ROLLING_BACK]
            if not ending:
                return super().rollback(model, actor, reason, if_generation)
            (now,) = ending
            self._route_at(model, if_generation)
            route = self._route_of(now)
            why = self._after(now, actor, reason)
            change = RolloutChange(life.rolling_back(now, why), "rollback", _BY_HAND)
            following = routing.rollback(route, why)
            self._keep_both(now, change, route, following, why)
            return following

    def keep_evidence(self, rollout_id: str, number: int, state: str) -> None:
        """Keep what has been found by a change of a rollout or since, in the place of the last.

        `Conflict` for a change that there was not.
        """
        with self._lock:
            self._store.keep_evidence(rollout_id, number, utc_text(self._clock()), state)

    def evidence(self, rollout_id: str) -> str | None:
        """What a rollout has found, as it was kept last; None before."""
        with self._lock:
            return self._store.evidence(rollout_id)

    def untold_rollout_changes(self) -> tuple[RolloutChange, ...]:
        """Of each rollout the first change that is to be delivered.

        A change is worth telling for a day, the last word about a rollout as long as it is active.
        """
        with self._lock:
            return self._store.untold_changes(utc_text(self._clock() - _TOLD_FOR))

    def told_rollout_change(self, rollout: Rollout) -> None:
        """Note that the change that made a rollout what it was has been delivered."""
        with self._lock:
            at = utc_text(self._clock())
            self._store.add_rollout_delivery(rollout.id, rollout.number, at)

    def _begun(
        self, rollout_id: str, model: str, candidate: int, policy: str, why: Change
    ) -> Rollout:
        stable = self._stable(model, candidate)
        return life.started(rollout_id, model, (stable, candidate), policy, why)

    def _stable(self, model: str, candidate: int) -> int:
        """The version that answers alone, if a rollout of the candidate can begin."""
        self.version(model, candidate)
        life.check_none(self._store.rollouts(model, active_only=True))
        route = self.route(model)
        if route is None or not route.served:
            raise Conflict(
                f"{model!r} is not served, so there is nothing to compare version {candidate} "
                "with: promote a version first"
            )
        if len(route.arms) > 1:
            raise Conflict(
                f"the traffic of {model!r} is divided by hand: give all of it to one version first"
            )
        if route.shadow is not None and route.shadow.version != candidate:
            raise Conflict(
                f"version {route.shadow.version} of {model!r} is a shadow, and a rollout needs its "
                "place: end it first"
            )
        if candidate == route.stable:
            raise Conflict(f"version {candidate} of {model!r} has all of the traffic already")
        together = routing.Split((Arm(route.stable, FULL),), ShadowArm(candidate, FULL))
        routing.check_same_inputs(together, {each.number: each for each in self.versions(model)})
        return route.stable

    def _route_of(self, rollout: Rollout) -> Route:
        """The route of a rollout's model, which has had one since before it began."""
        route = self._store.route(rollout.model)
        if route is None:
            raise Conflict(f"{rollout.model!r} has no route")
        return route

    def _after(self, rollout: Rollout, actor: str, reason: str) -> Change:
        """A change made now, or when the last one was if the clock has been set back since."""
        why = self._change(actor, reason)
        return replace(why, at=max(why.at, rollout.at))

    def _keep_both(
        self, now: Rollout, change: RolloutChange, before: Route, after: Route, why: Change
    ) -> None:
        """Keep a change of a rollout, and the route that comes with it unless it stays as it is."""
        states = (rollout_state(now), _state(change))
        entry = self._entry(change.action, f"rollouts/{now.id}", states, why)
        if after is before:
            self._store.change_rollout(change, entry)
            return
        known = self._proven_of(after.model)
        action = _ROUTE_ACTIONS.get(change.rollout.state, "set-route")
        routes = (route_state(before), route_state(after))
        routed = next_entry(entry, action, f"models/{after.model}/route", routes, why)
        self._store.change_rollout(change, entry, (after, routed))
        self._proven[after.model] = proven(known, before, after)


def _state(change: RolloutChange) -> dict[str, object]:
    """What the log says about a rollout after a change, with the digest of what it rests on."""
    return {**rollout_state(change.rollout), "evidence": life.digest(change.evidence)}
