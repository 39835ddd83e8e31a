"""A signal: what a monitor has to say, with its evidence and one of four verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from monitors.blocks import SampleBlock


class Verdict(StrEnum):
    """What a monitor concludes; no data is never `ok`."""

    OK = "ok"
    ALARM = "alarm"
    INSUFFICIENT_DATA = "insufficient data"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Signal:
    """One statement of one monitor about one subject (a feature, a group, the score).

    `value` is the effect in the signal's own unit with its bounds `lower` and `upper`;
    `log10_evidence` is the logarithm of the e-value where there is one. `rows_needed` says how
    many more rows would be enough when data are insufficient. `message` is a sentence for people.
    """

    family: str
    name: str
    subject: str
    verdict: Verdict
    rows: int
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    log10_evidence: float | None = None
    rows_needed: int | None = None
    message: str = ""


class Detector(Protocol):
    """**Protocol:** a fold over blocks: state goes in, signals come out, no clock and no I/O."""

    def update(self, block: SampleBlock) -> None:
        """Take in the rows of one block."""

    def signals(self) -> tuple[Signal, ...]:
        """What is to be said after all blocks so far."""
