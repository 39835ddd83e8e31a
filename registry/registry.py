"""The registry as the rest of Weir sees it: every change checked, recorded and on disk."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from configs.errors import Conflict, StartError
from configs.settings import Verify
from registry.alarm_book import AlarmBook
from registry.artifacts import Artifacts
from registry.audit import version_state
from registry.card import Card
from registry.cards import check_card, complete_card
from registry.configurations import Configurations
from registry.deletions import Deletions
from registry.gently import gently
from registry.keyring import Keyring
from registry.ledger import Clock, Entropy
from registry.naming import check_name
from registry.records import Version
from registry.rollout_book import RolloutBook
from registry.signature import Signature
from registry.sqlite import SqliteStore
from registry.store import Store
from registry.verify import verify_model


class Registry(RolloutBook, Keyring, AlarmBook, Configurations, Deletions):
    """All that is known of the models in one data folder, with one owner.

    Versions, routes, rollouts, keys, alarms and the audit log, which also says how the gateway was
    configured.

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
        super().__init__(store, clock, entropy)
        self._artifacts = artifacts
        self._verify = verify
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

    def put_artifact(self, data: bytes) -> str:
        """Keep a file and return its digest; `TooLarge` above the cap for models."""
        return self.put_artifact_stream([data])

    def put_artifact_stream(self, chunks: Iterable[bytes]) -> str:
        """Keep a file that arrives in pieces and return its digest; errors as `put_artifact`."""
        most = self._verify.model_max_bytes
        return gently(lambda: self._artifacts.put_stream(chunks, most))

    def artifact_path(self, digest: str) -> Path:
        """Where the file of a digest is; `BadInput` if it is no digest."""
        return self._artifacts.path(digest)

    def read_artifact(self, digest: str) -> bytes:
        """The bytes of a digest, unchanged since they were put."""
        return self._artifacts.read(digest)

    def register(
        self, model: str, digest: str, card: Card | None, profile_digest: str | None, actor: str
    ) -> tuple[Version, tuple[str, ...]]:
        """Give a stored model the next number, and say in sentences what the card did not.

        Raises `Refused` for a file or card that cannot be served, `Conflict` if the model has a
        version with this file and card, `BadInput` for a name that is not allowed.
        """
        check_name(model, "a model")
        size = gently(lambda: self._artifacts.check(digest))
        signature = self._signature(digest)
        card, said = complete_card(card, signature, None)
        check_card(card, signature)
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
            self._store.add_version(version, self._entry("register", resource, states, why))
        return version, said

    def _signature(self, digest: str) -> Signature:
        """What a stored model takes and gives, found out in a child process; `Refused` if nothing.

        A digest stands for the same bytes for ever, so each is verified once per process.
        """
        if digest not in self._verified:
            self._verified[digest] = verify_model(self.artifact_path(digest), self._verify)
        return self._verified[digest]
