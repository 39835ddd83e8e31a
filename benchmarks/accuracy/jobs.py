"""What there is to run, in pieces of a minute or so that do not depend on each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

from benchmarks.accuracy import lasting, peer
from benchmarks.accuracy.contestants import CONTESTANTS, Contestant
from benchmarks.accuracy.results import Entry, Missing, Results, Run
from benchmarks.accuracy.streams import CHANGING, CLEAN, FEATURES, RHYTHMIC, SCENARIOS, Scenario
from benchmarks.accuracy.weir import BOTH, BROKEN, BY_HOUR, REPLAYS
from benchmarks.processes import BenchmarkError

SEEDS = {"independent": 1_000, "correlated": 1_000, "mixed": 100}
RHYTHMIC_SEEDS = 100
CHANGING_SEEDS = 200
SLOW_SEEDS = {"placebo": 40, "category 10 to 15 %": 60}
"""Those that may see all rows of such a stream, with a look every few."""
BROKEN_SEEDS = 60
LATE_SEEDS = 3
AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Job:
    """Streams for one contestant, done if the first of `seeds` was seen in `scenario`."""

    contestant: str
    scenario: str
    seeds: tuple[int, ...]
    act: Callable[[], list[Run]]


def jobs(share: float) -> list[Job]:
    """Everything, with this share of the seeds; Weir and the others in turn."""
    ours = [*_weir(share)]
    others = [job for contestant in CONTESTANTS for job in _other(contestant, share)]
    return [job for pair in zip_longest(ours, others) for job in pair if job is not None]


def left(all_of_them: Sequence[Job], results: Results) -> list[Job]:
    """The jobs that no earlier run has done."""
    done = {(r.contestant, r.scenario, r.seed) for r in results.entries if isinstance(r, Run)}
    return [job for job in all_of_them if (job.contestant, job.scenario, job.seeds[0]) not in done]


def run(job: Job) -> list[Entry]:
    """Do a job; one that fails says why."""
    try:
        return [*job.act()]
    except BenchmarkError as failure:
        return [Missing(job.contestant, job.scenario, str(failure))]


def replays(contestant: str, scenario: str, seeds: Sequence[int]) -> list[Run]:
    """Weir on the streams of some seeds."""
    return [made for seed in seeds for made in REPLAYS[contestant](SCENARIOS[scenario], seed)]


def _weir(share: float) -> Iterator[Job]:
    yield from _pieces(BROKEN, SCENARIOS["independent"], _some(BROKEN_SEEDS, share))
    for scenario in CHANGING:
        yield from _pieces(
            BOTH, scenario, _some(SLOW_SEEDS.get(scenario.name, CHANGING_SEEDS), share)
        )
    for scenario in CLEAN:
        yield from _pieces(BOTH, scenario, _some(SEEDS[scenario.name], share))
    for size in (lasting.UNIMPORTANT, lasting.IMPORTANT):
        act = partial(lasting.planted_changes, 0, size)
        yield Job(BOTH, lasting.planted(size), (0,), act)
    for seed in range(_some(LATE_SEEDS, share)):
        act = partial(lasting.late_changes, seed)
        yield Job(BOTH, lasting.late(lasting.SIZES[0]), (seed * FEATURES,), act)
    for scenario in RHYTHMIC:
        yield from _pieces(BOTH, scenario, _some(RHYTHMIC_SEEDS, share))
    yield from _pieces(BY_HOUR, SCENARIOS["daily"], _some(RHYTHMIC_SEEDS, share))


def _pieces(contestant: str, scenario: Scenario, seeds: int) -> Iterator[Job]:
    for first in range(0, seeds, AT_ONCE):
        some = tuple(range(first, min(first + AT_ONCE, seeds)))
        act = partial(replays, contestant, scenario.name, some)
        yield Job(contestant, scenario.name, some, act)


def _other(contestant: Contestant, share: float) -> Iterator[Job]:
    """Two jobs: to load a library takes longer than many of its streams."""
    still = [(each, contestant.clean) for each in CLEAN]
    still += [(each, contestant.rhythmic) for each in RHYTHMIC]
    moving = [(each, contestant.changing) for each in CHANGING]
    for kinds in (still, moving):
        streams = [
            (scenario.name, seed)
            for scenario, seeds in kinds
            for seed in range(_some(seeds, share))
            if contestant.categories or not scenario.categorical
        ]
        first = streams[0][0]
        act = partial(_replay, contestant, streams)
        yield Job(contestant.name, first, (0,), act)


def _replay(contestant: Contestant, streams: Sequence[tuple[str, int]]) -> list[Run]:
    return peer.replay(contestant, [(SCENARIOS[name], seed) for name, seed in streams])


def _some(seeds: int, share: float) -> int:
    return max(1, round(seeds * share))
