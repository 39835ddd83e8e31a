"""What was measured, one JSON object a line, so that a run that was cut short goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """One stream replayed for one contestant, which saw `rows` live rows at most.

    `first` is the row of the first alarm about anything; where the stream changes, `found` counts
    the rows from the change to the first alarm about what changed. None: there was none. Whoever
    judges columns one by one was shown only the changed column of a stream that changes.
    """

    contestant: str
    scenario: str
    seed: int
    rows: int
    first: int | None
    found: int | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time of so many rows of 30 features, and memory.

    `loaded_mb` is what a process holds with the library and the rows in it, `added_mb` how much
    more it held at its most while the monitor was at work.
    """

    contestant: str
    number: int
    rows: int
    seconds: float
    loaded_mb: float
    added_mb: float

    @property
    def seconds_a_million(self) -> float:
        """Seconds of processor time that a million rows take at this pace."""
        return self.seconds / self.rows * 1e6


@dataclass(frozen=True, slots=True)
class Missing:
    """What could not be measured, and why."""

    contestant: str
    what: str
    reason: str


Entry = Run | Cost | Missing
_KINDS: dict[str, type[Run | Cost | Missing]] = {
    "run": Run,
    "cost": Cost,
    "missing": Missing,
}


class Results:
    """All entries of a file; what is added is written at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries: list[Entry] = []
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            self.entries = [_entry(json.loads(line)) for line in lines]

    def add(self, entries: Iterable[Entry]) -> None:
        """Keep entries, and write them down."""
        made = list(entries)
        self.entries += made
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(_told(entry))}\n" for entry in made)

    def runs(self, contestant: str, scenario: str) -> Sequence[Run]:
        """The runs of a contestant on a kind of stream."""
        return [
            entry
            for entry in self.entries
            if isinstance(entry, Run)
            and (entry.contestant, entry.scenario) == (contestant, scenario)
        ]

    def costs(self, contestant: str) -> Sequence[Cost]:
        """What a contestant costs, measured several times."""
        return [e for e in self.entries if isinstance(e, Cost) and e.contestant == contestant]

    def missing(self) -> Sequence[Missing]:
        """All that could not be measured, once each."""
        found = [entry for entry in self.entries if isinstance(entry, Missing)]
        return list({(each.contestant, each.what): each for each in found}.values())


def _told(entry: Entry) -> dict[str, object]:
    kind = next(name for name, made in _KINDS.items() if isinstance(entry, made))
    return {"kind": kind, **asdict(entry)}


def _entry(told: dict[str, object]) -> Entry:
    made = _KINDS[str(told.pop("kind"))]
    return made(**told)  # type: ignore[arg-type]
