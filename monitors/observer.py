"""The observer: keeps the panels of all versions and turns blocks into signals."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from configs.errors import NotFound, NotSupported, Unavailable, WeirError
from configs.settings import Monitors
from monitors.alarm import Standing
from monitors.blocks import Folded, SampleBlock, Series, Snapshot
from monitors.explain import Bins
from monitors.kept import Kept, KeptNowhere, Place
from monitors.labels.assigned import LabelledUnits
from monitors.labels.book import LabelBook
from monitors.labels.message import Awaited
from monitors.labels.receipt import Receipt
from monitors.labels.told import LabelsTold
from monitors.merging import FOLD_ROWS, alike, joined
from monitors.signal import Key, Signal, State, Verdict
from monitors.telemetry import names
from monitors.telemetry.signals import Telling
from monitors.watched import Watched
from monitors.why.case import Case, open_case
from registry.card import Card
from registry.records import Role, Version

if TYPE_CHECKING:
    from monitors.training.log import TrainingLog

_PANEL = "panel"
_WHY = "why"
_LABELS = "labels"
_DAY_S = 24 * 3600.0
_FORGET_EVERY_S = 3600.0

_TELL_AGAIN_S = 5.0
"""Less than the exporter waits until it takes a source that says nothing for gone."""

_COVERAGE_EVERY_S = 10.0

_log = logging.getLogger("weir.monitors")

Describe = Callable[[str, int], tuple[Version, bytes | None]]
"""Gives a version and the bytes of its reference profile; `NotFound` if there is none."""


class Observer:
    """Folds blocks into panels, one for each version in each role that answers callers.

    Rows of pinned requests are left out: whoever pins a version is not the traffic it was made for.
    What was `kept` by an earlier start is gone on from, at the first thing that is asked. What is
    older than its time to live is dropped, in memory and where it is kept.

    Predictions that await labels are kept in the `book`, if there is one, and judged when their
    labels have come and count. Pinned ones are not: nobody is judged by them.
    """

    def __init__(
        self,
        settings: Monitors,
        describe: Describe,
        source: str,
        clock: Callable[[], float],
        processor_time: Callable[[], float],
        kept: Kept | None = None,
        training: TrainingLog | None = None,
        book: LabelBook | None = None,
    ) -> None:
        self._settings = settings
        self._describe = describe
        self._source = source
        self._clock = clock
        self._processor_time = processor_time
        self._kept = kept or KeptNowhere()
        self._training = training
        self._book = book
        self._cards: dict[tuple[str, int], Card | None] = {}
        self._judged_before: dict[Place, int] = {}
        self._label_gauges: Mapping[Series, float] = {}
        self._label_gauges_at = float("-inf")
        self._recalled = False
        self._forgets_at = float("-inf")
        self._failures_before = 0
        self._taken_before = Counter[str]()
        self.folded = Folded()
        self._lag_s = 0.0
        self._watched: dict[Place, Watched] = {}
        # What has not happened yet is counted as zero: a rate has to begin somewhere.
        self._counters: dict[Series, int] = {(names.MONITOR_FAILURES.name, (_WHY,)): 0}
        if book is not None:
            self._counters[names.MONITOR_FAILURES.name, (_LABELS,)] = 0
        self._sequence = 0
        self._telling = Telling(_TELL_AGAIN_S)

    def fold(self, block: SampleBlock) -> None:
        """Take in a block; a small one waits for others, or for the next look."""
        self._recall()
        now = self._clock()
        self._lag_s = max(0.0, now - block.made_at)
        self._count(names.MONITOR_BLOCKS.name, block.model, str(block.version))
        if block.role == Role.PINNED:
            return
        watched = self._watch(block)
        watched.take(block, now)
        if watched.waiting and not alike(watched.waiting[-1], block):
            self._fold_waiting(watched)
        watched.waiting.append(block)
        if sum(each.rows for each in watched.waiting) >= FOLD_ROWS:
            self._fold_waiting(watched)

    def taken(self, source: str) -> int:
        """How many rows of a gateway process the panels hold."""
        held = sum(watched.taken[source] for watched in self._watched.values())
        return held + self._taken_before[source]

    def signals(self, model: str) -> tuple[Watched, ...]:
        """Give what there is to say of a model's versions, now."""
        self.look()
        return tuple(
            watched for _, watched in sorted(self._watched.items()) if watched.model == model
        )

    def bins(
        self, model: str, subject: str, minutes: int | None
    ) -> tuple[tuple[Watched, Bins], ...]:
        """Give the bins of a feature, a score or the decision, of each version in its role.

        Live rows of the last minutes in which any came, or all.
        """
        self.look()
        found = [
            (watched, watched.panel.bins(subject, minutes))
            for _, watched in sorted(self._watched.items())
            if watched.model == model
        ]
        return tuple((watched, bins) for watched, bins in found if bins is not None)

    def look(self) -> None:
        """Ask every panel to which rows came for its signals; count those that went into alarm."""
        self._recall()
        self._forget_old()
        self._judge()
        for watched in self._watched.values():
            watched.reservoir.forget(int(self._clock() // 60))
            if watched.looked:
                continue
            self._fold_waiting(watched)
            watched.look()
            self._note_alarms(watched)

    def feedback(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        audit: bool = False,
        versions: Sequence[int] = (),
    ) -> Receipt:
        """Take in labels, or groups on the channel for audits; what is acknowledged is on disk.

        `versions` are known to await them: of others something must have been seen here.
        `NotSupported` where labels are not kept. `Unavailable` until a version that awaits labels
        has been seen, and while the disk cannot be written.
        """
        cards = self._cards_of(model, versions)
        awaited = [Awaited.of(card) for _, card in sorted(cards.items(), reverse=True)]
        newest = next((each for each in awaited if each is not None), None)
        if newest is None:
            raise Unavailable(
                f"no prediction of {model!r} that awaits a label has been seen yet: try again"
            )
        return self._labels.feedback(model, messages, newest, self._clock(), audit=audit)

    def labels(self, model: str) -> LabelsTold:
        """Give how many labels have come, how late, and of which predictions.

        `NotFound` where no version of the model awaits any.
        """
        self.look()
        return self._labels.told(model, self._cards_of(model), self._clock())

    def labelled_units(self, model: str) -> tuple[LabelledUnits, ...]:
        """Give which units of a model's latest rollouts have their label, and were wrong.

        As of the last look: whoever asks causes no other.
        """
        return self._labels.labelled_units(model)

    def alarms(self) -> tuple[Standing, ...]:
        """Every alarm that stands and can be armed anew."""
        self.look()
        return tuple(
            _standing(watched, signal, arming)
            for watched in self._watched.values()
            for armings in (watched.panel.standing(),)
            for signal in watched.signals
            if (arming := armings.get(signal.key)) is not None
        )

    def case(self, place: Place, key: Key) -> Case:
        """Give all that an alarm can be explained by; `NotFound` where nothing is watched."""
        watched = self._found(place)
        self.look()
        return open_case(watched, key, self._clock())

    def rearm(self, place: Place, key: Key) -> None:
        """Begin anew with one signal of a version in a role; `NotFound` where it is not watched."""
        watched = self._found(place)
        self._fold_waiting(watched)
        watched.rearm(key)

    def adopt(self, place: Place) -> None:
        """Learn a new reference from the rows to come, and begin anew with all signals.

        `NotFound` where nothing is watched, `NotSupported` where learning is switched off.
        """
        watched = self._found(place)
        self._fold_waiting(watched)
        watched.adopt()

    def _found(self, place: Place) -> Watched:
        self._recall()
        watched = self._watched.get(place)
        if watched is None:
            model, version, role = place
            message = f"version {version} of {model!r} as {role} is not watched"
            raise NotFound(message)
        return watched

    def states(self) -> dict[Place, State]:
        """What has changed since this was asked last, as copies that may be written at leisure."""
        self.look()
        changed = [watched for watched in self._watched.values() if watched.changed]
        for watched in changed:
            watched.changed = False
        return {watched.place: watched.state() for watched in changed}

    def _recall(self) -> None:
        """Go on from what was kept, once."""
        if self._recalled:
            return
        for place, state in self._kept.all():
            try:
                watched = self._made(place)
                watched.restore(state)
            except (NotFound, ValueError, KeyError) as error:
                _log.warning("the monitors of %s begin anew: %s", place, error)
                self._kept.forget(place)
            else:
                self._watched[place] = watched
        self._recalled = True
        self._forget_old()

    def _forget_old(self) -> None:
        """Drop what is older than its time to live; once an hour is soon enough.

        What was kept and cannot be dropped now is dropped at a later time.
        """
        now = self._clock()
        if now < self._forgets_at:
            return
        self._forgets_at = now + _FORGET_EVERY_S
        moment = now - self._settings.time_to_live_days * _DAY_S
        gone = [watched for watched in self._watched.values() if watched.came_at < moment]
        for watched in gone:
            self._drop(watched)
        for watched in self._watched.values():
            watched.forget(moment)
        try:
            for watched in gone:
                self._kept.forget(watched.place)
            self._kept.forget_older(moment)
        except OSError as error:
            _log.warning("what is older than its time to live cannot be dropped: %s", error)

    def _drop(self, watched: Watched) -> None:
        """Forget a panel; what was counted with it stays counted."""
        del self._watched[watched.place]
        self._judged_before[watched.place] = watched.judged_to
        self._failures_before += watched.failures
        self._taken_before += watched.taken
        _log.warning(
            "the monitors of %s are forgotten: nothing has come for %g days",
            watched.place,
            self._settings.time_to_live_days,
        )

    def _note_alarms(self, watched: Watched) -> None:
        alarms = {each.key for each in watched.signals if each.verdict is Verdict.ALARM}
        for key in sorted(alarms - watched.in_alarm):
            self._count(names.ALARMS.name, watched.model, str(watched.version), watched.role, *key)
            watched.note_alarm(key, self._clock())
        for key in watched.in_alarm - alarms:
            watched.raised_at.pop(key, None)
        watched.in_alarm = alarms

    def note_failure_of_why(self) -> None:
        """Count that why an alarm was raised could not be said, by a fault of our own."""
        self._count(names.MONITOR_FAILURES.name, _WHY)

    def snapshots(self) -> tuple[Snapshot, ...]:
        """Give the observer's own counts, and as parts the signals of which it is time to tell."""
        self.look()
        self._sequence += 1
        lag: dict[Series, float] = {(names.MONITOR_LAG.name, (_PANEL,)): self._lag_s}
        failures = self._failures_before + sum(each.failures for each in self._watched.values())
        counters = {**self._counters, (names.MONITOR_FAILURES.name, (_PANEL,)): failures}
        if self._book is not None:
            counters |= self._book.counters()
        if self._training is not None:
            counters |= self._training.counters()
        own = Snapshot(self._source, self._sequence, counters, {}, {**lag, **self._coverage()})
        arms = ((place, watched.signals) for place, watched in self._watched.items())
        parts = self._telling.parts(arms, self._clock())
        return own, *(
            Snapshot(self._source, self._sequence, gauges=gauges, part=" ".join(map(str, place)))
            for place, gauges in parts.items()
        )

    def _fold_waiting(self, watched: Watched) -> None:
        waiting, watched.waiting = watched.waiting, []
        if not waiting:
            return
        block = joined(waiting)
        self._expect(block, watched.described.card)
        before = self._processor_time()
        watched.fold(block)
        if block.rows >= FOLD_ROWS:
            seconds = self._processor_time() - before
            self.folded = Folded(self.folded.rows + block.rows, self.folded.seconds + seconds)

    @property
    def _labels(self) -> LabelBook:
        if self._book is None:
            raise NotSupported("labels are not kept here")
        return self._book

    def _expect(self, block: SampleBlock, card: Card) -> None:
        """Keep the rows of a block until their labels come."""
        if self._book is None or card.label is None:
            return
        try:
            self._book.expect(block, card, self._clock())
        except WeirError as error:
            self._note_failure_of_labels(error)

    def _judge(self) -> None:
        """Give the monitors what has been judged since, each row once, also after a crash."""
        if self._book is None:
            return
        try:
            self._book.ripen(self._clock())
            for place, head in self._book.heads().items():
                self._fold_judged(self._book, place, head)
        except WeirError as error:
            self._note_failure_of_labels(error)

    def _fold_judged(self, book: LabelBook, place: Place, head: int) -> None:
        watched = self._watched.get(place)
        if watched is None:
            # Its labels come when nobody asks it any more.
            if head <= self._judged_before.get(place, 0):
                return
            try:
                watched = self._watched[place] = self._made(place)
            except NotFound:
                self._judged_before[place] = head
                return
            watched.judged_to = self._judged_before.get(place, 0)
        if watched.judged_to > head:  # The file is another one than it was.
            watched.judged_to = 0
        for block, last in book.judged(place, watched.described.card, watched.judged_to):
            watched.judge(block)
            watched.judged_to = last

    def _cards_of(self, model: str, versions: Sequence[int] = ()) -> dict[int, Card]:
        """The cards of some versions of a model, and of all of which something is known here."""
        self._recall()
        found = {
            watched.version: watched.described.card
            for watched in self._watched.values()
            if watched.model == model
        }
        for version in (*self._labels.versions(model), *versions):
            card = found.get(version) or self._card(model, version)
            if card is not None:
                found[version] = card
        return found

    def _card(self, model: str, version: int) -> Card | None:
        """The card of a version, asked for once; None where there is no such version any more."""
        if (model, version) not in self._cards:
            try:
                self._cards[model, version] = self._describe(model, version)[0].card
            except NotFound:
                self._cards[model, version] = None
        return self._cards[model, version]

    def _coverage(self) -> Mapping[Series, float]:
        """The gauges of labels, which move slowly."""
        now = self._clock()
        if self._book is not None and now - self._label_gauges_at >= _COVERAGE_EVERY_S:
            self._label_gauges_at = now
            cards = {place: each.described.card for place, each in self._watched.items()}
            try:
                self._label_gauges = self._book.gauges(cards, now)
            except WeirError as error:
                self._note_failure_of_labels(error)
        return self._label_gauges

    def _note_failure_of_labels(self, error: WeirError) -> None:
        self._count(names.MONITOR_FAILURES.name, _LABELS)
        _log.warning("labels: %s", error)

    def _watch(self, block: SampleBlock) -> Watched:
        place = (block.model, block.version, block.role)
        watched = self._watched.get(place)
        if watched is None:
            watched = self._watched[place] = self._made(place)
        return watched

    def _made(self, place: Place) -> Watched:
        """A panel without any rows for a version in a role."""
        model, version_number, _ = place
        version, profile = self._describe(model, version_number)
        return Watched(place, version, profile, self._settings, self._clock(), self._training)

    def _count(self, name: str, *attributes: str) -> None:
        series = (name, attributes)
        self._counters[series] = self._counters.get(series, 0) + 1


def _standing(watched: Watched, signal: Signal, arming: int) -> Standing:
    return Standing(
        *watched.place,
        *signal.key,
        raised_at=watched.raised_at.get(signal.key, 0.0),
        arming=arming,
        log10_evidence=signal.log10_evidence or 0.0,
        value=signal.value,
        lower=signal.lower,
        upper=signal.upper,
        message=signal.message,
    )
