"""The label book: what waits for its truth, of all models, one file for each."""

from __future__ import annotations

import gc
import logging
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from configs.errors import InTheFuture, NotFound, Refused, Unavailable, WeirError
from configs.settings import Labels
from monitors.blocks import SampleBlock, Series
from monitors.kept import Place
from monitors.labels.assigned import LabelledUnits
from monitors.labels.database import model_of
from monitors.labels.judged import JudgedBlock
from monitors.labels.message import Awaited, Truth, truth_of
from monitors.labels.receipt import Receipt
from monitors.labels.rows import awaiting
from monitors.labels.store import LabelStore
from monitors.labels.tally import (
    LOST,
    PENDING,
    WAITING_NOW,
    Later,
    Loss,
    Outcome,
)
from monitors.labels.told import LabelsTold, arm_labels
from monitors.telemetry import names
from registry.artifacts import sync_folder
from registry.card import Card

REASONS_MAX = 100
"""So many refusals of one call are told with their reasons; all are counted."""

_BOUND_EVERY_S = 10.0
_DAY_S = 86_400.0

_log = logging.getLogger("weir.monitors")


class LabelBook:
    """Keeps predictions until their truth comes, and gives what is judged then.

    Files are opened when they are first needed, all of them at the first `ripen`. `Unavailable`
    where a file cannot be read or written.
    """

    def __init__(self, folder: Path, settings: Labels) -> None:
        self._folder = folder
        self._settings = settings
        self._stores: dict[str, LabelStore] = {}
        self._found = False
        self._bounds_at = float("-inf")

    def close(self) -> None:
        """Close all files."""
        for store in self._stores.values():
            store.close()
        self._stores.clear()

    def expect(self, block: SampleBlock, card: Card, now: float) -> None:
        """Keep the rows of a block until their labels come, if the card says that any will."""
        if card.label is None or not block.rows:
            return
        with _disk():
            store = self._store(block.model)
            try:
                store.expect((block.version, block.role), card, awaiting(block, card), now)
            except Refused:
                store.count_lost(LOST + Loss.UNREADABLE, block.rows)
                raise
            except (Unavailable, sqlite3.Error):
                store.count_lost(LOST + Loss.UNWRITTEN, block.rows)
                raise

    def versions(self, model: str) -> tuple[int, ...]:
        """The versions of a model of which predictions are or were waiting."""
        with _disk():
            self._find_all()
            store = self._stores.get(model)
            return tuple(sorted({version for version, _ in store.arms})) if store else ()

    def feedback(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        awaited: Awaited,
        now: float,
        *,
        audit: bool = False,
    ) -> Receipt:
        """Take in labels, or group attributes on the channel for audits.

        What is acknowledged here is on disk.
        """
        truths: list[Truth] = []
        refused: list[tuple[int, str]] = []
        in_future = 0
        with _uncollected():
            for index, message in enumerate(messages):
                try:
                    truths.append(truth_of(message, awaited, now, audit=audit))
                except Refused as error:
                    refused.append((index, error.message))
                    in_future += isinstance(error, InTheFuture)
            with _disk():
                outcomes = self._store(model).hear(truths, now, len(refused), in_future)
        return Receipt(
            accepted=len(outcomes),
            joined=outcomes.count(Outcome.JOINED),
            waiting=outcomes.count(Outcome.WAITING),
            repeated=outcomes.count(Outcome.REPEATED),
            corrected=outcomes.count(Outcome.CORRECTED),
            refused=tuple(refused[:REASONS_MAX]),
            refused_count=len(refused),
        )

    def ripen(self, now: float) -> None:
        """Judge all predictions with a label that are old enough; now and then keep to bounds."""
        with _disk():
            self._find_all()
            bounds = now >= self._bounds_at
            if bounds:
                self._bounds_at = now + _BOUND_EVERY_S
            failed: sqlite3.Error | WeirError | None = None
            for store in self._stores.values():
                try:
                    store.ripen(now)
                    if bounds:
                        store.keep_bounds(now)
                except (sqlite3.Error, WeirError) as error:  # The others go on.
                    failed = error
            if failed is not None:
                raise failed

    def heads(self) -> dict[Place, int]:
        """The number of the last judged row of each version in each role that has one."""
        return {
            (store.model, *arm): head
            for store in self._stores.values()
            for arm, head in store.heads.items()
        }

    def judged(self, place: Place, card: Card, after: int) -> Iterator[tuple[JudgedBlock, int]]:
        """The judged rows after a number, in blocks with the number of their last row."""
        store = self._stores.get(place[0])
        while store is not None:
            with _disk():
                found = store.judged((place[1], place[2]), card, after)
            if found is None:
                return
            yield found
            _, after = found

    def told(self, model: str, cards: Mapping[int, Card], now: float) -> LabelsTold:
        """What there is to say of a model's labels; `NotFound` where nothing was kept for it."""
        with _disk():
            self._find_all()
            store = self._stores.get(model)
            if store is None:
                raise NotFound(f"no labels are kept of {model!r}: no version of it awaits any")
            return LabelsTold(
                model,
                dict(sorted(store.counts.items())),
                store.counts[PENDING],
                store.counts[WAITING_NOW],
                tuple(
                    arm_labels(arm, _delay_s(cards.get(arm[0])), store.cells(arm), now)
                    for arm in store.arms
                ),
            )

    def labelled_units(self, model: str) -> tuple[LabelledUnits, ...]:
        """Units of a model's latest rollouts whose labels count, by what they were assigned to."""
        with _disk():
            self._find_all()
            store = self._stores.get(model)
            return store.labelled_units() if store is not None else ()

    def counters(self) -> dict[Series, int]:
        """What has happened since the start, as series of a snapshot."""
        counted: dict[Series, int] = {}
        for model, store in self._stores.items():
            for outcome in (*Outcome, Later.FOUND, Later.UNMATCHED, Later.EVICTED):
                counted[names.LABELS.name, (model, outcome)] = store.session[outcome]
            for loss in Loss:
                series = (names.LABELS_PREDICTIONS_LOST.name, (model, loss.value))
                counted[series] = store.session[LOST + loss]
        return counted

    def gauges(self, cards: Mapping[Place, Card], now: float) -> dict[Series, float]:
        """What waits now, and which share of the mature predictions has its label."""
        gauges: dict[Series, float] = {}
        with _disk():
            for model, store in self._stores.items():
                gauges[names.LABELS_PENDING.name, (model,)] = float(store.counts[PENDING])
                for version, role in store.arms:
                    card = cards.get((model, version, role))
                    if card is None:
                        continue
                    told = arm_labels(
                        (version, role), _delay_s(card), store.cells((version, role)), now
                    )
                    if told.mature.share is not None:
                        series = (names.LABELS_COVERAGE.name, (model, str(version), role))
                        gauges[series] = told.mature.share
        return gauges

    def _store(self, model: str) -> LabelStore:
        self._find_all()
        return self._stores.get(model) or self._open(model)

    def _open(self, model: str) -> LabelStore:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Names of models may hold what names of files may not.
        digest = blake2b(model.encode("utf-8"), digest_size=16).hexdigest()
        path = self._folder / f"{digest}.db"
        secret = _secret(self._folder / "request-ids.key")
        store = self._stores[model] = LabelStore(path, model, secret, self._settings)
        sync_folder(self._folder)
        return store

    def _find_all(self) -> None:
        """Open the files of all models, once; one that cannot be opened is logged, and left."""
        if self._found:
            return
        self._found = True
        for path in sorted(self._folder.glob("*.db")):
            model = model_of(path)
            if model is None:
                _log.warning("%s is no file of labels, or somebody else has it", path.name)
                continue
            try:
                self._open(model)
            except WeirError as error:
                _log.warning("labels are not to be had: %s", error)


@contextmanager
def _disk() -> Iterator[None]:
    """Errors of the disk in our words."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise Unavailable(f"labels cannot be read or written: {error}") from None


@contextmanager
def _uncollected() -> Iterator[None]:
    """Ten thousand messages make no cycle, but collections that walk over all of them again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _delay_s(card: Card | None) -> float:
    return card.label.expected_delay_days * _DAY_S if card is not None and card.label else 0.0


def _secret(path: Path) -> bytes:
    """The key of the hash of request ids; apart from the rows, which it could give away."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        with fresh.open("wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        return path.read_bytes()
