"""Weir's figures beside those of other libraries: `python -m benchmarks.oracles`.

The libraries have an environment of their own, made from `peers/oracles.txt`. Rows are drawn from
seeds; the exit status is 1 where a figure is not the other's to 1e-9 (absolute, or relative to
what is larger than one) though the definition is the same, or farther than another definition
explains. Four minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import environments
from benchmarks.oracles.asked import Case, Compared, compared
from benchmarks.oracles.cases import cases
from benchmarks.processes import BenchmarkError

PINS = Path(__file__).parent / "peers"
_TIMEOUT_S = 1_800
_VERDICT = {True: "[green]held[/]", False: "[red]not held[/]", None: ""}


def answers(each: Sequence[Case]) -> list[list[list[float]]]:
    """What the others say: for each case and each thing asked about it, some numbers."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for number, case in enumerate(each):
            np.savez(folder / f"{number}.npz", **dict[str, Any](case.data))
        task = [[asked.function for asked in case.asked] for case in each]
        (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
        command = [str(environments.python("oracles", PINS)), str(PINS / "oracle.py"), name]
        done = subprocess.run(
            command,
            env=environments.variables({"PYTHONWARNINGS": "ignore"}),
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
        if done.returncode != 0:
            message = f"the oracles failed: {(done.stderr.strip().splitlines() or ['no word'])[-1]}"
            raise BenchmarkError(message)
        found: list[list[list[float]]] = json.loads((folder / "answers.json").read_bytes())
        return found


def show(console: Console, lines: Sequence[Compared]) -> None:
    """Print one line a measure."""
    table = Table("measure", "library", "function")
    table.add_column("figures", justify="right")
    table.add_column("largest difference", justify="right")
    table.add_column("")
    table.add_column("definition", overflow="fold")
    for line in lines:
        cells = line.measure, line.library, line.function, f"{line.figures:,}"
        definition = line.differs or "the same"
        table.add_row(*cells, f"{line.largest:.1e}", _VERDICT[line.held], definition)
    console.print(table)


def main() -> int:
    """Draw, ask, compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.oracles", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    asked = parser.parse_args()
    environments.make("oracles", PINS)
    drawn = [case for seed in range(asked.seeds) for case in cases(seed)]
    theirs = [numbers for case in answers(drawn) for numbers in case]
    lines = compared([each for case in drawn for each in case.asked], theirs)
    show(Console(width=180), lines)
    return 1 if any(line.held is False for line in lines) else 0


if __name__ == "__main__":
    raise SystemExit(main())
