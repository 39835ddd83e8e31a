"""One version in one role: its reference, its panel, and what must outlive the process."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from hashlib import sha256

import numpy as np

from configs.errors import NotSupported, WeirError
from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.kept import Place
from monitors.labels.judged import JudgedBlock
from monitors.panel import Panel
from monitors.profile.learned import Learner
from monitors.profile.reading import watched
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Key, Signal, State, from_words, packed, unpacked, words
from monitors.verdicts import NO_REFERENCE
from monitors.why.reservoir import Reservoir
from registry.records import Version

_SOURCES_MAX = 64
"""So many gateway processes are remembered by the rows that came from them, the latest ones."""


class Watched:
    """A version in a role, with all that monitors have seen of it.

    `rows` counts those that wait to be folded too, `taken` the same by the process that sent them.
    `looked` says that nothing came since the last look, `changed` that something did since the
    state was asked for. `came_at` is when something came last, and `raised_at` when each alarm that
    stands was raised, in seconds since 1970, and `changed_at` when what it is about changed, as it
    was estimated then: the longer ago a change, the worse it is known. `reference` is what is
    compared with now. The rows of `reservoir` are in no state.
    `judged_to` is the number of the last judged row that was folded.

    Without a reference, one is learned from the first rows. A reference that is adopted later is
    learned in the same way, and takes the place of the one before.
    """

    def __init__(
        self,
        place: Place,
        version: Version,
        profile: bytes | None,
        settings: Monitors,
        came_at: float,
    ) -> None:
        self.model, self.version, self.role = place
        self.described = version
        self._settings = settings
        self._promise = f"{settings.alarm_mode.value} {sha256(profile or b'').hexdigest()}"
        self._learned: bytes | None = None
        self._learner: Learner | None = None
        self._earlier_failures = 0
        self.reference: ReferenceProfile | None = None
        self.panel = self._panel(profile, Counter())
        if profile is None and settings.learn_rows and self._can_learn:
            self._learner = self._new_learner()
        self.came_at = came_at
        self.reservoir = Reservoir(version.card, settings.why_rows)
        self.rows = 0
        self.taken = Counter[str]()
        self.waiting: list[SampleBlock] = []
        self.looked = self.changed = False
        self.signals: tuple[Signal, ...] = ()
        self.in_alarm: set[Key] = set()
        self.raised_at: dict[Key, float] = {}
        self.changed_at: dict[Key, int] = {}
        self.judged_to = 0

    @property
    def place(self) -> Place:
        """The version in its role."""
        return self.model, self.version, self.role

    @property
    def failures(self) -> int:
        """How often a monitor has failed."""
        return self._earlier_failures + self.panel.failures

    def take(self, block: SampleBlock, now: float) -> None:
        """Count the rows of a block that came now."""
        self.came_at = now
        self.rows += block.rows
        self.taken[block.source] += block.rows
        while len(self.taken) > _SOURCES_MAX:
            del self.taken[next(iter(self.taken))]
        self.looked, self.changed = False, True

    def fold(self, block: SampleBlock) -> None:
        """Give a block to the monitors, and to the reference that is being learned."""
        self.reservoir.add(block)
        self.panel.update(block)
        if self._learner is None:
            return
        try:
            self._learner.update(block)
            profile = self._learner.profile()
        except WeirError:  # Rows that do not fit the card: the monitors say so themselves.
            self._earlier_failures += 1
            self._learner = None
            return
        if profile is not None:
            self._learner = None
            self._learned = profile.to_json()
            self._replace_panel(self._learned)

    def judge(self, block: JudgedBlock) -> None:
        """Give rows whose truth has come to the monitors."""
        self.panel.judge(block)
        self.looked, self.changed = False, True

    def look(self) -> None:
        """Ask the monitors for their signals."""
        self.looked = True
        self.signals = self._told(self.panel.signals())

    def forget(self, moment: float) -> None:
        """Drop what is kept by its time and is older than a moment, in seconds since 1970."""
        minute = int(moment // 60)
        if self._learner is not None and self._learner.forget(minute):
            self.looked, self.changed = False, True
        if self.panel.forget(minute):
            self.changed = True

    def note_alarm(self, key: Key, now: float) -> None:
        """Note that an alarm was raised, and estimate since when what it is about is another."""
        self.raised_at[key] = now
        self.changed_at.pop(key, None)
        rows = self.panel.rows_since_change(key)
        began = self.reservoir.arrivals.began(rows) if rows else None
        if began is not None:
            self.changed_at[key] = began

    def rearm(self, key: Key) -> None:
        """Begin anew with one signal."""
        self.panel.rearm(key)
        self.raised_at.pop(key, None)
        self.looked, self.changed = False, True

    def adopt(self) -> None:
        """Forget the reference, learn another one from the rows to come, and begin anew."""
        if not (self._settings.learn_rows and self._can_learn):
            message = (
                "no reference can be learned, since monitors.learn_rows is 0 or the card names "
                "nothing to watch: register a version that carries the new reference"
            )
            raise NotSupported(message)
        armings = self.panel.armed_anew()
        self._earlier_failures += self.panel.failures
        self.panel = self._panel(None, armings)
        self._learned, self._learner = None, self._new_learner()
        self.raised_at.clear()
        self.looked, self.changed = False, True

    def state(self) -> State:
        """All that must outlive the process, as copies; nothing may wait to be folded.

        Rows that a reference is being learned from are not among it: learning begins anew.
        """
        own = {
            "promise": words(self._promise),
            "learning": words(self._learner is not None),
            "learned": np.frombuffer(self._learned or b"", dtype=np.uint8),
            "came_at": words(self.came_at),
            "rows": words(self.rows),
            "taken": words(self.taken),
            "raised_at": words([[*key, at] for key, at in sorted(self.raised_at.items())]),
            "changed_at": words([[*key, at] for key, at in sorted(self.changed_at.items())]),
            "judged_to": words(self.judged_to),
        }
        panel = {name: held.copy() for name, held in self.panel.state().items()}
        return packed({"watched": own, "panel": panel})

    def restore(self, state: State) -> None:
        """Go on from a state; `ValueError` where it belongs to another reference or promise."""
        own = unpacked(state, "watched")
        if not own or from_words(own["promise"]) != self._promise:
            message = "it was kept for another reference or another promise about false alarms"
            raise ValueError(message)
        if from_words(own["learning"]) and self._can_learn:
            self.panel = self._panel(None, Counter())
            self._learner = self._new_learner()
        elif len(own["learned"]):
            self._learned, self._learner = own["learned"].tobytes(), None
            self.panel = self._panel(self._learned, Counter())
        self.panel.restore(unpacked(state, "panel"))
        if "came_at" in own:  # States of old do not have it: they are as old as this start.
            self.came_at = from_words(own["came_at"])
        self.rows = from_words(own["rows"])
        self.taken = Counter(from_words(own["taken"]))
        self.raised_at = {(f, n, s): at for f, n, s, at in from_words(own["raised_at"])}
        if "changed_at" in own:  # States of old have none.
            self.changed_at = {(f, n, s): at for f, n, s, at in from_words(own["changed_at"])}
        if "judged_to" in own:
            self.judged_to = from_words(own["judged_to"])
        self.in_alarm = set(self.raised_at)

    @property
    def _can_learn(self) -> bool:
        card = self.described.card
        return bool(watched(card)) or card.score is not None or card.decision is not None

    def _new_learner(self) -> Learner:
        return Learner(self.described.card, self._settings.learn_rows)

    def _replace_panel(self, profile: bytes) -> None:
        """Watch against a new reference; armings go on."""
        self._earlier_failures += self.panel.failures
        self.panel = self._panel(profile, self.panel.armings)

    def _panel(self, profile: bytes | None, armings: Counter[Key]) -> Panel:
        self.reference = ReferenceProfile.from_json(profile) if profile is not None else None
        version = self.described
        return Panel(version.card, version.signature, self.reference, self._settings, armings)

    def _told(self, signals: tuple[Signal, ...]) -> tuple[Signal, ...]:
        """The signals, of which those that lack a reference say how far it has been learned."""
        if self._learner is None:
            return signals
        learner = self._learner
        told = f"learning a reference: {learner.rows:,} of {learner.wanted:,} live rows so far"
        return tuple(
            replace(each, message=told, rows_needed=learner.rows_needed)
            if each.message == NO_REFERENCE
            else each
            for each in signals
        )
