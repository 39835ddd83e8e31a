"""Selection rates where the group is not known, but something that hints at it: bounds, no point.

Of each value z of a proxy the card says the chance w of a group, and decisions say how many are
selected. How many of the group are selected among them is not known: at least w + selected - 1 and
at most the smaller of both (Fréchet). So the gap between a group and all others has sharp bounds
(Kallus, Mao, Zhou, Assessing algorithmic fairness with unobserved protected class using data
combination, Management Science 2022), and any point between them may be the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, log, log10
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.budget import Budget
from monitors.fairness.detector import NO_DECISION
from monitors.profile.categories import texts
from monitors.profile.reading import decisions, group_values
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal, State, Verdict
from monitors.stats.anytime_shares import anytime_share
from monitors.stats.intervals import wilson
from monitors.verdicts import more_rows
from registry.card import Card, Group

Floats = NDArray[np.float64]
Interval = tuple[float, float]

_ALPHA = 0.05
_LEVELS = 10.0 ** -np.arange(1, 10)


class Proxied(NamedTuple):
    """A group by its proxy: `chances` of it for each value, and the share of the rows of each."""

    chances: Floats
    weights: Floats

    @property
    def share(self) -> float:
        """The group's share of all rows."""
        return float(self.chances @ self.weights)

    def lowest(self, selected: Floats) -> float:
        """The least gap to all others that the shares selected, (values,), allow."""
        return self._gap(np.maximum(0.0, self.chances + selected - 1), selected)

    def highest(self, selected: Floats) -> float:
        """The largest."""
        return self._gap(np.minimum(self.chances, selected), selected)

    def outer(self, lower: Floats, upper: Floats) -> Interval:
        """The least and the largest gap if each share selected may be anywhere in an interval."""
        least = np.clip(1 - self.chances, lower, upper)
        most = np.clip(self.chances, lower, upper)
        return self.lowest(least), self.highest(most)

    def _gap(self, both: Floats, selected: Floats) -> float:
        """The gap if of each value this share of the rows is selected and of the group."""
        share = self.share
        return float(self.weights @ (both / share - (selected - both) / (1 - share)))


class SelectionBounds:
    """**Detector** of unequal selection rates of groups that are known by a proxy only.

    One signal for each group that a proxy hints at, with bounds and without a value. An alarm needs
    that the bounds are outside of what is allowed whoever the people are.
    """

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        del profile  # Who is selected is compared between groups.
        self._card = card
        self._minimum = settings.minimum_rows
        self._log10_alone = Budget.of(settings).log_alone / log(10)
        self._hinted = [_Hinted(group) for group in card.groups if group.proxy]
        band = card.fairness.selection_rate if card.fairness else None
        self._gap = band.max_gap if band else None

    def update(self, block: SampleBlock) -> None:
        """Take in proxies and decisions of one block; rows without a decision do not count."""
        if not self._hinted or self._card.decision is None:
            return
        decided = decisions(self._card, block.outputs)
        if decided is None:
            return
        columns = group_values(self._card, block.inputs, block.groups, block.rows)
        known = ~np.isnan(decided)
        selected = decided == self._card.decision.favourable
        for hinted in self._hinted:
            hinted.take(texts(columns[hinted.name]), known, selected)

    def signals(self) -> tuple[Signal, ...]:
        """One signal per group that a proxy hints at."""
        return tuple(
            self._of(hinted, at, name)
            for hinted in self._hinted
            for at, name in enumerate(hinted.groups)
        )

    def rearm(self, subject: str) -> None:
        """Begin anew with one group."""
        for hinted in self._hinted:
            for at, name in enumerate(hinted.groups):
                if subject == f"{hinted.name}={name}":
                    hinted.begin[at] = hinted.counts

    def state(self) -> State:
        """The counts of every value of a proxy, and what they were when each group was armed."""
        held: dict[str, NDArray[np.int64]] = {}
        for at, hinted in enumerate(self._hinted):
            held |= {f"counts.{at}": hinted.counts, f"begin.{at}": hinted.begin}
        return held

    def restore(self, state: State) -> None:
        """Go on from a state; `ValueError` where it is one of other proxies."""
        for at, hinted in enumerate(self._hinted):
            counts, begin = state[f"counts.{at}"], state[f"begin.{at}"]
            if counts.shape != hinted.counts.shape or begin.shape != hinted.begin.shape:
                message = f"a state of other values of '{hinted.name}'"
                raise ValueError(message)
            hinted.counts, hinted.begin = counts.astype(np.int64), begin.astype(np.int64)

    def _of(self, hinted: _Hinted, at: int, name: str) -> Signal:
        counts = hinted.counts - hinted.begin[at]
        hits, rows = counts[1:, 0], counts[1:, 1]
        total = int(rows.sum())
        subject = f"{hinted.name}={name}"
        if self._card.decision is None:
            return replace(_lacking(subject, 0, None, NO_DECISION, 0.0), log10_evidence=None)
        if not total:
            return _lacking(subject, 0, self._minimum, "no decided rows so far", 0.0)
        proxied = Proxied(hinted.chances[at], rows / total)
        fewer = min(proxied.share, 1 - proxied.share) * total
        if not fewer:
            why = "of no row so far the proxy says that both is possible, the group and another"
            return _lacking(subject, total, self._minimum, why, 0.0)
        gap = self._gap or hinted.max_gap
        log10_e = log10(evidence(proxied, hits, rows, gap))
        if fewer < self._minimum:
            needed = ceil(self._minimum * total / fewer) - total
            why = f"{total} rows so far; {needed} more are needed"
            return _lacking(subject, total, needed, why, log10_e)
        signal = self._bounded(subject, proxied, (hits, rows), gap, log10_e)
        unknown = int(counts[0, 1])
        share = f"{unknown / (unknown + total):.1%} of all rows have no value of it that is known"
        return replace(signal, message=f"{signal.message}; {share}")

    def _bounded(
        self,
        subject: str,
        proxied: Proxied,
        counts: tuple[NDArray[np.int64], NDArray[np.int64]],
        gap: float,
        log10_e: float,
    ) -> Signal:
        hits, rows = counts
        shares = hits / np.maximum(rows, 1)
        within = proxied.lowest(shares), proxied.highest(shares)
        z = -float(ndtri(_ALPHA / len(rows) / 2))
        now = proxied.outer(*_each([wilson(*pair, z) for pair in zip(hits, rows, strict=True)]))
        told = (
            f"between {within[0]:+.3f} and {within[1]:+.3f} whoever the people are, if the card is "
            f"right about the proxy; allowed gap {gap:g}"
        )
        total = int(rows.sum())
        if -gap <= now[0] and now[1] <= gap:
            verdict, needed = Verdict.OK, None
        else:
            verdict = Verdict.INSUFFICIENT_DATA
            needed = _rows_needed(total, within, now, gap)
            if needed is None:
                told += "; no number of rows would tell, only the groups themselves"
            elif log10_e >= self._log10_alone:
                verdict = Verdict.ALARM
        return Signal(
            "fairness",
            "selection_bounds",
            subject,
            verdict,
            total,
            lower=now[0],
            upper=now[1],
            log10_evidence=log10_e,
            rows_needed=needed,
            message=told,
        )


class _Hinted:
    """An attribute that hints at groups, and the rows of each of its values.

    `counts` are (values + 1, 2), selected and all rows, the first of rows whose value is not known;
    `begin` what they were when each group was armed, (groups, values + 1, 2).
    """

    def __init__(self, group: Group) -> None:
        self.name = group.name
        self.max_gap = group.max_gap
        self.groups = sorted({name for chances in group.proxy.values() for name in chances})
        self.chances = np.array(
            [[each.get(name, 0.0) for each in group.proxy.values()] for name in self.groups]
        )
        self._codes = {value: at for at, value in enumerate(group.proxy, start=1)}
        self.counts = np.zeros((len(self._codes) + 1, 2), dtype=np.int64)
        self.begin = np.zeros((len(self.groups), *self.counts.shape), dtype=np.int64)

    def take(
        self, values: Sequence[str | None], known: NDArray[np.bool_], selected: NDArray[np.bool_]
    ) -> None:
        """Count decided rows by their value."""
        codes = np.array([self._codes.get(value or "", 0) for value in values], dtype=np.intp)
        size = len(self.counts)
        rows = np.bincount(codes[known], minlength=size)
        hits = np.bincount(codes[known & selected], minlength=size)
        self.counts = self.counts + np.stack([hits, rows], axis=1)


def evidence(
    proxied: Proxied, hits: NDArray[np.int64], rows: NDArray[np.int64], gap: float
) -> float:
    """The e-value for "the true bounds reach into what is allowed".

    At each of some levels, which are 1/10, 1/100 and so on, the bounds of intervals that hold at
    every look are outside with at most that chance: 1 / level if they are is an e-value, and so is
    a mean of such ones and of 1/2.
    """
    won = 0.5
    for level in _LEVELS:
        pairs = zip(hits.tolist(), rows.tolist(), strict=True)
        alpha = float(level) / len(rows)
        lower, upper = proxied.outer(*_each([anytime_share(*pair, alpha) for pair in pairs]))
        if -gap <= upper and lower <= gap:
            break
        won += 0.5 / len(_LEVELS) / float(level)
    return won


def _rows_needed(rows: int, within: Interval, now: Interval, gap: float) -> int | None:
    """More rows until the bounds clear what is allowed, if nothing but their intervals narrows."""
    above, below = within[0] > gap, within[1] < -gap
    if above or below:
        low, high = (within[0] - now[0], within[0] - gap), (now[1] - within[1], -gap - within[1])
        edges = [low] if above else [high]
    elif -gap < within[0] and within[1] < gap:
        edges = [(within[0] - now[0], within[0] + gap), (now[1] - within[1], gap - within[1])]
    else:
        return None
    times = max((width / distance) ** 2 for width, distance in edges)
    if above or below:
        # What proves it is an interval of about twice the width.
        times *= 4
    return more_rows(rows, times)


def _each(intervals: Sequence[Interval]) -> tuple[Floats, Floats]:
    lower, upper = np.array(intervals).T
    return lower, upper


def _lacking(subject: str, rows: int, needed: int | None, why: str, log10_e: float) -> Signal:
    return Signal(
        "fairness",
        "selection_bounds",
        subject,
        Verdict.INSUFFICIENT_DATA,
        rows,
        log10_evidence=log10_e,
        rows_needed=needed,
        message=why,
    )
