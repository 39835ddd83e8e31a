"""Business value: the mean of a KPI over predictions, with intervals.

The interval that is told holds at any look, once there are enough rows for the unevenness of the
values. Values have no bounds, so that there is no e-value: KPIs are no part of the alarm budget.
"""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

from configs.expression import names_read, read
from configs.settings import Kpi, Monitors
from monitors.blocks import SampleBlock
from monitors.business.evaluation import FINE, Columns, evaluate, faults_of
from monitors.business.needs import lacking, needs_truth, of_judged, of_sample
from monitors.labels.judged import JudgedBlock
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal, State, Verdict, from_words, packed, unpacked, words
from monitors.stats.asymptotic_means import at_any_look, at_one_look, rows_to_trust
from monitors.stats.moments import Moments
from monitors.verdicts import more_rows
from registry.card import Card

_SAME = 1e-9
"""Values that differ by less than this part of their mean are the same, but for rounding."""


class BusinessValue:
    """**Detector** of business value: one signal for each KPI that the settings declare.

    A KPI that reads the truth, or what comes with it, is taken over judged rows; another one over
    all sampled rows. With a minimum or a maximum, the interval must lie outside of it for an alarm,
    and inside for `ok`. Without, a KPI that is known well enough is `ok`: nothing says what would
    be wrong.
    """

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        del profile
        self._card = card
        self._gauges = [
            _Gauge(name, kpi, card, settings.minimum_rows)
            for kpis in settings.kpis.values()
            for name, kpi in kpis.items()
        ]
        told = [each for each in self._gauges if not each.why_silent]
        self._of_all = [each for each in told if not each.needs_truth]
        self._of_judged = [each for each in told if each.needs_truth]

    def update(self, block: SampleBlock) -> None:
        """Take in the rows of one block, for KPIs that need no truth."""
        if self._of_all and block.rows:
            columns = of_sample(self._card, block, _names(self._of_all))
            for gauge in self._of_all:
                gauge.take(columns, np.ones(block.rows, dtype=np.int8))

    def judge(self, block: JudgedBlock) -> None:
        """Take in the judged rows of one block, for KPIs that need the truth."""
        if self._of_judged and block.rows:
            columns = of_judged(block, _names(self._of_judged))
            for gauge in self._of_judged:
                gauge.take(columns, block.signs)

    def signals(self) -> tuple[Signal, ...]:
        """One signal for each KPI; the subject is its name."""
        return tuple(gauge.signal() for gauge in self._gauges)

    def rearm(self, subject: str) -> None:
        """No evidence is kept about a KPI."""

    def state(self) -> State:
        """What was counted of each KPI, with its expression."""
        return packed({gauge.name: gauge.state() for gauge in self._gauges})

    def restore(self, state: State) -> None:
        """Go on from a state; a KPI whose expression is another one now begins anew.

        `ValueError` where what was counted does not fit the expression.
        """
        for gauge in self._gauges:
            gauge.restore(unpacked(state, gauge.name))


class _Gauge:
    """One KPI of one version: what was counted of it so far."""

    def __init__(self, name: str, kpi: Kpi, card: Card, minimum: int) -> None:
        self.name = name
        self.names = names_read(read(kpi.expression))
        self.why_silent = lacking(card, self.names)
        self.needs_truth = needs_truth(card, self.names)
        self._kpi = kpi
        self._tree = read(kpi.expression)
        self._minimum = minimum
        self._moments = Moments()
        self._faults = self._no_faults()

    def take(self, columns: Columns, signs: NDArray[np.int8]) -> None:
        """Count rows, or take back those whose sign is -1."""
        values, faults = evaluate(self._tree, columns)
        for sign in (1, -1):
            of_sign = signs == sign
            moments = Moments.of(values[of_sign & (faults == FINE)])
            counted = np.bincount(faults[of_sign], minlength=len(self._faults))
            self._faults += sign * counted
            self._moments = (
                self._moments.plus(moments) if sign > 0 else self._moments.minus(moments)
            )
        np.maximum(self._faults, 0, out=self._faults)  # What came before the last state is unknown.

    def signal(self) -> Signal:
        """What is to be said of the KPI."""
        if self.why_silent:
            return self._insufficient(self.why_silent, None)
        moments = self._moments
        lacking_rows = self._minimum - moments.rows
        if lacking_rows > 0:
            why = f"{moments.rows} rows so far; {lacking_rows} more are needed"
            return self._insufficient(why, lacking_rows)
        if moments.variance <= (_SAME * moments.mean) ** 2:
            why = f"each of {moments.rows:,} rows has the same value, so no interval can be told"
            return self._insufficient(why, self._minimum, moments.mean)
        enough = rows_to_trust(moments.skewness)
        if moments.rows < enough:
            why = f"values so uneven (skewness {moments.skewness:.1f}) take {enough:,} rows"
            return self._insufficient(why, enough - moments.rows, moments.mean)
        return self._judged(moments)

    def state(self) -> State:
        """What was counted, and by which expression."""
        moments = self._moments
        sums = [moments.rows, moments.mean, moments.squares, moments.cubes]
        return {
            "expression": words(self._kpi.expression),
            "sums": np.array(sums, dtype=np.float64),
            "faults": self._faults.copy(),
        }

    def restore(self, state: State) -> None:
        """Go on from what was counted by the same expression; else begin anew."""
        self._moments, self._faults = Moments(), self._no_faults()
        if not state or from_words(state["expression"]) != self._kpi.expression:
            return
        if state["faults"].shape != self._faults.shape or state["sums"].shape != (4,):
            message = f"not what was counted of the KPI {self.name}"
            raise ValueError(message)
        rows, *sums = state["sums"].tolist()
        self._moments = Moments(int(rows), *sums)
        self._faults = state["faults"].astype(np.int64)

    def _no_faults(self) -> NDArray[np.int64]:
        return np.zeros(1 + len(faults_of(self._tree)), dtype=np.int64)

    def _judged(self, moments: Moments) -> Signal:
        of_mean = (moments.rows, moments.mean, moments.variance)
        lower, upper = at_any_look(*of_mean)
        verdict, needed = self._verdict(moments, lower, upper)
        near = verdict is Verdict.INSUFFICIENT_DATA and needed is None
        close = "; too near to it for a hundred times the rows to tell" if near else ""
        one_look = " to ".join(map(_amount, at_one_look(*of_mean)))
        unit = f" {self._kpi.unit}" if self._kpi.unit else ""
        kind = "judged" if self.needs_truth else "sampled"
        return Signal(
            "business",
            "kpi",
            self.name,
            verdict,
            moments.rows,
            value=moments.mean,
            lower=lower,
            upper=upper,
            rows_needed=needed,
            message=(
                f"{_amount(moments.mean)}{unit} a prediction ({one_look} at one look), "
                f"{_amount(moments.total)}{unit} of {moments.rows:,} {kind} rows; "
                f"{self._asked()}{close}{self._left_out()}"
            ),
        )

    def _verdict(self, moments: Moments, lower: float, upper: float) -> tuple[Verdict, int | None]:
        """The verdict, and how many more rows it takes where there is none."""
        least = -inf if self._kpi.minimum is None else self._kpi.minimum
        most = inf if self._kpi.maximum is None else self._kpi.maximum
        if upper < least or lower > most:
            return Verdict.ALARM, None
        if least <= lower and upper <= most:
            return Verdict.OK, None
        near = min(abs(moments.mean - bound) for bound in (least, most) if lower <= bound <= upper)
        times = ((upper - lower) / 2 / near) ** 2 if near > 0 else inf
        needed = more_rows(moments.rows, times)
        return Verdict.INSUFFICIENT_DATA, needed

    def _insufficient(self, why: str, needed: int | None, value: float | None = None) -> Signal:
        return Signal(
            "business",
            "kpi",
            self.name,
            Verdict.INSUFFICIENT_DATA,
            self._moments.rows,
            value=value,
            rows_needed=needed,
            message=f"{why}{self._left_out()}",
        )

    def _asked(self) -> str:
        bounds = (("at least", self._kpi.minimum), ("at most", self._kpi.maximum))
        asked = [f"{word} {_amount(bound)}" for word, bound in bounds if bound is not None]
        return f"asked is {' and '.join(asked)}" if asked else "no minimum or maximum is asked"

    def _left_out(self) -> str:
        """How many rows have no value, and why."""
        reasons = zip(faults_of(self._tree), self._faults[1:].tolist(), strict=True)
        told = ", ".join(f"{rows:,} with {reason}" for reason, rows in reasons if rows)
        return f"; left out: {told}" if told else ""


def _names(gauges: list[_Gauge]) -> set[str]:
    return {name for gauge in gauges for name in gauge.names}


def _amount(value: float) -> str:
    """Four digits, or all before the point."""
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
