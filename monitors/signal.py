"""A signal: what a monitor has to say, with its evidence and one of four verdicts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from monitors.blocks import SampleBlock
from monitors.labels.judged import JudgedBlock
from monitors.stats.familiar import Distance

Key = tuple[str, str, str]
"""A signal's family, name and subject."""

State = Mapping[str, NDArray[Any]]
"""All that a detector has to remember, as named arrays of numbers."""


def words(content: object) -> NDArray[np.uint8]:
    """Texts and whole numbers in lists and tables, as an array that a state can hold."""
    return np.frombuffer(json.dumps(content).encode("ascii"), dtype=np.uint8)


def from_words(array: NDArray[np.uint8]) -> Any:
    """What was put into `words`; `ValueError` for anything else."""
    return json.loads(array.tobytes())


def packed(parts: Mapping[str, State]) -> State:
    """Several states as one, each under a name without a slash."""
    return {f"{part}/{name}": held for part, state in parts.items() for name, held in state.items()}


def unpacked(state: State, part: str) -> State:
    """One of the states that were `packed`; empty where there is none of that name."""
    prefix = f"{part}/"
    return {name[len(prefix) :]: held for name, held in state.items() if name.startswith(prefix)}


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
    many more rows would be enough when data are insufficient, and is None when no number of them
    would be: then `message` says what would. `message` is a sentence for people.
    `distances` are for show: no verdict rests on them.
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
    distances: tuple[Distance, ...] = ()

    @property
    def key(self) -> Key:
        """What tells this signal from the others of its version and role."""
        return self.family, self.name, self.subject


class Detector(Protocol):
    """**Protocol:** a fold over blocks: state goes in, signals come out, no clock and no I/O.

    Made anew from the same card, profile and settings, and given the state, a detector goes on as
    if it had never stopped.
    """

    def update(self, block: SampleBlock) -> None:
        """Take in the rows of one block."""

    def signals(self) -> tuple[Signal, ...]:
        """What is to be said after all blocks so far."""

    def rearm(self, subject: str) -> None:
        """Forget the evidence about a subject, and begin anew against the same reference."""

    def state(self) -> State:
        """All that must outlive the process."""

    def restore(self, state: State) -> None:
        """Go on from a state; `ValueError` if it is not one of a detector like this."""


@runtime_checkable
class Judges(Protocol):
    """**Protocol:** a detector that takes in rows whose truth has come, too."""

    def judge(self, block: JudgedBlock) -> None:
        """Take in the judged rows of one block."""
