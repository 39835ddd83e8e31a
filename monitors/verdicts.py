"""From evidence and effect to a verdict: both gates must open before anyone is paged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log

from configs.settings import Monitors
from monitors.budget import Budget
from monitors.signal import Signal, Verdict
from monitors.stats.effects import Effect
from monitors.stats.familiar import Distance, Familiar

REFERENCE_ROWS_MIN = 20
"""Counted reference rows below which a difference from the reference says nothing."""

WITHIN_STRATA = "within strata: "
"""Goes before numbers for which the reference was weighted to the live mix of strata."""

NO_REFERENCE = (
    "no reference: register the version with --reference FILE (Parquet, CSV, Arrow "
    "or NumPy) to watch this"
)

_TIMES_MAX = 100.0


def more_rows(rows: int, times: float) -> int | None:
    """How many more rows would tell, if that takes so many times the rows there are.

    None where a hundred times the rows would not tell: then more rows are no remedy.
    """
    return max(1, ceil(rows * (times - 1))) if times < _TIMES_MAX else None


@dataclass(frozen=True, slots=True)
class Monitor:
    """Who speaks: the family and name of a monitor, its floor and the settings it obeys.

    `floor` is the size of an effect below which nobody is paged, in the effect's own unit.
    """

    family: str
    name: str
    floor: float
    settings: Monitors

    def silent(self, subject: str, message: str, rows: int = 0) -> Signal:
        """A signal that says why there is nothing to say, and what would help: rows would not."""
        return Signal(
            self.family, self.name, subject, Verdict.INSUFFICIENT_DATA, rows, message=message
        )

    def signal(self, subject: str, rows: int, log_wealth: float, effect: Effect | None) -> Signal:
        """The verdict on one subject as if it were the only one; the panel weighs all together.

        `log_wealth` is the natural logarithm of its e-value.
        """
        lacking = max(0, self.settings.minimum_rows - rows)
        if lacking or effect is None:
            lacking = max(lacking, 1)
            return Signal(
                self.family,
                self.name,
                subject,
                Verdict.INSUFFICIENT_DATA,
                rows,
                log10_evidence=log_wealth / log(10),
                rows_needed=lacking,
                message=f"{rows} rows so far; {lacking} more are needed",
            )
        proved = log_wealth >= Budget.of(self.settings).log_alone
        large = effect.at_least > self.floor
        return Signal(
            self.family,
            self.name,
            subject,
            Verdict.ALARM if proved and large else Verdict.OK,
            rows,
            value=effect.value,
            lower=effect.lower,
            upper=effect.upper,
            log10_evidence=log_wealth / log(10),
            message=f"{effect.kind}: {effect.value:+.3f}, at least {effect.at_least:.3f} in size"
            + ("" if large or not proved else "; real, but too small to page anyone"),
        )


def shown(distances: Sequence[Distance]) -> str:
    """The best known of the distances in a few words."""
    known = {each.name: each.value for each in distances}
    return (
        f"PSI {known[Familiar.PSI]:.3f}, Jensen-Shannon {known[Familiar.JENSEN_SHANNON]:.3f}, "
        f"total variation {known[Familiar.TOTAL_VARIATION]:.3f}"
    )


def larger(first: Effect, second: Effect) -> Effect:
    """The effect that is surely larger; by its plain size where neither is sure."""
    return max(first, second, key=lambda e: (e.at_least, abs(e.value)))
