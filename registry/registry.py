"""The registry as the rest of Weir sees it: every change checked, recorded and on disk."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock

from configs.errors import (
    BadInput,
    Conflict,
    ModelNotFound,
    PreconditionFailed,
    StartError,
    VersionNotFound,
)
from configs.explain import did_you_mean
from configs.settings import Verify
from registry import routing
from registry.artifacts import Artifacts
from registry.audit import next_entry, route_state, verify_chain, version_state
from registry.card import Card
from registry.cards import check_card, complete_card
from registry.records import AuditEntry, Route, RoutedModel, RouteTable, Version
from registry.routing import Change
from registry.signature import Signature
from registry.sqlite import SqliteStore
from registry.store import Store
from registry.verify import verify_model

Clock = Callable[[], datetime]
Entropy = Callable[[int], bytes]

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SALT_BYTES = 16
_PAGE = 1000


class Registry:
    """Models, versions, routes and the audit log of one data folder, with one owner.

    Threads may share it: they take turns, except while a model is being verified.
    """

    def __init__(
        self,
        store: Store,
        artifacts: Artifacts,
        verify: Verify,
        clock: Clock = lambda: datetime.now(UTC),
        entropy: Entropy = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._verify = verify
        self._clock = clock
        self._entropy = entropy
        self._lock = RLock()
        self._verified: dict[str, Signature] = {}

    @classmethod
    def open(
        cls,
        data: Path,
        verify: Verify,
        clock: Clock = lambda: datetime.now(UTC),
        entropy: Entropy = secrets.token_bytes,
    ) -> Registry:
        """Own the registry in a folder, made if need be; `StartError` if it cannot be had."""
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            artifacts = Artifacts(data / "artifacts")
            store = SqliteStore(data)
            artifacts.sweep()
        except OSError as error:
            raise StartError(f"{data} cannot be the data folder: {error.strerror}") from None
        return cls(store, artifacts, verify, clock, entropy)

    def close(self) -> None:
        """Give the folder back."""
        with self._lock:
            self._store.close()

    def put_artifact(self, data: bytes) -> str:
        """Keep a file and return its digest; `TooLarge` above the cap for models."""
        return self.put_artifact_stream([data])

    def put_artifact_stream(self, chunks: Iterable[bytes]) -> str:
        """Keep a file that arrives in pieces and return its digest; errors as `put_artifact`."""
        return self._artifacts.put_stream(chunks, self._verify.model_max_bytes)

    def artifact_path(self, digest: str) -> Path:
        """Where the file of a digest is; `BadInput` if it is no digest."""
        return self._artifacts.path(digest)

    def read_artifact(self, digest: str) -> bytes:
        """The bytes of a digest, unchanged since they were put."""
        return self._artifacts.read(digest)

    def verify(self, digest: str) -> Signature:
        """What a stored model takes and gives, found out in a child process; `Refused` if nothing.

        A digest stands for the same bytes for ever, so each is verified once per process.
        """
        if digest not in self._verified:
            self._artifacts.check(digest)
            self._verified[digest] = verify_model(self.artifact_path(digest), self._verify)
        return self._verified[digest]

    def register(
        self, model: str, digest: str, card: Card | None, profile_digest: str | None, actor: str
    ) -> tuple[Version, tuple[str, ...]]:
        """Give a stored model the next number, and say in sentences what the card did not.

        Raises `Refused` for a file or card that cannot be served, `Conflict` if the model has a
        version with this file and card, `BadInput` for a name that is not allowed.
        """
        if not _MODEL.fullmatch(model):
            raise BadInput(
                f"{model[:80]!r} cannot be the name of a model: use 1 to 64 letters, digits and "
                "'.', '_', '-', beginning with a letter or digit"
            )
        signature = self.verify(digest)
        card, said = complete_card(card, signature, None)
        check_card(card, signature)
        size = self._artifacts.check(digest)
        if profile_digest is not None:
            self._artifacts.check(profile_digest)
        with self._lock:
            versions = self._store.versions(model)
            for other in versions:
                if (other.digest, other.card) == (digest, card):
                    raise Conflict(f"this file and card are version {other.number} of {model!r}")
            why = self._change(actor, "")
            version = Version(
                model=model,
                number=versions[-1].number + 1 if versions else 1,
                digest=digest,
                signature=signature,
                card=card,
                profile=profile_digest,
                size_bytes=size,
                created_by=actor,
                created_at=why.at,
            )
            resource = f"models/{model}/versions/{version.number}"
            states = (None, version_state(version))
            entry = next_entry(self._store.last_entry(), "register", resource, states, why)
            self._store.add_version(version, entry)
        return version, said

    def models(self) -> tuple[str, ...]:
        """The names of all models, in alphabetical order."""
        with self._lock:
            return self._store.models()

    def versions(self, model: str) -> tuple[Version, ...]:
        """All versions of a model, oldest first; `ModelNotFound` suggests a near name."""
        with self._lock:
            versions = self._store.versions(model)
            if not versions:
                near = did_you_mean(model, self._store.models())
                raise ModelNotFound(f"no model {model[:80]!r} is registered.{near}")
            return versions

    def version(self, model: str, number: int) -> Version:
        """One version; `ModelNotFound` or `VersionNotFound` with what there is."""
        versions = self.versions(model)
        for version in versions:
            if version.number == number:
                return version
        known = ", ".join(str(version.number) for version in versions)
        raise VersionNotFound(f"{model!r} has no version {number}; there is {known}")

    def route(self, model: str) -> Route | None:
        """The route of a model, None if it has none yet."""
        self.versions(model)
        with self._lock:
            return self._store.route(model)

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
        for versions that do not take the same inputs.
        """
        with self._lock:
            route = self._route_at(model, if_generation)
            wanted = routing.split(weights, shadow, self._numbers(model))
            routing.check_same_inputs(wanted, {each.number: each for each in self.versions(model)})
            why, salt = self._change(actor, reason), self._entropy(_SALT_BYTES)
            if route is None:
                following = routing.first_route(model, wanted, why, salt)
            else:
                following = routing.set_weights(route, wanted, why, salt)
            return self._keep("set-route", route, following, why)

    def promote(
        self, model: str, version: int, actor: str, reason: str, if_generation: int | None = None
    ) -> Route:
        """All traffic to one version; a reason is needed once the model has a route."""
        with self._lock:
            route = self._route_at(model, if_generation)
            why = self._change(actor, reason)
            if route is None:
                wanted = routing.split({version: 100}, None, self._numbers(model))
                following = routing.first_route(model, wanted, why, self._entropy(_SALT_BYTES))
                return self._keep("promote", None, following, why)
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

    def audit(self, after: int = 0, limit: int = 100) -> tuple[AuditEntry, ...]:
        """At most `limit` entries of the audit log with a sequence above `after`."""
        with self._lock:
            return self._store.audit(after, max(0, limit))

    def verify_audit(self) -> int | None:
        """The sequence at which the audit log is wrong first, or None if it is whole."""
        return verify_chain(self._all_entries())

    def served_at(self, model: str, at: datetime) -> Route | None:
        """The route that was in force at a moment, by the clock of the registry; None before any.

        `BadInput` for a moment without a time zone.
        """
        if at.tzinfo is None:
            raise BadInput("the time must have a zone, such as 2026-01-31T12:00:00Z")
        self.versions(model)
        with self._lock:
            return self._store.route(model, _text(at))

    def table(self) -> RouteTable:
        """What gateway replicas need: every route with the versions that it names."""
        with self._lock:
            last = self._store.last_entry()
            routed = {}
            for model in self._store.models():
                route = self._store.route(model)
                if route is not None:
                    routed[model] = RoutedModel(route, self._live(route))
            return RouteTable(generation=last.sequence if last else 0, models=routed)

    def _live(self, route: Route) -> dict[int, Version]:
        numbers = route.live_versions()
        versions = self._store.versions(route.model)
        return {version.number: version for version in versions if version.number in numbers}

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

    def _change(self, actor: str, reason: str) -> Change:
        return Change(actor=actor, at=_text(self._clock()), reason=reason)

    def _keep(self, action: str, before: Route | None, after: Route, why: Change) -> Route:
        states = (None if before is None else route_state(before), route_state(after))
        last = self._store.last_entry()
        entry = next_entry(last, action, f"models/{after.model}/route", states, why)
        self._store.add_route(after, entry)
        return after

    def _all_entries(self) -> Iterator[AuditEntry]:
        after = 0
        while page := self.audit(after, _PAGE):
            yield from page
            after = page[-1].sequence


def _text(moment: datetime) -> str:
    """A moment in UTC with microseconds, so that texts sort as moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
