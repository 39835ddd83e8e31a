"""One measure of fairness over all groups that a card declares: who differs, and is it proved.

A group is compared with all other rows whose group is known. Its e-value is one for "it differs by
no more than is allowed", so that it has a part in the alarm budget like everything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.budget import Budget
from monitors.fairness.attributes import Attribute, attributes
from monitors.fairness.cells import BET, CELLS, NOW, OTHER, UNKNOWN, Cells, others_of
from monitors.fairness.findings import Finding, Prior, evidence, find
from monitors.fairness.measures import Measure, Outcomes
from monitors.labels.judged import JudgedBlock
from monitors.privacy import RARE, ROWS_TOLD_MIN, Withheld, withheld
from monitors.profile.reading import decisions, group_values
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal, State, Verdict, from_words, packed, unpacked, words
from monitors.verdicts import more_rows
from registry.card import Card

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

NO_DECISION = (
    "the card declares no decision, so nobody is known to be selected: declare decision in it"
)
NO_LABEL = "the card declares no label, so nobody is known to be right: declare label in it"
NO_SCORE = "the card declares no score to compare labels with: declare score in it"

_CHANGED = log(10.0)
_FOR_ITS_PART = 5.0
"""What a subject needs beyond what the whole budget would, about, in natural logarithms."""

_GROWTH = 2.0 ** (np.arange(1, 15) / 2)


class _Ready(NamedTuple):
    """A cell with enough rows to be compared: its counts and those of its others, (2, shares, 2).

    Without `numbers` its verdict alone is told.
    """

    name: str
    own: Counts
    others: Counts
    numbers: bool


@dataclass(frozen=True, slots=True)
class _Compared:
    """One attribute with its counts; `named` are its groups that have evidence of their own."""

    attribute: Attribute
    cells: Cells
    named: frozenset[str]
    prior: Prior | None


class GroupFairness:
    """**Detector** of groups that one measure tells apart: one signal for each group.

    Groups that the reference has are subjects of the alarm budget; those that are met later share
    one, whose subject is the attribute. Rows of no known group are `unknown`: always shown, and
    nobody is paged on them. Numbers of groups of fewer than ten rows are withheld, and those from
    which they could be had.
    """

    def __init__(
        self, measure: Measure, card: Card, profile: ReferenceProfile | None, settings: Monitors
    ) -> None:
        self._measure = measure
        self._card = card
        self._minimum = settings.minimum_rows
        self._log_alone = Budget.of(settings).log_alone
        self._silent = _why_silent(measure, card)
        self._compared = [
            _compared(measure, attribute) for attribute in attributes(card, measure, profile)
        ]

    def update(self, block: SampleBlock) -> None:
        """Take in groups and decisions of one block; rows without a decision do not count."""
        compared = [each for each in self._compared if not each.attribute.late]
        if self._silent or self._measure.needs_labels or not compared:
            return
        decided = decisions(self._card, block.outputs)
        if decided is None:
            return
        columns = group_values(self._card, block.inputs, block.groups, block.rows)
        units = self._measure.count(Outcomes(decided, self._favourable))
        every = np.ones(block.rows, dtype=np.int64)
        for each in compared:
            values = each.attribute.values(columns, block.rows)
            each.cells.take(block.minute // 60, values, units, every, every > 0)

    def judge(self, block: JudgedBlock) -> None:
        """Take in judged rows, where labels are needed or the group is not known before them."""
        of_labels = self._measure.needs_labels
        compared = [each for each in self._compared if of_labels or each.attribute.late]
        if self._silent or not compared or not block.rows:
            return
        outcomes = Outcomes(block.decisions, self._favourable, block.labels, block.scores)
        units = self._measure.count(outcomes)
        hour = int(block.labelled_at.max() // 3600)
        for each in compared:
            values = each.attribute.values(block.groups, block.rows)
            each.cells.take(hour, values, units, block.signs.astype(np.int64), block.first)

    def signals(self) -> tuple[Signal, ...]:
        """One signal per group, subject `attribute=group`, and one of all that were met later."""
        if self._silent:
            return tuple(
                self._lacking(each.attribute.name, 0, None, self._silent) for each in self._compared
            )
        return tuple(signal for each in self._compared for signal in self._of(each))

    def rearm(self, subject: str) -> None:
        """Begin anew with a group, or with all groups that were met later."""
        for each in self._compared:
            attribute, _, name = subject.partition("=")
            if attribute != each.attribute.name:
                continue
            if name in each.named:
                each.cells.rearm([each.cells.names[name]])
            elif not name:
                each.cells.rearm(_later(each))

    def state(self) -> State:
        """The counts of every group, now and at the times from which bets on them count."""
        if not self._compared:
            return {}
        names = words([each.attribute.name for each in self._compared])
        parts = {str(at): each.cells.state() for at, each in enumerate(self._compared)}
        return packed({"of": {"attributes": names}, **parts})

    def restore(self, state: State) -> None:
        """Go on from a state; `ValueError` where it is one of other group attributes."""
        if not self._compared:
            return
        if "rows" in state:
            # A state of old, which counted selection rates alone: what it counted is counted anew.
            return
        names = from_words(unpacked(state, "of")["attributes"])
        own = [each.attribute.name for each in self._compared]
        if names != own:
            message = f"a state of the groups {names}, not {own}"
            raise ValueError(message)
        for at, each in enumerate(self._compared):
            each.cells.restore(unpacked(state, str(at)))

    @property
    def _favourable(self) -> int:
        return self._card.decision.favourable if self._card.decision else 1

    def _of(self, compared: _Compared) -> list[Signal]:
        cells, measure = compared.cells, self._measure
        since = cells.since()
        log_each = since.log_weights + evidence(
            measure,
            since.own[:, BET],
            since.others[:, BET],
            compared.attribute.allowed,
            compared.prior,
        )
        log_e = cells.mixed(log_each)
        # A difference is measured since it began, if there is some evidence that it did.
        begun = np.where(log_e >= _CHANGED, log_each.argmax(axis=0), 0)
        rows = cells.rows
        hidden = withheld(rows, nobody=(UNKNOWN,))
        waiting: list[Signal] = []
        ready: list[_Ready] = []
        for name in sorted((rows.keys() | compared.named) - hidden.small):
            found = self._prepared(compared, name, int(begun[cells.names[name]]), hidden)
            if isinstance(found, _Ready):
                ready.append(found)
            else:
                waiting.append(found)
        told = self._told(compared, ready, log_e)
        later = self._later(compared, ready, told, log_e)
        if rows and UNKNOWN not in rows:
            why = "every row so far is of a known group"
            waiting.append(self._lacking(_subject(compared, UNKNOWN), 0, None, why))
        told_of = [signal for signal, _ in told]
        signals = [*told_of, *waiting, *self._too_small(compared, hidden.small)]
        signals = [*(_with_evidence(compared, signal, log_e) for signal in signals), later]
        return [_rounded(signal) for signal in signals] if hidden.small else signals

    def _prepared(
        self, compared: _Compared, name: str, begun: int, hidden: Withheld
    ) -> _Ready | Signal:
        """A cell's counts and those of its others, or how many rows it lacks."""
        cells = compared.cells
        at = cells.names[name]
        times = cells.at_times(at)
        # Rates of a handful of rows say nothing: then the difference is that of all rows.
        few = times[begun, NOW, at, :, 1].min() < self._minimum
        counts = times[0 if few else begun]
        own = counts[:, at]
        apart = {name, UNKNOWN, *hidden.small}
        others = _sum(counts, (a for n, a in cells.names.items() if n not in apart))
        shown = _sum(
            counts, (a for n, a in cells.names.items() if n not in apart | hidden.with_them)
        )
        numbers = name not in hidden.with_them
        if not self._measure.of_scores:
            if numbers and shown[NOW, :, 1].min() >= self._minimum:
                others = shown
            elif hidden.small:
                numbers = False
        if hidden.small and len(compared.attribute.groups) > 1:
            # Groups of each attribute alone are told too: from their numbers these could be had.
            numbers = False
        lacking = self._lacks(compared, name, own, others)
        if lacking is None:
            return _Ready(name, own, others, numbers)
        return lacking if numbers else self._without_numbers(lacking)

    def _lacks(self, compared: _Compared, name: str, own: Counts, others: Counts) -> Signal | None:
        """How many rows the group lacks, or else its others; None where none are lacking."""
        subject, rows = _subject(compared, name), int(own[NOW, :, 1].sum())
        groups = [("this group", own)]
        if not self._measure.of_scores:
            groups.append(("all other groups", others))
        for whose, counts in groups:
            for share, there in zip(self._measure.shares, counts[NOW, :, 1].tolist(), strict=True):
                if there < self._minimum:
                    lacking = self._minimum - there
                    why = f"{there} rows of {whose}{share} so far; {lacking} more are needed"
                    if name == UNKNOWN:
                        return self._lacking(subject, rows, None, _share_unknown(compared))
                    return self._lacking(subject, rows, lacking, why)
        return None

    def _told(
        self, compared: _Compared, ready: Sequence[_Ready], log_e: Floats
    ) -> list[tuple[Signal, bool]]:
        """What is said of each cell, and whether its difference is proved but for the budget."""
        if not ready:
            return []
        at = [compared.cells.names[each.name] for each in ready]
        own = np.stack([each.own for each in ready])
        others = np.stack([each.others for each in ready])
        prior = compared.prior
        if prior is not None:
            prior = Prior(prior.own[at], prior.others[at])
        allowed = compared.attribute.allowed
        found = find(self._measure, own, others, allowed, prior)
        more = evidence(
            self._measure,
            (own[None, :, BET] * _GROWTH[:, None, None, None]).astype(np.int64),
            (others[None, :, BET] * _GROWTH[:, None, None, None]).astype(np.int64),
            allowed,
            prior,
        )
        enough = more >= self._log_alone + _FOR_ITS_PART
        times = np.where(enough.any(axis=0), _GROWTH[enough.argmax(axis=0)], np.inf)
        signals = []
        for each, finding, to_prove in zip(ready, found, times.tolist(), strict=True):
            signal = self._judged(compared, each, finding, to_prove, log_e)
            if not each.numbers:
                signal = self._without_numbers(signal)
            signals.append((signal, finding.outside))
        return signals

    def _judged(
        self,
        compared: _Compared,
        ready: _Ready,
        finding: Finding,
        to_prove: float,
        log_e: Floats,
    ) -> Signal:
        name, rows = ready.name, int(ready.own[NOW, :, 1].sum())
        proved = finding.outside and log_e[compared.cells.names[name]] >= self._log_alone
        allowed = compared.attribute.allowed
        limits = [f"gap {allowed.gap:g}"] if allowed.gap < 1 else []
        limits += [f"ratio {allowed.ratio:g}"] if allowed.ratio else []
        message = f"{finding.told}; allowed {', '.join(limits) or 'gap 1'}"
        verdict, needed = Verdict.INSUFFICIENT_DATA, None
        if finding.inside:
            verdict = Verdict.OK
        elif name == UNKNOWN:
            message += "; nobody is paged on rows of no known group"
        elif name not in compared.named and finding.beyond:
            message += f"; weighed with all groups met later: see {compared.attribute.name}"
        else:
            times = to_prove if finding.beyond else finding.times
            needed = more_rows(rows, times)
            if proved and name in compared.named:
                # Panels that share out the budget may want more evidence, and say how many rows.
                verdict, needed = Verdict.ALARM, needed or 1
            elif needed is None:
                message += "; too near to it for a hundred times the rows to tell"
        if name == UNKNOWN:
            message = f"{_share_unknown(compared)}; {message}"
        return Signal(
            "fairness",
            self._measure.name,
            _subject(compared, name),
            verdict,
            rows,
            finding.value,
            finding.lower,
            finding.upper,
            rows_needed=needed,
            message=message,
        )

    def _too_small(self, compared: _Compared, small: Iterable[str]) -> list[Signal]:
        told = compared.named | {OTHER}
        why = (
            f"fewer than {ROWS_TOLD_MIN} rows so far, so no number is told; "
            f"at most {self._minimum} more are needed"
        )
        names = sorted({name if name in told else RARE for name in small})
        return [self._lacking(_subject(compared, n), 0, self._minimum, why) for n in names]

    def _later(
        self,
        compared: _Compared,
        ready: Sequence[_Ready],
        told: Sequence[tuple[Signal, bool]],
        log_e: Floats,
    ) -> Signal:
        """The signal of all groups that have no evidence of their own: that of the worst of them.

        The mean of the e-values of all cells that they can have is an e-value.
        """
        slots = list(_later(compared))
        log_mean = float(logsumexp(log_e[slots]) - log(len(slots)))
        subject = compared.attribute.name
        later = [
            (log_e[compared.cells.names[each.name]], outside, signal)
            for each, (signal, outside) in zip(ready, told, strict=True)
            if each.name not in compared.named and each.name != UNKNOWN
        ]
        if not later:
            needed = None if compared.named else self._minimum
            why = "no group that the reference does not name has been met in enough rows"
            signal = self._lacking(subject, 0, needed, why)
        else:
            _, outside, worst = max(later, key=lambda each: each[0])
            signal = replace(worst, subject=subject, message=f"{worst.subject}: {worst.message}")
            if log_mean >= self._log_alone and outside:
                signal = replace(signal, verdict=Verdict.ALARM, rows_needed=1)
        return replace(signal, log10_evidence=log_mean / log(10))

    def _lacking(self, subject: str, rows: int, needed: int | None, why: str) -> Signal:
        return Signal(
            "fairness",
            self._measure.name,
            subject,
            Verdict.INSUFFICIENT_DATA,
            rows,
            rows_needed=needed,
            message=why,
        )

    def _without_numbers(self, signal: Signal) -> Signal:
        """The verdict alone."""
        return Signal(
            signal.family,
            signal.name,
            signal.subject,
            signal.verdict,
            0,
            # How many rows are lacking would tell how many there are.
            rows_needed=None if signal.rows_needed is None else self._minimum,
            message=(
                "the verdict alone is told: numbers of a group of fewer than "
                f"{ROWS_TOLD_MIN} rows could be had from those of this one"
            ),
        )


def _why_silent(measure: Measure, card: Card) -> str:
    if measure.of_scores:
        return NO_LABEL if card.label is None else "" if card.score else NO_SCORE
    if card.decision is None:
        return NO_DECISION
    return NO_LABEL if measure.needs_labels and card.label is None else ""


def _compared(measure: Measure, attribute: Attribute) -> _Compared:
    cells = Cells([share.name for share in attribute.shares], len(measure.shares))
    named = frozenset(share.name for share in attribute.shares) & cells.names.keys()
    known = np.zeros((CELLS, 1, 2), dtype=np.int64)
    for share in attribute.shares:
        if share.name in named:
            known[cells.names[share.name], 0] = share.selected, share.decided
    # What the reference decided says something of decisions, and nothing of who deserved them.
    prior = None
    if not measure.needs_labels and known.any():
        prior = Prior(known[:, 0], others_of(known)[:, 0])
    return _Compared(attribute, cells, named - {UNKNOWN, OTHER}, prior)


def _later(compared: _Compared) -> Iterable[int]:
    """The cells of groups that have no evidence of their own, those that are yet to be met too."""
    own = {compared.cells.names[name] for name in (*compared.named, UNKNOWN)}
    return (at for at in range(CELLS) if at not in own)


def _subject(compared: _Compared, name: str) -> str:
    return f"{compared.attribute.name}={name}"


def _share_unknown(compared: _Compared) -> str:
    rows = compared.cells.counts[NOW, :, :, 1].sum(axis=1)
    return f"{rows[0] / max(1, int(rows.sum())):.1%} of all rows are of no known group"


def _sum(counts: Counts, cells: Iterable[int]) -> Counts:
    """The counts (2, shares, 2) of some cells together, of (2, cells, shares, 2)."""
    return np.asarray(counts[:, list(cells)].sum(axis=1))


def _with_evidence(compared: _Compared, signal: Signal, log_e: Floats) -> Signal:
    """A signal with its own e-value, if the group has one."""
    name = signal.subject.partition("=")[2]
    if name not in compared.named:
        return signal
    log10_e = float(log_e[compared.cells.names[name]]) / log(10)
    return replace(signal, log10_evidence=log10_e)


def _rounded(signal: Signal) -> Signal:
    """Evidence in whole powers of ten, down: all its digits would tell of groups that are small."""
    if signal.log10_evidence is None:
        return signal
    return replace(signal, log10_evidence=float(np.floor(signal.log10_evidence)))
