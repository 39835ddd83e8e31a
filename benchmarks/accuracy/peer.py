"""Another library on streams: they are written to a folder, and it is run on that folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks import environments
from benchmarks.accuracy.contestants import PINS, Contestant
from benchmarks.accuracy.results import Cost, Run
from benchmarks.accuracy.streams import CHANGE_AT, Rows, Scenario, make
from benchmarks.processes import BenchmarkError

WEIR = Path(__file__).parent / "weir_monitor.py"
_TIMEOUT_S = 1_500
_ONE_CORE = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a contestant is shown of a stream that may change: where, and in which column."""

    reference: Rows
    live: Rows
    categorical: tuple[int, ...]
    change_at: int | None
    changed: int


def shown(contestant: Contestant, scenario: Scenario, seed: int) -> Shown:
    """The part of a stream that matters to a contestant."""
    stream = make(scenario, seed)
    reference = stream.reference[: contestant.reference_rows]
    live = stream.live[: contestant.rows_max]
    categorical, change_at, changed = scenario.categorical, None, scenario.changed
    if scenario.change is not None:
        change_at = CHANGE_AT
        if contestant.by_window:
            live, change_at = live[CHANGE_AT:], 0
        if contestant.alone:
            reference, live = reference[:, [changed]], live[:, [changed]]
            categorical, changed = (0,) if changed in categorical else (), 0
    return Shown(reference, live, categorical, change_at, changed)


def replay(contestant: Contestant, streams: Sequence[tuple[Scenario, int]]) -> list[Run]:
    """The runs of a contestant on streams, each a scenario and a seed."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        written = [
            _written(folder, str(number), shown(contestant, scenario, seed))
            for number, (scenario, seed) in enumerate(streams)
        ]
        answers = _asked(contestant, folder, written, measure=False)
    return [
        Run(
            contestant.name,
            scenario.name,
            seed,
            min(scenario.rows, contestant.rows_max),
            answer["first"],
            answer["found"],
        )
        for (scenario, seed), answer in zip(streams, answers, strict=True)
    ]


def measure(contestant: Contestant, number: int, reference: Rows, live: Rows) -> Cost:
    """What the monitor of a contestant takes for rows of numbers."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        part = Shown(reference[: contestant.reference_rows], live, (), None, 0)
        (answer,) = _asked(contestant, folder, [_written(folder, "cost", part)], measure=True)
    return Cost(contestant.name, number, **answer)


def _written(folder: Path, name: str, part: Shown) -> dict[str, Any]:
    reference, live = f"{name}-reference.npy", f"{name}-live.npy"
    np.save(folder / reference, part.reference)
    np.save(folder / live, part.live)
    return {
        "reference": reference,
        "live": live,
        "categorical": list(part.categorical),
        "change_at": part.change_at,
        "changed": part.changed,
    }


def _asked(
    contestant: Contestant,
    folder: Path,
    streams: Sequence[Mapping[str, Any]],
    *,
    measure: bool,
) -> list[dict[str, Any]]:
    task = {
        "settings": dict(contestant.settings),
        "streams": list(streams),
        "measure": measure,
    }
    (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
    command, variables = _command(contestant)
    try:
        done = subprocess.run(
            [*command, str(folder)],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as late:
        message = f"{contestant.name} took longer than {_TIMEOUT_S} s"
        raise BenchmarkError(message) from late
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no word"]
        message = f"{contestant.name} failed: {said[-1]}"
        raise BenchmarkError(message)
    answers: list[dict[str, Any]] = json.loads((folder / "answers.json").read_bytes())
    return answers


def _command(contestant: Contestant) -> tuple[list[str], dict[str, str]]:
    """Weir runs in this environment, everybody else in their own."""
    if contestant.environment == "weir":
        checkout = str(Path(__file__).parents[2])
        variables = environments.variables(_ONE_CORE | {"PYTHONPATH": checkout})
        return [sys.executable, str(WEIR)], variables
    python = environments.python(contestant.environment, PINS)
    variables = environments.variables(_ONE_CORE | {"PYTHONPATH": str(PINS)})
    return [str(python), str(PINS / contestant.script)], variables
