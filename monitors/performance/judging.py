"""From the figure of a measure to a signal: what it is, what it may be, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, exp, inf, log

from configs.settings import Monitors
from monitors.budget import Budget
from monitors.performance.bands import Band, Bet, band_of, bet_of
from monitors.performance.figures import Figure
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal, Verdict
from monitors.verdicts import more_rows
from registry.card import Card, Performance
from registry.measures import Measure, measures_of

FAMILY, NAME = "performance", "realised"

_COVERAGE = "interval_coverage"

ALPHA = 0.05
"""The chance that an interval ever leaves out what it is of."""


_VAIN = 10
"""If none of so many times the rows that are needed counts, none ever will."""

_NO_INTERVAL = "shown without an interval, so there is no verdict on it"
_NO_TRUTH = (
    "the reference does not say what was true of its rows, so there is nothing to compare with: "
    "name that column as label.column and register the version with a reference that has it, or "
    "declare performance.{limit}.{name} in the card"
)
_NOTHING_DECLARED = (
    "no verdict, since the card does not say what is good enough: "
    "declare performance.tolerance.{name} or performance.{limit}.{name}"
)


@dataclass(frozen=True, slots=True)
class Watch:
    """A measure, what it may be, and what is bet on its being worse.

    Without a band, `silent` says why there can be no verdict.
    """

    measure: Measure
    band: Band | None
    bet: Bet | None
    silent: str

    @property
    def name(self) -> str:
        """The measure's name."""
        return self.measure.name


def watches_of(card: Card, profile: ReferenceProfile | None) -> tuple[Watch, ...]:
    """The measures of a card's task as they are judged for a whole version; none without labels."""
    truth = profile.truth if profile else None
    figures = truth.figures if truth else {}
    return tuple(_watch(card, measure, figures.get(measure.name)) for measure in _measures(card))


def segment_watches_of(card: Card) -> tuple[Watch, ...]:
    """Those that are told of segments, on which nothing is bet.

    They are held against what they must keep whatever the reference says, since nobody knows how
    good that was in a segment: all that have such a limit; without any, those with a tolerance;
    else the first of the task.
    """
    performance = card.performance or Performance()
    limited = performance.minimum.keys() | performance.maximum.keys()
    measures = _measures(card)
    first = {measure.name for measure in measures[:1]}
    named = limited or performance.tolerance.keys() or first
    alone = card.model_copy(
        update={"performance": performance.model_copy(update={"tolerance": {}})}
    )
    return tuple(
        replace(_watch(alone, measure, None), bet=None)
        for measure in measures
        if measure.name in named
    )


def _measures(card: Card) -> tuple[Measure, ...]:
    return tuple(measures_of(card).values()) if card.label else ()


def _watch(card: Card, measure: Measure, reference: float | None) -> Watch:
    performance = card.performance or Performance()
    if measure.name == _COVERAGE and card.interval is not None:
        # What the model promised is known without a reference.
        band = band_of(performance, measure, card.interval.coverage, "promised")
    else:
        band = band_of(performance, measure, reference)
    bet = None if band is None else bet_of(card.task, measure.name, band)
    return Watch(measure, band, bet, _silent(performance, measure))


def _silent(performance: Performance, measure: Measure) -> str:
    if not measure.judged:
        return _NO_INTERVAL
    limit = "minimum" if measure.better.value == "higher" else "maximum"
    compares = measure.name in performance.tolerance
    return (_NO_TRUTH if compares else _NOTHING_DECLARED).format(name=measure.name, limit=limit)


@dataclass(frozen=True, slots=True)
class Judge:
    """Turns figures into signals; `alpha` is the chance that an interval is ever wrong."""

    settings: Monitors
    alpha: float = ALPHA

    def signal(
        self,
        subject: str,
        watch: Watch,
        figure: Figure | None,
        judged: int,
        log_wealth: float | None = None,
    ) -> Signal:
        """What is to be said of a measure, of whose `judged` rows the figure is of some."""
        evidence = None if log_wealth is None else log_wealth / log(10)
        rows = figure.rows if figure else 0
        blank = Signal(
            FAMILY, NAME, subject, Verdict.INSUFFICIENT_DATA, rows, log10_evidence=evidence
        )
        if figure is None or figure.scarce < self.settings.minimum_rows:
            return self._too_few(blank, watch, figure.scarce if figure else 0, judged)
        interval = figure.at_every_look(self.alpha)
        if interval is None:
            blank = replace(blank, value=figure.value)
            varied = "every row says the same, so its error is not known"
            return replace(blank, message=varied if watch.measure.judged else watch.silent)
        lower, upper = interval
        told = replace(blank, value=figure.value, lower=lower, upper=upper)
        shown = self._shown(figure)
        if watch.band is None:
            return replace(told, message=f"{shown}; {watch.silent}")
        verdict, times = self._verdict(watch.band, figure, interval, log_wealth)
        needed = more_rows(judged, times) if times > 0 else None
        return replace(
            told, verdict=verdict, rows_needed=needed, message=f"{shown}; {watch.band.why}"
        )

    def _too_few(self, blank: Signal, watch: Watch, scarce: int, judged: int) -> Signal:
        if watch.band is None:
            few = f"{scarce:,} of {judged:,} judged rows count for it so far"
            return replace(blank, message=f"{few}; {watch.silent}")
        lacking = self.settings.minimum_rows - scarce
        # As seldom as such rows have come, so many of all are needed.
        needed = ceil(lacking * max(judged, scarce) / scarce) if scarce else lacking
        few = f"{scarce:,} of {judged:,} judged rows count for it so far"
        if not scarce and judged >= _VAIN * self.settings.minimum_rows:
            why = "none will, as long as scores, decisions or labels are what they are"
            return replace(blank, message=f"{few}; {why}")
        most = f"{self.settings.minimum_rows} are needed"
        return replace(blank, rows_needed=needed, message=f"{few}; {most}")

    def _shown(self, figure: Figure) -> str:
        look = figure.at_one_look(self.alpha)
        share = f"{1 - self.alpha:.1%}".replace(".0%", "%").replace("%", " %")
        at_look = f"; at one look {look[0]:.4g} to {look[1]:.4g}" if look else ""
        return f"{figure.value:.4g}, {share} sure at every look{at_look}"

    def _verdict(
        self, band: Band, figure: Figure, interval: tuple[float, float], log_wealth: float | None
    ) -> tuple[Verdict, float]:
        """The verdict, and where it is not known yet, how many times the rows would tell."""
        lower, upper = interval
        if band.holds(lower, upper):
            return Verdict.OK, 0.0
        alone = Budget.of(self.settings).log_alone
        if band.left(lower, upper) and (log_wealth is None or log_wealth >= alone):
            return Verdict.ALARM, 0.0
        if log_wealth is not None and band.left(figure.value, figure.value):
            # Evidence is enough about when an interval is outside that is as sure as it must be.
            lower, upper = figure.at_every_look(exp(-alone) / 2) or interval
        half, away = (upper - lower) / 2, band.away(figure.value)
        return Verdict.INSUFFICIENT_DATA, (half / away) ** 2 if away > 0 else inf
