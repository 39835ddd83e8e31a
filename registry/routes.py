"""How models are served: routes are set, promoted, rolled back, unloaded and loaded again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from configs.errors import BadInput, Conflict, PreconditionFailed
from registry import routing
from registry.audit import route_state
from registry.ledger import Clock, Entropy, Ledger
from registry.moments import utc_text
from registry.proven import proven, proven_by
from registry.records import Route, RoutedModel, RouteTable, Version
from registry.rollouts import check_none
from registry.routing import Change
from registry.store import Store

SALT_BYTES = 16


class Routes(Ledger):
    """The routes of all models, each change a generation with its entry in the audit log."""

    def __init__(self, store: Store, clock: Clock, entropy: Entropy) -> None:
        super().__init__(store, clock, entropy)
        # A route may have had thousands of generations: they are read once.
        self._proven: dict[str, frozenset[int]] = {}

    def route(self, model: str) -> Route | None:
        """The route of a model, None if it has none yet."""
        self.versions(model)
        with self._lock:
            return self._store.route(model)

    def generation(self, model: str, number: int) -> Route | None:
        """One generation of a model's route, None if there was none of that number."""
        with self._lock:
            found = self._store.generations(model)
        return next((route for route in found if route.generation == number), None)

    def set_route(
        self,
        model: str,
        weights: Mapping[int, float],
        shadow: tuple[int, float] | None,
        actor: str,
        reason: str,
        if_generation: int | None = None,
    ) -> Route:
        """Divide a model's traffic by percentages that sum to 100; see `routing.split`.

        `shadow` is a version and the percentage that it sees. With `if_generation` (0: no route
        yet) the change is made to that generation only, else `PreconditionFailed`. `Conflict`
        for versions that do not take the same inputs, and while a rollout is active.
        """
        with self._lock:
            route = self._free_route_at(model, if_generation)
            wanted = routing.split(weights, shadow, self._numbers(model))
            routing.check_same_inputs(wanted, {each.number: each for each in self.versions(model)})
            why, salt = self._change(actor, reason), self._entropy(SALT_BYTES)
            if route is None:
                following = routing.first_route(model, wanted, why, salt)
            else:
                following = routing.set_weights(route, wanted, why, salt)
            return self._keep("set-route", route, following, why)

    def promote(
        self, model: str, version: int, actor: str, reason: str, if_generation: int | None = None
    ) -> Route:
        """All traffic to one version; a reason is needed once the model has a route.

        `Conflict` while a rollout is active.
        """
        with self._lock:
            route = self._free_route_at(model, if_generation)
            why = self._change(actor, reason)
            if route is None:
                return self._keep("promote", None, self._first(model, version, why), why)
            if not reason.strip():
                raise BadInput(f"promoting version {version} of {model!r} needs a reason")
            following = routing.promote(route, version, why, self._numbers(model))
            return self._keep("promote", route, following, why)

    def rollback(
        self, model: str, actor: str, reason: str, if_generation: int | None = None
    ) -> Route:
        """One step back; see `routing.rollback`. `Conflict` if there is nothing to return to."""
        with self._lock:
            route = self._route_at(model, if_generation)
            if route is None:
                raise Conflict(f"{model!r} has no route yet, so there is nothing to return to")
            why = self._change(actor, reason)
            return self._keep("rollback", route, routing.rollback(route, why), why)

    def load(self, model: str, actor: str, reason: str) -> Route:
        """Serve a model as it was when it was unloaded, or its latest version if it never was.

        The route of a model that is served stays as it is, and no entry is written.
        """
        with self._lock:
            route = self.route(model)
            why = self._change(actor, reason)
            if route is None:
                latest = self._numbers(model)[-1]
                return self._keep("load", None, self._first(model, latest, why), why)
            following = routing.load(route, why)
            return following if following is route else self._keep("load", route, following, why)

    def unload(self, model: str, actor: str, reason: str) -> Route:
        """Serve a model no longer; `Conflict` if it is not served now, or a rollout is active."""
        with self._lock:
            route = self._free_route_at(model, None)
            if route is None:
                raise Conflict(f"{model!r} has no route yet, so there is nothing to unload")
            why = self._change(actor, reason)
            return self._keep("unload", route, routing.unload(route, why), why)

    def served_at(self, model: str, at: datetime) -> Route | None:
        """The route that was in force at a moment, by the clock of the registry; None before any.

        `BadInput` for a moment without a time zone.
        """
        moment = utc_text(at)
        self.versions(model)
        with self._lock:
            return self._store.route(model, moment)

    def proven(self, model: str) -> frozenset[int]:
        """The versions of a model that are proven now; see `proven.py`."""
        self.versions(model)
        with self._lock:
            return self._proven_of(model)

    def table(self) -> RouteTable:
        """What gateway replicas need: routes that are served, what is registered, and keys."""
        with self._lock:
            last = self._store.last_entry()
            registered, keys = self._store.numbers(), self._store.keys()
            routed = {}
            for model in registered:
                route = self._store.route(model)
                if route is not None and route.served:
                    routed[model] = RoutedModel(
                        route, self._live(route), self._proven_of(model), route.baseline()
                    )
            return RouteTable(
                generation=last.sequence if last else 0,
                models=routed,
                registered=registered,
                keys=tuple(key for key in keys if key.revoked_at is None),
            )

    def _first(self, model: str, version: int, why: Change) -> Route:
        """The first route of a model, with all traffic to one version."""
        wanted = routing.split({version: 100}, None, self._numbers(model))
        return routing.first_route(model, wanted, why, self._entropy(SALT_BYTES))

    def _live(self, route: Route) -> dict[int, Version]:
        numbers = route.live_versions()
        versions = self._store.versions(route.model)
        return {version.number: version for version in versions if version.number in numbers}

    def _proven_of(self, model: str) -> frozenset[int]:
        if model not in self._proven:
            self._proven[model] = proven_by(self._store.generations(model))
        return self._proven[model]

    def _numbers(self, model: str) -> tuple[int, ...]:
        return tuple(version.number for version in self.versions(model))

    def _route_at(self, model: str, if_generation: int | None) -> Route | None:
        """The route that a change starts from, if it is the generation that the caller has seen."""
        route = self.route(model)
        generation = route.generation if route else 0
        if if_generation not in (None, generation):
            raise PreconditionFailed(
                f"the route of {model!r} is at generation {generation}, not {if_generation}: "
                "look at it again"
            )
        return route

    def _free_route_at(self, model: str, if_generation: int | None) -> Route | None:
        """The same, for a change that no active rollout may be surprised by."""
        route = self._route_at(model, if_generation)
        check_none(self._store.rollouts(model, active_only=True))
        return route

    def _keep(self, action: str, before: Route | None, after: Route, why: Change) -> Route:
        known = self._proven_of(after.model)
        states = (None if before is None else route_state(before), route_state(after))
        self._store.add_route(
            after, self._entry(action, f"models/{after.model}/route", states, why)
        )
        self._proven[after.model] = proven(known, before, after)
        return after
